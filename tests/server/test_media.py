"""Messages over a socket: whole, in order, and never a torn one."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio_websocket
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from patter_trio._net.pipes import pipe_over
from patter_trio._server.media import CarrierSocket

from .echo_house import open_door
from .knocks import CLOSE, CONTINUATION, PING, TEXT, frame


def carrier_socket(stream: trio.abc.Stream, close_deadline: float = 0.2) -> CarrierSocket:
    protocol = ServerProtocol(state=State.OPEN, max_size=65536)
    return CarrierSocket(pipe_over(stream, read_size=4096), protocol, close_deadline=close_deadline)


def socket_pair(close_deadline: float = 0.2) -> tuple[CarrierSocket, trio.SocketStream]:
    ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in socket.socketpair())
    return carrier_socket(ours, close_deadline), theirs


class Peer:
    """What the far side understands of the bytes it gets, by an implementation that checks every frame."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._protocol = ClientProtocol(parse_uri("ws://a/"), state=State.OPEN, max_size=None)
        self.messages: list[bytes] = []

    async def read_until(self, last: bytes) -> None:
        while last not in self.messages[-3:]:
            self._protocol.receive_data(bytes(await self._stream.receive_some()))
            for event in self._protocol.events_received():
                assert isinstance(event, Frame)
                self.messages.append(bytes(event.data))
            assert self._protocol.parser_exc is None


def numbered(number: int) -> str:
    return f"{number:06} " + "x" * 50_000


@asynccontextmanager
async def closing(*resources: trio.abc.AsyncResource | CarrierSocket) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for resource in resources:
            await resource.aclose()


async def test_sending_without_waiting_says_no_when_the_peer_does_not_read() -> None:
    ours, theirs = socket_pair()
    async with closing(ours, theirs):
        taken = 0
        while ours.send_nowait(numbered(taken)):
            taken += 1
        assert 0 < taken < 200
        assert not ours.send_nowait("more")
        peer = Peer(theirs)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.read_until, b"the end")
            await ours.send("the end")
        assert [message[:6] for message in peer.messages[:-1]] == [b"%06d" % n for n in range(taken)]
        assert ours.send_nowait("and again")


async def test_the_rest_of_a_message_goes_before_the_next_one() -> None:
    ours, theirs = socket_pair()
    async with closing(ours, theirs):
        taken = 0
        while ours.send_nowait(numbered(taken)):
            taken += 1
        peer = Peer(theirs)
        with trio.move_on_after(0.05):
            await peer.read_until(b"not yet sent")
        while not ours.send_nowait("the end"):
            with trio.move_on_after(0.05):
                await peer.read_until(b"not yet sent")
        await peer.read_until(b"the end")
        assert len(peer.messages) == taken + 1


async def test_messages_that_came_together_leave_room_for_other_tasks() -> None:
    ours, theirs = socket_pair()
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with closing(ours, theirs), trio.open_nursery() as nursery:
        await theirs.send_all(frame(TEXT, b"x") * 100)
        nursery.start_soon(count_turns)
        for _ in range(100):
            await ours.receive()
        assert turns > 50
        nursery.cancel_scope.cancel()


async def test_the_server_leaves_as_soon_as_both_have_said_goodbye() -> None:
    ours, theirs = socket_pair(close_deadline=5)
    async with closing(theirs):
        await theirs.send_all(frame(CLOSE, b"\x03\xe8"))
        began = trio.current_time()
        await ours.aclose()
        assert trio.current_time() - began < 1


async def test_a_cancelled_send_never_tears_a_frame() -> None:
    ours, theirs = socket_pair()
    async with closing(ours, theirs):
        sent = 0
        while ours.send_nowait(numbered(sent)):
            sent += 1
        for _ in range(5):
            with trio.move_on_after(0.005):
                await ours.send(numbered(sent))
            sent += 1
        peer = Peer(theirs)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.read_until, b"the end")
            await ours.send("the end")
        numbers = [int(message[:6]) for message in peer.messages[:-1]]
        assert numbers == sorted(set(numbers))
        assert all(len(message) == len(numbered(0)) for message in peer.messages[:-1])


