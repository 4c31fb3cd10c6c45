"""One call's voice behind a WebSocket, whatever its protocol: turns on a connection that is kept."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress

import attrs
import trio
from websockets.exceptions import InvalidStatus

from .._foreign import unwrapped
from .._net.websocket import WebSocket, open_websocket
from .._wire.rate_limits import seconds_to_wait
from .._wire.recognizer import Message
from .._wire.voice import Cue, Failed, Reply, Said, Spoken, VoiceWire
from ..errors import (
    AuthenticationError,
    PatterConfigError,
    PatterConnectionError,
    PatterError,
    RateLimitError,
    VoiceError,
)
from ..events import AudioFormat, SpokenAudio
from ._telling import Patience, so_far, without

__all__ = ["Place", "SocketVoice", "open_socket_voice"]

# Text that the far end does not take for so long will not be spoken.
_STALLED_SECONDS = 5.0
# Stopping a turn, and saying goodbye, are courtesies: the caller does not wait for them.
_LEAVING_SECONDS = 0.5
# A connection that lived so long was closed for being idle; one that did not is not made again in vain.
_WORTH_RENEWING_SECONDS = 10.0
# So long turns that are being closed are waited for where the far end takes no more.
_FULL_SECONDS = 1.0
# Another try would fail in the same way.
_FINAL = (AuthenticationError, PatterConfigError)
# What keeps its own type; everything else that ends a turn is a failure of the voice.
_TYPED = (*_FINAL, RateLimitError)


@attrs.frozen
class Place:
    """Where a voice is, and how it is spoken to; the headers and the secret hold the key."""

    url: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    secret: str = attrs.field(repr=False)
    make_wire: Callable[[], VoiceWire]


@asynccontextmanager
async def open_socket_voice(
    place: Place, audio: AudioFormat, patience: Patience
) -> AsyncIterator[SocketVoice]:
    """A voice for the length of the block, connected.

    Raises:
        PatterError: it cannot connect, or was refused.
    """
    try:
        async with trio.open_nursery() as nursery:
            voice = SocketVoice(place, audio, patience, nursery)
            await voice.connected()
            yield voice
            await voice.leave()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise unwrapped(group) from None


class SocketVoice:
    """A voice; its connection is made again when it is lost."""

    def __init__(self, place: Place, audio: AudioFormat, patience: Patience, nursery: trio.Nursery) -> None:
        self._place = place
        self._audio = audio
        self._patience = patience
        self._nursery = nursery
        self._link: _Link | None = None
        self._floor = trio.Lock()
        self._turns = 0

    @property
    def audio(self) -> AudioFormat:
        """The format of the sound it gives."""
        return self._audio

    def speak(self, sentences: AsyncIterable[str]) -> AbstractAsyncContextManager[AsyncIterable[SpokenAudio]]:
        """Speaks one turn; see :class:`patter_trio.abc.Voice`.

        Raises:
            AuthenticationError: the key was refused.
            RateLimitError: too much is asked of the vendor at once.
            PatterConnectionError: it cannot be reached.
            VoiceError: it failed, broke off or fell silent; the message says what it had spoken.
        """
        return self._speak(sentences)

    @asynccontextmanager
    async def _speak(self, sentences: AsyncIterable[str]) -> AsyncIterator[AsyncIterable[SpokenAudio]]:
        async with AsyncExitStack() as stack:
            link = await self.connected()
            if not link.wire.shares:
                await stack.enter_async_context(self._floor)
                link = await self.connected()
            self._turns += 1
            turn = _Turn(f"turn-{self._turns}", link, self._audio, self._patience)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(turn.feed, sentences)
                    yield turn
                    nursery.cancel_scope.cancel()
            except BaseExceptionGroup as group:
                raise unwrapped(group) from None
            finally:
                await turn.leave()

    def connect(self) -> _Link:
        """Starts a new connection, in place of the one before."""
        self._link = link = _Link(self._place, self._patience.connect)
        self._nursery.start_soon(self._hold, link)
        return link

    async def leave(self) -> None:
        """Says goodbye."""
        if self._link is not None and self._link.is_open:
            with trio.move_on_after(_LEAVING_SECONDS):
                await self._link.send(self._link.wire.goodbye())

    async def connected(self) -> _Link:
        """The connection, made now if need be.

        Raises:
            PatterError: it cannot be made.
        """
        link = self._link
        if link is None or (link.failure is not None and not isinstance(link.failure, _FINAL)):
            link = self.connect()
        await link.ready.wait()
        if link.is_open and not await link.has_room():
            link.retire()
            link = self.connect()
            await link.ready.wait()
        if link.failure is not None:
            raise link.failure
        return link

    async def _hold(self, link: _Link) -> None:
        began = trio.current_time()
        await link.run()
        if self._link is link and trio.current_time() - began >= _WORTH_RENEWING_SECONDS:
            self.connect()


class _Link:
    """A connection; ``failure`` is set when it is over, or never came to be."""

    def __init__(self, place: Place, connect_timeout: float) -> None:
        self.wire = place.make_wire()
        self.ready = trio.Event()
        self.failure: PatterError | None = None
        self._place = place
        self._connect_timeout = connect_timeout
        self._turns: dict[str, _Turn] = {}
        self._socket: WebSocket | None = None
        self._life = trio.CancelScope()
        self._changed = trio.Event()

    @property
    def is_open(self) -> bool:
        """Whether turns can be spoken on it."""
        return self.ready.is_set() and self.failure is None

    async def has_room(self) -> bool:
        """Whether there is room for a turn, or soon is."""
        with trio.move_on_after(_FULL_SECONDS):
            while self.wire.is_full and self.failure is None:
                await self._changed.wait()
        return not self.wire.is_full

    def add(self, name: str, turn: _Turn) -> None:
        """Gives what is received of a turn to ``turn`` from now on."""
        if self.failure is not None:
            turn.fail(self.failure)
        else:
            self._turns[name] = turn

    def remove(self, name: str) -> None:
        """Nobody listens to a turn any more."""
        self._turns.pop(name, None)

    def retire(self) -> None:
        """Ends the connection, and the turns on it."""
        self.give_up(PatterConnectionError(f"{self.wire.name} takes no more turns on its connection"))

    def give_up(self, error: PatterError) -> None:
        """Ends the connection with an error."""
        self._end(error)
        self._life.cancel()

    async def send(self, messages: Sequence[Message]) -> None:
        """Sends; that it failed is told by what is received."""
        for message in messages:
            if self._socket is None or self.failure is not None:
                return
            with trio.move_on_after(_STALLED_SECONDS) as patience, suppress(PatterConnectionError):
                await self._socket.send(message)
            if patience.cancelled_caught:
                self.give_up(VoiceError(f"{self.wire.name} takes no more text"))

    async def run(self) -> None:
        """Connects, and listens until the connection is over."""
        place = self._place
        try:
            with self._life:
                async with open_websocket(
                    place.url, headers=place.headers, connect_timeout=self._connect_timeout
                ) as socket:
                    self._socket = socket
                    await self._open(socket)
                    self.ready.set()
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._keep_alive)
                        await self._listen(socket)
                        nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            error = unwrapped(group)
            if not isinstance(error, PatterError):
                raise
            self._end(error)
        except PatterError as error:
            self._end(error)
        finally:
            self._end(PatterConnectionError(f"{self.wire.name} is not connected any more"))

    def _end(self, error: PatterError) -> None:
        if self.failure is None:
            self.failure = _explained(error, self._place.secret)
            for turn in list(self._turns.values()):
                turn.fail(self.failure)
        self.ready.set()
        self._tell()

    async def _open(self, socket: WebSocket) -> None:
        with trio.move_on_after(self._connect_timeout) as patience:
            await self.send(self.wire.opening())
            greeted = not self.wire.greets
            while not greeted:
                for said in self.wire.receive(await _received(socket, self.wire.name)):
                    greeted = greeted or said is Cue.READY
                    await self._take(said)
        if patience.cancelled_caught:
            raise PatterConnectionError(f"{self.wire.name} did not greet within {self._connect_timeout:g} s")

    async def _listen(self, socket: WebSocket) -> None:
        while self.failure is None:
            for said in self.wire.receive(await _received(socket, self.wire.name)):
                await self._take(said)
            self._tell()

    async def _take(self, said: Said) -> None:
        if isinstance(said, Reply):
            await self.send(said.messages)
        elif isinstance(said, Spoken):
            turn = self._turns.get(said.turn)
            if turn is not None:
                turn.give(said)
        elif isinstance(said, Failed):
            if said.turn is None:
                raise said.error
            turn = self._turns.get(said.turn)
            if turn is not None:
                turn.fail(_explained(said.error, self._place.secret))

    async def _keep_alive(self) -> None:
        while True:
            await trio.sleep(self.wire.keep_alive_every)
            await self.send(self.wire.keep_alive())

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class _Turn:
    """A turn as the call reads it: an iterator of sound."""

    def __init__(self, name: str, link: _Link, audio: AudioFormat, patience: Patience) -> None:
        self._name = name
        self._link = link
        self._audio = audio
        self._patience = patience
        # As much as a turn's text makes is read at once: pings must not wait behind sound that nobody takes.
        self._inlet, self._outlet = trio.open_memory_channel[SpokenAudio](math.inf)
        self._wait = trio.CancelScope()
        self._due = math.inf
        self._failure: PatterError | None = None
        self._begun = self._finished = self._ended = False
        self._spoken: list[str] = []
        self._seconds = 0.0

    def __aiter__(self) -> _Turn:
        return self

    async def __anext__(self) -> SpokenAudio:
        try:
            with suppress(trio.WouldBlock):
                return self._outlet.receive_nowait()
            with trio.CancelScope(deadline=self._due) as self._wait:
                return await self._outlet.receive()
        except trio.EndOfChannel:
            if self._failure is not None:
                raise self._failure from self._failure.__cause__
            raise StopAsyncIteration from None
        limit = self._patience.frame if self._spoken else self._patience.first_audio
        raise VoiceError(f"{self._link.wire.name} was silent for {limit:g} s {self._so_far()}")

    # --- to the far end -------------------------------------------------------------------------------------

    async def feed(self, sentences: AsyncIterable[str]) -> None:
        """Gives the sentences to the far end as they come."""
        link, wire = self._link, self._link.wire
        async for sentence in sentences:
            if self._ended:
                return
            if not sentence.strip():
                continue
            if not self._begun:
                self._begun = True
                link.add(self._name, self)
                await link.send(wire.begin(self._name))
                self._set_due(self._patience.first_audio)
            await link.send(wire.say(self._name, sentence))
        if not self._begun:
            self._end()
        elif not self._ended:
            self._finished = True
            self._set_due(self._patience.frame if self._spoken else self._patience.first_audio)
            await link.send(wire.finish(self._name))
            if wire.is_done(self._name):
                self.give(Spoken(self._name, ended=True))

    async def leave(self) -> None:
        """Stops the turn where it has not ended."""
        unfinished = self._begun and not self._ended
        self._end()
        self._link.remove(self._name)
        self._outlet.close()
        if unfinished and self._link.is_open:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _LEAVING_SECONDS):
                await self._link.send(self._link.wire.cancel(self._name))

    # --- from the far end -----------------------------------------------------------------------------------

    def give(self, said: Spoken) -> None:
        """Takes sound of the turn."""
        if self._ended:
            return
        for piece in said.pieces:
            if piece.text:
                self._spoken.append(piece.text)
            self._seconds += self._audio.seconds_in(len(piece.audio))
            self._inlet.send_nowait(piece)
        if said.ended and not self._seconds:
            self.fail(VoiceError(f"{self._link.wire.name} ended the turn"))
        elif said.ended:
            self._end()
        elif self._finished:
            self._set_due(self._patience.frame)
        elif self._spoken:
            self._set_due(math.inf)

    def fail(self, error: PatterError) -> None:
        """Ends the turn with what broke it."""
        if self._ended:
            return
        self._failure = error
        if not isinstance(error, _TYPED):
            self._failure = VoiceError(f"{error} {self._so_far()}")
            self._failure.__cause__ = error
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._set_due(math.inf)
        self._inlet.close()

    def _set_due(self, seconds: float) -> None:
        self._due = self._wait.deadline = trio.current_time() + seconds

    def _so_far(self) -> str:
        return so_far(self._seconds, " ".join(self._spoken))


async def _received(socket: WebSocket, name: str) -> Message:
    try:
        return await socket.receive()
    except trio.EndOfChannel:
        raise PatterConnectionError(f"{name} closed the connection") from None


def _explained(error: PatterError, secret: str) -> PatterError:
    """An error without the key, which an answer may repeat, and with what a refusal's headers say."""
    without(error, secret)
    cause = error.__cause__
    if isinstance(error, RateLimitError) and isinstance(cause, InvalidStatus):
        error.retry_after = seconds_to_wait(cause.response.headers)
    return error
