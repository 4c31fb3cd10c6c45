"""What became of a simulated call: steps, sound, latencies, and what the server did wrong."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from .ear import Ear

__all__ = [
    "BargeInLatency",
    "CallOutcome",
    "EndedBy",
    "LogEntry",
    "ReplyLatency",
    "StepRecord",
    "Utterance",
    "Violation",
]

EndedBy = Literal["caller", "agent", "dropped", "refused", "transferred"]
"""Who ended the call: the caller, the agent's side, a socket that the script cut or closed half; or it never
began, or goes on with somebody else."""


@attrs.frozen
class StepRecord:
    """A step of the script; times are seconds on the line, ``note`` says why it is not ``ok``."""

    step: str
    started: float
    ended: float
    ok: bool
    note: str = ""


@attrs.frozen
class LogEntry:
    """Something the server sent: ``media`` (with its utterance), ``mark``, ``clear`` or a ``violation``."""

    at: float
    what: str
    detail: str = ""


@attrs.frozen
class Violation:
    """Something that the carrier's protocol, or good behaviour towards it, does not allow."""

    at: float
    kind: str
    detail: str = ""


@attrs.frozen
class Utterance:
    """Something the caller said: from first to last sound sent. ``over_agent`` marks a barge-in."""

    text: str
    start: float
    end: float
    over_agent: bool = False


@attrs.frozen
class ReplyLatency:
    """From the end of the caller's speech to the first sound of the agent that the caller heard.

    ``seconds`` is ``None`` when no agent was heard before the caller's next words.
    """

    text: str
    ended_at: float
    seconds: float | None


@attrs.frozen
class BargeInLatency:
    """From a barge-in's first sound to the agent's silence at the ear, and to ``clear`` at the carrier."""

    text: str
    onset: float
    agent_silent_after: float | None
    clear_after: float | None


@attrs.frozen
class CallOutcome:
    """The record of one simulated call; times are seconds on the line from its first frame.

    Args:
        call_sid: the call's id.
        ended_by: who ended it.
        refusal: why it never had a media stream; ``None`` when it had one.
        steps: one record for each step of the script.
        ear: both sides as they sounded.
        utterances: what the caller said, with times.
        clears: when ``clear`` messages arrived.
        marks: names of the marks the server asked for, in order.
        frames_after_clear: 20 ms frames of a cancelled turn that arrived after its ``clear``: must be 0.
        violations: what the server did wrong.
        log: everything the server sent.
        transferred_to: where the call was transferred to.
    """

    call_sid: str
    ended_by: EndedBy
    refusal: str | None
    steps: tuple[StepRecord, ...]
    ear: Ear = attrs.field(repr=False)
    utterances: tuple[Utterance, ...] = ()
    clears: tuple[float, ...] = ()
    marks: tuple[str, ...] = ()
    frames_after_clear: int = 0
    violations: tuple[Violation, ...] = ()
    log: tuple[LogEntry, ...] = attrs.field(default=(), repr=False)
    transferred_to: str = ""

    @property
    def ok(self) -> bool:
        """Whether every step happened, the server did nothing wrong, and no cancelled sound was sent."""
        return all(step.ok for step in self.steps) and not self.violations and not self.frames_after_clear

    @property
    def heard(self) -> str:
        """What the agent said, as far as the caller heard it to the end of a word (word sound only)."""
        return self.ear.text()

    @property
    def replies(self) -> tuple[ReplyLatency, ...]:
        """A latency for each thing the caller said, barge-ins included (their answer, not their effect)."""
        latencies: list[ReplyLatency] = []
        for utterance, until in self._with_next():
            # What the agent was saying already is no answer: an answer comes after a silence.
            silent = self.ear.agent_silent_from(utterance.start)
            heard = None if silent is None else self.ear.first_agent_sound(max(utterance.end, silent))
            seconds = heard - utterance.end if heard is not None and heard < until else None
            latencies.append(ReplyLatency(utterance.text, utterance.end, seconds))
        return tuple(latencies)

    @property
    def barge_ins(self) -> tuple[BargeInLatency, ...]:
        """Latencies for each time the caller spoke over the agent."""
        latencies: list[BargeInLatency] = []
        for utterance, until in self._with_next():
            if utterance.over_agent:
                onset = utterance.start
                silent = self.ear.agent_silent_from(onset)
                clear = next((at for at in self.clears if onset <= at < until), None)
                latencies.append(
                    BargeInLatency(
                        utterance.text,
                        onset,
                        None if silent is None else silent - onset,
                        None if clear is None else clear - onset,
                    )
                )
        return tuple(latencies)

    def _with_next(self) -> list[tuple[Utterance, float]]:
        starts = [utterance.start for utterance in self.utterances[1:]]
        return list(zip(self.utterances, [*starts, float("inf")], strict=True)) if self.utterances else []

    def to_json(self, *, log: bool = False) -> dict[str, Any]:
        """The outcome as plain values for ``json.dumps``; times in seconds, to a tenth of a millisecond.

        Args:
            log: whether everything the server sent is listed too.
        """
        plain: dict[str, Any] = {
            "call_sid": self.call_sid,
            "ok": self.ok,
            "ended_by": self.ended_by,
            "transferred_to": self.transferred_to,
            "refusal": self.refusal,
            "seconds": self.ear.now,
            "heard": self.heard,
            "steps": _plain(self.steps),
            "utterances": _plain(self.utterances),
            "agent_speech": _plain(self.ear.agent_speech),
            "words": _plain(self.ear.words),
            "replies": _plain(self.replies),
            "barge_ins": _plain(self.barge_ins),
            "clears": list(self.clears),
            "marks": list(self.marks),
            "frames_after_clear": self.frames_after_clear,
            "violations": _plain(self.violations),
        }
        if log:
            plain["log"] = _plain(self.log)
        rounded = _rounded(plain)
        assert isinstance(rounded, dict)
        return rounded


def _plain(records: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [attrs.asdict(record) for record in records]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
