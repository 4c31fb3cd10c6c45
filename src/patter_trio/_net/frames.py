"""WebSocket messages over a pipe: the part that the media socket and the outgoing client share.

The protocol itself (RFC 6455) is ``websockets``' sans-IO one; this drives it, keeps what could not be
written yet, and never lets one frame begin before the one before it is complete.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import trio
from websockets.exceptions import PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from .pipes import Pipe

__all__ = ["FrameSocket"]

_CONTROL_BACKLOG = 16 * 1024
"""Unwritten bytes above which a pong is dropped: RFC 6455 5.5.3 lets an endpoint answer only the latest ping,
and a peer that pings without reading must not fill our memory."""

_NORMAL = 1000
_INVALID_DATA = 1007


class FrameSocket:
    """A WebSocket whose opening handshake is done: whole messages in, whole messages out.

    Any number of tasks may send; one at a time may receive.

    Args:
        pipe: the bytes, owned from now on.
        protocol: the sans-IO protocol in its open state.
        close_deadline: seconds that saying goodbye may take.
    """

    def __init__(self, pipe: Pipe, protocol: Protocol, *, close_deadline: float) -> None:
        self._pipe = pipe
        self._protocol = protocol
        self._close_deadline = close_deadline
        self._inbox: deque[str | bytes] = deque()
        self._parts = bytearray()
        self._parts_are_text = False
        self._unsent = bytearray()
        self._writing = trio.Lock()
        self._reading = False
        self._ended = False
        self._peer_gone = False
        self._closed = False
        self.pongs_dropped = 0

    # --- how it ended ---------------------------------------------------------------------------------------

    @property
    def close_code(self) -> int | None:
        """The code of the peer's close frame, ``None`` when none has come."""
        close = self._protocol.close_rcvd
        return None if close is None else int(close.code)

    @property
    def close_reason(self) -> str:
        """The reason in the peer's close frame."""
        close = self._protocol.close_rcvd
        return "" if close is None else close.reason

    @property
    def protocol_error(self) -> Exception | None:
        """What the peer sent that the protocol forbids; a connection that just broke is none."""
        error = self._protocol.parser_exc
        return None if isinstance(error, EOFError) else error

    @property
    def oversized(self) -> bool:
        """Whether it ended because a message was larger than allowed."""
        return isinstance(self._protocol.parser_exc, PayloadTooBig)

    # --- receiving ------------------------------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        """The next message; pings are answered on the way.

        Raises:
            trio.EndOfChannel: the peer closed, broke the protocol, or is gone.
        """
        if self._inbox:
            # Several messages came in one read: a flood of them must not keep the loop.
            await trio.lowlevel.checkpoint()
        while not self._inbox:
            if self._ended or self._closed:
                raise trio.EndOfChannel
            await self._pull()
        return self._inbox.popleft()

    async def _pull(self) -> None:
        self._reading = True
        try:
            data = await self._pipe.read()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        finally:
            self._reading = False
        self.feed(data)
        if self._unsent and not self._writing.locked():
            await self._flush_soon()

    def feed(self, data: bytes) -> None:
        """Takes bytes of the peer, ``b""`` for the end of them."""
        protocol = self._protocol
        if data:
            protocol.receive_data(data)
        else:
            self._peer_gone = True
            protocol.receive_eof()
        self.take(protocol.events_received())

    def take(self, events: Iterable[object]) -> None:
        """Takes what the protocol has parsed, and queues what it answers."""
        for event in events:
            if isinstance(event, Frame):
                self._take_frame(event)
        self._queue_control()
        if self._protocol.state is not State.OPEN:
            self._ended = True

    def _take_frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.TEXT and frame.fin:
            self._deliver_text(frame.data)
        elif opcode is Opcode.BINARY and frame.fin:
            self._inbox.append(bytes(frame.data))
        elif opcode is Opcode.TEXT or opcode is Opcode.BINARY or opcode is Opcode.CONT:
            if opcode is not Opcode.CONT:
                self._parts_are_text = opcode is Opcode.TEXT
            self._parts += frame.data
            if frame.fin:
                whole, self._parts = self._parts, bytearray()
                if self._parts_are_text:
                    self._deliver_text(whole)
                else:
                    self._inbox.append(bytes(whole))

    def _deliver_text(self, data: bytes | bytearray | memoryview) -> None:
        try:
            self._inbox.append(str(data, "utf-8"))
        except UnicodeDecodeError as error:
            if self._protocol.state is State.OPEN:
                self._protocol.fail(_INVALID_DATA, error.reason)
                self._protocol.parser_exc = error

    def _queue_control(self) -> None:
        for data in self._protocol.data_to_send():
            if len(self._unsent) > _CONTROL_BACKLOG:
                self.pongs_dropped += 1
            else:
                self._unsent += data

    async def _flush_soon(self) -> None:
        try:
            del self._unsent[: self._pipe.write_nowait(self._unsent)]
            # A socket's rest goes out with the next send or read; a stream has no such second chance.
            if self._unsent and not self._pipe.writes_nowait:
                async with self._writing:
                    await self._pipe.write(self._unsent)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._lose_writer()

    # --- sending --------------------------------------------------------------------------------------------

    def send_nowait(self, message: str | bytes) -> bool:
        """Sends without waiting; ``False`` when nothing of it could be taken. A rest is finished later."""
        if self._protocol.state is not State.OPEN or self._closed:
            return False
        try:
            if self._unsent:
                del self._unsent[: self._pipe.write_nowait(self._unsent)]
                if self._unsent:
                    return False
            data = self._encode(message)
            taken = self._pipe.write_nowait(data)
        except trio.BrokenResourceError:
            self._lose_writer()
            return False
        if 0 < taken < len(data):
            self._unsent += data[taken:]
        return taken > 0

    async def send(self, message: str | bytes) -> None:
        """Sends, waiting for room; a send that is cancelled still goes out whole with the next one.

        Raises:
            trio.BrokenResourceError: the connection is gone or being closed.
        """
        async with self._writing:
            await self._flush()
            if self._protocol.state is not State.OPEN or self._closed:
                raise trio.BrokenResourceError("the WebSocket is closed")
            self._unsent += self._encode(message)
            await self._flush()

    def _encode(self, message: str | bytes) -> bytes:
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        return b"".join(self._protocol.data_to_send())

    async def _flush(self) -> None:
        try:
            await self._pipe.write(self._unsent)
        except trio.ClosedResourceError as error:
            raise trio.BrokenResourceError("the WebSocket is closed") from error
        except trio.BrokenResourceError:
            self._lose_writer()
            raise

    def _lose_writer(self) -> None:
        # Reading goes on: what the peer said before it left may still wait in the kernel.
        self._unsent.clear()

    # --- closing --------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Says goodbye, waits for the peer's goodbye as long as the deadline allows, and closes."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        try:
            with trio.move_on_after(self._close_deadline):
                await self._say_goodbye()
        finally:
            await self._pipe.aclose()

    async def abandon(self) -> None:
        """Closes at once: for a cancelled scope, which must not wait for anybody."""
        self._closed = True
        if self._protocol.state is State.OPEN and not self._unsent:
            self._protocol.send_close(_NORMAL)
            try:
                self._pipe.write_nowait(b"".join(self._protocol.data_to_send()))
            except trio.BrokenResourceError:
                self._lose_writer()
        await self._pipe.aclose()

    async def _say_goodbye(self) -> None:
        try:
            async with self._writing:
                if self._protocol.state is State.OPEN:
                    self._protocol.send_close(_NORMAL)
                    self._unsent += b"".join(self._protocol.data_to_send())
                await self._flush()
            while not self._peer_gone and not self._reading and not self._may_leave():
                self._inbox.clear()
                await self._pull()
        except trio.BrokenResourceError:
            return

    def _may_leave(self) -> bool:
        # RFC 6455 7.1.1: the server closes the connection first, the client waits for that.
        return self._protocol.side is Side.SERVER and self._protocol.close_rcvd is not None
