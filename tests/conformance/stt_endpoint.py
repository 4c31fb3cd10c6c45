"""Far ends of recognisers: a WebSocket server of somebody else's make, which reads word sound.

They are reached through memory in virtual time (``open_far_end``) or at a port of this machine
(``open_port``), where the vendors' own SDKs find them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest
import trio
import trio_websocket
from trio.testing import memory_stream_pair

from patter_trio.events import AudioFormat
from patter_trio.testing.wordsound import HeardWord, WordReader

VECTORS = Path(__file__).parents[1] / "vectors" / "stt.json"
HOST = "stt.example.test"


def vectors(protocol: str) -> dict[str, dict[str, Any]]:
    """The recorded sequences of a protocol, by the last part of their names."""
    entries = json.loads(VECTORS.read_text())
    return {entry["id"].split(".")[-1]: entry for entry in entries if entry["protocol"] == protocol}


class GoneError(Exception):
    """The client hung up."""


class Talk:
    """One connection as the vendor sees it; a subclass speaks the vendor's wire.

    ``received`` holds text messages as they came, and the sizes of binary ones.
    """

    audio: ClassVar[AudioFormat] = AudioFormat("mulaw", 8000)

    def __init__(self, far: FarEnd, request: trio_websocket.WebSocketRequest) -> None:
        self.far = far
        self.path = request.path
        self.query = parse_qs(urlsplit(request.path).query, keep_blank_values=True)
        self.headers = {name.decode().lower(): value.decode() for name, value in request.headers}
        self.received: list[Any] = []
        self.seconds = 0.0
        self.words: list[HeardWord] = []
        self.close_code: int | None = None
        self._reader = WordReader(self.sent_format())
        self._socket: Any = None

    def sent_format(self) -> AudioFormat:
        return self.audio

    async def run(self, socket: trio_websocket.WebSocketConnection) -> None:
        self._socket = socket
        try:
            await self.greet()
            while True:
                message = await socket.get_message()
                if isinstance(message, bytes):
                    self.received.append(len(message))
                    await self.on_sound(message)
                else:
                    self.received.append(message)
                    await self.on_text(message)
        except (trio_websocket.ConnectionClosed, GoneError):
            self.close_code = socket.closed.code if socket.closed else None

    async def say(self, data: Mapping[str, Any]) -> None:
        await self._socket.send_message(json.dumps(data))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._socket.aclose(code, reason)
        raise GoneError

    def hear(self, audio: bytes) -> list[HeardWord]:
        """Takes sound; the words that it completes, which are also kept in ``words``."""
        self.seconds += self.sent_format().seconds_in(len(audio))
        self.far.seconds += self.sent_format().seconds_in(len(audio))
        new = [word for word in self._reader.feed(audio) if word.complete]
        self.words += new
        return new

    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    def json_received(self) -> list[dict[str, Any]]:
        return [json.loads(item) for item in self.received if isinstance(item, str) and item[:1] == "{"]

    @property
    def sizes(self) -> list[int]:
        """The sizes of the binary messages."""
        return [item for item in self.received if isinstance(item, int)]

    async def greet(self) -> None:
        """The first thing said."""

    async def on_sound(self, audio: bytes) -> None:
        raise NotImplementedError

    async def on_text(self, message: str) -> None:
        raise NotImplementedError


@attrs.define
class FarEnd:
    """What happens to those who call: ``refusals`` first, then conversations of ``kind``.

    ``cut_after`` breaks that many connections, each after its seconds of sound, without a goodbye. Without
    ``answers`` nobody says anything.
    """

    kind: Callable[[FarEnd, trio_websocket.WebSocketRequest], Talk]
    refusals: list[tuple[int, bytes]] = attrs.field(factory=list)
    cut_after: list[float] = attrs.field(factory=list)
    talks: list[Talk] = attrs.field(factory=list)
    open_connections: int = 0
    seconds: float = 0.0
    url: str = ""
    answers: bool = True

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.open_connections += 1
        try:
            if not self.answers:
                await trio.sleep(60)
                return
            async with trio.open_nursery() as nursery:
                request = await trio_websocket.wrap_server_stream(nursery, stream)
                if self.refusals:
                    status, body = self.refusals.pop(0)
                    await request.reject(status, body=body)
                    nursery.cancel_scope.cancel()
                    return
                talk = self.kind(self, request)
                self.talks.append(talk)
                socket = await request.accept()
                if self.cut_after:
                    nursery.start_soon(self._cut, talk, stream, self.cut_after.pop(0))
                await talk.run(socket)
                nursery.cancel_scope.cancel()
        finally:
            self.open_connections -= 1
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)

    async def _cut(self, talk: Talk, stream: trio.abc.Stream, after: float) -> None:
        while talk.seconds < after:  # noqa: ASYNC110 (nothing tells)
            await trio.sleep(0.005)
        await trio.aclose_forcefully(stream)

    async def wait_quiet(self) -> None:
        """Until nobody is connected."""
        with trio.fail_after(5):
            while self.open_connections:  # noqa: ASYNC110 (nothing tells)
                await trio.sleep(0.01)


@asynccontextmanager
async def open_far_end(monkeypatch: pytest.MonkeyPatch, kind: Any, **settings: Any) -> AsyncIterator[FarEnd]:
    """A far end at ``ws://stt.example.test/``, reached through memory."""
    far = FarEnd(kind, url=f"ws://{HOST}/", **settings)
    async with trio.open_nursery() as nursery:

        async def dial(host: str, port: int, **_: Any) -> trio.abc.Stream:
            if host != HOST:
                raise OSError(f"nobody is at {host}")
            await trio.sleep(0.01)
            ours, theirs = memory_stream_pair()
            nursery.start_soon(far.serve, theirs)
            return ours

        monkeypatch.setattr(trio, "open_tcp_stream", dial)
        yield far
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_port(kind: Any, **settings: Any) -> AsyncIterator[FarEnd]:
    """A far end at a port of this machine."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    far = FarEnd(kind, url=f"ws://127.0.0.1:{listener.socket.getsockname()[1]}", **settings)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, far.serve, [listener]))
        yield far
        nursery.cancel_scope.cancel()


def replaying(frames: Iterable[Mapping[str, Any]], audio: AudioFormat = Talk.audio) -> Any:
    """A kind of conversation that says what the vectors recorded, at their times."""
    recorded = list(frames)

    class Replay(Talk):
        def sent_format(self) -> AudioFormat:
            return audio

        async def greet(self) -> None:
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read)
                for frame in recorded:
                    await trio.sleep_until(began + frame["t"] / 1000)
                    if frame["dir"] != "recv":
                        continue
                    if frame["kind"] == "close":
                        await self._socket.aclose(frame["code"], frame["reason"])
                    else:
                        await self.say(frame["data"])
            raise GoneError

        async def _read(self) -> None:
            try:
                while True:
                    message = await self._socket.get_message()
                    self.received.append(len(message) if isinstance(message, bytes) else message)
            except trio_websocket.ConnectionClosed:
                return

    return Replay
