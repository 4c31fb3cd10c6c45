"""How strangers knock: frames by hand, and what a hostile opening is.

An opening returns when its connection is over. Most end by reading until the port has closed: an opening
after which the port would keep the connection never returns, which is a failure of the run.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from types import ModuleType

import trio

from .echo_house import Door, read_to_end

_MARK = "is_hostile"
Opening = Callable[[Door], Awaitable[None]]
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10

UPGRADE = (
    b"Host: voice.example.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MEDIA = b"GET /ws/twilio/hostile HTTP/1.1\r\n" + UPGRADE
FORM = b"Host: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
POST = b"POST /webhooks/twilio/voice HTTP/1.1\r\n" + FORM
HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


def hostile(opening: Opening) -> Opening:
    setattr(opening, _MARK, True)
    return opening


def openings_of(*modules: ModuleType) -> list[Opening]:
    return [value for module in modules for value in vars(module).values() if hasattr(value, _MARK)]


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True) -> bytes:
    """One WebSocket frame (RFC 6455 5.2), valid or not."""
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = mask << 7
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", len(payload))
    return head + (b"\0\0\0\0" if mask else b"") + payload


async def upgraded(door: Door) -> trio.SocketStream:
    stream = await door.connect()
    await stream.send_all(MEDIA)
    answer = bytearray()
    while b"\r\n\r\n" not in answer:
        data = await stream.receive_some(4096)
        assert data, bytes(answer)
        answer += data
    assert answer.startswith(b"HTTP/1.1 101")
    return stream


async def pour(stream: trio.SocketStream, data: bytes) -> None:
    """Sends what the port takes; it may hang up in the middle."""
    try:
        await stream.send_all(data)
    except trio.BrokenResourceError:
        await trio.lowlevel.checkpoint()


async def expect(door: Door, request: bytes, *statuses: int) -> None:
    """The port answers with one of ``statuses`` (0: hangs up without a word) and closes."""
    async with await door.connect() as stream:
        await pour(stream, request)
        answer = await read_to_end(stream)
    status = int(answer[9:12]) if answer else 0
    assert status in statuses, answer[:200]


async def break_frames(door: Door, data: bytes, *codes: int) -> None:
    """The port ends the media socket with one of the close ``codes`` (0: without a close frame)."""
    async with await upgraded(door) as stream:
        await pour(stream, data)
        answer = await read_to_end(stream)
    place = answer.rfind(b"\x88")
    code = int.from_bytes(answer[place + 2 : place + 4], "big") if place >= 0 else 0
    assert code in codes, (code, answer[-80:])
