"""What a call leaves behind: one record, and the places that records may be written to."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import attrs
import msgspec
import trio

from .._turns.call_metrics import CallMetrics
from .._turns.history import HistoryEntry, UsedTool
from ..errors import PatterConfigError
from ..events import CallEvent, CallInfo

__all__ = [
    "RECORD_VERSION",
    "CallLog",
    "CallRecord",
    "EventTape",
    "JsonLinesCallLog",
    "MemoryCallLog",
    "RecordedWords",
    "check_call_log",
    "mask_number",
    "masked",
    "recorded_words",
]

RECORD_VERSION = 1
"""Grows when a field of :class:`CallRecord` changes its meaning or goes away; new ones may come any time."""

# An hour of a lively call.
_EVENTS = 5000

# Who calls stands in the record itself, masked or not; keys may be the digits of a card; the others stand in
# the metrics.
_LEFT_OUT = frozenset({"call_id", "info", "digit", "digits", "metrics", "report"})


@attrs.frozen
class RecordedWords:
    """What one side said, as far as it was heard.

    Args:
        role: ``user`` or ``assistant``.
        heard: what was said and heard.
        unheard: what the agent had still to say when it was cut.
        cut: whether it was.
        timestamp: wall time in seconds since the epoch.
        turn_idx: the turn that it belongs to.
        tools: the tools that were used with it.
    """

    role: str
    heard: str
    unheard: str = ""
    cut: bool = False
    timestamp: float = 0.0
    turn_idx: int = 0
    tools: tuple[UsedTool, ...] = ()


@attrs.frozen(kw_only=True)
class CallRecord:
    """One call: who, how it ended, what was said, what happened, and its numbers.

    ``caller`` and ``callee`` are masked but for their last four digits unless the session says otherwise;
    what was *said* is recorded as it was said. ``events`` are payloads with the name of the event under
    ``event``, at most the last 5000. The metrics hold each turn, interrupted ones with their
    :class:`CancelReport`; they are ``None`` for a call that was not taken. Times are wall times in seconds
    since the epoch.
    """

    version: int = RECORD_VERSION
    call_id: str
    direction: str
    caller: str
    callee: str
    telephony_provider: str
    started_at: float
    ended_at: float
    duration_seconds: float
    outcome: str
    reason: str
    error_code: str | None = None
    transcript: tuple[RecordedWords, ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()
    events_dropped: int = 0
    metrics: CallMetrics | None = None
    counts: Mapping[str, int] = attrs.field(factory=dict[str, int])
    recording_path: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The record in plain dicts and lists, the total of its cost included."""
        plain = attrs.asdict(self)
        if self.metrics is not None:
            plain["metrics"]["cost"]["total"] = self.metrics.cost.total
        return plain

    def as_json(self) -> bytes:
        """The record as one line of JSON, without the end of the line."""
        return msgspec.json.encode(self.as_dict(), enc_hook=str)


@runtime_checkable
class CallLog(Protocol):
    """Where records of calls go. One that raises, or takes longer than 10 s, is logged and never felt."""

    async def write(self, record: CallRecord) -> None:
        """Keeps a record."""
        ...


class MemoryCallLog:
    """Keeps the last ``limit`` records; for tests and pages that show them."""

    def __init__(self, limit: int = 1000) -> None:
        self.records: deque[CallRecord] = deque(maxlen=limit)

    async def write(self, record: CallRecord) -> None:
        """Keeps a record."""
        await trio.lowlevel.checkpoint()
        self.records.append(record)


class JsonLinesCallLog:
    """Appends each record to a file as one line of JSON, in a thread.

    The file is made for its owner alone; one that exists keeps its permissions. Several processes may append
    to the same file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        if not self._path:
            raise PatterConfigError("a call log needs a file", hint='JsonLinesCallLog("calls.jsonl")')

    async def write(self, record: CallRecord) -> None:
        """Appends a record."""
        await trio.to_thread.run_sync(_append, self._path, record)


def _append(path: str, record: CallRecord) -> None:
    line = memoryview(record.as_json() + b"\n")
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        while line:
            line = line[os.write(file, line) :]
    finally:
        os.close(file)


class EventTape:
    """Collects a call's events for its record; the oldest give way."""

    def __init__(self) -> None:
        self.events: deque[Mapping[str, Any]] = deque(maxlen=_EVENTS)
        self._came = 0

    @property
    def dropped(self) -> int:
        """Events that gave way."""
        return self._came - len(self.events)

    def note(self, event: CallEvent) -> None:
        """Takes an event in."""
        self._came += 1
        payload = {name: value for name, value in event.payload().items() if name not in _LEFT_OUT}
        self.events.append({"event": event.name, **payload})


def recorded_words(history: Sequence[HistoryEntry]) -> tuple[RecordedWords, ...]:
    """A conversation as a record has it."""
    return tuple(
        RecordedWords(
            entry.role,
            entry.text,
            entry.unheard,
            bool(entry.unheard),
            entry.timestamp,
            entry.turn_idx,
            entry.tools,
        )
        for entry in history
    )


def mask_number(number: str) -> str:
    """All but the last four digits as stars; of an address that is no number, everything."""
    if number.removeprefix("+").isdigit() and len(number) > 4:
        return "*" * (len(number) - 4) + number[-4:]
    return "*" * len(number)


def masked(info: CallInfo) -> CallInfo:
    """The same call, its people's numbers masked."""
    return attrs.evolve(info, caller=mask_number(info.caller), callee=mask_number(info.callee))


def check_call_log(_: Any, attribute: Any, value: Any) -> None:
    """Whether records can be written to it."""
    if value is not None and (isinstance(value, type) or not isinstance(value, CallLog)):
        raise PatterConfigError(
            f"call_log={value!r} keeps no records",
            hint='JsonLinesCallLog("calls.jsonl"), or async write(record)',
        )
