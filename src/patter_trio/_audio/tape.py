"""A call as it sounded at the telephone, put together from what passed on its media stream.

Nobody tells when sound was played. What is known is when it was sent, which marks came back and when, and
when a ``clear`` went out; the caller's own frames are the clock. Sound that is sent is played when the
carrier has played what it got before; how much later that is than it seems from here, an echo tells; and what
had not been played when a clear arrived never was.
"""

from __future__ import annotations

from collections import deque

import attrs
import numpy as np

from ..events import AudioFormat
from . import g711

__all__ = ["Tape"]

# What a late frame, an echo or a clear can still change: a carrier that stumbles catches up within 2 s.
_HOLD_SECONDS = 3.0

# A caller's frame that is further ahead than this comes from a clock that jumped.
_JUMP_SECONDS = 1.0

# The carrier's clock may go slower than ours by so much, in seconds per second.
_DRIFT = 0.0005

# An echo that is later than others by more than this was held up and tells nothing; one that is not later by
# more than a frame changes nothing.
_LATE_SECONDS = 0.1
_FRAME_SECONDS = 0.02
_ALIKE_SECONDS = 0.03

# A carrier that does not answer a clear within this time will not.
_BARRIER_SECONDS = 1.0

# Echoes that a clear sets free come with that of the mark behind it; those before them are true.
_BURST_SECONDS = 0.03


@attrs.define(eq=False)
class _Run:
    """Sound that is played without a gap; ``offset`` leads from our clock to the line, once an echo told."""

    offset: float | None = None


@attrs.define(eq=False)
class _Cut:
    """A clear; what did not begin to sound by ``at`` never did."""

    at: float
    barrier: str | None = None
    echoes: list[tuple[int, float]] = attrs.field(factory=list[tuple[int, float]])


@attrs.define(eq=False)
class _Sent:
    """A frame that went out: when, by our clock, it would be played if the line had no delay."""

    sound: bytes
    at: float
    run: _Run
    cut: _Cut | None = None


