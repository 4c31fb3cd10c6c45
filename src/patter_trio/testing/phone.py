"""The caller's telephone: a mouth, an ear, keys and a hook, moved forward 20 ms at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

from .ear import Ear
from .outcome import Utterance
from .wordsound import FRAME_BYTES

__all__ = ["LineEnded", "Phone", "StepFailed"]

_SILENCE = b"\xff"


class StepFailed(Exception):  # noqa: N818 (an outcome that the script records, not an error)
    """A step of the script could not happen."""


class LineEnded(Exception):  # noqa: N818 (as above)
    """The agent's side ended the call."""


class Phone:
    """What the steps of a script act upon; the carrier moves it with :meth:`next_frame` and :meth:`advance`.

    Attributes:
        ear: what was heard and said so far.
        utterances: what the caller said so far.
        spoke_until: the line's time at which the caller last finished saying something, or pressed a key.
        keys: keys pressed and not yet sent.
        sends_media: whether frames go to the server at all (a dead radio link sends none).
        sends: whether the carrier sends anything; what it withholds comes when it goes on.
        sending_closed: whether the carrier has closed its sending side of the socket, and still reads.
        reads: whether the carrier reads what the server sends.
        socket_cut: whether the media socket breaks without a goodbye when the script ends.
        line_ended: whether the agent's side ended the call.
        taken_away: whether it did so by the carrier's REST API: the carrier ends the stream with ``stop``.
    """

    def __init__(self) -> None:
        self.ear = Ear()
        self.utterances: list[Utterance] = []
        self.spoke_until = 0.0
        self.keys: deque[str] = deque()
        self.sends_media = True
        self.sends = True
        self.sending_closed = False
        self.reads = True
        self.socket_cut = False
        self.line_ended = False
        self.taken_away = False
        self._mouth = bytearray()
        self._advanced = trio.Event()

    @property
    def now(self) -> float:
        """Seconds on the line."""
        return self.ear.now

    def next_frame(self) -> bytes:
        """The 20 ms that the caller's telephone sends now: silence unless the caller speaks."""
        frame = bytes(self._mouth[:FRAME_BYTES])
        del self._mouth[:FRAME_BYTES]
        return frame.ljust(FRAME_BYTES, _SILENCE)

    def advance(self, caller: bytes, agent: bytes) -> None:
        """Lets the ear hear a frame of both sides, and wakes whoever waits."""
        self.ear.hear(caller, agent)
        self._wake()

    def end_line(self) -> None:
        """The agent's side is gone: whatever the script waits for does not happen."""
        self.line_ended = True
        self._wake()

    def take_away(self) -> None:
        """The carrier was told to do something else with the call: this stream is over."""
        self.taken_away = not self.line_ended
        self.end_line()

    def _wake(self) -> None:
        self._advanced.set()
        self._advanced = trio.Event()

    async def wait_frame(self) -> None:
        """Waits for the next 20 ms.

        Raises:
            LineEnded: the agent's side ended the call.
        """
        if not self.line_ended:
            await self._advanced.wait()
        if self.line_ended:
            raise LineEnded

    async def wait_until(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        """Waits until ``condition()`` holds, looking at every frame.

        Raises:
            StepFailed: it did not hold within ``timeout`` seconds; ``what`` names it.
            LineEnded: the agent's side ended the call before.
        """
        deadline = self.now + timeout
        while not condition():
            if self.now >= deadline:
                raise StepFailed(f"{what}: not within {timeout:g} s")
            await self.wait_frame()

    def speak(self, sound: bytes) -> None:
        """Puts µ-law sound into the mouth, behind what is there; it goes out a frame every 20 ms."""
        self._mouth += sound

    async def sound(self, sound: bytes) -> tuple[float, float]:
        """Sends µ-law sound to its end; returns when it began and ended."""
        started = self.now
        self.speak(sound)
        while self._mouth:
            await self.wait_frame()
        return started, self.now

    async def say(self, text: str, sound: bytes, *, over_agent: bool = False) -> None:
        """Says something: like :meth:`sound`, and it is remembered as an utterance.

        Its start and end are those of what is loud in it, so silence around a recording does not count.
        """
        started, ended = await self.sound(sound)
        onset = self.ear.caller_sound_from(started)
        quiet = self.ear.caller_quiet_since(ended)
        begun = started if onset is None else onset
        self.spoke_until = ended if quiet is None or quiet < begun else quiet
        self.utterances.append(Utterance(text, begun, self.spoke_until, over_agent))
