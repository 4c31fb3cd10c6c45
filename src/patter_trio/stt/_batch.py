"""Recognisers that are sent one stretch of speech at a time over HTTP."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar

import attrs
import httpx2
import trio

from .._audio import g711
from .._audio.levels import rms_dbfs
from .._audio.wav import write_wav
from .._foreign import unwrapped
from .._local.segment import Segmenter
from .._net.http import is_web_address, open_body, open_client
from .._wire.transcription import TranscriptionStream, encode_form, read_transcription, refusal
from ..errors import PatterConfigError, PatterConnectionError, PatterError, RecognizerError
from ..events import AudioFormat, CallInfo, HearingItem, SpeechAudio, SpeechEnded, SpeechStarted, Transcript
from ._checks import found_key, missing_key, number, optional, seconds, texts

__all__ = ["BatchSTT"]

# Stretches of speech that wait for their words: more than a caller says while one is recognised.
_WAITING = 4
_OPENAI = "https://api.openai.com/v1"


@attrs.frozen(kw_only=True)
class BatchSTT:
    """A transcription route like OpenAI's. A session opens it once; its connections stay warm.

    Every end of speech is answered by one final transcript; where there was too little sound to hear
    anything in, without a request.

    Args:
        api_key: the key; left out, it comes from the environment, and is ``key`` either way. A server of
            your own may need none.
        base_url: the endpoint, without ``/audio/transcriptions``.
        model: the model.
        language: the caller's language; None to find it out.
        prompt: words in the manner of those to expect.
        temperature: 0 to 1, for freer guesses.
        timeout: seconds of silence after which a request is given up.
        connect_timeout: seconds to connect.
        pre_roll: seconds of sound before the detector's edge that belong to the speech.
        longest: seconds of unbroken speech after which a part is sent.
        min_seconds: speech shorter than this is not sent.
        min_dbfs: nor is sound that is quieter than this, in dB below full scale.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = ""
    key_names: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)

    api_key: str | None = attrs.field(default=None, repr=False)
    key: str = attrs.field(default=attrs.Factory(found_key, takes_self=True), init=False, repr=False)
    base_url: str = _OPENAI
    model: str = attrs.field(default="", validator=texts)
    language: str | None = attrs.field(default="en", validator=optional(texts))
    prompt: str | None = attrs.field(default=None, validator=optional(texts))
    temperature: float | None = attrs.field(default=None, validator=optional(number(0.0, 1.0)))
    timeout: float = attrs.field(default=10.0, validator=seconds)
    connect_timeout: float = attrs.field(default=5.0, validator=seconds)
    pre_roll: float = attrs.field(default=0.2, validator=number(0.0, 0.8))
    longest: float = attrs.field(default=25.0, validator=number(4.0, 60.0))
    min_seconds: float = attrs.field(default=0.2, validator=number(0.0, 2.0))
    min_dbfs: float = attrs.field(default=-45.0, validator=number(-96.0, 0.0))

    def __attrs_post_init__(self) -> None:
        if not is_web_address(self.base_url):
            raise PatterConfigError(
                f"base_url={self.base_url!r} is no web address", hint="like http://localhost:8000/v1"
            )
        if not self.key and self.base_url == _OPENAI:
            raise missing_key(self)

    @property
    def name(self) -> str:
        """The provider's name, for metrics and logs."""
        return self.provider_name

    @property
    def streams(self) -> bool:
        """Whether words are asked for as they are found."""
        return False

    def form_fields(self) -> Sequence[tuple[str, str]]:
        """The fields of a request's form."""
        given = {
            "model": self.model,
            "language": self.language,
            "prompt": self.prompt,
            "temperature": self.temperature,
        }
        return [(name, str(value)) for name, value in given.items() if value is not None]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[_Live]:
        """The recogniser with its connections, for all calls of a session."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        async with open_client(
            timeout=self.timeout, connect_timeout=self.connect_timeout, headers=headers
        ) as client:
            yield _Live(self, client)


@attrs.frozen
class _Live:
    """The recogniser, ready to be sent speech."""

    settings: BatchSTT
    _client: httpx2.AsyncClient = attrs.field(repr=False)

    @property
    def name(self) -> str:
        """The provider's name, for metrics and logs."""
        return self.settings.name

    def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AbstractAsyncContextManager[AsyncIterable[Transcript]]:
        """Recognises one call, in µ-law, A-law or linear16 of any rate.

        Raises:
            AuthenticationError: the key was refused.
            RateLimitError: there are too many requests.
            PatterConfigError: the settings were refused.
            PatterConnectionError: the endpoint cannot be reached, or went away.
            RecognizerError: it failed, or was silent for too long.
            RemoteProtocolError: it answered what cannot be read.
        """
        return self._transcribe(hearing, audio)

    @trio.as_safe_channel
    async def _transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat
    ) -> AsyncGenerator[Transcript, None]:
        try:
            async with trio.open_nursery() as nursery:
                ear = _Ear(self, audio)
                nursery.start_soon(ear.hear, hearing)
                nursery.start_soon(ear.understand)
                async for transcript in ear.transcripts:
                    yield transcript
        except BaseExceptionGroup as group:
            raise unwrapped(group) from None

    async def recognise(self, wav: bytes, show: trio.MemorySendChannel[Transcript]) -> Transcript:
        """The words of a file; ``show`` gets what is known of them before."""
        kind, body = encode_form(self.settings.form_fields(), wav)
        url = f"{self.settings.base_url.rstrip('/')}/audio/transcriptions"
        where = f"{self.name} at {url}"
        try:
            async with (
                self._client.stream("POST", url, content=body, headers={"Content-Type": kind}) as answer,
                open_body(answer) as received,
            ):
                if answer.status_code != httpx2.codes.OK:
                    raise refusal(answer.status_code, answer.headers, await _whole(received), where)
                if self.settings.streams:
                    return await _streamed(received, show)
                return read_transcription(await _whole(received))
        except httpx2.TimeoutException as error:
            raise RecognizerError(f"{where} was silent for too long (timeout=, connect_timeout=)") from error
        except httpx2.HTTPError as error:
            raise PatterConnectionError(
                f"{where} cannot be reached: {str(error) or type(error).__name__}"
            ) from error
        except PatterError as error:
            if self.settings.key:
                error.args = tuple(str(part).replace(self.settings.key, "…") for part in error.args)
            raise


