"""The simulated Twilio's REST API, checked by the vendor's own client; and what it does to a running call."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast
from urllib.parse import urlencode

import attrs
import pytest
import trio
from trio.testing import MockClock
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse

from patter_trio._server.app import build_app
from patter_trio._server.house import UpgradeRequest
from patter_trio._wire.twiml import DialAnswer, SayAnswer, connect_stream, dial
from patter_trio.abc import MediaSocket
from patter_trio.carriers import Twilio
from patter_trio.errors import PatterConfigError
from patter_trio.telephony import Links, TransferOrder
from patter_trio.testing import (
    Caller,
    CallOutcome,
    MemoryLine,
    RestFault,
    RestReply,
    RestRequest,
    RestServer,
    SimulatedTwilio,
    TwilioAccount,
    open_rest,
)

from .toy_agent import TOKEN, ToyAgent

ACCOUNT = "AC00000000000000000000000000000001"
KEY, SECRET = "SK00000000000000000000000000000001", "secret"
CALL = "CA00000000000000000000000000000001"
HUMAN = "+15550109999"
LINKS = Links("https://voice.example.test", "twilio", "token")


@pytest.fixture(autouse=True)
def straight_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class ToLoopback(TwilioHttpClient):  # type: ignore[misc]  # the vendor's client has no types
    """The vendor's HTTP client, whose requests go to this machine."""

    def __init__(self, base_url: str) -> None:
        super().__init__(timeout=5)
        self._base_url = base_url

    def request(self, method: str, url: str, *args: Any, **more: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._base_url), *args, **more)


@asynccontextmanager
async def vendor(
    server: RestServer, user: str = ACCOUNT, password: str = TOKEN
) -> AsyncIterator[Callable[..., Any]]:
    """Acts on the call with the vendor's client, in a thread."""
    http = ToLoopback(server.url)
    client = Client(user, password, account_sid=ACCOUNT, http_client=http)

    async def act(verb: str, call: str = CALL, **arguments: str) -> Any:
        return await trio.to_thread.run_sync(partial(getattr(client.calls(call), verb), **arguments))

    try:
        yield act
    finally:
        if http.session is not None:
            http.session.close()


@asynccontextmanager
async def serving(*faults: RestFault | str) -> AsyncIterator[RestServer]:
    account = TwilioAccount(ACCOUNT, TOKEN, {KEY: SECRET})
    account.begin(CALL, caller="+15557654321", callee="+15550001234")
    account.fail(*faults)
    async with open_rest(account) as server:
        yield server


# --- the vendor's client ------------------------------------------------------------------------------------


async def test_the_vendors_client_reads_a_call() -> None:
    async with serving() as server, vendor(server) as act:
        call = await act("fetch")
    assert (call.sid, call.account_sid, call.status) == (CALL, ACCOUNT, "in-progress")
    assert (call._from, call.to, call.direction) == ("+15557654321", "+15550001234", "inbound")
    assert call.start_time.year == 2025


async def test_the_vendors_client_transfers_a_call() -> None:
    response = VoiceResponse()
    dialled: Any = response.dial(caller_id="+15550001234", timeout=25)
    dialled.number(HUMAN)
    response.say("Goodbye.")
    async with serving() as server, vendor(server) as act:
        call = await act("update", twiml=str(response))
        assert call.status == "in-progress"
        (dialled,) = server.account.calls[CALL].instructions
    assert dialled == DialAnswer(HUMAN, "Goodbye.", "+15550001234", "en-US", 25)


async def test_the_vendors_client_sends_what_we_send() -> None:
    async with serving() as server, vendor(server) as act:
        settings = Twilio(account_sid=ACCOUNT, auth_token=TOKEN, base_url=server.url)
        async with settings.open() as live:
            await live.transfer(CALL, TransferOrder(HUMAN, LINKS))
            await live.hang_up(CALL)
        document = dial(HUMAN, action=LINKS.webhook("transfer"))
        server.account.calls[CALL].status = "in-progress"
        await act("update", twiml=document)
        await act("update", status="completed")
        ours, our_end, theirs, their_end = server.account.requests
    for mine, other in ((ours, theirs), (our_end, their_end)):
        assert (mine.method, mine.target, mine.form) == (other.method, other.target, other.form)
        assert mine.headers["authorization"] == other.headers["authorization"]
        assert mine.headers["content-type"] == other.headers["content-type"]


