"""The number's webhook at the carrier: changed only when that was asked for, told of when it is elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from patter_trio import (
    AuthenticationError,
    Patter,
    PatterConfigError,
    PatterConnectionError,
    ProviderError,
    ProvisionError,
    RateLimitError,
    SessionSettings,
)
from patter_trio._server import reach
from patter_trio.abc import Carrier, LiveCarrier
from patter_trio.telephony import NumberRoute
from patter_trio.testing import ScriptedLLM, ScriptedSTT, ScriptedTTS, ScriptedVAD

from .fake_carrier import NUMBER, Account, FakeCarrier
from .test_tunnels import Scripted

URL = "https://phone.example.test"
HERE = f"{URL}/webhooks/twilio/voice"
ELSEWHERE = NumberRoute(
    NUMBER,
    voice_url="https://old.example/voice",
    status_url="https://old.example/status",
    previous={"VoiceMethod": "GET", "VoiceFallbackUrl": "https://old.example/fallback"},
)


def patter(account: Account, url: str = URL) -> Patter:
    return Patter(FakeCarrier(account), NUMBER, url)


async def test_the_stand_in_is_a_carrier() -> None:
    carrier = FakeCarrier()
    assert isinstance(carrier, Carrier)
    async with carrier.open() as live:
        assert isinstance(live, LiveCarrier)


async def test_a_session_changes_nothing_at_the_carrier_unless_it_is_told_to() -> None:
    account = Account(ELSEWHERE)
    async with patter(account).session(port=0):
        pass
    assert account.asked == []
    assert account.route is ELSEWHERE


async def test_calls_are_sent_here_and_what_was_before_is_logged_in_full(
    caplog: pytest.LogCaptureFixture,
) -> None:
    account = Account(ELSEWHERE)
    caplog.set_level(logging.INFO, "patter_trio.session")
    async with patter(account).session(port=0, configure_number=True):
        assert account.route.voice_url == HERE
        assert ("route", NUMBER, HERE, "") in account.asked
    (said,) = [record.getMessage() for record in caplog.records if "now come to" in record.getMessage()]
    assert f"calls to {NUMBER} now come to {HERE}" in said
    for field in (
        "voice_url='https://old.example/voice'",
        "status_url='https://old.example/status'",
        "VoiceMethod='GET'",
        "VoiceFallbackUrl='https://old.example/fallback'",
        "To put it back, set these fields again",
    ):
        assert field in said


async def test_nothing_is_put_back_when_the_session_ends() -> None:
    account = Account(ELSEWHERE)
    async with patter(account).session(port=0, configure_number=True):
        pass
    assert account.route.voice_url == HERE
    assert [what for what, *_ in account.asked] == ["read", "route"]


async def test_a_number_whose_calls_come_here_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    account = Account(NumberRoute(NUMBER, HERE))
    caplog.set_level(logging.INFO, "patter_trio.session")
    async with patter(account).session(port=0, configure_number=True):
        pass
    assert account.asked == [("read", NUMBER)]
    assert f"calls to {NUMBER} come to {HERE} already" in caplog.text


async def test_a_number_is_configured_once_the_tunnel_is_open_and_the_port_listens() -> None:
    reached: list[str] = []

    class Watching(Scripted):
        async def run(self, host: str, port: int, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
            async with await trio.open_tcp_stream(host, port):
                reached.append("listening")
            await super().run(host, port, task_status=task_status)

    account = Account()
    tunnel = Watching(URL)
    async with Patter(FakeCarrier(account), NUMBER, tunnel=tunnel).session(port=0, configure_number=True):
        assert reached == ["listening"]
        assert account.route.voice_url == HERE


async def test_a_tunnel_with_another_address_takes_the_number_along(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    account = Account()
    tunnel = Scripted("https://a.example", "https://b.example", "https://c.example")
    patter = Patter(FakeCarrier(account), NUMBER, tunnel=tunnel)
    async with patter.session(port=0, configure_number=True) as session:
        tunnel.lost.set()
        await trio.sleep(1.5)
        assert account.route.voice_url == "https://b.example/webhooks/twilio/voice"
        account.failures["route"] = ProviderError("21211: not allowed")
        tunnel.lost.set()
        await trio.sleep(5)
        assert session.url == "https://c.example"
    assert f"calls to {NUMBER} could not be sent to https://c.example/webhooks/twilio/voice" in caplog.text


@pytest.mark.parametrize("at", ["read", "route"])
@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (ProviderError("20404: no such number"), ProvisionError),
        (RuntimeError("a carrier of my own"), ProvisionError),
        (AuthenticationError("refused"), AuthenticationError),
        (PatterConnectionError("away"), PatterConnectionError),
        (RateLimitError("slower"), RateLimitError),
    ],
)
async def test_a_session_that_cannot_have_its_number_is_not_entered(
    failure: Exception, kind: type[Exception], at: str
) -> None:
    account = Account(ELSEWHERE, failures={at: failure})
    with pytest.raises(kind) as caught:
        async with patter(account).session(port=0, configure_number=True):
            raise AssertionError
    assert type(caught.value) is kind
    assert str(failure) in str(caught.value)
    assert account.route is ELSEWHERE


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"configure_number": True}, "needs a carrier and a public address"),
        ({"configure_number": True, "webhook_url": URL}, "needs a carrier and a public address"),
        ({"configure_number": True, "carrier": FakeCarrier()}, "needs a carrier and a public address"),
        ({"configure_number": "yes"}, "must be True or False"),
    ],
)
def test_configuring_needs_something_to_configure(options: Any, words: str) -> None:
    with pytest.raises(PatterConfigError, match=words):
        SessionSettings(**options)


# --- serve looks, and says ----------------------------------------------------------------------------------


async def served(account: Account, monkeypatch: pytest.MonkeyPatch, done: Callable[[], bool]) -> None:
    """Serves until it has looked around."""

    async def find(*_: Any) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(reach, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(reach, "find_unreachable", find)
    agent = Patter().agent(stt=ScriptedSTT(), tts=ScriptedTTS(), vad=ScriptedVAD(), llm=ScriptedLLM(["Yes."]))
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(patter(account).serve, agent, port=0))
            while not done():  # noqa: ASYNC110 (a log is all there is to see)
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("route", "where"),
    [
        (NumberRoute(NUMBER), "nobody"),
        (ELSEWHERE, "https://old.example/voice"),
        (NumberRoute(NUMBER, taken_by="the application AP1"), "the application AP1"),
        (
            NumberRoute(NUMBER, "https://old.example/voice", taken_by="the application AP1"),
            "the application AP1 (https://old.example/voice)",
        ),
    ],
)
async def test_serve_warns_once_of_calls_that_go_elsewhere(
    route: NumberRoute, where: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(route)
    with caplog.at_level(logging.WARNING, "patter_trio"):
        await served(account, monkeypatch, lambda: bool(caplog.records))
    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith(f"calls to {NUMBER} do not come to this session: they go to {where}. Set ")
    assert f"webhook to {HERE} (POST), or start with configure_number=True" in said
    assert account.route is route
    assert account.asked == [("read", NUMBER)]


async def test_serve_is_quiet_where_calls_come_here(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(NumberRoute(NUMBER, HERE))
    with caplog.at_level(logging.WARNING, "patter_trio"):
        await served(account, monkeypatch, lambda: bool(account.asked))
    assert caplog.records == []


@pytest.mark.parametrize(
    "failure", [AuthenticationError("may not read numbers"), ProviderError("20404"), RuntimeError("mine")]
)
async def test_a_number_that_may_not_be_read_is_a_line_for_debugging(
    failure: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account(failures={"read": failure})
    with caplog.at_level(logging.DEBUG, "patter_trio"):
        await served(account, monkeypatch, lambda: "cannot be read" in caplog.text)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