async def _whole(received: AsyncIterable[bytes]) -> bytes:
    return b"".join([data async for data in received])


async def _streamed(received: AsyncIterable[bytes], show: trio.MemorySendChannel[Transcript]) -> Transcript:
    stream = TranscriptionStream()
    async for data in received:
        for interim in stream.feed(data):
            await show.send(interim)
    if stream.final is None:
        raise RecognizerError("the transcription broke off before its end")
    return stream.final


@attrs.frozen
class _Speech:
    """A finished piece of speech, from media time ``at`` on; ``asked`` says that the detector ended it."""

    sound: bytes
    at: float
    asked: bool
    worth_it: bool


class _Ear:
    """One call's recognition: :meth:`hear` never waits for the far end, :meth:`understand` does."""

    def __init__(self, live: _Live, audio: AudioFormat) -> None:
        self._live = live
        self._audio = audio
        self._segmenter = Segmenter(audio, live.settings.pre_roll, live.settings.longest)
        self._began = 0.0
        self._finished_in, self._finished = trio.open_memory_channel[_Speech](_WAITING)
        # One result waits while its reader is busy; the far end then waits too.
        self._results, self.transcripts = trio.open_memory_channel[Transcript](1)

    async def hear(self, hearing: AsyncIterable[HearingItem]) -> None:
        """Cuts what the call hears into pieces of speech."""
        segmenter = self._segmenter
        async with self._finished_in:
            async for item in hearing:
                if isinstance(item, SpeechAudio):
                    older = segmenter.hear(item.audio, item.at)
                    if older is not None:
                        until = segmenter.ends_at - segmenter.seconds
                        await self._finish(older, until, asked=False)
                elif isinstance(item, SpeechStarted):
                    # An edge that was lost on the way here must not cost the words before it.
                    if segmenter.speaking:
                        await self._finish(segmenter.end(), segmenter.ends_at, asked=False)
                    segmenter.begin(item.at)
                    self._began = item.at
                elif isinstance(item, SpeechEnded):
                    await self._finish(segmenter.end(), segmenter.ends_at, asked=True)
            if segmenter.speaking:
                await self._finish(segmenter.end(), segmenter.ends_at, asked=False)

    async def _finish(self, sound: bytes, until: float, *, asked: bool) -> None:
        settings = self._live.settings
        pcm = g711.decode(sound, self._audio)
        worth_it = until - self._began >= settings.min_seconds and rms_dbfs(pcm) >= settings.min_dbfs
        at = until - self._audio.seconds_in(len(sound))
        await self._finished_in.send(_Speech(pcm, at, asked, worth_it))

    async def understand(self) -> None:
        """Gives the words of each finished piece of speech, in order."""
        async with self._results:
            async for speech in self._finished:
                heard = Transcript("", is_final=True)
                if speech.worth_it:
                    heard = await self._live.recognise(self._wav(speech.sound), self._results)
                # The detector waits for its answer, also for one without words; a cut in the middle does not.
                if heard.text or speech.asked:
                    await self._results.send(_placed(heard, speech))

    def _wav(self, pcm: bytes) -> bytes:
        file = io.BytesIO()
        write_wav(file, [pcm], self._audio.sample_rate)
        return file.getvalue()


def _placed(heard: Transcript, speech: _Speech) -> Transcript:
    """The words with the times of the call, as the answer to whoever waits for it."""
    words = tuple(
        attrs.evolve(word, start=word.start + speech.at, end=word.end + speech.at) for word in heard.words
    )
    return attrs.evolve(heard, words=words, speech_final=speech.asked, from_finalize=speech.asked)
