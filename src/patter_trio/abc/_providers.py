"""What hears, thinks and speaks."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar, runtime_checkable

import attrs

from ..events import (
    AudioFormat,
    CallInfo,
    HearingItem,
    LLMChunk,
    Message,
    SpokenAudio,
    Transcript,
    TurnWindow,
)

__all__ = [
    "AudioFilter",
    "AudioFilterProvider",
    "BargeInStrategy",
    "DetectorThresholds",
    "LLMProvider",
    "Opens",
    "STTProvider",
    "SpeechDetector",
    "TTSProvider",
    "TurnDetector",
    "VADProvider",
    "Voice",
]


Live_co = TypeVar("Live_co", covariant=True)


@runtime_checkable
class Opens(Protocol[Live_co]):
    """Settings of something that the session opens once, before its first call."""

    def open(self) -> AbstractAsyncContextManager[Live_co]:
        """Loads or connects what all calls share, and yields the provider that is ready to work."""
        ...


# --- hearing ------------------------------------------------------------------------------------------------


@attrs.frozen
class DetectorThresholds:
    """When probabilities become speech: the pure edge logic in ``_turns/edges.py`` reads these.

    Args:
        onset: a window at or above this probability counts as voiced while nobody speaks.
        release: a window at or above this keeps a running speech alive.
        onset_windows: voiced windows in a row that make the positive edge.
        min_silence: seconds without a voiced window that make the trailing edge.
    """

    onset: float = 0.5
    release: float = 0.35
    onset_windows: int = 2
    min_silence: float = 0.25


class AudioFilter(Protocol):
    """One call's filter of the caller's sound, such as one that takes noise out: synchronous, on every frame.

    It has a few hundred microseconds for 20 ms of sound: all calls of a process wait for it.
    """

    def process(self, pcm: bytes) -> bytes:
        """Takes linear16 sound; returns as many bytes of it. What must be held back is given as silence."""
        ...


@runtime_checkable
class AudioFilterProvider(Protocol):
    """Makes filters."""

    def open_filter(self, sample_rate: int) -> AudioFilter:
        """A fresh filter for one call."""
        ...


class SpeechDetector(Protocol):
    """One call's voice activity detector: pure, synchronous, microseconds per frame."""

    @property
    def window(self) -> float:
        """Seconds of sound that one probability covers."""
        ...

    def feed(self, pcm: bytes) -> Sequence[float]:
        """Takes linear16 sound of any length; returns a speech probability per window completed by it."""
        ...


@runtime_checkable
class VADProvider(Protocol):
    """Makes detectors."""

    @property
    def name(self) -> str:
        """A short name for metrics and logs."""
        ...

    @property
    def thresholds(self) -> DetectorThresholds:
        """How this detector's probabilities are read."""
        ...

    def open_detector(self, sample_rate: int) -> SpeechDetector:
        """A fresh detector for one call; raises PatterConfigError for a rate it cannot take."""
        ...


@runtime_checkable
class STTProvider(Protocol):
    """Speech to text."""

    @property
    def name(self) -> str:
        """A short name for metrics and logs."""
        ...

    def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AbstractAsyncContextManager[AsyncIterable[Transcript]]:
        """Recognises one call; entering connects, leaving disconnects.

        ``hearing`` brings the call's whole sound in blocks of 40-60 ms in the format ``audio``, with the
        detector's edges between them; its end means that no more will come: give what is left and end.
        Raise :class:`RecognizerError` (or any exception) when the far side is lost: the call reconnects.
        """
        ...


@runtime_checkable
class TurnDetector(Protocol):
    """Judges by sound and words whether a caller who is silent has finished.

    One detector is shared by all calls of a session; it keeps nothing of a call between two questions.
    """

    @property
    def name(self) -> str:
        """A short name for metrics and logs."""
        ...

    @property
    def threshold(self) -> float:
        """The probability from which on the caller counts as finished, 0 to 1."""
        ...

    async def predict(self, window: TurnWindow) -> float:
        """The probability that the caller has finished; heavy work goes off the event loop.

        A detector that raises, or takes longer than a caller is held for, is dropped for that call.
        """
        ...


@runtime_checkable
class BargeInStrategy(Protocol):
    """Decides by the caller's words whether they take the floor.

    Each call works with a copy of its own, made when the call begins. Either method may be ``async``; one
    that raises, or that is not done when the caller has been held for long enough, has said no.
    """

    def evaluate(self, transcript: str, is_interim: bool, agent_speaking: bool) -> bool | Awaitable[bool]:
        """Whether these words take the floor.

        ``transcript`` is all that was said in the running utterance; ``is_interim`` says that its last words
        may still change. The arguments are given by name.
        """
        ...

    def reset(self) -> Awaitable[None] | None:
        """The caller begins to speak: what was said before does not count."""
        ...


# --- thinking -----------------------------------------------------------------------------------------------


@runtime_checkable
class LLMProvider(Protocol):
    """A language model."""

    @property
    def name(self) -> str:
        """A short name for metrics and logs."""
        ...

    @property
    def model(self) -> str:
        """The model's own name."""
        ...

    def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        call_id: str | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterable[LLMChunk]]:
        """Answers ``messages``; leaving the context closes the request at once, wherever it stands."""
        ...


# --- speaking -----------------------------------------------------------------------------------------------


class Voice(Protocol):
    """A voice that is ready to speak in one call."""

    @property
    def audio(self) -> AudioFormat:
        """The format of the sound it gives."""
        ...

    def speak(self, sentences: AsyncIterable[str]) -> AbstractAsyncContextManager[AsyncIterable[SpokenAudio]]:
        """Speaks one turn: sound comes out while sentences still go in; leaving the context stops it."""
        ...


@runtime_checkable
class TTSProvider(Protocol):
    """Text to speech."""

    @property
    def name(self) -> str:
        """A short name for metrics and logs."""
        ...

    def open_voice(self, audio: AudioFormat, call: CallInfo) -> AbstractAsyncContextManager[Voice]:
        """A voice for one call. ``audio`` is what the carrier takes: give that format if you can."""
        ...
