"""One call's voice behind a WebSocket, whatever its protocol: turns on a connection that is kept."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import trio

from .._foreign import unwrapped
from ..events import AudioFormat, SpokenAudio
from ._link import Link, Place
from ._telling import Patience
from ._turn import FINAL, LEAVING_SECONDS, Turn

__all__ = ["Place", "SocketVoice", "open_socket_voice"]

# A connection that lived so long was closed for being idle; one that did not is not made again in vain.
_WORTH_RENEWING_SECONDS = 10.0


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
        self._link: Link | None = None
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
            turn = Turn(f"turn-{self._turns}", link, self._audio, self._patience)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(turn.feed, sentences)
                    yield turn
                    nursery.cancel_scope.cancel()
            except BaseExceptionGroup as group:
                raise unwrapped(group) from None
            finally:
                await turn.leave()

    def connect(self) -> Link:
        """Starts a new connection, in place of the one before."""
        self._link = link = Link(self._place, self._patience.connect)
        self._nursery.start_soon(self._hold, link)
        return link

    async def leave(self) -> None:
        """Says goodbye."""
        if self._link is not None and self._link.is_open:
            with trio.move_on_after(LEAVING_SECONDS):
                await self._link.send(self._link.wire.goodbye())

    async def connected(self) -> Link:
        """The connection, made now if need be.

        Raises:
            PatterError: it cannot be made.
        """
        link = self._link
        if link is None or (link.failure is not None and not isinstance(link.failure, FINAL)):
            link = self.connect()
        await link.ready.wait()
        if link.is_open and not await link.has_room():
            link.retire()
            link = self.connect()
            await link.ready.wait()
        if link.failure is not None:
            raise link.failure
        return link

    async def _hold(self, link: Link) -> None:
        began = trio.current_time()
        await link.run()
        if self._link is link and trio.current_time() - began >= _WORTH_RENEWING_SECONDS:
            self.connect()
