"""Strangers who ask for a media stream, or for another protocol."""

from __future__ import annotations

from .echo_house import Door, read_to_end, reset
from .knocks import MEDIA, TEXT, UPGRADE, expect, frame, hostile, upgraded


@hostile
async def upgrade_elsewhere_with_bytes(door: Door) -> None:
    await expect(door, b"GET /health HTTP/1.1\r\n" + UPGRADE + b"a byte after the upgrade", 404)


@hostile
async def upgrade_by_post_with_bytes(door: Door) -> None:
    await expect(door, b"POST /ws/twilio/a HTTP/1.1\r\n" + UPGRADE + b"x", 405)


@hostile
async def upgrade_to_http2(door: Door) -> None:
    await expect(
        door,
        b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        400,
    )


@hostile
async def upgrade_without_connection(door: Door) -> None:
    await expect(door, MEDIA.replace(b"Connection: Upgrade", b"Connection: close"), 426)


@hostile
async def upgrade_to_two_things(door: Door) -> None:
    await expect(door, MEDIA.replace(b"Upgrade: websocket", b"Upgrade: websocket, h2c") + b"x", 400)


@hostile
async def old_websocket_version(door: Door) -> None:
    await expect(door, MEDIA.replace(b"Version: 13", b"Version: 8"), 400)


@hostile
async def upgrade_without_key(door: Door) -> None:
    await expect(door, MEDIA.replace(b"Sec-WebSocket-Key", b"X-Key"), 400)


@hostile
async def upgrade_with_short_key(door: Door) -> None:
    await expect(door, MEDIA.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhl"), 400)


@hostile
async def upgrade_with_two_keys(door: Door) -> None:
    await expect(door, MEDIA[:-2] + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 400)


@hostile
async def upgrade_in_http_10(door: Door) -> None:
    await expect(door, MEDIA.replace(b"HTTP/1.1", b"HTTP/1.0"), 505, 400)


@hostile
async def upgrade_with_body(door: Door) -> None:
    await expect(door, MEDIA[:-2] + b"Content-Length: 5\r\n\r\nhello", 400)


@hostile
async def upgrade_with_many_headers(door: Door) -> None:
    await expect(door, MEDIA[:-2] + b"a: b\r\n" * 500 + b"\r\n", 400, 431)


@hostile
async def upgrade_with_a_wrong_token_and_frames(door: Door) -> None:
    await expect(door, MEDIA.replace(b"hostile", b"refused") + frame(TEXT, b"x") * 100, 403)


@hostile
async def upgrade_and_reset(door: Door) -> None:
    stream = await door.connect()
    await stream.send_all(MEDIA)
    await reset(stream)


@hostile
async def upgrade_and_reset_after_the_answer(door: Door) -> None:
    await reset(await upgraded(door))


@hostile
async def upgrade_and_half_close(door: Door) -> None:
    async with await upgraded(door) as stream:
        await stream.send_eof()
        await read_to_end(stream)


@hostile
async def upgrade_to_a_call_that_fails(door: Door) -> None:
    async with await door.connect() as stream:
        await stream.send_all(MEDIA.replace(b"hostile", b"failing"))
        assert (await read_to_end(stream)).startswith(b"HTTP/1.1 101")


@hostile
async def not_a_frame_behind_the_upgrade(door: Door) -> None:
    await expect(door, MEDIA + b"GET / HTTP/1.1\r\n\r\n", 101)
