"""Programs that keep a tunnel open: their words, their misbehaviour, and that nothing of them is left."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from patter_trio import (
    Patter,
    PatterConfigError,
    PatterConnectionError,
    ProviderError,
    SessionSettings,
    Twilio,
)
from patter_trio._server import tunnel as session_tunnel
from patter_trio.tunnels import CloudflareTunnel, Ngrok, Static, Tunnel, cloudflare, ngrok, static
from patter_trio.tunnels._binary import Binary, run_binary
from patter_trio.tunnels.cloudflare import Opening
from patter_trio.tunnels.ngrok import read_start

from .programs import CLOUDFLARED, NGROK, NGROK_URL, QUICK, Program, install, is_gone, spin_until

FOREVER = "open_tunnel()\nwhile True: signal.pause()"
TOKEN = "s3cr3t-0123456789"


@pytest.fixture(autouse=True)
def _no_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NGROK_AUTHTOKEN", raising=False)
    monkeypatch.delenv("TUNNEL_TOKEN", raising=False)


@pytest.fixture(name="put")
def _put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    return partial(install, tmp_path, monkeypatch)


@asynccontextmanager
async def opened(tunnel: Tunnel, port: int = 8000) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        yield await nursery.start(tunnel.run, "127.0.0.1", port)
        nursery.cancel_scope.cancel()


async def refusal(tunnel: Tunnel, patience: float = 10) -> str:
    with pytest.raises(PatterConnectionError) as caught, trio.fail_after(patience):
        await tunnel.run("127.0.0.1", 8000)
    return str(caught.value)


# --- what the programs print --------------------------------------------------------------------------------


def test_cloudflared_is_ready_with_an_address_and_a_connection() -> None:
    opening = Opening()
    for line in (
        "2026-09-30T07:31:17Z INF Requesting new quick Tunnel on trycloudflare.com...",
        'failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": no such host',
        "2026-09-30T07:31:17Z INF |  Your quick Tunnel has been created! Visit it at (it may take time):  |",
        f"2026-09-30T07:31:17Z INF |  {QUICK}                                     |",
    ):
        assert opening.feed(line) is None
    assert (
        opening.feed("2026-09-30T07:31:18Z INF Registered tunnel connection connIndex=0 location=x") == QUICK
    )


@pytest.mark.parametrize(
    "line",
    [
        "2026-09-30T07:31:18Z INF Registered tunnel connection connIndex=0 protocol=quic",
        "2022-06-01T16:23:12Z INF Connection c206cf44-945f-4c3c-a85c-af60c6338dc2 registered connIndex=0",
    ],
)
def test_either_way_of_saying_that_it_is_connected_counts(line: str) -> None:
    assert Opening("https://phone.example.com").feed(line) == "https://phone.example.com"
    assert Opening().feed(line) is None


@pytest.mark.parametrize(
    ("line", "url"),
    [
        (
            '{"lvl":"info","msg":"started tunnel","url":"https://a.ngrok-free.app"}',
            "https://a.ngrok-free.app",
        ),
        ('{"lvl":"info","msg":"started endpoint","url":"https://a.ngrok.app"}', "https://a.ngrok.app"),
        (
            '{"msg":"started tunnel","addr":{"Scheme":"http"},"url":"https://a.ngrok.app"}',
            "https://a.ngrok.app",
        ),
        ('{"msg":"started tunnel","url":"tcp://2.tcp.ngrok.io:19757"}', None),
        ('{"msg":"starting web service","addr":"127.0.0.1:4040"}', None),
        ('{"msg":17}', None),
        ("ERROR:  authentication failed", None),
        ("[1, 2]", None),
        ("", None),
    ],
)
def test_ngrok_is_ready_when_it_has_started_a_tunnel(line: str, url: str | None) -> None:
    assert read_start(line) == url


# --- a tunnel that works ------------------------------------------------------------------------------------


async def test_a_session_is_known_by_its_tunnels_address(put: Any) -> None:
    program: Program = put("cloudflared", CLOUDFLARED, FOREVER)
    async with Patter(tunnel=True).session(port=0) as session:
        assert session.url == QUICK
        assert session.address is not None
        assert session.health()["tunnel"] == {"state": "up", "url": QUICK, "losses": 0}
        assert session.public_url("/ws/x", websocket=True) == QUICK.replace("https", "wss") + "/ws/x"
        (run,) = program.runs
        assert run.argv[1:] == [
            *("tunnel", "--no-autoupdate", "--config", os.devnull),
            *("--url", f"http://127.0.0.1:{session.address[1]}"),
        ]
        assert not run.is_gone
    assert run.is_gone


async def test_a_session_may_have_another_tunnel_than_its_patter(put: Any) -> None:
    put("ngrok", NGROK, FOREVER)
    async with Patter(tunnel=True).session(port=0, tunnel=Ngrok()) as session:
        assert session.url == NGROK_URL
    async with Patter(tunnel=True).session(port=0, tunnel=False) as session:
        assert session.url.startswith("http://127.0.0.1:")
        assert "tunnel" not in session.health()


async def test_a_named_tunnel_of_cloudflares_is_run_by_its_token(put: Any) -> None:
    program: Program = put("cloudflared", CLOUDFLARED, FOREVER)
    async with opened(CloudflareTunnel(hostname="phone.example.com", token=TOKEN)) as url:
        assert url == "https://phone.example.com"
    (run,) = program.runs
    assert run.argv[1:] == ["tunnel", "--no-autoupdate", "run"]
    assert run.environ["TUNNEL_TOKEN"] == TOKEN


async def test_the_token_of_a_named_tunnel_may_come_from_the_environment(
    put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNNEL_TOKEN", TOKEN)
    program: Program = put("cloudflared", CLOUDFLARED, FOREVER)
    async with opened(CloudflareTunnel(hostname="phone.example.com")):
        assert program.runs[0].environ["TUNNEL_TOKEN"] == TOKEN


async def test_ngrok_takes_a_reserved_name_and_its_token_by_the_environment(put: Any) -> None:
    program: Program = put("ngrok", NGROK, 'open_tunnel("https://phone.example.com")\nsignal.pause()')
    async with opened(Ngrok(hostname="phone.example.com", authtoken=TOKEN)) as url:
        assert url == "https://phone.example.com"
    (run,) = program.runs
    assert run.argv[1:] == [
        *("http", "http://127.0.0.1:8000", "--log=stdout", "--log-format=json"),
        "--url=https://phone.example.com",
    ]
    assert run.environ["NGROK_AUTHTOKEN"] == TOKEN
    assert run.is_gone


async def test_the_program_may_have_another_name(put: Any) -> None:
    program: Program = put("my-ngrok", NGROK, FOREVER)
    async with opened(Ngrok(binary=str(program.folder / "my-ngrok"))) as url:
        assert url == NGROK_URL


async def test_a_static_name_is_used_as_it_stands() -> None:
    async with Patter(tunnel=Static(hostname="phone.example.com/voice")).session(port=0) as session:
        assert session.url == "https://phone.example.com/voice"


@pytest.mark.parametrize(
    ("bound", "told"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("192.0.2.1", "192.0.2.1")]
)
async def test_a_tunnel_leads_to_an_address_that_can_be_called(bound: str, told: str) -> None:
    tunnel = Scripted()
    async with trio.open_nursery() as nursery:
        await nursery.start(session_tunnel.OpenTunnel(tunnel, tunnel.moved).run, bound, 8000)
        nursery.cancel_scope.cancel()
    assert tunnel.hosts == [told]


# --- programs that misbehave --------------------------------------------------------------------------------


async def test_a_program_that_opens_nothing_is_given_up_with_its_last_words(
    put: Any, mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    program: Program = put(
        "cloudflared",
        CLOUDFLARED,
        "say('INF Requesting new quick Tunnel')\nsay('ERR no route to host')\nsignal.pause()",
    )
    caplog.set_level(logging.DEBUG, "patter_trio.tunnels")
    said: list[str] = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            said.append(await refusal(CloudflareTunnel(timeout=5)))

        await spin_until(lambda: "no route to host" in caplog.text)
        mock_clock.jump(4.9)
        await trio.testing.wait_all_tasks_blocked()
        assert not said
        mock_clock.jump(0.2)
    (text,) = said
    assert text.startswith("cloudflared opened no tunnel within 5 s; it said last: ")
    assert "ERR no route to host" in text
    assert program.runs[0].is_gone


async def test_an_address_without_a_connection_is_not_ready(
    put: Any, mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    put("cloudflared", CLOUDFLARED, f"say('INF |  {QUICK}  |')\nsignal.pause()")
    caplog.set_level(logging.DEBUG, "patter_trio.tunnels")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(refusal, CloudflareTunnel(timeout=5))
        await spin_until(lambda: QUICK in caplog.text)
        mock_clock.jump(5.1)


async def test_a_program_that_ends_at_once_is_told_of_with_its_last_words(put: Any) -> None:
    words = "failed to request quick Tunnel: Post https://api.trycloudflare.com/tunnel: no such host"
    put("cloudflared", CLOUDFLARED, f"print({words!r}, file=sys.stderr)\nsys.exit(1)")
    assert await refusal(CloudflareTunnel()) == f"cloudflared ended with status 1; it said last: {words}"


async def test_a_program_that_ends_without_a_word(put: Any) -> None:
    put("cloudflared", "raise SystemExit(3)")
    assert await refusal(CloudflareTunnel()) == "cloudflared ended with status 3; it said nothing"


async def test_a_session_whose_tunnel_does_not_open_is_not_entered(put: Any) -> None:
    put("cloudflared", "raise SystemExit(3)")
    with pytest.raises(PatterConnectionError, match="ended with status 3"):
        async with Patter(tunnel=True).session(port=0):
            raise AssertionError


async def test_no_token_is_shown_even_when_the_program_prints_it(
    put: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "patter_trio")
    put("ngrok", "import os, sys\nprint('bad token', os.environ['NGROK_AUTHTOKEN'])\nsys.exit(1)")
    tunnel = Ngrok(authtoken=TOKEN)
    said = await refusal(tunnel)
    assert "bad token ***" in said
    for text in (said, caplog.text, repr(tunnel), repr(CloudflareTunnel(hostname="a.example", token=TOKEN))):
        assert TOKEN not in text


async def test_a_program_that_is_not_there_is_told_of_with_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PatterConfigError, match=r"not on this machine .*https://developers.cloudflare.com"):
        async with Patter(tunnel=CloudflareTunnel()).session(port=0):
            raise AssertionError
    with pytest.raises(PatterConfigError, match=r"not on this machine .*https://ngrok.com/download"):
        await Ngrok().run("127.0.0.1", 8000)


async def test_a_file_that_is_no_program_is_told_of(tmp_path: Path) -> None:
    file = tmp_path / "ngrok"
    file.write_bytes(b"\x7fnot a program")
    file.chmod(0o755)
    with pytest.raises(PatterConfigError, match="cannot be run"):
        await Ngrok(binary=str(file)).run("127.0.0.1", 8000)


async def test_a_flood_of_output_is_read_away(put: Any) -> None:
    flood = "sys.stderr.write('x' * 3_000_000)\nfor _ in range(20_000): say('DBG ' + 'y' * 100)\n"
    program: Program = put(
        "cloudflared", CLOUDFLARED, flood, "say('')\nopen_tunnel()", flood, "note('done')\nsignal.pause()"
    )
    with trio.fail_after(20):
        async with opened(CloudflareTunnel()) as url:
            assert url == QUICK
            await spin_until(program.note("done").exists)


async def test_a_line_that_does_not_end_is_not_kept(put: Any) -> None:
    put("flood", "import sys\nsys.stdout.write('x' * 3_000_000 + '\\nready')\nsys.stdout.flush()\n")
    lengths: list[int] = []

    def read_line(line: str) -> str | None:
        lengths.append(len(line))
        return "https://a.example" if line == "ready" else None

    binary = Binary("flood", ("flood",), "https://a.example")
    with pytest.raises(PatterConnectionError, match="ended with status 0"), trio.fail_after(10):
        await run_binary(binary, read_line, task_status=trio.TASK_STATUS_IGNORED)
    assert len(lengths) == 2
    assert lengths[0] <= 80 * 1024


async def test_a_tunnel_that_is_open_has_no_deadline(put: Any, mock_clock: MockClock) -> None:
    program: Program = put("cloudflared", CLOUDFLARED, FOREVER)
    async with opened(CloudflareTunnel(timeout=5)):
        mock_clock.jump(1000)
        await trio.testing.wait_all_tasks_blocked()
        assert not program.runs[0].is_gone


async def test_a_program_that_does_not_want_to_end_is_killed(
    put: Any, mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    program: Program = put(
        "cloudflared",
        CLOUDFLARED,
        "signal.signal(signal.SIGTERM, lambda *_: note('asked'))\nopen_tunnel()\nwhile True: signal.pause()",
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(CloudflareTunnel().run, "127.0.0.1", 8000)
        nursery.cancel_scope.cancel()

        @nursery.start_soon
        async def _() -> None:
            with trio.CancelScope(shield=True):
                await spin_until(program.note("asked").exists)
                mock_clock.jump(3.1)

    assert program.runs[0].is_gone
    assert "cloudflared did not end within 3 s of being asked: killed" in caplog.text


async def test_what_a_program_has_started_ends_with_it(put: Any) -> None:
    program: Program = put(
        "cloudflared",
        CLOUDFLARED,
        "child = os.fork()\nif not child:\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    while True: signal.pause()\nnote('child', str(child))",
        FOREVER,
    )
    async with opened(CloudflareTunnel()):
        child = int(program.note("child").read_text())
    assert program.runs[0].is_gone
    await spin_until(lambda: is_gone(child))


async def test_a_program_that_leaves_its_pipe_to_a_child_has_ended_all_the_same(
    put: Any, mock_clock: MockClock
) -> None:
    put(
        "cloudflared",
        CLOUDFLARED,
        "child = os.fork()\nif not child:\n    signal.pause()\nsay('ERR going')\nos._exit(4)",
    )
    said: list[str] = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            said.append(await refusal(CloudflareTunnel(timeout=1e9), patience=1e9))

        def later() -> bool:
            mock_clock.jump(0.01)
            return bool(said)

        await spin_until(later)
    assert said[0].startswith("cloudflared ended with status 4; it said last: ")
    assert said[0].endswith("ERR going")


# --- losses -------------------------------------------------------------------------------------------------


class Scripted:
    """A tunnel that opens as one address after the other and is lost when it is told so."""

    def __init__(self, *urls: str | Exception) -> None:
        self.urls = list(urls) or ["https://a.example"]
        self.hosts: list[str] = []
        self.times: list[float] = []
        self.lost = trio.Event()
        self.moves: list[str] = []

    async def run(
        self, host: str, port: int, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
    ) -> None:
        self.hosts.append(host)
        self.times.append(trio.current_time())
        self.lost = trio.Event()
        url = self.urls.pop(0)
        if isinstance(url, Exception):
            raise url
        task_status.started(url)
        await self.lost.wait()
        raise PatterConnectionError("the line is down")

    async def moved(self, url: str) -> None:
        self.moves.append(url)


async def test_a_lost_tunnel_is_opened_again_and_health_tells(
    put: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_tunnel, "_FIRST_PAUSE", 0.02)
    program: Program = put("cloudflared", CLOUDFLARED, FOREVER)
    async with Patter(tunnel=True).session(port=0) as session:
        os.kill(program.runs[0].pid, signal.SIGKILL)
        with trio.fail_after(10):
            while session.health()["tunnel"] != {"state": "up", "url": QUICK, "losses": 1}:  # noqa: ASYNC110
                await trio.sleep(0.001)
        assert session.url == QUICK
        assert f"the tunnel {QUICK}: cloudflared ended with status -9" in caplog.text
    assert all(run.is_gone for run in program.runs)
    assert len(program.runs) == 2


async def test_another_address_is_taken_over_and_said(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    tunnel = Scripted("https://a.example/", "https://b.example")
    patter = Patter(Twilio("AC" + "0" * 32, "0" * 32), "+15550001234", tunnel=tunnel)
    async with patter.session(port=0) as session:
        assert session.url == "https://a.example"
        tunnel.lost.set()
        await trio.sleep(1.5)
        assert session.url == "https://b.example"
    assert "open again, as https://b.example in place of https://a.example" in caplog.text
    assert "until the number's webhook is set to https://b.example/webhooks/twilio/voice" in caplog.text


async def test_a_tunnel_that_stays_away_is_tried_again_with_longer_pauses(autojump_clock: MockClock) -> None:
    tunnel = Scripted(
        "https://a.example", *[PatterConnectionError("away")] * 7, "https://a.example", "https://a.example"
    )
    way = session_tunnel.OpenTunnel(tunnel, tunnel.moved)
    async with trio.open_nursery() as nursery:
        await nursery.start(way.run, "127.0.0.1", 8000)
        tunnel.lost.set()
        await trio.sleep(0.5)
        assert way.health() == {"state": "down", "url": "https://a.example", "losses": 1}
        await trio.sleep(200)
        pauses = [later - earlier for earlier, later in zip(tunnel.times, tunnel.times[1:], strict=False)]
        assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
        assert way.health() == {"state": "up", "url": "https://a.example", "losses": 1}
        # It held for more than a minute: the next pause is short again.
        before = trio.current_time()
        tunnel.lost.set()
        await trio.sleep(40)
        assert tunnel.times[-1] - before == 1
        nursery.cancel_scope.cancel()
    assert tunnel.moves == []


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (RuntimeError("of my own"), ProviderError, "Scripted failed: RuntimeError"),
        (PatterConfigError("no such name"), PatterConfigError, "no such name"),
        (PatterConnectionError("no way"), PatterConnectionError, "no way"),
    ],
)
async def test_a_tunnel_that_never_opens_raises_what_is_wrong(
    failure: Exception, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        async with Patter(tunnel=Scripted(failure)).session(port=0):
            raise AssertionError


# --- settings -----------------------------------------------------------------------------------------------


def wrong(value: Any) -> Any:
    """What the types would not let anybody write."""
    return value


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Patter(webhook_url="https://a.example", tunnel=True), "both say how"),
        (
            lambda: Patter(webhook_url="https://a.example").session(tunnel=Static(hostname="b.example")),
            "both say",
        ),
        (lambda: SessionSettings(webhook_url="https://a.example", tunnel=True), "both say how"),
        (lambda: SessionSettings(port=None, tunnel=True), "leads to a port"),
        (lambda: Patter(tunnel=wrong("ngrok")), "'ngrok' is no tunnel"),
        (lambda: Patter(tunnel=wrong(CloudflareTunnel)), "is no tunnel"),
        (lambda: Static(hostname=""), "needs its name"),
        (lambda: Static(hostname="http://a.example"), "no public name"),
        (lambda: Static(hostname="a.example?x"), "no public name"),
        (lambda: Static(hostname="user@a.example"), "no public name"),
        (lambda: Ngrok(hostname="a b"), "no public name"),
        (lambda: Ngrok(hostname=7), "must be text"),
        (lambda: Ngrok(authtoken=wrong(None)), "authtoken must be text"),
        (lambda: Ngrok(timeout=0), "seconds above 0"),
        (lambda: CloudflareTunnel(timeout=True), "seconds above 0"),
        (lambda: CloudflareTunnel(timeout=float("inf")), "seconds above 0"),
        (lambda: CloudflareTunnel(binary=wrong(None)), "binary must be text"),
        (lambda: CloudflareTunnel(token=TOKEN), "pass hostname= too"),
        (lambda: CloudflareTunnel(hostname="a.example"), "needs its token"),
    ],
)
def test_settings_that_cannot_be_right_are_refused_when_they_are_written_down(make: Any, words: str) -> None:
    with pytest.raises(PatterConfigError, match=words) as caught:
        make()
    assert TOKEN not in str(caught.value)


def test_true_is_cloudflares_and_names_lose_what_is_around_them() -> None:
    assert SessionSettings(tunnel=True).tunnel == CloudflareTunnel()
    assert SessionSettings(tunnel=False).tunnel is None
    assert Static(hostname="https://a.example/").hostname == "a.example"


def test_each_module_has_its_class_by_the_same_name() -> None:
    assert (cloudflare.Tunnel, ngrok.Tunnel, static.Tunnel) == (CloudflareTunnel, Ngrok, Static)
    for made in (CloudflareTunnel(), Ngrok(), Static(hostname="a.example")):
        assert isinstance(made, Tunnel)