async def test_many_senders_and_the_pongs_do_not_mix_their_frames() -> None:
    ours, theirs = socket_pair()

    async def talk(name: int) -> None:
        for number in range(30):
            await ours.send(f"{name} {number} " + "x" * 20_000)

    async def ping() -> None:
        for _ in range(50):
            await theirs.send_all(frame(PING, b"are you there"))
            await trio.lowlevel.checkpoint()
        await theirs.send_all(frame(TEXT, b"done"))

    async with closing(ours, theirs):
        peer = Peer(theirs)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.read_until, b"the end")
            async with trio.open_nursery() as talkers:
                for name in range(4):
                    talkers.start_soon(talk, name)
                talkers.start_soon(ping)
                assert await ours.receive() == "done"
            await ours.send("the end")
        assert peer.messages.count(b"are you there") == 50
        assert len(peer.messages) == 4 * 30 + 50 + 1


async def test_over_a_stream_nothing_is_written_behind_a_cancelled_send(autojump_clock: MockClock) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    carrier = carrier_socket(ours)
    assert not carrier.send_nowait("a stream cannot")
    with trio.move_on_after(1):
        await carrier.send("nobody reads this")
    with pytest.raises(trio.BrokenResourceError):
        await carrier.send("this would be torn")
    await carrier.aclose()
    await theirs.aclose()


async def test_what_the_peer_said_before_it_left_is_still_heard() -> None:
    ours, theirs = socket_pair()
    async with closing(ours):
        await theirs.send_all(frame(TEXT, b"one") + frame(TEXT, b"two"))
        await theirs.aclose()
        while ours.send_nowait("into the void"):
            await trio.lowlevel.checkpoint()
        assert await ours.receive() == "one"
        assert await ours.receive() == "two"
        with pytest.raises(trio.EndOfChannel):
            await ours.receive()
        with pytest.raises(trio.EndOfChannel):
            await ours.receive()
        with pytest.raises(trio.BrokenResourceError):
            await ours.send("anybody?")


async def test_a_cancelled_receive_loses_nothing() -> None:
    ours, theirs = socket_pair()
    async with closing(ours, theirs):
        await theirs.send_all(frame(TEXT, b"hello")[:-2])
        with trio.move_on_after(0.01):
            await ours.receive()
        await theirs.send_all(frame(TEXT, b"hello")[-2:])
        assert await ours.receive() == "hello"


async def test_closing_wakes_whoever_receives() -> None:
    ours, theirs = socket_pair()
    async with closing(theirs), trio.open_nursery() as nursery:

        async def receive() -> None:
            with pytest.raises(trio.EndOfChannel):
                await ours.receive()

        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        await ours.aclose()
        await ours.aclose()
        assert not ours.send_nowait("x")
        assert await theirs.receive_some() == b"\x88\x02\x03\xe8"


@given(
    messages=st.lists(st.text(max_size=200), max_size=8),
    cuts=st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=30),
    pieces=st.integers(min_value=1, max_value=5),
)
def test_messages_arrive_however_frames_and_reads_are_cut(
    messages: list[str], cuts: list[int], pieces: int
) -> None:
    wire = bytearray()
    for message in messages:
        data = message.encode()
        size = max(1, -(-len(data) // pieces))
        parts = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
        for place, part in enumerate(parts):
            opcode = CONTINUATION if place else TEXT
            wire += frame(opcode, part, fin=place == len(parts) - 1) + frame(PING, b"?")

    async def run() -> None:
        ours, theirs = memory_stream_pair()
        carrier = carrier_socket(ours)
        place = 0
        got: list[str | bytes] = []

        async def feed() -> None:
            nonlocal place
            turn = 0
            while place < len(wire):
                cut = cuts[turn % len(cuts)]
                await theirs.send_all(bytes(wire[place : place + cut]))
                place, turn = place + cut, turn + 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed)
            for _ in messages:
                got.append(await carrier.receive())
        assert got == messages
        await carrier.abandon()

    trio.run(run, clock=MockClock(autojump_threshold=0))


async def test_an_independent_client_speaks_with_the_port() -> None:
    async with open_door() as door:
        url = f"ws://127.0.0.1:{door.port}/ws/twilio/token"
        async with trio_websocket.open_websocket_url(url) as connection:
            for message in ("hello", "ü" * 20_000, ""):
                await connection.send_message(message)
                assert await connection.get_message() == message
            await connection.send_message(b"\0" * 7)
            assert await connection.get_message() == "binary 7"
            await connection.ping(b"still there?")
        assert connection.closed is not None
        assert connection.closed.code == 1000