class Tape:
    """Both sides of one call on one time line, which begins when its stream does; pure.

    Times that are passed in are those of any steady clock. What is final can be taken away piece by piece:
    no more than some seconds are kept.

    Args:
        audio: the format of the stream.
        now: when it begins.
    """

    def __init__(self, audio: AudioFormat, now: float) -> None:
        self._audio = audio
        self._rate = audio.sample_rate
        self._began = now
        self._offset = -now
        self._shift = 0.0
        self._seen = now
        self._latest = 0.0
        self._latest_seen = float("-inf")
        self._left, self._right = bytearray(), bytearray()
        self._written = 0
        self._sent: deque[_Sent] = deque()
        self._count = 0
        self._ends = float("-inf")
        self._run = _Run()
        self._delay: float | None = None
        self._doubted: tuple[int, float] | None = None
        self._marks: deque[tuple[str, int]] = deque()
        self._cut: _Cut | None = None

    # --- what happens ---------------------------------------------------------------------------------------

    def caller(self, sound: bytes, at: float, now: float) -> None:
        """A frame of the caller's came, spoken ``at`` by the carrier's clock."""
        expected = self._line(now)
        place = at + self._shift
        # A clock that jumps a little with every frame would else stretch a call without any end.
        furthest = (now - self._began) * (1 + _DRIFT) + _JUMP_SECONDS
        if not expected - _HOLD_SECONDS <= place <= min(expected + _JUMP_SECONDS, furthest):
            self._shift += expected - place
            place = expected
        # The frame that was quickest tells best how the clocks stand.
        self._offset = max(place - now, self._offset - _DRIFT * (now - self._seen))
        self._seen = now
        if place >= self._latest:
            self._latest, self._latest_seen = place, now
        self._put(self._left, round(place * self._rate), sound)

    def sent(self, sound: bytes, now: float) -> None:
        """A frame of the agent's sound went out."""
        if self._ends < now:
            self._run, self._ends = _Run(), now
        self._sent.append(_Sent(sound, self._ends, self._run))
        self._count += 1
        self._ends += self._audio.seconds_in(len(sound))

    def marked(self, name: str) -> None:
        """A mark went out behind what was sent."""
        if self._cut is not None and self._cut.barrier is None:
            self._cut.barrier = name
        else:
            self._marks.append((name, self._count))

    def echoed(self, name: str, now: float) -> None:
        """A mark came back."""
        fresh = now - self._latest_seen < _LATE_SECONDS
        at = self._latest if fresh else self._line(now)
        if self._cut is not None and name == self._cut.barrier:
            self._end_cut(self._cut, at)
            return
        count = next((count for known, count in self._marks if known == name), None)
        if count is None:
            return
        while self._marks.popleft()[0] != name:
            pass
        if self._cut is not None:
            self._cut.echoes.append((count, at))
        else:
            self._anchor(count, at)

    def cleared(self, now: float) -> None:
        """A clear went out; the mark behind it is the next one."""
        self._cut = _Cut(self._line(now) + (self._delay or 0.0))
        for sent in self._sent:
            sent.cut = sent.cut or self._cut
        self._ends = float("-inf")

    # --- what follows from it -------------------------------------------------------------------------------

    def _line(self, now: float) -> float:
        return now + self._offset

    def _start(self, sent: _Sent) -> float:
        """When it was played, as far as that is known by now."""
        if sent.run.offset is not None:
            return sent.at + sent.run.offset
        return self._line(sent.at) + (self._delay or 0.0)

    def _end_cut(self, cut: _Cut, at: float) -> None:
        self._cut = None
        if at > cut.at + _BARRIER_SECONDS:
            return
        for count, echoed in cut.echoes:
            if echoed < at - _BURST_SECONDS:
                self._anchor(count, echoed)
        cut.at = at

    def _anchor(self, count: int, at: float) -> None:
        """The first ``count`` frames that were sent had been played by ``at``."""
        last = self._frame(count)
        if last is None:
            return
        offset = at - last.at - self._audio.seconds_in(len(last.sound))
        late = offset - self._offset
        # Nothing is played before it was sent: such an echo was set free by a clear.
        if late < -_FRAME_SECONDS:
            return
        if self._delay is not None and late > self._delay + _LATE_SECONDS:
            doubted, self._doubted = self._doubted, (count, offset)
            if doubted is None or abs(offset - doubted[1]) > _ALIKE_SECONDS:
                return
            # Two that are late alike were not held up: the carrier had stopped to read.
            self._move(*doubted)
        else:
            self._doubted = None
            self._delay = late if self._delay is None else min(late, self._delay)
        self._move(count, offset)

    def _move(self, count: int, offset: float) -> None:
        """What follows the first ``count`` frames, or all of their run if none of it was known, is there."""
        last = self._frame(count)
        if last is None:
            return
        run = last.run
        if run.offset is None:
            run.offset = offset
        elif abs(offset - run.offset) > _FRAME_SECONDS:
            # The carrier ran dry in between, or the clocks drift: what follows is later.
            moved = _Run(offset)
            for number in range(count - self._count, 0):
                if self._sent[number].run is run:
                    self._sent[number].run = moved
            if self._run is run:
                self._run = moved

    def _frame(self, count: int) -> _Sent | None:
        """The last of the first ``count`` frames, unless it is final."""
        place = count - 1 - (self._count - len(self._sent))
        return self._sent[place] if 0 <= place < len(self._sent) else None

    # --- what is final --------------------------------------------------------------------------------------

    def take(self, now: float, *, everything: bool = False) -> bytes:
        """What can no longer change, or all up to the caller's last frame: linear16, caller left."""
        until = self._line(now) - _HOLD_SECONDS
        if everything:
            # Where the caller's sound ends they are gone: what was still to be played was not heard.
            until = (self._written + len(self._left) // 2) / self._rate
        while self._sent and self._start(self._sent[0]) < until:
            sent = self._sent.popleft()
            start = self._start(sent)
            # The frame that sounds when a clear comes is played to its end.
            if sent.cut is None or start <= sent.cut.at + 0.001:
                end = self._written + len(self._right) // 2
                self._put(self._right, max(round(start * self._rate), end), sent.sound)
        count = max(0, round(until * self._rate) - self._written)
        frames = np.zeros((count, 2), "<i2")
        for channel, sound in enumerate((self._left, self._right)):
            known = np.frombuffer(bytes(sound[: 2 * count]), "<i2")
            frames[: len(known), channel] = known
            del sound[: 2 * count]
        self._written += count
        return frames.tobytes()

    def _put(self, channel: bytearray, place: int, sound: bytes) -> None:
        """Writes sound at a sample of the line; what was taken away already cannot be changed."""
        pcm = g711.decode(sound[: len(sound) - len(sound) % self._audio.bytes_per_sample], self._audio)
        start = 2 * (place - self._written)
        if start < 0:
            pcm, start = pcm[-start:], 0
        if len(channel) < start:
            channel += bytes(start - len(channel))
        channel[start : start + len(pcm)] = pcm
