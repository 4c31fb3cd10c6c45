"""Records of calls: their schema, what stands in them and what does not, and that nobody waits for them."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path
from typing import Any

import pytest
import trio

from patter_trio import PatterConfigError
from patter_trio.events import DigitReceived
from patter_trio.observability import CallRecord, JsonLinesCallLog, MemoryCallLog
from patter_trio.observability.call_log import EventTape, mask_number
from patter_trio.testing import Caller, ScriptedLLM

from .dialled import THEM
from .ring import LONG, NUMBER, agent, patter, ring
from .test_outgoing import house, over

GREETED = Caller().waits_for_agent()
CALLER = (
    GREETED.says("When are you open?")
    .barges_in("And the price of a loaf?", after=1.1)
    .waits_for_agent()
    .hangs_up()
)

SCHEMA = {
    "version", "call_id", "direction", "caller", "callee", "telephony_provider", "started_at", "ended_at",
    "duration_seconds", "outcome", "reason", "error_code", "transcript", "events", "events_dropped",
    "metrics", "counts", "recording_path",
}  # fmt: skip
WORDS = {"role", "heard", "unheard", "cut", "timestamp", "turn_idx", "tools"}


def recorded(**options: Any) -> CallRecord:
    log = MemoryCallLog()
    ring(agent(ScriptedLLM([LONG, "Four."])), CALLER, call_log=log, **options)
    (record,) = log.records
    return record


def test_a_record_has_the_schema_of_its_version() -> None:
    plain = json.loads(recorded().as_json())
    assert plain["version"] == 1
    assert set(plain) == SCHEMA
    assert all(set(words) == WORDS for words in plain["transcript"])
    assert {"event", "timestamp_ms"} <= set.intersection(*(set(event) for event in plain["events"]))
    assert plain["metrics"]["cost"]["total"] == 0.0085
    assert plain["metrics"]["cost"]["prices"]["telephony"]["as_of"] == "2026-05"


def test_a_record_says_what_was_heard_what_was_cut_and_how() -> None:
    record = recorded()
    greeting, question, answer, second, last = record.transcript
    assert (greeting.heard, greeting.cut) == ("Hello, this is the desk.", False)
    assert question.role == second.role == "user"
    assert answer.cut
    assert answer.heard
    assert f"{answer.heard} {answer.unheard}" == LONG
    assert last.heard == "Four."
    assert record.metrics is not None
    cancel = record.metrics.turns[1].cancel
    assert cancel is not None
    plain = json.loads(record.as_json())
    assert plain["metrics"]["turns"][1]["cancel"]["phase"] == cancel.phase == "speaking"
    names = [event["event"] for event in record.events]
    assert names[0] == "call_accepted"
    assert names[-1] == "call_ended"
    assert "floor_taken" in names
    assert record.ended_at - record.started_at == pytest.approx(record.duration_seconds)
    assert (record.outcome, record.reason, record.direction) == ("answered", "caller_hung_up", "inbound")


def test_numbers_of_people_are_masked_unless_they_were_asked_for() -> None:
    text = recorded().as_json().decode()
    assert "+1555" not in text
    assert '"caller":"********4321"' in text
    whole = recorded(call_log_numbers=True)
    assert (whole.caller, whole.callee) == ("+15557654321", NUMBER)


@pytest.mark.parametrize(
    ("number", "shown"),
    [("+15557654321", "********4321"), ("sip:alice@example.com", "*" * 21), ("", ""), ("911", "***")],
)
def test_a_mask_keeps_four_digits_of_a_number_and_nothing_of_an_address(number: str, shown: str) -> None:
    assert mask_number(number) == shown


def test_keys_that_were_pressed_are_counted_and_not_kept() -> None:
    tape = EventTape()
    tape.note(DigitReceived(call_id="CA1", time=0.0, timestamp_ms=1, digit="7"))
    assert list(tape.events) == [{"event": "digit_received", "timestamp_ms": 1}]
    for _ in range(5000):
        tape.note(DigitReceived(call_id="CA1", time=0.0, timestamp_ms=1, digit="7"))
    assert (len(tape.events), tape.dropped) == (5000, 1)


def test_a_call_that_nobody_takes_has_a_record_too() -> None:
    log = MemoryCallLog()

    async def body(session: Any, exchange: Any) -> None:
        await (await session.call(THEM))

    house(body, over("busy"), call_log=log)
    (record,) = log.records
    assert (record.outcome, record.direction, record.metrics) == ("busy", "outbound", None)
    assert json.loads(record.as_json())["metrics"] is None


class _Broken:
    """A log that raises, or never ends."""

    def __init__(self, hangs: bool) -> None:
        self._hangs = hangs

    async def write(self, record: CallRecord) -> None:
        if self._hangs:
            await trio.sleep_forever()
        raise OSError("no space left")


@pytest.mark.parametrize("hangs", [False, True])
def test_a_log_that_fails_is_not_felt(hangs: bool, caplog: pytest.LogCaptureFixture) -> None:
    llm = ["We open at eight."]
    script = GREETED.says("When?").waits_for_agent().hangs_up()
    plain = ring(agent(ScriptedLLM(llm)), script)
    ends: list[Any] = []
    with caplog.at_level(logging.WARNING):
        bothered = ring(agent(ScriptedLLM(llm)), script, call_log=_Broken(hangs), on_call_end=ends.append)
    assert bothered.outcome.log == plain.outcome.log, "not a frame is later"
    assert len(ends) == 1
    assert "the call log" in caplog.text


def test_records_are_lines_of_json_that_only_the_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    record = recorded()

    async def main() -> None:
        log = JsonLinesCallLog(path)
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(log.write, record)

    trio.run(main)
    lines = path.read_bytes().splitlines()
    assert len(lines) == 20
    assert all(json.loads(line)["call_id"] == record.call_id for line in lines)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_session_waits_for_a_log_that_is_slow() -> None:
    written: list[float] = []

    class Slow:
        async def write(self, record: CallRecord) -> None:
            await trio.sleep(5.0)
            written.append(record.duration_seconds)

    rung = ring(agent(), GREETED.hangs_up(), call_log=Slow())
    assert written == [rung.result.duration_seconds]


def test_a_log_that_keeps_nothing_is_refused() -> None:
    for wrong in ("calls.jsonl", MemoryCallLog, 3):
        with pytest.raises(PatterConfigError, match="keeps no records"):
            patter().session(agent(), call_log=wrong)
    with pytest.raises(PatterConfigError, match="needs a file"):
        JsonLinesCallLog("")
