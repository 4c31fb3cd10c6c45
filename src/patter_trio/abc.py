"""The Protocols that can be plugged in. A class that fits needs to import nothing of ours.

**Settings and live things.** What a user writes down (``SileroVAD(threshold=0.6)``) is a settings object:
frozen, cheap, shareable by a thousand calls. If it has ``open()``, the session enters that context once,
before its first call, and uses what it yields (a loaded model, a pool of connections) in its place; a class
that is ready to work as it stands has no ``open()``.

**Streams.** What flows is given and returned as async iterables; what must be closed is an async context
manager. ``@trio.as_safe_channel`` turns an async generator into exactly that, so a voice can be::

    class MyVoice:
        name, audio = "mine", AudioFormat("linear16", 16000)

        @trio.as_safe_channel
        async def speak(self, sentences):
            async for sentence in sentences:
                yield SpokenAudio(await render(sentence), text=sentence)

        @asynccontextmanager
        async def open_voice(self, audio, call):
            yield self

``patter_trio.testing.checks`` holds the conformance checks for each Protocol.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar, runtime_checkable

import attrs

from .events import (
    AudioFormat,
    CallInfo,
    CarrierEvent,
    HearingItem,
    LLMChunk,
    Message,
    SpokenAudio,
    Transcript,
    TurnWindow,
)

__all__ = [
    "BargeInStrategy",
    "CallActions",
    "Carrier",
    "DetectorThresholds",
    "LLMProvider",
    "MediaSocket",
    "MediaWire",
    "Opens",
    "STTProvider",
    "SpeechDetector",
    "TTSProvider",
    "TurnDetector",
    "VADProvider",
    "Voice",
    "WebhookRequest",
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


# --- carriers -----------------------------------------------------------------------------------------------


class MediaWire(Protocol):
    """One media stream's protocol, sans-IO: text messages to events, and back."""

    @property
    def audio(self) -> AudioFormat:
        """The format of the stream, both ways."""
        ...

    def decode(self, message: str | bytes) -> CarrierEvent | None:
        """Reads a message; ``None`` for one that carries nothing for us.

        Raises:
            RemoteProtocolError: the message is malformed; the caller counts and drops it.
        """
        ...

    def encode_audio(self, audio: bytes) -> str:
        """The message that plays ``audio``."""
        ...

    def encode_mark(self, name: str) -> str:
        """The message that asks for :class:`MarkPlayed` once all audio before it was played."""
        ...

    def encode_clear(self) -> str:
        """The message that drops whatever the carrier has not played yet."""
        ...


class MediaSocket(Protocol):
    """A connected socket of whole text messages, as the carrier opened it to us."""

    async def receive(self) -> str | bytes:
        """The next message.

        Raises:
            trio.EndOfChannel: the far side closed, or the connection broke.
        """
        ...

    def send_nowait(self, message: str) -> bool:
        """Sends without waiting; ``False`` when nothing of the message could be taken now."""
        ...

    async def send(self, message: str) -> None:
        """Sends, waiting for room. Only the call's writer calls this, never a turn.

        Raises:
            trio.BrokenResourceError: the connection is gone.
        """
        ...

    async def aclose(self) -> None:
        """Says goodbye within a short deadline and closes."""
        ...


@attrs.frozen
class WebhookRequest:
    """An HTTP request (or WebSocket upgrade) from a carrier, as far as a signature needs it.

    ``url`` is the public URL the carrier was given, rebuilt from configuration, never from proxy headers.
    ``form`` holds every decoded form field in order, blanks included.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    form: tuple[tuple[str, str], ...] = ()


@runtime_checkable
class Carrier(Protocol):
    """A telephone company: what its webhooks mean and how its media stream is spoken."""

    @property
    def kind(self) -> str:
        """``"twilio"``, ``"telnyx"`` or ``"plivo"``: the carrier's part of our URLs."""
        ...

    def verify(self, request: WebhookRequest) -> None:
        """Checks the carrier's signature.

        Raises:
            SignatureError: it is missing or wrong.
        """
        ...

    def read_incoming(self, request: WebhookRequest) -> CallInfo:
        """Who calls whom, from the webhook of an incoming call.

        Raises:
            RemoteProtocolError: the request does not describe a call.
        """
        ...

    def answer(self, stream_url: str, parameters: Mapping[str, str]) -> str:
        """The document that opens the media stream at ``stream_url``."""
        ...

    def refuse(self, reason: str = "busy") -> str:
        """The document that declines the call before it is answered."""
        ...

    def open_wire(self) -> MediaWire:
        """The protocol of one media stream."""
        ...


@runtime_checkable
class CallActions(Protocol):
    """What a carrier can do to a running call besides its media stream; returning means that it was done.

    A carrier that can, is one of these too: ``isinstance(carrier, CallActions)`` says so once it is open.
    Both raise what the carrier answers, never a part of a credential:

    * :class:`PatterConfigError`: the request cannot be meant, nothing was asked;
    * :class:`AuthenticationError`: the credentials were refused;
    * :class:`RateLimitError`: the carrier asks for fewer requests;
    * :class:`ProviderError`: it refuses, with its own code and words;
    * :class:`PatterConnectionError`: it was not reached, or did not answer in time;
    * :class:`RemoteProtocolError`: its answer cannot be understood.

    After the last two, and after a cancellation, it may have been done all the same.
    """

    async def transfer(self, call_id: str, number: str, *, caller_id: str = "") -> None:
        """Connects the caller to ``number``; the media stream ends: nothing of the agent is heard any more.

        ``caller_id`` is the number shown there, the caller's own where it is left out. Never asked twice:
        a repetition would dial again. When the number does not answer, the carrier tells the caller and ends
        the call.
        """
        ...

    async def hang_up(self, call_id: str) -> None:
        """Ends the call; one that is over already is no error."""
        ...
