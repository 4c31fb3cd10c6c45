"""Strangers with bodies, and with several requests on one connection."""

from __future__ import annotations

import trio

from .echo_house import Door, read_to_end, reset
from .knocks import HEALTH, MEDIA, POST, expect, hostile, pour

# --- bodies -------------------------------------------------------------------------------------------------


@hostile
async def content_length_of_letters(door: Door) -> None:
    await expect(door, POST + b"Content-Length: abc\r\n\r\n", 400)


@hostile
async def negative_content_length(door: Door) -> None:
    await expect(door, POST + b"Content-Length: -5\r\n\r\n", 400)


@hostile
async def two_content_lengths(door: Door) -> None:
    await expect(door, POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400)


@hostile
async def astronomical_content_length(door: Door) -> None:
    await expect(door, POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400, 413)


@hostile
async def announces_too_much(door: Door) -> None:
    await expect(door, POST + b"Content-Length: 70000\r\n\r\n", 413)


@hostile
async def sends_too_much(door: Door) -> None:
    await expect(door, POST + b"Content-Length: 2000000\r\n\r\n" + b"a" * 2_000_000, 413, 0)


@hostile
async def too_much_in_chunks(door: Door) -> None:
    chunks = (b"1000\r\n" + b"a" * 4096 + b"\r\n") * 50
    await expect(door, POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks, 413)


@hostile
async def body_never_comes(door: Door) -> None:
    await expect(door, POST + b"Content-Length: 10\r\n\r\nabc", 0)


@hostile
async def slow_body(door: Door) -> None:
    async with await door.connect() as stream:
        await stream.send_all(POST + b"Content-Length: 100\r\n\r\n")
        for _ in range(80):
            await pour(stream, b"a")
            await trio.sleep(0.03)
        assert b"200" not in (await read_to_end(stream))[:20]


@hostile
async def resets_in_the_body(door: Door) -> None:
    stream = await door.connect()
    await stream.send_all(POST + b"Content-Length: 100\r\n\r\nabc")
    await reset(stream)


@hostile
async def resets_before_the_answer(door: Door) -> None:
    stream = await door.connect()
    await stream.send_all(POST + b"Content-Length: 3\r\n\r\na=b")
    await reset(stream)


@hostile
async def junk_chunk_size(door: Door) -> None:
    await expect(door, POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n", 400, 500, 0)


@hostile
async def enormous_chunk_size(door: Door) -> None:
    await expect(door, POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 60 + b"\r\n", 400, 500, 0)


@hostile
async def chunk_extensions_without_end(door: Door) -> None:
    await expect(door, POST + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 60_000, 400, 431, 500, 0)


@hostile
async def chunks_of_one_byte(door: Door) -> None:
    await expect(door, POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 70_000, 413, 0)


@hostile
async def chunked_and_content_length(door: Door) -> None:
    smuggled = POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + MEDIA + b"x"
    await expect(door, smuggled, 200, 400)


@hostile
async def unknown_transfer_encoding(door: Door) -> None:
    await expect(door, POST + b"Transfer-Encoding: gzip, cow\r\n\r\nabc", 400, 501)


@hostile
async def endless_trailers(door: Door) -> None:
    tail = b"0\r\n" + b"a: b\r\n" * 20_000
    await expect(door, POST + b"Transfer-Encoding: chunked\r\n\r\n" + tail, 400, 431, 500, 0)


@hostile
async def expects_continue_and_leaves(door: Door) -> None:
    await expect(door, POST + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n", 100)


@hostile
async def thirty_thousand_fields(door: Door) -> None:
    await expect(door, POST + b"Content-Length: 60000\r\n\r\n" + b"a&" * 30_000, 400)


@hostile
async def form_that_is_not_utf8(door: Door) -> None:
    await expect(door, POST + b"Content-Length: 8\r\n\r\n\xff=%ff&%\xfe", 200)


@hostile
async def body_on_a_get(door: Door) -> None:
    await expect(door, HEALTH[:-2] + b"Content-Length: 5\r\n\r\nhello", 200)


# --- several requests ---------------------------------------------------------------------------------------


@hostile
async def pipelines_without_reading(door: Door) -> None:
    stream = await door.connect()
    with trio.move_on_after(1.5):
        await pour(stream, HEALTH * 50_000)
    await reset(stream)


@hostile
async def pipelines_and_reads(door: Door) -> None:
    async with await door.connect() as stream:
        await stream.send_all(HEALTH * 20)
        assert (await read_to_end(stream)).count(b"HTTP/1.1 200") == 20


@hostile
async def request_then_junk(door: Door) -> None:
    await expect(door, HEALTH + b"\0\1\2 junk\r\n\r\n", 200)


@hostile
async def request_then_upgrade_with_bytes(door: Door) -> None:
    await expect(door, HEALTH + MEDIA + b"bytes after the upgrade", 200)


@hostile
async def request_then_http2_preface(door: Door) -> None:
    await expect(door, HEALTH + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9, 200)
