"""The telephone calls that a session knows of, from the first word of each to some time after its end."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping

import attrs
import trio

from ._call.agent import Agent
from ._call.call import Call
from ._outgoing import OutgoingCall
from ._turns.history import History
from .events import CallInfo
from .telephony import WebhookReply

__all__ = ["Line", "Lines"]

# A recording is told of minutes after its call; a call that was given away may come back after an hour.
_REMEMBERED = 1000

# Longer than any token is good for.
_STALE_SECONDS = 60.0


@attrs.define(eq=False)
class Line:
    """One call: who talks to whom, which agent has it, and where it stands.

    ``key`` is unguessable and stands in every address that the carrier is given about this call. ``history``
    is what was said in it before it was given to somebody else. ``reply`` is what the carrier
    was told when it offered this call, for when it asks again. ``trace`` are the headers that say which
    trace the call belongs to. ``released`` is set while no media stream of the call runs.
    """

    info: CallInfo
    agent: Agent
    outgoing: OutgoingCall | None = None
    key: str = attrs.field(factory=lambda: secrets.token_urlsafe(18), repr=False)
    call: Call | None = None
    reply: WebhookReply | None = None
    history: History | None = None
    trace: Mapping[str, str] = attrs.field(factory=dict[str, str])
    since: float = attrs.field(factory=trio.current_time)
    released: trio.Event = attrs.field(factory=trio.Event, repr=False)

    @property
    def is_stale(self) -> bool:
        """Whether the stream of an incoming call did not come and will not."""
        never = self.call is None and self.outgoing is None
        return never and trio.current_time() > self.since + _STALE_SECONDS

    @property
    def given_away(self) -> bool:
        """Whether somebody else was asked to take this call."""
        return self.call is not None and self.call.is_transferred

    def come_back(self) -> None:
        """Nobody else took it: the agent goes on, with what was said before."""
        assert self.call is not None, "only a call that ran was given away"
        self.history = self.call.history
        self.agent = attrs.evolve(self.agent, first_message=self.agent.transfer_failed_message)
        self.call = None
        self.since = trio.current_time()

    def recognise(self, call_id: str) -> bool:
        """Whether this is that call of the carrier's; one whose id is not known yet gets it."""
        if not self.info.call_id and call_id:
            self.info = attrs.evolve(self.info, call_id=call_id)
            if self.outgoing is not None:
                self.outgoing.call_id = call_id
        return self.info.call_id == call_id


class Lines:
    """Finds calls by their key, or by the carrier's id; the last thousand ended ones are remembered."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, Line] = OrderedDict()
        self._ended: OrderedDict[str, Line] = OrderedDict()

    def add(self, line: Line) -> Line:
        """Takes a call in."""
        for other in [other for other in self._lines.values() if other.is_stale]:
            self.end(other)
        self._ended.pop(line.key, None)
        self._lines[line.key] = line
        return line

    def find(self, key: str, call_id: str) -> Line | None:
        """The call of a report: by its key, else by its id where the address is of the whole account."""
        line = self._lines.get(key) or self._ended.get(key)
        if line is not None:
            return line if line.recognise(call_id) or not call_id else None
        return self.of_call(call_id)

    def of_call(self, call_id: str) -> Line | None:
        """The call with this id of the carrier's."""
        if not call_id:
            return None
        for line in (*self._lines.values(), *reversed(self._ended.values())):
            if line.info.call_id == call_id:
                return line
        return None

    def end(self, line: Line) -> None:
        """A call is over; it stays known for a while."""
        if self._lines.pop(line.key, None) is not None:
            self._ended[line.key] = line
        while len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
