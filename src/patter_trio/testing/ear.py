"""The caller's ear: everything that was played to the caller, and what the caller said, on one time line."""

from __future__ import annotations

import os
import wave

import attrs

from .._audio import g711
from ..events import MULAW_8K
from .wordsound import FRAME_BYTES, FRAME_SECONDS, SAMPLE_RATE, HeardWord, WordReader, join_words

__all__ = ["Ear", "Span"]

_SILENT_FRAME = b"\xff" * FRAME_BYTES
# µ-law magnitudes fall as the seven low bits rise; 0x5F is 396 of 32768, above the noise of a good line.
_LOUD_CODE = 0x5F
_MAGNITUDE_BITS = bytes(code & 0x7F for code in range(256))


def is_loud(frame: bytes) -> bool:
    """Whether a µ-law frame holds a sample above the noise of a line (about -38 dB of full scale)."""
    return frame != _SILENT_FRAME and min(frame.translate(_MAGNITUDE_BITS)) <= _LOUD_CODE


@attrs.frozen
class Span:
    """A stretch of sound, in seconds of the line's time."""

    start: float
    end: float


class _Side:
    """One speaker's sound as it was, with the stretches in which it was loud."""

    def __init__(self, pause: float) -> None:
        self.sound = bytearray()
        self.loud = bytearray()
        self.spans: list[Span] = []
        self._pause = pause

    def add(self, frame: bytes) -> None:
        start, loud = len(self.loud) * FRAME_SECONDS, is_loud(frame)
        self.sound += frame
        self.loud.append(loud)
        if not loud:
            return
        end = start + FRAME_SECONDS
        if self.spans and start - self.spans[-1].end < self._pause:
            self.spans[-1] = Span(self.spans[-1].start, end)
        else:
            self.spans.append(Span(start, end))


class Ear:
    """Records both sides of a call, 20 ms at a time, sample by sample as they sounded at the telephone.

    All times are seconds on the line: 0 is the first frame after the media stream opened.

    Args:
        pause: seconds of silence that end a stretch of speech.
    """

    def __init__(self, *, pause: float = 0.5) -> None:
        self._agent = _Side(pause)
        self._caller = _Side(pause)
        self._reader = WordReader()
        self._words: list[HeardWord] = []
        self._pause = pause

    def hear(self, caller: bytes, agent: bytes) -> None:
        """Takes one frame (160 µ-law bytes) of each side."""
        self._caller.add(caller)
        self._agent.add(agent)
        self._words += self._reader.feed(agent)

    @property
    def now(self) -> float:
        """Seconds recorded."""
        return len(self._agent.loud) * FRAME_SECONDS

    @property
    def agent_mulaw(self) -> bytes:
        """What was played to the caller, 8 kHz µ-law."""
        return bytes(self._agent.sound)

    @property
    def frames(self) -> int:
        """Frames of 20 ms recorded."""
        return len(self._agent.loud)

    def agent_since_frame(self, frame: int) -> bytes:
        """What was played to the caller from that frame on, 8 kHz µ-law; the call before it is not copied."""
        return bytes(self._agent.sound[frame * FRAME_BYTES :])

    @property
    def caller_mulaw(self) -> bytes:
        """What the caller's telephone sent, 8 kHz µ-law."""
        return bytes(self._caller.sound)

    @property
    def agent_speech(self) -> tuple[Span, ...]:
        """The stretches in which the agent was heard, whole pauses between them."""
        return tuple(self._agent.spans)

    @property
    def caller_speech(self) -> tuple[Span, ...]:
        """The stretches in which the caller spoke (or coughed), whole pauses between them."""
        return tuple(self._caller.spans)

    @property
    def agent_since(self) -> float | None:
        """When the agent's current speech began; ``None`` while the agent is silent for a pause or more."""
        spans = self._agent.spans
        return spans[-1].start if spans and self.now - spans[-1].end < self._pause else None

    @property
    def last_agent_speech(self) -> Span | None:
        """The agent's latest speech, which may still go on."""
        return self._agent.spans[-1] if self._agent.spans else None

    @property
    def words(self) -> tuple[HeardWord, ...]:
        """Words of word sound that were played, cut ones included."""
        unfinished = self._reader.unfinished()
        return (*self._words, unfinished) if unfinished is not None else tuple(self._words)

    def text(self, start: float = 0.0, end: float = float("inf")) -> str:
        """The words heard to their end between two times, as text (word sound only)."""
        return join_words(word for word in self._words if word.complete and start <= word.start < end)

    def first_agent_sound(self, after: float) -> float | None:
        """When the agent was first heard at or after a time."""
        place = self._agent.loud.find(1, max(0, round(after / FRAME_SECONDS)))
        return None if place < 0 else place * FRAME_SECONDS

    def agent_silent_from(self, after: float, for_seconds: float = 0.2) -> float | None:
        """The first time at or after ``after`` from which the agent was silent for ``for_seconds``."""
        wanted = bytes(max(1, round(for_seconds / FRAME_SECONDS)))
        place = self._agent.loud.find(wanted, max(0, round(after / FRAME_SECONDS)))
        return None if place < 0 else place * FRAME_SECONDS

    def caller_sound_from(self, after: float) -> float | None:
        """When the caller's first sound at or after a time began."""
        place = self._caller.loud.find(1, max(0, round(after / FRAME_SECONDS)))
        return None if place < 0 else place * FRAME_SECONDS

    def caller_quiet_since(self, before: float) -> float | None:
        """When the caller's last sound before a time ended."""
        place = self._caller.loud.rfind(1, 0, max(0, round(before / FRAME_SECONDS)))
        return None if place < 0 else (place + 1) * FRAME_SECONDS

    def stereo(self) -> tuple[bytes, bytes]:
        """The caller's (left) and the agent's (right) sound as heard: linear16 at 8 kHz, equally long."""
        return g711.decode(self.caller_mulaw, MULAW_8K), g711.decode(self.agent_mulaw, MULAW_8K)

    def write_wav(self, path: str | os.PathLike[str]) -> None:
        """Writes the call as a stereo WAV file, caller left, agent right."""
        left, right = self.stereo()
        both = bytearray(2 * len(left))
        both[0::4], both[1::4] = left[0::2], left[1::2]
        both[2::4], both[3::4] = right[0::2], right[1::2]
        with wave.open(os.fspath(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(both)
