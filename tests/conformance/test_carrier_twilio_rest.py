"""Acting on running calls, against a simulated Twilio's REST API on loopback."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from patter_trio import abc
from patter_trio._wire.twiml import DialAnswer, HangUp
from patter_trio.carriers import Twilio
from patter_trio.errors import (
    AuthenticationError,
    PatterConfigError,
    PatterConnectionError,
    PatterError,
    ProviderError,
    RateLimitError,
    RemoteProtocolError,
)
from patter_trio.telephony import Links, TransferOrder
from patter_trio.testing import RestFault, RestReply, RestServer, TwilioAccount, open_rest

TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT = "AC00000000000000000000000000000001"
KEY, SECRET = "SK00000000000000000000000000000001", "a-secret-that-nobody-reads"
CALL = "CA00000000000000000000000000000001"
HUMAN = "+15550109999"
SIP = "sip:desk@pbx.example.test;transport=tls"
LINKS = Links("https://voice.example.test", "twilio", "token")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY", "TWILIO_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@attrs.frozen
class Desk:
    """An open carrier, and the far side it works with."""

    live: Any
    server: RestServer
    account: TwilioAccount


@asynccontextmanager
async def desk(*faults: RestFault | str, **settings: Any) -> AsyncIterator[Desk]:
    account = TwilioAccount(ACCOUNT, TOKEN, {KEY: SECRET})
    account.begin(CALL)
    account.fail(*faults)
    async with open_rest(account) as server:
        given = {"account_sid": ACCOUNT, "auth_token": TOKEN, "base_url": server.url, **settings}
        async with Twilio(**given).open() as live:
            yield Desk(live, server, account)


# --- what is asked for --------------------------------------------------------------------------------------


def test_settings_are_a_carrier_and_are_opened() -> None:
    settings = Twilio(auth_token=TOKEN)
    carrier: abc.Carrier = settings
    assert isinstance(carrier, abc.Carrier)
    assert isinstance(settings, abc.Opens)


async def test_a_transfer_is_one_request_with_the_document_that_dials() -> None:
    async with desk() as at:
        await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        (request,) = at.account.requests
        assert request.method == "POST"
        assert request.target == f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json"
        assert request.headers["authorization"] == "Basic " + coded(ACCOUNT, TOKEN)
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert list(request.form) == ["Twiml"]
        call = at.account.calls[CALL]
        assert call.instructions == [DialAnswer(HUMAN, "", "", "en-US", 20, LINKS.webhook("transfer"))]
        assert (call.status, call.transferred_to) == ("in-progress", HUMAN)


async def test_a_transfer_may_go_to_a_sip_address_with_a_number_shown() -> None:
    async with desk() as at:
        order = TransferOrder(SIP, LINKS, caller_id="+15550001234", ring_seconds=31)
        await at.live.transfer(CALL, order)
        (dialled,) = at.account.calls[CALL].instructions
    assert dialled == DialAnswer(SIP, "", "+15550001234", "en-US", 31, LINKS.webhook("transfer"))


async def test_hanging_up_completes_the_call() -> None:
    async with desk() as at:
        await at.live.hang_up(CALL)
        assert at.account.requests[0].form == {"Status": "completed"}
        assert at.account.calls[CALL].status == "completed"
        assert at.account.calls[CALL].instructions == [HangUp()]


async def test_a_call_that_is_over_can_be_hung_up_but_not_transferred() -> None:
    async with desk() as at:
        await at.live.hang_up(CALL)
        await at.live.hang_up(CALL)
        await at.live.hang_up("CA" + "9" * 32)
        with pytest.raises(ProviderError, match=r"not in-progress.*400, 21220.*the call is over"):
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        with pytest.raises(ProviderError, match="404, 20404"):
            await at.live.transfer("CA" + "9" * 32, TransferOrder(HUMAN, LINKS))


async def test_an_api_key_takes_the_place_of_the_token() -> None:
    async with desk(api_key=KEY, api_secret=SECRET, auth_token="only for webhooks") as at:
        await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        assert at.account.requests[0].headers["authorization"] == "Basic " + coded(KEY, SECRET)


async def test_an_api_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_API_KEY", KEY)
    monkeypatch.setenv("TWILIO_API_SECRET", SECRET)
    async with desk(auth_token="only for webhooks") as at:
        await at.live.hang_up(CALL)
        assert at.account.requests[0].headers["authorization"] == "Basic " + coded(KEY, SECRET)


async def test_a_base_url_may_have_a_path() -> None:
    async with desk() as at:
        url = f"{at.server.url}/gateway/"
        async with Twilio(account_sid=ACCOUNT, auth_token=TOKEN, base_url=url).open() as live:
            with pytest.raises(ProviderError, match="20404"):
                await live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        assert at.account.requests[0].target.startswith("/gateway/2010-04-01/")


async def test_actions_share_a_warm_connection() -> None:
    async with desk() as at:
        await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        await at.live.hang_up(CALL)
        assert at.server.connections == 1


async def test_a_connection_that_went_cold_is_replaced() -> None:
    account = TwilioAccount(ACCOUNT, TOKEN)
    account.begin(CALL)
    async with open_rest(account) as first:
        settings = Twilio(account_sid=ACCOUNT, auth_token=TOKEN, base_url=first.url)
        async with settings.open() as live:
            await live.transfer(CALL, TransferOrder(HUMAN, LINKS))
            account.fail(RestFault(RestReply(200, body_of(CALL), {"Connection": "close"})))
            await live.transfer(CALL, TransferOrder(HUMAN, LINKS))
            await live.transfer(CALL, TransferOrder(HUMAN, LINKS))
    assert (first.connections, len(account.requests)) == (2, 3)


async def test_a_connection_that_the_far_side_closed_while_idle_is_replaced() -> None:
    async with AsyncExitStack() as stack:
        account = TwilioAccount(ACCOUNT, TOKEN)
        account.begin(CALL)
        async with open_rest(account) as first:
            settings = Twilio(account_sid=ACCOUNT, auth_token=TOKEN, base_url=first.url)
            live = await stack.enter_async_context(settings.open())
            await live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        async with open_rest(account, port=int(first.url.rpartition(":")[2])) as second:
            await live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        assert (first.url, first.connections, second.connections) == (second.url, 1, 1)


async def test_many_calls_are_acted_on_at_once() -> None:
    calls = [f"CA{number:032x}" for number in range(20)]
    async with desk() as at:
        for call in calls:
            at.account.begin(call)
        async with trio.open_nursery() as nursery:
            for call in calls:
                nursery.start_soon(at.live.transfer, call, TransferOrder(HUMAN, LINKS))
        assert all(at.account.calls[call].transferred_to == HUMAN for call in calls)


# --- what cannot be meant -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    [
        *("", "911", "5550109999", "+0155501", "+1", "+1555010999900000", "+1 555 010 9999", "+١٥٥٥٠١٠"),
        *("tel:+15550109999", "sip:", "sip:desk", "sip:a b@x", "sip:a@x<", "sip:a@x " + "y" * 250),
        *("client:jenny", HUMAN + "\n", HUMAN + "</Number><Number>+15550000000"),
    ],
)
async def test_a_number_that_is_none_is_refused_before_anything_is_asked(number: str) -> None:
    async with desk() as at:
        with pytest.raises(PatterConfigError, match="cannot be transferred"):
            await at.live.transfer(CALL, TransferOrder(number, LINKS))
        assert at.account.requests == []


async def test_a_caller_id_must_be_a_number() -> None:
    async with desk() as at:
        with pytest.raises(PatterConfigError, match="shown as the caller"):
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS, caller_id="anonymous"))
        assert at.account.requests == []


@pytest.mark.parametrize(
    "call_id", ["", "CA1", f"{CALL}/Recordings", "MZ" + CALL[2:], CALL + "\n", "../../Accounts"]
)
async def test_a_call_that_cannot_be_one_is_refused(call_id: str) -> None:
    async with desk() as at:
        with pytest.raises(PatterConfigError, match="not a call"):
            await at.live.hang_up(call_id)
        with pytest.raises(PatterConfigError, match="not a call"):
            await at.live.transfer(call_id, TransferOrder(HUMAN, LINKS))
        assert at.account.requests == []


async def test_without_the_account_the_hint_says_what_to_set() -> None:
    async with desk(account_sid=None) as at:
        with pytest.raises(PatterConfigError, match="TWILIO_ACCOUNT_SID"):
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        assert at.account.requests == []


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"base_url": "ftp://api.example.test"}, "base_url"),
        ({"base_url": "api.twilio.com"}, "base_url"),
        ({"base_url": "https://"}, "base_url"),
        ({"base_url": "https://u:p@api.example.test"}, "base_url"),
        ({"base_url": "https://api.example.test?a=b"}, "base_url"),
        ({"base_url": "https://[::1"}, "base_url"),
        ({"base_url": "http://api.example.test"}, "https"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"calls_per_second": 0}, "calls_per_second"),
        ({"api_key": KEY}, "TWILIO_API_SECRET"),
        ({"api_secret": SECRET}, "TWILIO_API_SECRET"),
        ({"api_key": ACCOUNT, "api_secret": SECRET}, "SK"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PatterConfigError, match=complaint) as raised:
        Twilio(auth_token=TOKEN, **settings)
    assert SECRET not in str(raised.value)
    assert "u:p" not in str(raised.value)


async def test_the_longest_address_fits_into_one_document() -> None:
    address = "sip:" + "&" * 230 + "@pbx.example.test"
    async with desk() as at:
        await at.live.transfer(CALL, TransferOrder(address, LINKS, caller_id="+123456789012345"))
        assert at.account.calls[CALL].transferred_to == address


# --- what goes wrong ----------------------------------------------------------------------------------------


FAULTS: list[tuple[str, type[PatterError], str]] = [
    ("unauthorized", AuthenticationError, r"401, 20003.*account_sid="),
    ("too_many", RateLimitError, "429, 20429.*in 7 s"),
    ("server_error", ProviderError, "503"),
    ("garbage", RemoteProtocolError, "does not describe a call"),
    ("cuts", PatterConnectionError, "may have been done"),
    ("hangs", PatterConnectionError, r"within 0.1 s: what was asked may have been done"),
]


@pytest.mark.parametrize(("fault", "error", "words"), FAULTS)
async def test_a_transfer_fails_as_the_carrier_says_and_is_asked_once(
    fault: str, error: type[PatterError], words: str
) -> None:
    async with desk(fault, timeout=0.1 if fault == "hangs" else 10.0) as at:
        with pytest.raises(error, match=words) as raised:
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        assert type(raised.value) is error
        assert len(at.account.requests) == 1
        assert at.account.calls[CALL].instructions == []


@pytest.mark.parametrize("fault", ["not_found", "not_in_progress"])
async def test_a_transfer_of_a_call_that_is_over_says_so(fault: str) -> None:
    async with desk(fault) as at:
        with pytest.raises(ProviderError, match="the call is over"):
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))


@pytest.mark.parametrize(("fault", "error", "words"), FAULTS)
async def test_a_hang_up_fails_when_the_carrier_goes_on_like_that(
    fault: str, error: type[PatterError], words: str
) -> None:
    async with desk(fault, fault, fault, timeout=0.1 if fault == "hangs" else 10.0) as at:
        with pytest.raises(error, match=words):
            await at.live.hang_up(CALL)
        assert len(at.account.requests) == (3 if fault in ("server_error", "cuts") else 1)
        assert at.account.calls[CALL].status == "in-progress"


@pytest.mark.parametrize("fault", ["server_error", "cuts"])
async def test_a_hang_up_is_asked_again_after_a_failure_that_passes(fault: str) -> None:
    async with desk(fault) as at:
        await at.live.hang_up(CALL)
        assert len(at.account.requests) == 2
        assert at.account.calls[CALL].status == "completed"


async def test_a_hang_up_whose_answer_was_lost_is_found_to_be_done() -> None:
    async with desk(RestFault.named("cuts", is_carried_out=True)) as at:
        await at.live.hang_up(CALL)
        assert at.account.calls[CALL].status == "completed"


async def test_a_transfer_whose_answer_was_lost_is_not_claimed_and_not_repeated() -> None:
    async with desk(RestFault.named("cuts", is_carried_out=True)) as at:
        with pytest.raises(PatterConnectionError, match="may have been done"):
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        assert len(at.account.calls[CALL].instructions) == 1


async def test_a_wrong_token_is_refused() -> None:
    async with desk(auth_token="wrong") as at:
        with pytest.raises(AuthenticationError):
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        with pytest.raises(AuthenticationError):
            await at.live.hang_up(CALL)


async def test_a_404_that_is_not_the_carriers_is_no_ended_call() -> None:
    async with desk(RestFault(RestReply(404, b"<html>no such page</html>"))) as at:
        with pytest.raises(ProviderError, match=r"\(404\)"):
            await at.live.hang_up(CALL)


@pytest.mark.parametrize("status", ["completed", "canceled", "busy", "failed", "no-answer"])
async def test_success_for_a_call_that_is_over_is_no_transfer(status: str) -> None:
    async with desk(RestFault(RestReply(200, body_of(CALL, status)))) as at:
        with pytest.raises(ProviderError, match=status):
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"sid": 1, "status": "in-progress"}', b"\xff", b"[" * 60_000, b"x" * 3_000_000],
)
async def test_success_with_an_answer_that_is_none_is_not_believed(body: bytes) -> None:
    fault = RestFault(RestReply(200, body))
    async with desk(fault, fault) as at:
        with pytest.raises(RemoteProtocolError):
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        with pytest.raises(RemoteProtocolError):
            await at.live.hang_up(CALL)


async def test_success_for_another_call_is_not_believed() -> None:
    async with desk(RestFault(RestReply(200, body_of("CA" + "9" * 32)))) as at:
        with pytest.raises(RemoteProtocolError, match="another call"):
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))


async def test_the_newer_form_of_an_error_is_read_too() -> None:
    body = {"type": "t", "title": "Bad Request", "status": 400, "code": 21217, "detail": "No such\nnumber"}
    async with desk(RestFault(RestReply(400, json.dumps(body).encode()))) as at:
        with pytest.raises(ProviderError, match=r"Bad Request: No such number \(400, 21217\)"):
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, 20005, AuthenticationError),
        (403, None, AuthenticationError),
        (403, 21215, ProviderError),
        (503, 20429, RateLimitError),
        (400, 20003, AuthenticationError),
    ],
)
async def test_the_carriers_own_code_decides(status: int, code: int | None, error: type[PatterError]) -> None:
    async with desk(RestFault(RestReply(status, json.dumps({"code": code}).encode()))) as at:
        with pytest.raises(error):
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))


async def test_a_redirect_is_not_followed_with_our_credentials() -> None:
    async with desk() as elsewhere:
        fault = RestFault(RestReply(307, b"", {"Location": elsewhere.server.url + "/"}))
        async with desk(fault) as at:
            with pytest.raises(ProviderError, match="307"):
                await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        assert elsewhere.account.requests == []


async def test_a_carrier_that_is_not_there() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    await listener.aclose()
    async with Twilio(account_sid=ACCOUNT, auth_token=TOKEN, base_url=url).open() as live:
        with pytest.raises(PatterConnectionError, match="cannot be reached"):
            await live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        with pytest.raises(PatterConnectionError, match="cannot be reached"):
            await live.hang_up(CALL)


@pytest.mark.parametrize(("timeout", "given_up_after"), [(60.0, 5.0), (2.0, 2.0)])
async def test_connecting_has_a_deadline_of_its_own(
    timeout: float, given_up_after: float, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any, **__: Any) -> Any:
        await trio.sleep_forever()

    monkeypatch.setattr(trio, "open_tcp_stream", never)
    async with Twilio(account_sid=ACCOUNT, auth_token=TOKEN, timeout=timeout).open() as live:
        began = trio.current_time()
        with pytest.raises(PatterConnectionError):
            await live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        assert trio.current_time() - began == pytest.approx(given_up_after)


async def test_all_attempts_of_a_hang_up_share_one_deadline() -> None:
    async with desk("server_error", "hangs", timeout=0.5) as at:
        with trio.fail_after(2), pytest.raises(PatterConnectionError, match=r"within 0.5 s"):
            await at.live.hang_up(CALL)
        assert len(at.account.requests) == 2


# --- what nobody may read, and what may not be left ---------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "user", "secret"),
    [({}, ACCOUNT, TOKEN), ({"api_key": KEY, "api_secret": SECRET}, KEY, SECRET)],
)
@pytest.mark.parametrize("fault", [*(fault for fault, _, _ in FAULTS), "not_in_progress", "echo"])
async def test_no_credential_is_in_an_error_a_repr_or_a_log(
    fault: str, settings: dict[str, str], user: str, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    travelling = coded(user, secret)
    body = json.dumps({"code": 21200, "message": f"you sent {secret}, that is {travelling}"}).encode()
    given = RestFault(RestReply(400, body)) if fault == "echo" else fault
    async with desk(given, given, given, given, timeout=0.5, **settings) as at:
        given_to: dict[str, Any] = {"account_sid": ACCOUNT, "auth_token": TOKEN, **settings}
        texts = [repr(at.live), repr(Twilio(**given_to)), str(at.live)]
        for act in (
            partial(at.live.transfer, CALL, TransferOrder(HUMAN, LINKS)),
            partial(at.live.hang_up, CALL),
        ):
            try:
                await act()
            except PatterError as error:
                texts += [str(error), repr(error), repr(error.__cause__), str(error.__cause__)]
    texts += [record.getMessage() for record in caplog.records]
    assert len(texts) > 7
    assert not any(word in text for text in texts for word in (TOKEN, SECRET, travelling))
    assert any("you sent ***, that is ***" in text for text in texts) == (fault == "echo")


async def test_a_cancelled_request_leaves_no_task_and_no_connection() -> None:
    async with desk("hangs") as at:
        before = tasks()
        with trio.move_on_after(10) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(at.live.transfer, CALL, TransferOrder(HUMAN, LINKS))
                while not at.account.requests:
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        assert scope.cancelled_caught
        with trio.fail_after(2):
            while tasks() > before:  # the far side sees that we hung up
                await trio.lowlevel.checkpoint()
        await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        assert at.server.connections == 2


async def test_a_request_that_took_too_long_leaves_none_either() -> None:
    async with desk("hangs", timeout=0.1) as at:
        before = tasks()
        with pytest.raises(PatterConnectionError):
            await at.live.transfer(CALL, TransferOrder(HUMAN, LINKS))
        with trio.fail_after(2):
            while tasks() > before:
                await trio.lowlevel.checkpoint()


def coded(user: str, password: str) -> str:
    return b64encode(f"{user}:{password}".encode()).decode()


def body_of(call: str, status: str = "in-progress") -> bytes:
    return json.dumps({"sid": call, "status": status}).encode()


def tasks() -> int:
    """All tasks of this run."""
    root, found = trio.lowlevel.current_root_task(), 0
    waiting = [root] if root else []
    while waiting:
        task = waiting.pop()
        found += 1
        for nursery in task.child_nurseries:
            waiting += nursery.child_tasks
    return found
