"""Who may come in: one-time stream tokens and the number of lines, with the time passed in."""

from __future__ import annotations

import secrets

import attrs

from .._call.agent import Agent
from ..errors import CapacityError
from ..events import CallInfo

__all__ = ["Admission", "Expected"]

# A carrier opens the stream within a second of the answer; a token this old was never meant for us.
_TOKEN_SECONDS = 30.0


@attrs.frozen
class Expected:
    """A call that was answered and whose media stream has not come yet."""

    info: CallInfo
    agent: Agent
    expires: float


class Admission:
    """Which calls are expected, which are on the line, and whether there is room for one more.

    A token is unguessable, lives for 30 s and opens one stream; it is what binds a socket to its call. From
    the webhook's answer until the end of its stream a call takes one of ``lines``.
    """

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._expected: dict[str, Expected] = {}
        self._on_line: set[str] = set()
        self.closed = False

    @property
    def on_line(self) -> int:
        """Calls whose stream has come and not ended."""
        return len(self._on_line)

    def admit(self, info: CallInfo, agent: Agent | None, now: float) -> str:
        """Makes room for a call and returns its token; a repeated webhook gets the same token again.

        Raises:
            CapacityError: it must be refused, and why.
        """
        for token, waiting in list(self._expected.items()):
            if waiting.expires <= now:
                del self._expected[token]
            elif waiting.info.call_id == info.call_id:
                return token
        if agent is None:
            raise CapacityError("no agent answers here")
        if self.closed:
            raise CapacityError("the session is ending")
        if info.call_id in self._on_line:
            raise CapacityError("this call is running already")
        if len(self._on_line) + len(self._expected) >= self._lines:
            raise CapacityError(f"all {self._lines} lines are taken")
        token = secrets.token_urlsafe(24)
        self._expected[token] = Expected(info, agent, now + _TOKEN_SECONDS)
        return token

    def knows(self, token: str, now: float) -> bool:
        """Whether the token would open a stream."""
        waiting = self._expected.get(token)
        return waiting is not None and waiting.expires > now

    def claim(self, token: str, now: float) -> Expected | None:
        """The call of this token, once; it is on the line until :meth:`release`."""
        waiting = self._expected.pop(token, None)
        if waiting is None or waiting.expires <= now:
            return None
        self._on_line.add(waiting.info.call_id)
        return waiting

    def release(self, expected: Expected) -> None:
        """A claimed call is over."""
        self._on_line.discard(expected.info.call_id)

    def close(self) -> None:
        """Lets nobody else in; calls that were answered and have no stream yet are given up."""
        self.closed = True
        self._expected.clear()
