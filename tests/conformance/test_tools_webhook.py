"""Tools behind a web address, against a loopback endpoint, and the guard before every connection."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import httpcore2
import httpx2
import pytest
import trio
from trio.testing import MockClock

from patter_trio._net.guard import BlockedAddressError, open_guarded_client, resolve_public
from patter_trio.errors import PatterConfigError, ToolError
from patter_trio.tools import DefaultToolExecutor, Tool, ToolContext, ToolWebhooks

CONTEXT = ToolContext("CA1", "+15550001", "+15550002")


@attrs.define
class Far:
    """A web server on loopback that answers in turn with what it was given; the last answer repeats."""

    answers: list[bytes | Callable[[trio.SocketStream], Awaitable[None]]]
    heads: list[str] = attrs.field(factory=list[str])
    bodies: list[bytes] = attrs.field(factory=list[bytes])
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        data = b""
        try:
            while True:
                while b"\r\n\r\n" not in data:
                    got = await stream.receive_some(65536)
                    if not got:
                        return
                    data += got
                head, _, data = data.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                while len(data) < length:
                    data += await stream.receive_some(65536)
                self.heads.append(head.decode())
                self.bodies.append(data[:length])
                data = data[length:]
                answer = self.answers[min(len(self.heads), len(self.answers)) - 1]
                if isinstance(answer, bytes):
                    await stream.send_all(answer)
                else:
                    await answer(stream)
                    return
        except trio.BrokenResourceError:
            return


def answer(body: bytes | str, status: str = "200 OK", *headers: str) -> bytes:
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def hang_up(stream: trio.SocketStream) -> None:
    await stream.aclose()


class _Farm:
    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    async def far(self, *answers: Any) -> Far:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        far = Far(list(answers), port=listener.socket.getsockname()[1])
        self._nursery.start_soon(trio.serve_listeners, far.serve, [listener])
        return far


@pytest.fixture
def farm(nursery: trio.Nursery) -> _Farm:
    return _Farm(nursery)


async def call(far: Far, *, id: str = "call_1", **settings: Any) -> Any:
    async with ToolWebhooks(allow_private=True, **settings).open() as webhooks:
        executor = DefaultToolExecutor(
            [Tool("book", webhook_url=far.url, parameters={"type": "object"})], webhooks=webhooks
        )
        return await executor.execute("book", '{"day": "Monday"}', CONTEXT, id=id)


def header(head: str, name: str) -> str | None:
    for line in head.split("\r\n")[1:]:
        key, _, value = line.partition(": ")
        if key.lower() == name:
            return value
    return None


# --- the wire -----------------------------------------------------------------------------------------------


async def test_a_webhook_learns_the_call_and_its_answer_is_the_result(farm: _Farm) -> None:
    far = await farm.far(answer('{"booked": true}'))
    outcome = await call(far)
    assert (outcome.ok, outcome.content) == (True, '{"booked":true}')
    assert json.loads(far.bodies[0]) == {
        "tool": "book",
        "arguments": {"day": "Monday"},
        "call_id": "CA1",
        "caller": "+15550001",
        "callee": "+15550002",
        "attempt": 1,
    }
    assert far.heads[0].startswith("POST /hook HTTP/1.1")
    assert header(far.heads[0], "content-type") == "application/json"
    assert header(far.heads[0], "x-patter-signature") is None


async def test_a_secret_signs_the_very_body(farm: _Farm) -> None:
    far = await farm.far(answer("{}"))
    await call(far, secret="shared", headers={"X-Tenant": "bakery"})
    signed = hmac.new(b"shared", far.bodies[0], hashlib.sha256).hexdigest()
    assert header(far.heads[0], "x-patter-signature") == signed
    assert header(far.heads[0], "x-tenant") == "bakery"
    assert "shared" not in repr(ToolWebhooks(secret="shared"))


async def test_no_answer_at_all_is_null(farm: _Farm) -> None:
    assert (await call(await farm.far(answer(b"", "204 No Content")))).content == "null"


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (answer("<html>"), "not JSON"),
        (answer("[" * 200_000), "not JSON"),
        (answer(b"\xff"), "not JSON"),
        (answer("x" * (1024 * 1024 + 1)), "larger than 1048576 bytes"),
        (answer("{}", "302 Found", "Location: http://127.0.0.1:1/"), "redirect"),
        (answer("{}", "400 Bad Request"), "status 400"),
        (answer("not gzip", "200 OK", "Content-Encoding: gzip"), "packed, which was not asked for"),
    ],
)
async def test_an_unusable_answer_is_told_and_not_asked_for_again(
    farm: _Farm, said: bytes, complaint: str
) -> None:
    far = await farm.far(said)
    outcome = await call(far)
    assert not outcome.ok
    assert complaint in outcome.error
    assert len(far.heads) == 1


async def test_an_answer_without_end_is_cut_off(farm: _Farm) -> None:
    async def pour(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await stream.send_all(b"10000\r\n" + b" " * 65536 + b"\r\n")

    with trio.fail_after(5):
        assert "larger than" in (await call(await farm.far(pour))).error


# --- attempts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [answer("{}", "503 Busy"), answer("{}", "429 Slow"), hang_up])
async def test_a_passing_failure_is_tried_again_with_the_same_key(
    farm: _Farm, first: Any, autojump_clock: MockClock
) -> None:
    far = await farm.far(first, answer('"done"'))
    began = trio.current_time()
    outcome = await call(far)
    assert outcome.content == "done"
    assert 0.5 <= trio.current_time() - began < 1.0
    assert [json.loads(body)["attempt"] for body in far.bodies] == [1, 2]
    assert [header(head, "idempotency-key") for head in far.heads] == ["CA1:call_1"] * 2


async def test_it_is_given_up_after_its_attempts(farm: _Farm, autojump_clock: MockClock) -> None:
    far = await farm.far(answer("{}", "500 Oh"))
    assert "status 500" in (await call(far)).error
    assert len(far.heads) == 3
    assert "status 500" in (await call(far, attempts=2)).error
    assert len(far.heads) == 5


async def test_w17_without_a_key_a_webhook_is_called_once(farm: _Farm) -> None:
    far = await farm.far(answer("{}", "500 Oh"))
    assert "status 500" in (await call(far, id="")).error
    assert len(far.heads) == 1
    assert header(far.heads[0], "idempotency-key") is None


async def test_with_one_attempt_it_is_called_once(farm: _Farm) -> None:
    far = await farm.far(answer("{}", "500 Oh"))
    await call(far, attempts=1)
    assert len(far.heads) == 1


async def test_the_far_end_may_ask_for_a_longer_pause(farm: _Farm, autojump_clock: MockClock) -> None:
    far = await farm.far(answer("{}", "429 Slow", "Retry-After: 3"), answer("1"))
    began = trio.current_time()
    assert (await call(far)).ok
    assert 3.0 <= trio.current_time() - began < 3.5


async def test_the_tools_time_limit_holds_over_all_attempts(farm: _Farm, autojump_clock: MockClock) -> None:
    far = await farm.far(answer("{}", "429 Slow", "Retry-After: 5"))
    outcome = await call(far)
    assert "longer than 10 s" in outcome.error


async def test_w23_one_client_serves_all_calls_of_a_session(farm: _Farm) -> None:
    far = await farm.far(answer("1"))
    async with ToolWebhooks(allow_private=True).open() as webhooks:
        session = DefaultToolExecutor([Tool("book", webhook_url=far.url)], webhooks=webhooks)
        for number in range(5):
            assert (await session.execute("book", "", ToolContext(f"CA{number}"))).ok
    assert webhooks.client.is_closed
    assert far.connections == 1
    assert len(far.heads) == 5


async def test_cancelling_hangs_up_at_once(farm: _Farm, nursery: trio.Nursery) -> None:
    arrived, gone = trio.Event(), trio.Event()

    async def stall(stream: trio.SocketStream) -> None:
        arrived.set()
        assert await stream.receive_some(1) == b""
        gone.set()

    far = await farm.far(stall)
    with trio.CancelScope() as turn:

        async def barge_in() -> None:
            await arrived.wait()
            turn.cancel()

        nursery.start_soon(barge_in)
        await call(far)
    assert turn.cancelled_caught
    with trio.fail_after(2):
        await gone.wait()


@pytest.mark.parametrize(
    "settings",
    [
        {"secret": 3},
        {"allow_private": "no"},
        {"attempts": 0},
        {"attempts": 11},
        {"attempts": True},
        {"headers": []},
        {"headers": {"A B": "x"}},
        {"headers": {"A": "line\n"}},
        {"headers": {"A": 3}},
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError, match=next(iter(settings))):
        ToolWebhooks(**settings)


# --- the guard ----------------------------------------------------------------------------------------------


async def test_a_private_address_is_refused_when_the_executor_is_built() -> None:
    async with ToolWebhooks().open() as webhooks:
        for url in (
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://metadata.google.internal/",
            "http://10.0.0.1",
        ):
            with pytest.raises(PatterConfigError, match="may not be called"):
                DefaultToolExecutor([Tool("book", webhook_url=url)], webhooks=webhooks)


class Names(trio.abc.HostnameResolver):
    """Answers each question for a name with the next addresses; counts the questions."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: Any,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        found = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return [(10 if ":" in each else 2, 1, 6, "", (each, port)) for each in found]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


