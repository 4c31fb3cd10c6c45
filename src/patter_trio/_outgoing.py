"""A call that was placed, as its owner holds it: something to wait for."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Any

import attrs
import trio

from ._call.agent import Agent
from ._call.call import Call, CallResult, Outcome
from ._call.prerender import Prerendered, Rendering
from ._call.screening import Screening
from ._wall import wall_time
from .abc import TTSProvider
from .errors import PatterConfigError
from .telephony import CallOrder, CallOver, EndedAs, Placed, StreamOrder, Verdict

__all__ = ["MachineDetectionResult", "OutgoingCall"]

E164 = re.compile(r"\+[1-9][0-9]{6,14}")

# The agent ends its calls itself, with a goodbye; this is for one that cannot any more.
_OVERTIME_SECONDS = 60

_OUTCOMES: dict[EndedAs, Outcome] = {
    "completed": "failed",  # answered, and no media stream ever came
    "busy": "busy",
    "no_answer": "no_answer",
    "canceled": "canceled",
    "failed": "failed",
}


@attrs.frozen
class MachineDetectionResult:
    """Who picked up an outgoing call, as the carrier judges; ``raw`` is its own word."""

    call_id: str
    carrier: str
    classification: Verdict
    raw: str
    detected_at: datetime

    @classmethod
    def now(cls, call_id: str, carrier: str, verdict: Verdict, raw: str) -> MachineDetectionResult:
        """A result of this moment."""
        return cls(call_id, carrier, verdict, raw, datetime.fromtimestamp(wall_time(), UTC))


@attrs.define(eq=False)
class OutgoingCall:
    """A call that was placed: ``await`` it for its :class:`CallResult`.

    Made by :meth:`Session.call <patter_trio._session.Session.call>`. Nobody has to wait for it: the call goes
    on by itself, and its result is in ``session.results`` too.

    Attributes:
        to: who is called.
        caller_id: our number that is shown.
        call_id: the carrier's id, once it is known.
        call: the running call, from the moment that our agent is on the line.
    """

    to: str
    caller_id: str
    ring_seconds: int = 25
    send_digits: str = ""
    first_message: str | None = None
    variables: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    screening: Screening | None = attrs.field(default=None, repr=False)
    on_machine_detection: Callable[[MachineDetectionResult], Any] | None = attrs.field(
        default=None, repr=False
    )
    call_id: str = ""
    call: Call | None = None
    placed: Placed = attrs.field(factory=Placed, repr=False)
    answered: bool = False
    given_up: bool = False
    over: CallOver | None = None
    rendering: Rendering | None = attrs.field(default=None, repr=False)
    _result: CallResult | None = None
    _changed: trio.Event = attrs.field(factory=trio.Event, repr=False)
    _wait_ended: trio.Event = attrs.field(factory=trio.Event, repr=False)

    def __attrs_post_init__(self) -> None:
        if not E164.fullmatch(self.to) and not self.to.startswith("sip:"):
            raise PatterConfigError(
                f"{self.to[:40]!r} cannot be called", hint="a number like +15550001234, or a sip: address"
            )
        if not E164.fullmatch(self.caller_id):
            raise PatterConfigError(
                f"{self.caller_id[:40]!r} cannot be shown as the caller",
                hint="pass from_number= with a number of yours, or phone_number= to the session",
            )
        if self.ring_seconds not in range(5, 601):
            raise PatterConfigError(f"ring_timeout={self.ring_seconds!r} must be 5 to 600 whole seconds")

    def order(self, stream: StreamOrder, max_seconds: float) -> CallOrder:
        """What is asked of the carrier."""
        return CallOrder(
            self.to,
            self.caller_id,
            stream,
            ring_seconds=self.ring_seconds,
            machine_detection=self.screening is not None,
            max_seconds=ceil(max_seconds) + _OVERTIME_SECONDS,
            send_digits=self.send_digits,
        )

    def greets(self, agent: Agent) -> Agent:
        """The agent as it talks in this call."""
        greeting = agent.first_message if self.first_message is None else self.first_message
        return attrs.evolve(agent, variables={**agent.variables, **self.variables}, first_message=greeting)

    def prepared(self, agent: Agent) -> Agent:
        """The (opened) agent as it talks in this call, with what was rendered while it rang."""
        agent = self.greets(agent)
        if self.rendering is not None and isinstance(agent.tts, TTSProvider):
            agent = attrs.evolve(agent, tts=Prerendered(agent.tts, self.rendering))
        return agent

    @property
    def result(self) -> CallResult | None:
        """How the call ended; ``None`` while it has not."""
        return self._result

    def __await__(self) -> Generator[Any, Any, CallResult]:
        return self.wait_ended().__await__()

    async def wait_ended(self) -> CallResult:
        """Waits for the end of the call, or for the news that there was none, and says how it went."""
        await self._wait_ended.wait()
        assert self._result is not None
        return self._result

    async def wait_up(self) -> Call | None:
        """Waits until somebody picked up and our agent is on the line; ``None`` when the call ended first."""
        while self.call is None and self._result is None:
            await self._changed.wait()
        return self.call

    async def hangup(self) -> None:
        """Ends the call: at once before it is answered, else when the agent's current turn was heard."""
        if self.call is not None:
            await self.call.hangup()
        else:
            self.given_up = True
            self.wake()
            await trio.lowlevel.checkpoint()

    # --- what the session does with it ----------------------------------------------------------------------

    def wake(self) -> None:
        """Something about the call has changed."""
        self._changed.set()
        self._changed = trio.Event()

    async def changes(self) -> None:
        """Waits for the next change."""
        await self._changed.wait()

    def end(self, result: CallResult) -> None:
        """The call is over; the first word about that counts."""
        if self._result is None:
            self._result = result
            self._wait_ended.set()
            self.wake()

    def untaken(self, ended_as: EndedAs, detail: str, *, message_left: bool = False) -> CallResult:
        """How the call ended if our agent was not on the line."""
        verdict = None if self.screening is None else self.screening.verdict
        return CallResult(
            call_id=self.call_id,
            outcome="voicemail" if verdict == "machine" else _OUTCOMES[ended_as],
            reason="machine" if verdict in ("machine", "fax") else "not_taken",
            error_code=None,
            error_message=detail or None,
            duration_seconds=0.0 if self.over is None else self.over.seconds or 0.0,
            transcript=(),
            history=(),
            turns=(),
            counts={},
            status=ended_as,
            answered_by=verdict,
            message_left=message_left,
        )
