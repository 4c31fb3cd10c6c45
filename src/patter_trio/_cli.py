"""The command ``patter-trio``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from . import __version__
from ._demo.artefacts import latency_table, transcript_record, write_artefacts
from ._demo.listen import converse, open_headset
from ._demo.show import Demo, perform
from ._demo.view import View
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
    return parser


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
