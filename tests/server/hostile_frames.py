"""Strangers who got a media stream and abuse it."""

from __future__ import annotations

import trio

from .echo_house import Door, read_to_end, reset
from .knocks import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    break_frames,
    frame,
    hostile,
    pour,
    upgraded,
)


@hostile
async def unmasked_frame(door: Door) -> None:
    await break_frames(door, frame(TEXT, b"hello", mask=False), 1002)


@hostile
async def reserved_bits(door: Door) -> None:
    await break_frames(door, frame(TEXT, b"hello", rsv=4), 1002)


@hostile
async def reserved_opcode(door: Door) -> None:
    await break_frames(door, frame(3, b"hello"), 1002)


@hostile
async def reserved_control_opcode(door: Door) -> None:
    await break_frames(door, frame(11, b"hello"), 1002)


@hostile
async def frame_of_exabytes(door: Door) -> None:
    await break_frames(door, b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1009)


@hostile
async def frame_of_negative_length(door: Door) -> None:
    await break_frames(door, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1002, 1009)


@hostile
async def frame_above_the_limit(door: Door) -> None:
    await break_frames(door, frame(TEXT, b"a" * 70_000), 1009)


@hostile
async def fragments_above_the_limit(door: Door) -> None:
    pieces = frame(CONTINUATION, b"a" * 1000, fin=False) * 80
    await break_frames(door, frame(TEXT, b"a", fin=False) + pieces, 1009)


@hostile
async def flood_of_empty_fragments(door: Door) -> None:
    pieces = frame(CONTINUATION, b"", fin=False) * 20_000
    await break_frames(door, frame(TEXT, b"a", fin=False) + pieces + frame(CLOSE), 1002)


@hostile
async def continuation_of_nothing(door: Door) -> None:
    await break_frames(door, frame(CONTINUATION, b"a"), 1002)


@hostile
async def message_inside_a_message(door: Door) -> None:
    await break_frames(door, frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002)


@hostile
async def fragmented_ping(door: Door) -> None:
    await break_frames(door, frame(PING, b"a", fin=False), 1002)


@hostile
async def long_ping(door: Door) -> None:
    await break_frames(door, frame(PING, b"a" * 126), 1002)


@hostile
async def ping_flood(door: Door) -> None:
    async with await upgraded(door) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(pour, stream, frame(PING, b"p" * 100) * 3000 + frame(CLOSE, b"\x03\xe8"))
        answer = await read_to_end(stream)
    assert answer.count(b"\x8a\x64") == 3000


@hostile
async def ping_flood_without_reading(door: Door) -> None:
    stream = await upgraded(door)
    with trio.move_on_after(2):
        await pour(stream, frame(PING, b"p" * 125) * 60_000)
    await reset(stream)


@hostile
async def pong_flood(door: Door) -> None:
    await break_frames(door, frame(PONG, b"p" * 100) * 3000 + frame(CLOSE, b"\x03\xe8"), 1000)


@hostile
async def flood_of_empty_messages(door: Door) -> None:
    async with await upgraded(door) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(pour, stream, frame(TEXT) * 5000)
        echoes = bytearray()
        while len(echoes) < 5000 * 2:
            echoes += await stream.receive_some(4096)
        assert echoes == b"\x81\x00" * 5000
        await stream.send_all(frame(CLOSE, b"\x03\xe8"))
        await read_to_end(stream)


@hostile
async def message_flood_without_reading(door: Door) -> None:
    stream = await upgraded(door)
    with trio.move_on_after(1.5):
        await pour(stream, frame(TEXT, b"x" * 60_000) * 200)
    await reset(stream)


@hostile
async def binary_flood(door: Door) -> None:
    async with await upgraded(door) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(pour, stream, frame(BINARY, b"\0" * 300) * 2000 + frame(CLOSE, b"\x03\xe8"))
        await read_to_end(stream)


@hostile
async def text_that_is_not_utf8(door: Door) -> None:
    await break_frames(door, frame(TEXT, b"\xc3\x28"), 1007)


@hostile
async def split_text_that_is_not_utf8(door: Door) -> None:
    await break_frames(door, frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"\x28"), 1007)


@hostile
async def torn_frame_and_close(door: Door) -> None:
    async with await upgraded(door) as stream:
        await stream.send_all(frame(TEXT, b"hello")[:-2])
        await stream.send_eof()
        await read_to_end(stream)


@hostile
async def torn_frame_and_reset(door: Door) -> None:
    stream = await upgraded(door)
    await stream.send_all(frame(TEXT, b"a" * 300)[:3])
    await reset(stream)


@hostile
async def frame_byte_by_byte(door: Door) -> None:
    async with await upgraded(door) as stream:
        for byte in frame(TEXT, b"slow") + frame(CLOSE, b"\x03\xe8"):
            await stream.send_all(bytes([byte]))
            await trio.sleep(0.002)
        assert b"\x81\x04slow" in await read_to_end(stream)


@hostile
async def close_with_an_impossible_code(door: Door) -> None:
    await break_frames(door, frame(CLOSE, b"\x03\xe7"), 1002)


@hostile
async def close_with_half_a_code(door: Door) -> None:
    await break_frames(door, frame(CLOSE, b"\x03"), 1002)


@hostile
async def close_with_a_bad_reason(door: Door) -> None:
    await break_frames(door, frame(CLOSE, b"\x03\xe8\xc3\x28"), 1007)


@hostile
async def talks_on_after_close(door: Door) -> None:
    await break_frames(door, frame(CLOSE, b"\x03\xe8") + frame(TEXT, b"x" * 1000) * 100, 1000)


@hostile
async def closes_twice(door: Door) -> None:
    await break_frames(door, frame(CLOSE, b"\x03\xe8") * 2, 1000)


@hostile
async def close_and_reset(door: Door) -> None:
    stream = await upgraded(door)
    await stream.send_all(frame(CLOSE, b"\x03\xe8"))
    await reset(stream)


@hostile
async def close_inside_a_message(door: Door) -> None:
    await break_frames(door, frame(TEXT, b"a", fin=False) + frame(CLOSE, b"\x03\xe8"), 1002)
