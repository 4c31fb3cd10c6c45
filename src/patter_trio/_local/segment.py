"""The sound of one stretch of speech, with what came just before it. Pure."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from .._audio import g711
from ..events import AudioFormat
from .rate import resampled

__all__ = ["Segmenter", "as_samples"]

# Sound kept while nobody speaks: the longest pre-roll, and the time that a detector takes to be sure.
_KEPT_SECONDS = 1.2
_CUT_WITHIN = 3.0
_CUT_WINDOW = 0.03
# A block 20 dB below the speech's loudest is a pause or the end; what is loudest is forgotten over some
# seconds, so that one loud word does not make all others a pause.
_PAUSE_RATIO = 0.1
_FORGET = 0.98


class Segmenter:
    """Keeps the sound that belongs to the running speech.

    Args:
        audio: the format of the sound.
        pre_roll: seconds before the edge that belong to the speech: detectors see it after its first sound.
        longest: seconds of speech after which it is cut.
    """

    def __init__(self, audio: AudioFormat, pre_roll: float, longest: float) -> None:
        self._audio = audio
        self._pre_roll = pre_roll
        self._longest = audio.bytes_for(longest)
        self._kept = audio.bytes_for(_KEPT_SECONDS)
        self._before: deque[bytes] = deque()
        self._before_bytes = 0
        self._speech: bytearray | None = None
        self._loudest = 0.0
        self.ends_at = 0.0
        """Media time of the end of what was heard."""
        self.voiced_until = 0.0
        """Media time at which the last block ended that was not a pause."""

    @property
    def speaking(self) -> bool:
        """Whether a stretch of speech is being kept."""
        return self._speech is not None

    @property
    def seconds(self) -> float:
        """Length of the running speech so far, pre-roll included."""
        return self._audio.seconds_in(len(self._speech or b""))

    def hear(self, sound: bytes, at: float) -> bytes | None:
        """Takes the sound from media time ``at`` on; returns the older part of a speech that is too long."""
        self.ends_at = at + self._audio.seconds_in(len(sound))
        if self._speech is None:
            self._before.append(sound)
            self._before_bytes += len(sound)
            while self._before_bytes - len(self._before[0]) >= self._kept:
                self._before_bytes -= len(self._before.popleft())
            return None
        self._speech += sound
        self._follow_level(sound)
        if len(self._speech) < self._longest:
            return None
        cut = self._quietest_moment(self._speech)
        older = bytes(self._speech[:cut])
        del self._speech[:cut]
        return older

    def begin(self, at: float) -> None:
        """Speech began at media time ``at``; what is kept from ``pre_roll`` before it on belongs to it."""
        kept = b"".join(self._before)
        back = self._audio.bytes_for(max(0.0, self.ends_at - at + self._pre_roll))
        self._speech = bytearray(kept[max(0, len(kept) - back) :])
        self._before.clear()
        self._before_bytes = 0
        self._loudest = 0.0
        self._follow_level(bytes(self._speech))

    def snapshot(self) -> bytes:
        """The running speech so far."""
        return bytes(self._speech or b"")

    def end(self) -> bytes:
        """The whole of the speech, which is over; its end is kept as the sound before the next one."""
        speech = self.snapshot()
        self._speech = None
        tail = speech[max(0, len(speech) - self._audio.bytes_for(self._pre_roll)) :]
        self._before.append(tail)
        self._before_bytes = len(tail)
        return speech

    def _follow_level(self, sound: bytes) -> None:
        samples = np.frombuffer(g711.decode(sound, self._audio), "<i2").astype(np.float32)
        level = float(samples @ samples) / max(1, len(samples))
        self._loudest = max(self._loudest * _FORGET, level)
        if level > _PAUSE_RATIO**2 * self._loudest:
            self.voiced_until = self.ends_at

    def _quietest_moment(self, speech: bytearray) -> int:
        """Where to cut: an offset in the last seconds, between two words if there is a gap."""
        tail = min(len(speech), self._audio.bytes_for(_CUT_WITHIN))
        samples = np.frombuffer(g711.decode(bytes(speech[-tail:]), self._audio), "<i2")
        window = round(_CUT_WINDOW * self._audio.sample_rate)
        count = len(samples) // window
        levels = np.square(samples[: count * window].reshape(count, window).astype(np.float32)).sum(axis=1)
        moment = int(levels.argmin()) * window + window // 2
        return len(speech) - tail + moment * self._audio.bytes_per_sample


def as_samples(sound: bytes, audio: AudioFormat, sample_rate: int) -> NDArray[np.float32]:
    """Sound as floats with a full scale of 1.0, at another rate."""
    pcm = resampled(g711.decode(sound, audio), audio.sample_rate, sample_rate)
    return np.frombuffer(pcm, "<i2").astype(np.float32) * np.float32(1.0 / 32768.0)