async def test_the_vendors_client_hangs_up() -> None:
    async with serving() as server, vendor(server, KEY, SECRET) as act:
        assert (await act("update", status="completed")).status == "completed"
        assert (await act("fetch")).status == "completed"
        await refused(act("update", status="completed"), 400, 21220)


async def test_the_vendors_client_reads_our_refusals() -> None:
    async with serving() as server:
        async with vendor(server, password="wrong") as act:
            await refused(act("fetch"), 401, 20003)
        async with vendor(server) as act:
            await refused(act("fetch", call="CA" + "9" * 32), 404, 20404)
            await refused(act("update", status="ringing"), 400, 21200)
            await refused(act("update", url="https://voice.example.test/twiml"), 400, 21200)
            await refused(act("update", twiml="x" * 4001), 400, 21200)
            await refused(act("update", twiml=connect_stream("wss://voice.example.test/", {})), 400, 21200)
            assert (await act("update", status="canceled")).status == "in-progress"
        assert server.account.calls[CALL].instructions == []


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("unauthorized", 401, 20003),
        ("not_found", 404, 20404),
        ("not_in_progress", 400, 21220),
        ("too_many", 429, 20429),
        ("server_error", 503, 503),
    ],
)
async def test_faults_on_demand_are_the_carriers(fault: str, status: int, code: int) -> None:
    async with serving(fault) as server, vendor(server) as act:
        await refused(act("update", status="completed"), status, code)
        assert (await act("fetch")).status == "in-progress"


async def test_a_connection_can_be_cut_although_the_request_was_carried_out() -> None:
    async with serving(RestFault.named("cuts", is_carried_out=True)) as server, vendor(server) as act:
        with pytest.raises(OSError, match="closed connection"):
            await act("update", status="completed")
        assert (await act("fetch")).status == "completed"


async def test_a_server_survives_what_is_no_request() -> None:
    async with serving() as server:
        port = int(server.url.rpartition(":")[2])
        for noise in (
            b"\x16\x03\x01 no HTTP\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx",
        ):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(noise)
        async with vendor(server) as act:
            assert (await act("fetch")).sid == CALL


async def refused(action: Any, status: int, code: int) -> None:
    with pytest.raises(TwilioRestException) as raised:
        await action
    assert (raised.value.status, raised.value.code) == (status, code)


def test_a_fault_must_have_a_known_name() -> None:
    with pytest.raises(PatterConfigError, match="too_many"):
        TwilioAccount(ACCOUNT, TOKEN).fail("flood")


@pytest.mark.parametrize(
    ("method", "content_type", "authorization", "status"),
    [
        ("POST", "application/json", "", 401),
        ("POST", "application/json", "Basic \xff", 401),
        ("POST", "application/json", f"Bearer {TOKEN}", 401),
        ("POST", "application/json", "right", 415),
        ("DELETE", "application/x-www-form-urlencoded", "right", 405),
    ],
)
def test_requests_that_are_none_of_theirs(
    method: str, content_type: str, authorization: str, status: int
) -> None:
    account = TwilioAccount("a", "b")
    account.begin(CALL)
    headers = {
        "content-type": content_type,
        "authorization": "Basic YTpi" if authorization == "right" else authorization,
    }
    request = RestRequest(method, f"/2010-04-01/Accounts/a/Calls/{CALL}.json", headers)
    assert account.answer(request).status == status
    assert account.requests == [request]


# --- a running call -----------------------------------------------------------------------------------------


@attrs.define(eq=False)
class UpAgent(ToyAgent):
    """A toy agent that says when its media stream is up."""

    up: trio.Event = attrs.field(factory=trio.Event)

    async def run_media(self, socket: MediaSocket, upgrade: UpgradeRequest) -> None:
        self.up.set()
        await super().run_media(socket, upgrade)


