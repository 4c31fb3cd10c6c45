"""Who may come in: one-time stream tokens and the number of lines, with the time passed in."""

from __future__ import annotations

import secrets

import attrs

from .._lines import Line
from ..errors import CapacityError

__all__ = ["TOKEN_SECONDS", "Admission"]

TOKEN_SECONDS = 30.0
"""A carrier opens the stream within a second of the answer; a token this old was never meant for us."""


@attrs.frozen
class _Expected:
    line: Line
    expires: float


class Admission:
    """Which calls are expected, which are on the line, and whether there is room for one more.

    A token is unguessable, lives for a while and opens one stream; it is what binds a socket to its call.
    From then until the end of its stream a call takes one of ``lines``.
    """

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._expected: dict[str, _Expected] = {}
        self._on_line: set[str] = set()
        self.closed = False

    @property
    def on_line(self) -> int:
        """Calls whose stream has come and not ended."""
        return len(self._on_line)

    def admit(self, line: Line, now: float, seconds: float = TOKEN_SECONDS) -> str:
        """Makes room for a call and returns its token, which is good for ``seconds``.

        Raises:
            CapacityError: it must be refused, and why.
        """
        for token, waiting in list(self._expected.items()):
            if waiting.expires <= now:
                del self._expected[token]
            elif waiting.line is line:
                return token
        if self.closed:
            raise CapacityError("the session is ending")
        if line.key in self._on_line:
            raise CapacityError("this call is running already")
        if len(self._on_line) + len(self._expected) >= self._lines:
            raise CapacityError(f"all {self._lines} lines are taken")
        token = secrets.token_urlsafe(24)
        self._expected[token] = _Expected(line, now + seconds)
        return token

    def knows(self, token: str, now: float) -> bool:
        """Whether the token would open a stream."""
        waiting = self._expected.get(token)
        return waiting is not None and waiting.expires > now

    def claim(self, token: str, now: float) -> Line | None:
        """The call of this token, once; it is on the line until :meth:`release`."""
        waiting = self._expected.pop(token, None)
        if waiting is None or waiting.expires <= now:
            return None
        self._on_line.add(waiting.line.key)
        return waiting.line

    def forget(self, token: str) -> None:
        """No stream is expected for this token any more."""
        self._expected.pop(token, None)

    def release(self, line: Line) -> None:
        """A claimed call is over."""
        self._on_line.discard(line.key)

    def close(self) -> None:
        """Lets nobody else in; calls that were answered and have no stream yet are given up."""
        self.closed = True
        self._expected.clear()
