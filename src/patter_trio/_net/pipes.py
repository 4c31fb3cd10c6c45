"""Two ways to move bytes, with one face: a real socket used directly, and any trio stream.

The socket pipe asks for readiness first, then makes exactly one ``recv``, and sends without asking: that
leaves out the probe, the exception and the two extra checkpoints that a ``trio.SocketStream`` costs on each
message, about a third of a media socket's time.
"""

from __future__ import annotations

import socket
from typing import Protocol

import trio

__all__ = ["Pipe", "SocketPipe", "StreamPipe", "pipe_over"]


class Pipe(Protocol):
    """A byte stream that can also be written without waiting, where ``writes_nowait`` says so."""

    @property
    def writes_nowait(self) -> bool:
        """Whether :meth:`write_nowait` can ever take something."""
        ...

    async def read(self) -> bytes:
        """The next bytes, ``b""`` at the end; raises trio.BrokenResourceError when the peer is lost."""
        ...

    def write_nowait(self, data: bytes | bytearray) -> int:
        """How many bytes could be written at once; raises trio.BrokenResourceError when the peer is lost."""
        ...

    async def write(self, buffer: bytearray) -> None:
        """Empties ``buffer`` from its front, including what others append while this waits."""
        ...

    async def aclose(self) -> None:
        """Closes at once, without a goodbye."""
        ...


class SocketPipe:
    """A pipe over a non-blocking socket of the operating system, which it owns.

    Cancelling :meth:`write` leaves what was not written in the buffer, so that it can be finished later.

    Args:
        connection: a connected stream socket.
        read_size: most bytes of one read; this bounds how long one peer's bytes are worked on in one go.
    """

    writes_nowait = True

    def __init__(self, connection: socket.socket, read_size: int) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._read_size = read_size

    async def read(self) -> bytes:
        """The next bytes, ``b""`` at the end."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(self._read_size)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error

    def write_nowait(self, data: bytes | bytearray) -> int:
        """Hands the kernel what it takes."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise trio.BrokenResourceError(str(error)) from error

    async def write(self, buffer: bytearray) -> None:
        """Empties ``buffer``, waiting for room."""
        while True:
            del buffer[: self.write_nowait(buffer)]
            if not buffer:
                return
            await trio.lowlevel.wait_writable(self._socket)

    async def aclose(self) -> None:
        """Closes at once; whoever waits on this socket gets trio.ClosedResourceError."""
        if self._socket.fileno() != -1:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.cancel_shielded_checkpoint()


class StreamPipe:
    """A pipe over any trio stream: memory, TLS.

    A stream cannot say how much of a cancelled write went out. After one, nothing more is ever written,
    because it would land in the middle of a frame.
    """

    writes_nowait = False

    def __init__(self, stream: trio.abc.Stream, read_size: int) -> None:
        self._stream = stream
        self._read_size = read_size
        self._torn = False

    async def read(self) -> bytes:
        """The next bytes, ``b""`` at the end."""
        return bytes(await self._stream.receive_some(self._read_size))

    def write_nowait(self, data: bytes | bytearray) -> int:
        """Always 0: a stream cannot be written without waiting."""
        if self._torn:
            raise trio.BrokenResourceError("a cancelled write left a torn frame")
        return 0

    async def write(self, buffer: bytearray) -> None:
        """Empties ``buffer``, waiting for room."""
        while buffer:
            if self._torn:
                raise trio.BrokenResourceError("a cancelled write left a torn frame")
            data = bytes(buffer)
            buffer.clear()
            self._torn = True
            await self._stream.send_all(data)
            self._torn = False

    async def aclose(self) -> None:
        """Closes at once, without TLS's farewell: the frames above have said theirs."""
        await trio.aclose_forcefully(self._stream)


def pipe_over(stream: trio.abc.Stream, *, read_size: int) -> Pipe:
    """The fastest pipe that ``stream`` allows; it takes over the stream, which must not be used any more."""
    if isinstance(stream, trio.SocketStream):
        # detach() keeps this within trio's public interface: no second descriptor, no reach into its insides.
        # trio has switched Nagle's algorithm off, and it stays off.
        return SocketPipe(socket.socket(fileno=stream.socket.detach()), read_size)
    return StreamPipe(stream, read_size)
