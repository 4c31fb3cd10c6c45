"""The command ``patter-trio``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import trio

from . import __version__
from ._demo.artefacts import latency_table, transcript_record, write_artefacts
from ._demo.carriers import CARRIERS as DEMO_CARRIERS
from ._demo.listen import converse, open_headset
from ._demo.show import Demo, perform
from ._demo.view import View
from ._doctor.case import CARRIERS, Case
from ._doctor.examine import examine
from ._doctor.findings import Finding, finding_record, lines_of, summary
from ._settings import normalise_webhook_url
from .abc import TTSProvider
from .errors import PatterConfigError, PatterError
from .events import CallEvent
from .llm import OpenAICompatibleLLM
from .tts import HibariTTS, NanoTTS

__all__ = ["main"]

_VOICES: dict[str, Callable[[], TTSProvider]] = {
    "hibari": HibariTTS,
    "deep": lambda: HibariTTS(pitch=0.8),
    "nano": NanoTTS,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except PatterError as error:
        print(f"patter-trio: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="patter-trio", description="Puts an AI agent on a real phone number, on trio."
    )
    parser.add_argument("--version", action="version", version=f"patter-trio {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_doctor(commands)
    demo = commands.add_parser(
        "demo",
        help="a whole phone call on this machine: no account, no key",
        description="Starts the server on loopback and has a caller phone in: asks, interrupts, books. "
        "Writes call.wav, transcript.json, latency.json, timeline.svg and timeline.png. "
        "Exit status 1 if a step of the caller's script did not happen or an answer was wrong.",
    )
    demo.set_defaults(run=_demo)
    demo.add_argument(
        "--out", type=Path, default=Path("patter-demo"), metavar="DIR", help="where the files go"
    )
    demo.add_argument(
        "--seed", type=int, default=1, help="the caller's choice of words and the line's jitter"
    )
    demo.add_argument("--json", action="store_true", help="print the call's record as JSON and nothing else")
    demo.add_argument("--listen", action="store_true", help="talk to the desk yourself, by microphone")
    demo.add_argument("--voice", choices=sorted(_VOICES), default="hibari", help="the agent's voice")
    demo.add_argument("--caller-voice", choices=sorted(_VOICES), default="deep", help="the caller's voice")
    demo.add_argument(
        "--llm", metavar="URL", help="a model in place of the desk's function: an OpenAI-compatible base URL"
    )
    demo.add_argument("--model", metavar="NAME", help="the model's name at --llm")
    demo.add_argument(
        "--carrier", choices=sorted(DEMO_CARRIERS), default="twilio", help="the carrier that is simulated"
    )
    return parser


def _add_doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="why does nobody get through? asks everything that a call needs",
        description="Looks at credentials, account, number, public address, webhooks, media sockets, clock "
        "and packages, each with what to do next. Looks at the session that runs at --port, or opens one "
        "there meanwhile. Changes nothing, except with --fix --configure-number. Exit status 1 if something "
        "failed.",
    )
    doctor.set_defaults(run=_doctor)
    doctor.add_argument(
        "--carrier", choices=sorted(CARRIERS), default="", help="default: whose variables are set"
    )
    doctor.add_argument("--number", default="", metavar="E164", help="our number, like +15550001234")
    doctor.add_argument("--webhook-url", default="", metavar="URL", help="our public base URL")
    doctor.add_argument("--host", default=os.environ.get("PATTER_BIND_HOST", "127.0.0.1"))
    doctor.add_argument("--port", type=int, default=8000, help="the session's port")
    doctor.add_argument("--fix", action="store_true", help="say what could be put right")
    doctor.add_argument(
        "--configure-number", action="store_true", help="with --fix: have the number's calls come here"
    )
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON and nothing else")


def _doctor(options: argparse.Namespace) -> int:
    if options.configure_number and not options.fix:
        raise PatterConfigError("--configure-number changes the number's webhook", hint="add --fix")
    case = Case(
        kind=options.carrier,
        number=options.number,
        webhook_url=normalise_webhook_url(options.webhook_url),
        host=options.host,
        port=options.port,
        fix=options.fix,
        configure_number=options.configure_number,
    )
    # What the session logs of our own forged requests is no news to whoever reads the findings.
    logging.getLogger("patter_trio").addHandler(logging.NullHandler())

    def show(finding: Finding) -> None:
        if not options.json:
            print("\n".join(lines_of(finding)), flush=True)

    findings = trio.run(examine, case, show)
    if options.json:
        print(json.dumps(finding_record(findings), indent=2))
    else:
        print(f"\n{summary(findings)}")
    return 0 if finding_record(findings)["ok"] else 1


def _settings(options: argparse.Namespace) -> Demo:
    if bool(options.llm) != bool(options.model):
        raise PatterConfigError(
            "--llm and --model go together", hint="--llm http://localhost:11434/v1 --model llama3.2"
        )
    llm = OpenAICompatibleLLM(base_url=options.llm, model=options.model) if options.llm else None
    return Demo(
        seed=options.seed,
        llm=llm,
        tts=_VOICES[options.voice](),
        caller_voice=_VOICES[options.caller_voice](),
        carrier=options.carrier,
    )


def _make_folder(out: Path) -> None:
    """Before the call: nobody should listen for a minute to learn that nothing can be kept of it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        reason = "" if os.access(out, os.W_OK) else "permission denied"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise PatterConfigError(
            f"nothing can be written to {out}: {reason}", hint="choose a folder with --out"
        )


def _demo(options: argparse.Namespace) -> int:
    demo = _settings(options)
    view = View(sys.stderr if options.json else sys.stdout)

    def show(event: CallEvent) -> None:
        if not options.json:
            view.show(event)

    def say(line: str) -> None:
        if not options.json:
            view.line(line)

    if options.listen:
        with open_headset() as headset:
            trio.run(converse, demo, headset, show, say)
        return 0
    _make_folder(options.out)
    performance = trio.run(perform, demo, show, say)
    call = performance.artefacts
    say("")
    for step in call.steps:
        if not step.done:
            view.step(f"the caller {step.text}: {step.note}", done=False)
    say(latency_table(call))
    say("")
    write_artefacts(call, options.out, say=say)
    if options.json:
        print(json.dumps({**transcript_record(call), "problems": performance.problems}, indent=2))
    for problem in performance.problems:
        print(f"problem: {problem}", file=sys.stderr)
    if performance.problems:
        return 1
    say(f"all {len(call.steps)} steps of the caller happened and every answer was right")
    return 0
