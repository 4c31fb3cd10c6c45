"""What the documentation shows is true: code compiles, whole programs run, tables hold every setting."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
from _pytest.mark import ParameterSet

from patter_trio import CallResult, Patter, TurnMetrics, Twilio
from patter_trio._turns.call_metrics import CallMetrics
from patter_trio._turns.cost import CostBreakdown
from patter_trio.events import CallEvent
from patter_trio.testing import (
    Caller,
    MemoryLine,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    SimulatedTwilio,
    run_virtual,
)

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)]

_BLOCK = re.compile(
    r"(?P<run><!-- run -->\n)?^```python\n(?P<code>.*?)^```\n(?:\n^```text\n(?P<said>.*?)^```)?",
    re.MULTILINE | re.DOTALL,
)


def blocks(*, run: bool) -> list[ParameterSet]:
    """The Python blocks of all pages, or those that are marked as whole programs."""
    found: list[ParameterSet] = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in _BLOCK.finditer(text):
            if block["run"] or not run:
                line = text.count("\n", 0, block.start("code"))
                found.append(pytest.param(block, id=f"{page.relative_to(ROOT)}:{line}"))
    return found


@pytest.mark.parametrize("block", blocks(run=False))
def test_code_in_the_docs_is_python(block: re.Match[str]) -> None:
    compile(block["code"], "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("block", blocks(run=True))
def test_whole_programs_in_the_docs_run(block: re.Match[str], capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {"__name__": "docs"}
    exec(compile(block["code"], "block", "exec"), names)
    for name, test in list(names.items()):
        if name.startswith("test_") and callable(test):
            test()
    said = capsys.readouterr().out
    if block["said"] is not None:
        lines = [line.rstrip() for line in said.splitlines()]
        assert lines == [line.rstrip() for line in block["said"].splitlines()]


def tables() -> ModuleType:
    """The extension that makes the tables; Sphinx itself is not needed for it."""
    spec = importlib.util.spec_from_file_location("settings_table", DOCS / "settings_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["Agent", "SessionSettings", "PortLimits"])
def test_the_table_of_settings_has_them_all(name: str) -> None:
    made = tables()
    settings = made.CLASSES[name]
    rows = made.table(settings).splitlines()[2:]
    fields = attrs.fields(settings)
    assert len(rows) == len(fields)
    for row, field in zip(rows, fields, strict=True):
        _, setting, default, meaning, _ = (cell.strip() for cell in re.split(r"(?<!\\)\|", row))
        assert setting == f"`{field.name}`"
        assert default
        assert meaning
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert f"<!-- settings: {name} -->" in page


def test_callbacks_receive_what_the_table_says() -> None:
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(on_\w+)` \| a dict: (.*) \|$", page, re.MULTILINE))
    received: dict[str, list[dict[str, Any]]] = {name: [] for name in rows}
    assert list(rows) == ["on_call_start", "on_transcript", "on_metrics", "on_call_end"]
    events: list[CallEvent] = []
    token = "0123456789abcdef0123456789abcdef"
    patter = Patter(Twilio(auth_token=token), "+15550001234", "https://phone.example.test")
    agent = patter.agent(
        stt=ScriptedSTT(), tts=ScriptedTTS(), vad=ScriptedVAD(), on_message=lambda event: "At seven."
    )
    caller = Caller().says("When do you open?").waits_for_agent().hangs_up()
    callbacks: dict[str, Any] = {name: received[name].append for name in rows}

    async def main() -> None:
        async with patter.session(agent, port=None, on_event=events.append, **callbacks) as session:
            line = MemoryLine(session.app, "https://phone.example.test")
            assert (await SimulatedTwilio(auth_token=token).call(line, caller)).ok

    run_virtual(main)
    for name, row in rows.items():
        documented = set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", row)))
        assert received[name], f"{name} was never called"
        assert all(set(payload) == documented for payload in received[name]), name
    assert [payload["role"] for payload in received["on_transcript"]] == ["user", "assistant"]
    assert isinstance(received["on_metrics"][0]["turn"], TurnMetrics)
    assert isinstance(received["on_call_end"][0]["metrics"], CallMetrics)
    assert isinstance(received["on_call_end"][0]["result"], CallResult)
    assert isinstance(received["on_metrics"][0]["cost_so_far"], CostBreakdown)
    assert {event.call_id for event in events} == {received["on_call_start"][0]["call_id"]}


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken, "\n".join(broken)