async def call_with(twilio: SimulatedTwilio, agent: UpAgent, act: Callable[[str], Any]) -> CallOutcome:
    """A call of a patient caller, on which somebody acts once it is up."""
    outcomes: list[CallOutcome] = []

    async def place() -> None:
        outcomes.append(await twilio.call(MemoryLine(app_of(agent)), Caller().waits_for_hang_up(timeout=20)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(place)
        await agent.up.wait()
        (call_sid,) = twilio.account.calls
        await act(call_sid)
    return outcomes[0]


def in_memory(twilio: SimulatedTwilio, **form: str) -> Callable[[str], Any]:
    """Acts on a call without a socket, so that it may be done in virtual time."""

    async def act(call_sid: str) -> None:
        user = b64encode(f"{twilio.account_sid}:{twilio.auth_token}".encode()).decode()
        headers = {"content-type": "application/x-www-form-urlencoded", "authorization": f"Basic {user}"}
        target = f"/2010-04-01/Accounts/{twilio.account_sid}/Calls/{call_sid}.json"
        reply: RestReply = twilio.account.answer(
            RestRequest("POST", target, headers, urlencode(form).encode())
        )
        assert reply.status == 200
        await trio.lowlevel.checkpoint()

    return act


def app_of(agent: ToyAgent) -> Any:
    return cast("Any", build_app(agent))


async def test_a_transfer_ends_the_media_stream_with_a_stop_and_the_call_goes_on(
    autojump_clock: MockClock,
) -> None:
    agent, twilio = UpAgent(greeting="hello"), SimulatedTwilio()
    act = in_memory(twilio, Twiml=dial(HUMAN, action="https://voice.example.test/transfer"))
    outcome = await call_with(twilio, agent, act)
    assert (outcome.ended_by, outcome.transferred_to) == ("transferred", HUMAN)
    assert outcome.ok, outcome.steps
    assert outcome.to_json()["transferred_to"] == HUMAN
    assert (agent.stops, agent.ends) == (1, 1)
    (call,) = twilio.account.calls.values()
    assert call.status == "in-progress"


@pytest.mark.parametrize(
    ("form", "violations"),
    [
        ({"Status": "completed"}, []),
        ({"Twiml": "<Response><Say>Goodbye.</Say></Response>"}, []),
        ({"Twiml": "<Response><Dial>"}, ["unusable TwiML"]),
    ],
)
async def test_a_call_that_is_ended_by_rest_was_ended_by_the_agents_side(
    form: dict[str, str], violations: list[str], autojump_clock: MockClock
) -> None:
    agent, twilio = UpAgent(greeting="hello"), SimulatedTwilio()
    outcome = await call_with(twilio, agent, in_memory(twilio, **form))
    assert (outcome.ended_by, outcome.transferred_to, agent.stops) == ("agent", "", 1)
    assert [violation.kind for violation in outcome.violations] == violations
    (call,) = twilio.account.calls.values()
    assert call.status == "completed"
    if "Say" in form.get("Twiml", ""):
        assert call.instructions == [SayAnswer("Goodbye.")]


async def test_a_call_that_the_caller_ended_cannot_be_transferred(autojump_clock: MockClock) -> None:
    twilio = SimulatedTwilio()
    line = MemoryLine(app_of(ToyAgent(greeting="hello")))
    outcome = await twilio.call(line, Caller().waits(0.2).hangs_up())
    assert outcome.ended_by == "caller"
    (call,) = twilio.account.calls.values()
    assert call.status == "completed"


async def test_the_real_carrier_class_transfers_a_call_over_real_sockets() -> None:
    agent, twilio = UpAgent(greeting="hello"), SimulatedTwilio()
    async with open_rest(twilio.account) as rest:
        settings = Twilio(account_sid=twilio.account_sid, auth_token=twilio.auth_token, base_url=rest.url)
        async with settings.open() as live:

            async def act(call_sid: str) -> None:
                await live.transfer(call_sid, TransferOrder(HUMAN, LINKS))

            with trio.fail_after(20):
                outcome = await call_with(twilio, agent, act)
    assert (outcome.ended_by, outcome.transferred_to, agent.stops) == ("transferred", HUMAN, 1)
