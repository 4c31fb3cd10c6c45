"""A connection to a voice behind a WebSocket, and whoever listens to the turns on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import attrs
import trio

from .._foreign import unwrapped
from .._net.websocket import WebSocket, open_websocket
from .._wire.recognizer import Message
from .._wire.voice import Cue, Failed, Reply, Said, Spoken, VoiceWire
from ..errors import PatterConnectionError, PatterError, VoiceError
from ._telling import without

__all__ = ["Link", "Listener", "Place"]

# Text that the far end does not take for so long will not be spoken.
_STALLED_SECONDS = 5.0
# So long turns that are being closed are waited for where the far end takes no more.
_FULL_SECONDS = 1.0


@attrs.frozen
class Place:
    """Where a voice is, and how it is spoken to; the headers and the secret hold the key."""

    url: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    secret: str = attrs.field(repr=False)
    make_wire: Callable[[], VoiceWire]


class Listener(Protocol):
    """A turn, as its connection knows it."""

    def give(self, said: Spoken) -> None:
        """Takes sound of the turn."""
        ...

    def fail(self, error: PatterError) -> None:
        """Ends the turn with what broke it."""
        ...


class Link:
    """A connection; ``failure`` is set when it is over, or never came to be."""

    def __init__(self, place: Place, connect_timeout: float) -> None:
        self.wire = place.make_wire()
        self.ready = trio.Event()
        self.failure: PatterError | None = None
        self._place = place
        self._connect_timeout = connect_timeout
        self._turns: dict[str, Listener] = {}
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

    def add(self, name: str, turn: Listener) -> None:
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
            self.failure = without(error, self._place.secret)
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
                turn.fail(without(said.error, self._place.secret))

    async def _keep_alive(self) -> None:
        while True:
            await trio.sleep(self.wire.keep_alive_every)
            await self.send(self.wire.keep_alive())

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


async def _received(socket: WebSocket, name: str) -> Message:
    try:
        return await socket.receive()
    except trio.EndOfChannel:
        raise PatterConnectionError(f"{name} closed the connection") from None
