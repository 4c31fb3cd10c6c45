"""Strangers who do not get past the first lines of a connection."""

from __future__ import annotations

import trio

from .echo_house import Door, read_to_end, reset
from .knocks import HEALTH, expect, hostile, pour

# --- not HTTP at all ----------------------------------------------------------------------------------------


@hostile
async def says_nothing(door: Door) -> None:
    await expect(door, b"", 408)


@hostile
async def noise(door: Door) -> None:
    await expect(door, bytes(range(256)) * 4, 400, 408)


@hostile
async def zero_bytes(door: Door) -> None:
    await expect(door, b"\0" * 8000 + b"\r\n\r\n", 400)


@hostile
async def empty_head(door: Door) -> None:
    await expect(door, b"\r\n\r\n", 400)


@hostile
async def line_feeds_only(door: Door) -> None:
    await expect(door, b"\n" * 100_000, 431)


@hostile
async def tls_client_hello(door: Door) -> None:
    await expect(door, bytes.fromhex("16030100c8010000c40303") + b"\x5a" * 189, 408)


@hostile
async def http2_preface(door: Door) -> None:
    await expect(door, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", 400)


@hostile
async def ssh_banner(door: Door) -> None:
    await expect(door, b"SSH-2.0-OpenSSH_9.6\r\n", 408)


@hostile
async def mail_client(door: Door) -> None:
    await expect(door, b"EHLO mail.example.test\r\n\r\n", 400)


@hostile
async def redis_command(door: Door) -> None:
    await expect(door, b"*1\r\n$4\r\nINFO\r\n\r\n", 400)


@hostile
async def connects_and_resets(door: Door) -> None:
    await reset(await door.connect())


@hostile
async def connects_and_closes(door: Door) -> None:
    await (await door.connect()).aclose()


@hostile
async def half_closes_at_once(door: Door) -> None:
    async with await door.connect() as stream:
        await stream.send_eof()
        assert await read_to_end(stream) == b""


# --- heads --------------------------------------------------------------------------------------------------


@hostile
async def http_09(door: Door) -> None:
    await expect(door, b"GET /health\r\n\r\n", 400)


@hostile
async def http_3(door: Door) -> None:
    await expect(door, b"GET /health HTTP/3.0\r\nHost: a\r\n\r\n", 400)


@hostile
async def version_in_lower_case(door: Door) -> None:
    await expect(door, b"get /health http/1.1\r\nhost: a\r\n\r\n", 400)


@hostile
async def endless_request_line(door: Door) -> None:
    await expect(door, b"GET /" + b"a" * 100_000, 431)


@hostile
async def huge_header(door: Door) -> None:
    await expect(door, b"GET /health HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431)


@hostile
async def very_many_headers(door: Door) -> None:
    await expect(door, b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 2000 + b"\r\n", 200)


@hostile
async def endless_headers(door: Door) -> None:
    await expect(door, b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * 20_000, 431)


@hostile
async def slow_headers(door: Door) -> None:
    async with await door.connect() as stream:
        for letter in b"GET /" + b"a" * 40:
            await pour(stream, bytes([letter]))
            await trio.sleep(0.03)
        assert (await read_to_end(stream)).startswith(b"HTTP/1.1 408")


@hostile
async def slow_second_head(door: Door) -> None:
    async with await door.connect() as stream:
        await stream.send_all(HEALTH)
        for letter in b"GET /" + b"a" * 40:
            await pour(stream, bytes([letter]))
            await trio.sleep(0.03)
        assert (await read_to_end(stream)).count(b"HTTP/1.1 ") == 1


@hostile
async def half_request_and_close(door: Door) -> None:
    async with await door.connect() as stream:
        await stream.send_all(HEALTH[:20])


@hostile
async def half_request_and_reset(door: Door) -> None:
    stream = await door.connect()
    await stream.send_all(HEALTH[:20])
    await reset(stream)


@hostile
async def half_request_and_half_close(door: Door) -> None:
    async with await door.connect() as stream:
        await stream.send_all(HEALTH[:20])
        await stream.send_eof()
        assert await read_to_end(stream) == b""


@hostile
async def get_and_reset(door: Door) -> None:
    stream = await door.connect()
    await stream.send_all(HEALTH)
    await reset(stream)


@hostile
async def get_and_half_close(door: Door) -> None:
    async with await door.connect() as stream:
        await stream.send_all(HEALTH)
        await stream.send_eof()
        assert (await read_to_end(stream)).startswith(b"HTTP/1.1 200")


@hostile
async def bare_line_feeds(door: Door) -> None:
    await expect(door, HEALTH.replace(b"\r\n", b"\n"), 408)


@hostile
async def upgrade_hidden_behind_a_line_feed(door: Door) -> None:
    await expect(door, b"GET /health HTTP/1.1\r\nHost: a\nUpgrade: websocket\r\n\r\nmore", 400)


@hostile
async def folded_header(door: Door) -> None:
    await expect(door, b"GET /health HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400)


@hostile
async def space_before_colon(door: Door) -> None:
    await expect(door, b"GET /ws/a/b HTTP/1.1\r\nHost: a\r\nUpgrade : websocket\r\n\r\n", 400)


@hostile
async def header_without_colon(door: Door) -> None:
    await expect(door, b"GET /health HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", 400)


@hostile
async def zero_in_header(door: Door) -> None:
    await expect(door, b"GET /health HTTP/1.1\r\nHost: a\0b\r\n\r\n", 400)


@hostile
async def non_ascii_target(door: Door) -> None:
    await expect(door, b"GET /h\xc3\xa9alth HTTP/1.1\r\nHost: a\r\n\r\n", 400)


@hostile
async def bad_percent_escapes(door: Door) -> None:
    await expect(door, b"GET /%zz%ff%00 HTTP/1.1\r\nHost: a\r\n\r\n", 404)


@hostile
async def climbing_path(door: Door) -> None:
    await expect(door, b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404)


@hostile
async def connect_method(door: Door) -> None:
    await expect(door, b"CONNECT example.test:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400, 404, 405)


@hostile
async def options_asterisk(door: Door) -> None:
    await expect(door, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400, 404, 405)


@hostile
async def no_host(door: Door) -> None:
    await expect(door, b"GET /health HTTP/1.1\r\n\r\n", 400)


@hostile
async def two_hosts(door: Door) -> None:
    await expect(door, b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400)


@hostile
async def junk_method(door: Door) -> None:
    await expect(door, b"SPLORT /health HTTP/1.1\r\nHost: a\r\n\r\n", 405)