@contextmanager
def names(*answers: list[str]) -> Iterator[Names]:
    resolver = Names(*answers)
    trio.socket.set_custom_hostname_resolver(resolver)
    try:
        yield resolver
    finally:
        trio.socket.set_custom_hostname_resolver(None)


class Net(httpcore2.AsyncNetworkBackend):
    """A network in which each connection answers with JSON, and some addresses are dead."""

    def __init__(self, *dead: str) -> None:
        self.dead = dead
        self.connected: list[tuple[str, int]] = []
        self.server_names: list[str | None] = []

    async def connect_tcp(
        self, host: str, port: int, *args: Any, timeout: float | None = None, **more: Any
    ) -> Any:
        self.connected.append((host, port))
        if host in self.dead:
            assert timeout is not None
            await trio.sleep(timeout)
            raise httpcore2.ConnectTimeout
        net = self

        class Stream(httpcore2.AsyncMockStream):
            async def start_tls(self, *args: Any, server_hostname: str | None = None, **more: Any) -> Any:
                net.server_names.append(server_hostname)
                return self

        return Stream([answer("1")])


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    net = Net()
    # Whoever asks a second time is told a private address: DNS rebinding.
    with names(["93.184.216.34"], ["127.0.0.1"]) as resolver:
        async with open_guarded_client(backend=net) as client:
            assert (await client.get("https://shop.example/")).status_code == 200
    assert net.connected == [("93.184.216.34", 443)]
    assert net.server_names == ["shop.example"]
    assert resolver.asked == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:192.168.0.1"],
        ["93.184.216.34", "10.0.0.1"],
        ["fe80::1%1"],
    ],
)
async def test_a_name_that_leads_into_our_network_is_not_connected_to(addresses: list[str]) -> None:
    net = Net()
    with names(addresses):
        async with open_guarded_client(backend=net) as client:
            with pytest.raises(httpx2.ConnectError, match=r"shop\.example may not be called") as refused:
                await client.get("http://shop.example/")
        with pytest.raises(BlockedAddressError):
            await resolve_public("shop.example", 80)
    assert net.connected == []
    assert addresses[0] not in str(refused.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0x7f.1", "2130706433", "[::1]", "metadata.goog"])
async def test_hosts_are_refused_as_written_before_anything_is_resolved(host: str) -> None:
    net = Net()
    with names(["93.184.216.34"]) as resolver:
        async with open_guarded_client(backend=net) as client:
            with pytest.raises(httpx2.ConnectError, match="may not be called"):
                await client.get(f"http://{host}/")
    assert (net.connected, resolver.asked) == ([], 0)


async def test_a_private_network_opens_only_when_asked_and_metadata_never() -> None:
    net = Net()
    with names(["10.0.0.1"], ["169.254.169.254"]):
        async with open_guarded_client(allow_private=True, backend=net) as client:
            assert (await client.get("http://db.internal:8080/")).status_code == 200
            with pytest.raises(httpx2.ConnectError, match="metadata"):
                await client.get("http://rebound.example/")
    assert net.connected == [("10.0.0.1", 8080)]


async def test_a_dead_address_gives_way_to_the_next(autojump_clock: MockClock) -> None:
    net = Net("2606:4700::1")
    with names(["2606:4700::1", "93.184.216.34"]):
        async with open_guarded_client(backend=net) as client:
            began = trio.current_time()
            assert (await client.get("http://shop.example/")).status_code == 200
    assert trio.current_time() - began == pytest.approx(2.0)
    assert [host for host, _ in net.connected] == ["2606:4700::1", "93.184.216.34"]


async def test_connecting_has_its_time(autojump_clock: MockClock) -> None:
    net = Net("93.184.216.34")
    with names(["93.184.216.34"]):
        async with open_guarded_client(backend=net) as client:
            began = trio.current_time()
            with pytest.raises(httpx2.ConnectTimeout):
                await client.get("http://shop.example/")
    assert trio.current_time() - began == pytest.approx(5.0)


async def test_no_proxy_and_no_redirect_leads_around_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:3128")
    net = Net()
    with names(["93.184.216.34"]):
        async with open_guarded_client(backend=net) as client:
            assert not client.follow_redirects
            await client.get("http://shop.example/")
    assert net.connected == [("93.184.216.34", 80)]


async def test_what_the_guard_refuses_is_an_answer_to_the_model() -> None:
    with names(["10.0.0.1"]):
        async with ToolWebhooks(attempts=1).open() as webhooks:
            with pytest.raises(ToolError, match=r"shop\.example may not be called"):
                await webhooks.send("https://shop.example/hook", {})
