"""One call's voice behind HTTP: a request for each sentence, its sound given as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from typing import Any

import attrs
import httpx2
import msgspec
import trio

from .._net.http import open_body, open_client, read_beginning
from .._wire.http_voice import BodyReader, Refusal, refusal
from ..abc import Voice
from ..errors import AuthenticationError, PatterConnectionError, PatterError, RateLimitError, VoiceError
from ..events import AudioFormat, SpokenAudio
from ._telling import Patience, so_far, without

__all__ = ["HttpVoice", "Post", "open_http_voice"]

_QUOTED = 300


@attrs.frozen
class Post:
    """How a sentence is asked for; the headers and the secret hold the key.

    Args:
        url: where.
        headers: beside the kind of the body.
        secret: what is taken out of errors.
        who: the vendor and model, for messages.
        body: the request's body for a text and what the turn said before it.
        reader: what reads the sound of a text.
        refusal: what another answer means.
        sound_only: whether an answer in JSON is a refusal, whatever its status.
    """

    url: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    secret: str = attrs.field(repr=False)
    who: str
    body: Callable[[str, str], Mapping[str, Any]]
    reader: Callable[[str], BodyReader]
    refusal: Refusal = refusal
    sound_only: bool = False


@asynccontextmanager
async def open_http_voice(post: Post, audio: AudioFormat, patience: Patience) -> AsyncIterator[Voice]:
    """A voice for the length of the block, with connections of its own."""
    async with open_client(
        timeout=patience.frame, connect_timeout=patience.connect, headers=post.headers
    ) as client:
        yield HttpVoice(client, post, audio, patience)


class HttpVoice:
    """A voice; several turns may be spoken at once."""

    def __init__(self, client: Any, post: Post, audio: AudioFormat, patience: Patience) -> None:
        self._client = client
        self._post = post
        self._audio = audio
        self._patience = patience

    @property
    def audio(self) -> AudioFormat:
        """The format of the sound it gives."""
        return self._audio

    def speak(self, sentences: AsyncIterable[str]) -> AbstractAsyncContextManager[AsyncIterable[SpokenAudio]]:
        """Speaks one turn; leaving it hangs up the request that is under way.

        Raises:
            AuthenticationError: the key was refused.
            RateLimitError: too much is asked of the vendor at once.
            PatterConnectionError: it cannot be reached.
            VoiceError: it failed, broke off or fell silent; the message says what it had spoken.
        """
        return self._speak(sentences)

    @trio.as_safe_channel
    async def _speak(self, sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
        before, heard = "", _Heard(self._audio)
        async for sentence in sentences:
            if not sentence.strip():
                continue
            with heard.told(self._post):
                async with aclosing(self._request(sentence, before)) as pieces:
                    async for piece in pieces:
                        heard.note(piece)
                        yield piece
            before = f"{before} {sentence.strip()}".strip()

    async def _request(self, sentence: str, before: str) -> AsyncGenerator[SpokenAudio, None]:
        post, reader = self._post, self._post.reader(sentence)
        begun = False
        async with aclosing(self._received(post.body(sentence, before))) as received:
            async for data in received:
                for piece in reader.feed(data):
                    begun = begun or bool(piece.audio)
                    yield piece
        for piece in reader.finish():
            begun = begun or bool(piece.audio)
            yield piece
        if not begun:
            raise VoiceError(f"{post.who} answered without sound")

    async def _received(self, body: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        post, limit = self._post, self._patience.first_audio
        deadline = trio.current_time() + limit
        request = self._client.build_request(
            "POST",
            post.url,
            content=msgspec.json.encode(body),
            headers={"Content-Type": "application/json"},
        )
        with _in_time(deadline, f"{post.who} did not answer within {limit:g} s"):
            response = await self._client.send(request, stream=True)
        async with open_body(response) as received:
            kind = response.headers.get("content-type", "")
            if response.status_code != 200 or (post.sound_only and "json" in kind):
                said = await read_beginning(received, _QUOTED)
                raise post.refusal(response.status_code, response.headers, said, post.who)
            pieces = aiter(received)
            with _in_time(deadline, f"{post.who} had no sound within {limit:g} s"):
                data = await anext(pieces, b"")
            yield data
            async for data in pieces:
                yield data


@contextmanager
def _in_time(deadline: float, otherwise: str) -> Iterator[None]:
    with trio.CancelScope(deadline=deadline) as scope:
        yield
    if scope.cancelled_caught:
        raise VoiceError(otherwise)


@attrs.define
class _Heard:
    """What a turn has spoken, for the error that ends it."""

    audio: AudioFormat
    seconds: float = 0.0
    said: str = ""

    def note(self, piece: SpokenAudio) -> None:
        self.seconds += self.audio.seconds_in(len(piece.audio))
        self.said = f"{self.said} {piece.text or ''}".strip()

    @contextmanager
    def told(self, post: Post) -> Iterator[None]:
        """Says in this package's words what goes wrong, and never the key."""
        try:
            with _our_words(post.who):
                yield
        except PatterError as error:
            without(error, post.secret)
            if not isinstance(error, VoiceError) and not self.seconds:
                raise
            if isinstance(error, AuthenticationError | RateLimitError):
                raise
            raise VoiceError(f"{error} {so_far(self.seconds, self.said)}") from error


@contextmanager
def _our_words(who: str) -> Iterator[None]:
    try:
        yield
    except httpx2.ConnectTimeout as error:
        raise PatterConnectionError(f"{who} could not be connected to in time (connect_timeout=)") from error
    except httpx2.TimeoutException as error:
        raise VoiceError(f"{who} was silent for too long (frame_timeout=)") from error
    except httpx2.ConnectError as error:
        raise PatterConnectionError(f"{who} cannot be reached: {str(error) or 'no answer'}") from error
    except httpx2.HTTPError as error:
        raise VoiceError(f"{who} broke off: {str(error) or type(error).__name__}") from error
