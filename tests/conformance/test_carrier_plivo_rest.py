"""What Plivo is asked by REST: beside the vendor's own client, and when things go wrong."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from xml.etree.ElementTree import fromstring

import attrs
import plivo
import pytest
import trio
from requests import PreparedRequest, Response
from trio.testing import MockClock

from patter_trio import abc
from patter_trio.abc import WebhookRequest
from patter_trio.carriers.plivo import Plivo
from patter_trio.errors import (
    AuthenticationError,
    PatterConfigError,
    PatterConnectionError,
    ProviderError,
    RateLimitError,
    RemoteProtocolError,
)
from patter_trio.events import LINEAR_16K, CallInfo
from patter_trio.telephony import (
    CallOrder,
    CallState,
    Links,
    NumberRoute,
    Placed,
    RecordingSaved,
    Refusal,
    StreamOrder,
    TransferEnded,
    TransferOrder,
)
from patter_trio.testing.restapi import RestApi, RestFault, RestReply, RestRequest, RestTransport

ACCOUNT, TOKEN = "MAXXXXXXXXXXXXXXXXXX", "a-token-that-nobody-reads"
ROOT = f"/v1/Account/{ACCOUNT}"
CALL, REQUEST = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
OURS, THEIRS, DESK = "+15550100002", "+15550100001", "+15550100003"
LINKS = Links("https://voice.example.test", "plivo", "to-ken")
STREAM = StreamOrder("wss://voice.example.test/ws/plivo/one", LINKS)
INFO = CallInfo(CALL, THEIRS, OURS, "inbound", telephony_provider="plivo")
FIRED = {"message": "call fired", "request_uuid": REQUEST, "api_id": "x"}


class Account(RestApi):
    """Answers as a test says; what it does not know is not found."""

    def __init__(self, replies: dict[str, Any]) -> None:
        super().__init__()
        self.replies = replies

    def carry_out(self, request: RestRequest) -> RestReply:
        said = self.replies.get(f"{request.method} {request.target.removeprefix(ROOT)}")
        if said is None:
            return RestReply(404, b'{"api_id":"x","error":"not found"}')
        if isinstance(said, RestReply):
            return said
        return RestReply(204) if said == 204 else RestReply(202, json.dumps(said).encode())

    @property
    def asked(self) -> list[str]:
        return [f"{each.method} {each.target.removeprefix(ROOT)}" for each in self.requests]

    def body(self, number: int = -1) -> Any:
        return json.loads(self.requests[number].body)


@attrs.frozen
class Desk:
    live: Any
    account: Account

    def document(self, number: int = -1, field: str = "aleg_url") -> Any:
        """The document that Plivo was told to fetch, fetched."""
        reply = self.live.serve_document(WebhookRequest("POST", self.account.body(number)[field], {}))
        assert reply is not None
        return fromstring(reply.body)


@asynccontextmanager
async def desk(replies: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[Desk]:
    account = Account(replies or {})
    async with Plivo(ACCOUNT, TOKEN, transport=RestTransport(account), **settings).open() as live:
        yield Desk(live, account)


def theirs(act: Callable[[plivo.RestClient], object]) -> tuple[str, str, Any]:
    """What the vendor's own client sends."""
    sent: list[PreparedRequest] = []
    client = plivo.RestClient(ACCOUNT, TOKEN)

    def send(request: PreparedRequest, **_: object) -> Response:
        sent.append(request)
        response = Response()
        response.status_code, response._content = 202, b'{"api_id":"x"}'
        return response

    client.session.send = send
    act(client)
    (request,) = sent
    assert request.url is not None
    body = json.loads(request.body) if isinstance(request.body, (str, bytes)) else {}
    # It says again what the path says already.
    body = {name: value for name, value in body.items() if name not in ("call_uuid", "number")} or None
    return str(request.method), request.url.removeprefix("https://api.plivo.com"), body


def ours(account: Account, number: int = -1) -> tuple[str, str, Any]:
    request = account.requests[number]
    return request.method, request.target, json.loads(request.body) if request.body else None


# --- calls --------------------------------------------------------------------------------------------------


async def test_it_is_a_live_carrier_that_serves_documents() -> None:
    async with desk() as at:
        assert isinstance(at.live, abc.LiveCarrier)
        assert isinstance(at.live, abc.ServesDocuments)


async def test_a_call_is_placed_as_the_vendors_client_does() -> None:
    order = CallOrder(
        *(THEIRS, OURS, STREAM), ring_seconds=30, machine_detection=True, max_seconds=600, send_digits="1w2#"
    )
    async with desk({"POST /Call/": FIRED}) as at:
        assert await at.live.place(order) == Placed(request_id=REQUEST)
        method, path, body = ours(at.account)
        assert at.account.requests[0].headers["authorization"] == "Basic " + coded(ACCOUNT, TOKEN)
    expected = theirs(
        lambda client: client.calls.create(
            from_=OURS[1:],
            to_=THEIRS[1:],
            answer_url=LINKS.webhook("answer"),
            hangup_url=LINKS.webhook("status"),
            ring_url=LINKS.webhook("status"),
            ring_timeout=30,
            time_limit=600,
            send_digits="1w2#",
            machine_detection="true",
            machine_detection_url=LINKS.webhook("machine"),
        )
    )
    assert (method, path) == expected[:2]
    # Its client writes out defaults of what we do not use.
    assert body == {name: expected[2][name] for name in body}
    assert set(expected[2]) - set(body) == {"fallback_method", "error_if_parent_not_found"}


def coded(user: str, password: str) -> str:
    return b64encode(f"{user}:{password}".encode()).decode()


async def test_what_is_not_ordered_is_not_asked_for() -> None:
    async with desk({"POST /Call/": FIRED}) as at:
        await at.live.place(CallOrder("sip:desk@example.test", OURS, STREAM))
        assert at.account.body() == {
            "from": OURS[1:],
            "to": "sip:desk@example.test",
            "answer_url": LINKS.webhook("answer"),
            "answer_method": "POST",
            "ring_timeout": 25,
            "hangup_url": LINKS.webhook("status"),
            "hangup_method": "POST",
            "ring_url": LINKS.webhook("status"),
            "ring_method": "POST",
        }


@pytest.mark.parametrize(
    "change",
    [
        {"to": "911"},
        {"to": OURS},
        {"caller_id": "sip:a@b"},
        {"ring_seconds": 1},
        {"max_seconds": 0},
        {"send_digits": "hello"},
        {"stream": StreamOrder("ws://far.example.test", LINKS)},
    ],
)
async def test_an_order_that_cannot_be_meant_asks_nothing(change: dict[str, Any]) -> None:
    async with desk({"POST /Call/": FIRED}) as at:
        with pytest.raises(PatterConfigError):
            await at.live.place(attrs.evolve(CallOrder(THEIRS, OURS, STREAM), **change))
        assert at.account.requests == []


async def test_a_call_is_placed_once_whatever_happens() -> None:
    async with desk({"POST /Call/": FIRED}) as at:
        at.account.fail("server_error", "cuts", RestFault.named("garbage"))
        for expected in (ProviderError, PatterConnectionError, RemoteProtocolError):
            with pytest.raises(expected):
                await at.live.place(CallOrder(THEIRS, OURS, STREAM))
        assert len(at.account.requests) == 3


async def test_the_answer_opens_a_stream_in_the_format_that_is_set() -> None:
    async with desk(audio=LINEAR_16K) as at:
        stream = attrs.evolve(STREAM, parameters={"tenant": "t1"})
        (element,) = fromstring((await at.live.answer(INFO, stream)).body)
        assert element.text == STREAM.url
        assert element.get("contentType") == "audio/x-l16;rate=16000"
        assert element.get("extraHeaders") == "tenant=t1"
        assert element.get("statusCallbackUrl") == LINKS.webhook("stream")


async def test_a_call_that_shall_be_recorded_is_from_the_answer_on() -> None:
    async with desk({"POST /Call/": FIRED}) as at:
        await at.live.place(CallOrder(THEIRS, OURS, STREAM, record=True))
        record, _ = fromstring((await at.live.answer(INFO, STREAM)).body)
        assert (record.tag, record.get("callbackUrl")) == ("Record", LINKS.webhook("recording"))
        other = StreamOrder(STREAM.url, attrs.evolve(LINKS, token="another"))
        assert len(fromstring((await at.live.answer(INFO, other)).body)) == 1


async def test_a_call_is_refused_in_three_ways() -> None:
    async with desk() as at:
        busy = fromstring((await at.live.refuse(INFO, Refusal("busy"))).body)
        assert (busy[0].tag, busy[0].get("reason")) == ("Hangup", "busy")
        assert "rejected" in (await at.live.refuse(INFO, Refusal("rejected"))).body
        said = fromstring((await at.live.refuse(INFO, Refusal("said", "Bis bald.", "de-DE"))).body)
        assert [each.tag for each in said] == ["Speak", "Hangup"]
        assert (said[0].text, said[0].get("language")) == ("Bis bald.", "de-DE")


# --- how calls stand, and their end -------------------------------------------------------------------------

LIVE = {"call_uuid": CALL, "call_status": "in-progress", "direction": "inbound"}
LIVE |= {"from": THEIRS[1:], "to": OURS[1:]}
RECORD = {
    "call_uuid": CALL,
    "call_state": "BUSY",
    "call_duration": 0,
    "total_amount": "0.00500",
    "hangup_cause_name": "Busy Line",
    "hangup_cause_code": 3010,
}


@pytest.mark.parametrize(
    ("replies", "placed", "state"),
    [
        (
            {f"GET /Call/{CALL}/?status=live": LIVE},
            Placed(CALL, REQUEST),
            CallState("in_progress", detail="in-progress"),
        ),
        (
            {f"GET /Call/{CALL}/?status=live": {**LIVE, "call_status": "ringing"}},
            Placed(CALL),
            CallState("ringing", detail="ringing"),
        ),
        (
            {f"GET /Call/{CALL}/": RECORD},
            Placed(CALL),
            CallState("ended", "busy", "busy: Busy Line (3010)", 0.0, "0.00500 USD"),
        ),
        (
            {f"GET /Call/{CALL}/": {**RECORD, "call_state": "ANSWER", "call_duration": 61}},
            Placed(CALL),
            CallState("ended", "completed", "completed: Busy Line (3010)", 61.0, "0.00500 USD"),
        ),
        (
            {f"GET /Call/{REQUEST}/?status=queued": {"call_uuid": REQUEST, "call_status": "queued"}},
            Placed(request_id=REQUEST),
            CallState("queued", detail="queued"),
        ),
        (
            {f"GET /Call/{REQUEST}/": RECORD},
            Placed(request_id=REQUEST),
            CallState("ended", "busy", "busy: Busy Line (3010)", 0.0, "0.00500 USD"),
        ),
    ],
)
async def test_how_a_call_stands(replies: dict[str, Any], placed: Placed, state: CallState) -> None:
    async with desk(replies) as at:
        assert await at.live.read_state(placed) == state


async def test_a_call_that_nobody_knows_and_one_that_cannot_be_read() -> None:
    async with desk({f"GET /Call/{CALL}/?status=live": {**LIVE, "call_status": "melted"}}) as at:
        with pytest.raises(RemoteProtocolError, match="melted"):
            await at.live.read_state(Placed(CALL))
        with pytest.raises(ProviderError, match="knows no call"):
            await at.live.read_state(Placed(request_id=REQUEST))


async def test_a_call_ends_as_the_vendors_client_ends_it() -> None:
    async with desk({f"DELETE /Call/{CALL}/": 204}) as at:
        await at.live.hang_up(CALL)
        assert ours(at.account) == theirs(lambda client: client.calls.delete(CALL))


async def test_a_call_that_is_over_can_be_ended() -> None:
    async with desk() as at:
        await at.live.hang_up(CALL)
        await at.live.cancel(Placed(CALL))
        await at.live.cancel(Placed(request_id=REQUEST))
        assert at.account.asked == [
            f"DELETE /Call/{CALL}/",
            f"DELETE /Call/{CALL}/",
            f"DELETE /Request/{REQUEST}/",
            f"DELETE /Call/{REQUEST}/",
        ]


async def test_a_request_is_canceled_as_the_vendors_client_does() -> None:
    async with desk({f"DELETE /Request/{REQUEST}/": 204}) as at:
        await at.live.cancel(Placed(request_id=REQUEST))
        assert ours(at.account)[:2] == theirs(lambda client: client.calls.cancel(REQUEST))[:2]
        assert len(at.account.requests) == 1


@pytest.mark.parametrize(
    "bad", ["", "/", "..", "x", CALL + "/", CALL + "\n", CALL[:-1], " " + CALL, f"{CALL}?a"]
)
async def test_no_request_about_a_call_goes_out_without_its_id(bad: str) -> None:
    """``DELETE Call/`` would hang up every call of the account."""
    async with desk() as at:
        acts: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: at.live.hang_up(bad),
            lambda: at.live.cancel(Placed(bad)) if bad else at.live.cancel(Placed()),
            lambda: at.live.cancel(Placed(request_id=bad)),
            lambda: at.live.read_state(Placed(bad)) if bad else at.live.read_state(Placed()),
            lambda: at.live.speak(bad, "hello"),
            lambda: at.live.transfer(bad, TransferOrder(DESK, LINKS)),
            lambda: at.live.transfer(bad, TransferOrder(DESK, LINKS, "warm", OURS)),
            lambda: at.live.start_recording(bad, LINKS),
            lambda: at.live.stop_recording(bad, "r1"),
            lambda: at.live.take_back(TransferEnded(bad, False), attrs.evolve(INFO, call_id=bad), STREAM),
        )
        for act in acts:
            with pytest.raises(PatterConfigError):
                await act()
        assert at.account.requests == []


async def test_ending_is_asked_again_after_failures(autojump_clock: MockClock) -> None:
    async with desk({f"DELETE /Call/{CALL}/": 204}) as at:
        at.account.fail("server_error", "cuts")
        await at.live.hang_up(CALL)
        assert len(at.account.requests) == 3


async def test_every_request_has_a_deadline(autojump_clock: MockClock) -> None:
    async with desk(timeout=3.0) as at:
        at.account.fail("hangs")
        began = trio.current_time()
        with pytest.raises(PatterConnectionError, match=r"within 3 s|broke off"):
            await at.live.check()
        assert trio.current_time() - began <= 3.0


# --- transfers ----------------------------------------------------------------------------------------------

TRANSFERRED = {f"POST /Call/{CALL}/": {"message": "call transferred"}}


async def test_a_cold_transfer_is_a_request_and_a_document_that_is_fetched() -> None:
    async with desk(TRANSFERRED) as at:
        await at.live.transfer(CALL, TransferOrder(DESK, LINKS, caller_id=OURS, ring_seconds=15))
        url = at.account.body()["aleg_url"]
        assert url.startswith(LINKS.webhook("document") + "&ref=")
        expected = theirs(
            lambda client: client.calls.update(CALL, legs="aleg", aleg_url=url, aleg_method="POST")
        )
        assert ours(at.account) == expected
        (call,) = at.document()
        assert call.attrib == {
            "action": LINKS.webhook("transfer"),
            "method": "POST",
            "redirect": "true",
            "timeout": "15",
            "callerId": OURS[1:],
        }
        assert [(each.tag, each.text) for each in call] == [("Number", DESK[1:])]


async def test_a_document_is_kept_for_a_while_and_for_its_own_call(autojump_clock: MockClock) -> None:
    async with desk(TRANSFERRED) as at:
        await at.live.transfer(CALL, TransferOrder(DESK, LINKS))
        url = at.account.body()["aleg_url"]

        def fetch(url: str) -> object:
            return at.live.serve_document(WebhookRequest("POST", url, {}))

        assert fetch(url) == fetch(url)
        assert fetch(url) is not None
        for wrong in (url.replace("to-ken", "another"), url + "x", url.partition("&")[0], "nonsense"):
            assert fetch(wrong) is None
        await trio.sleep(901)
        assert fetch(url) is None


async def test_documents_that_nobody_fetches_are_dropped() -> None:
    async with desk(TRANSFERRED) as at:
        await at.live.transfer(CALL, TransferOrder(DESK, LINKS))
        for number in range(4096):
            at.live._left.leave(str(number), "token", trio.current_time())
        assert len(at.live._left) == 4096
        assert at.live.serve_document(WebhookRequest("POST", at.account.body()["aleg_url"], {})) is None


async def test_a_warm_transfer_calls_the_human_and_has_the_caller_wait() -> None:
    order = TransferOrder(DESK, LINKS, "warm", summary="Wants a refund.", ring_seconds=40)
    replies = {**TRANSFERRED, "POST /Call/": FIRED, f"GET /Call/{CALL}/?status=live": LIVE}
    async with desk(replies) as at:
        await at.live.transfer(CALL, order)
        assert at.account.asked == [
            f"GET /Call/{CALL}/?status=live",
            "POST /Call/",
            f"POST /Call/{CALL}/",
        ]
        leg = at.account.body(1)
        assert (leg["from"], leg["to"], leg["ring_timeout"]) == (OURS[1:], DESK[1:], 40)
        assert leg["hangup_url"] == f"{LINKS.webhook('leg')}&of={CALL}"
        speak, join = at.document(1, "answer_url")
        (wait,) = at.document(2)
    assert speak.text == "Wants a refund."
    assert (join.tag, join.text) == (wait.tag, wait.text) == ("MultiPartyCall", wait.text)
    assert (join.get("startMpcOnEnter"), wait.get("startMpcOnEnter")) == ("true", "false")
    assert wait.get("onExitActionUrl") == LINKS.webhook("transfer")


async def test_our_number_of_a_call_that_went_out_is_the_one_it_came_from() -> None:
    live = {**LIVE, "direction": "outbound", "from": OURS[1:], "to": THEIRS[1:]}
    replies = {**TRANSFERRED, "POST /Call/": FIRED, f"GET /Call/{CALL}/?status=live": live}
    async with desk(replies) as at:
        await at.live.transfer(CALL, TransferOrder(DESK, LINKS, "warm"))
        assert at.account.body(1)["from"] == OURS[1:]


async def test_a_human_who_cannot_be_called_leaves_the_caller_alone() -> None:
    async with desk(TRANSFERRED) as at:
        with pytest.raises(ProviderError):
            await at.live.transfer(CALL, TransferOrder(DESK, LINKS, "warm", OURS))
        assert at.account.asked == ["POST /Call/"]


async def test_a_caller_who_cannot_be_moved_ends_the_humans_call() -> None:
    async with desk({"POST /Call/": FIRED, f"DELETE /Request/{REQUEST}/": 204}) as at:
        with pytest.raises(ProviderError, match="404"):
            await at.live.transfer(CALL, TransferOrder(DESK, LINKS, "warm", OURS))
        assert at.account.asked[-1] == f"DELETE /Request/{REQUEST}/"


async def test_a_cancelled_warm_transfer_ends_the_humans_call(autojump_clock: MockClock) -> None:
    async with desk({"POST /Call/": FIRED, f"DELETE /Request/{REQUEST}/": 204}) as at:
        at.account.fail(RestFault(RestReply(201, json.dumps(FIRED).encode())), "hangs")
        with trio.move_on_after(1):
            await at.live.transfer(CALL, TransferOrder(DESK, LINKS, "warm", OURS))
        assert at.account.asked[-1] == f"DELETE /Request/{REQUEST}/"


async def test_a_call_without_a_number_of_ours_needs_one_to_be_shown() -> None:
    replies = {f"GET /Call/{CALL}/?status=live": {**LIVE, "to": "sip:x@y"}}
    async with desk(replies) as at:
        with pytest.raises(PatterConfigError, match="caller_id"):
            await at.live.transfer(CALL, TransferOrder(DESK, LINKS, "warm"))
        with pytest.raises(ProviderError, match="call is over"):
            await at.live.transfer(REQUEST, TransferOrder(DESK, LINKS, "warm"))


async def test_a_caller_is_taken_back_in_the_answer_or_by_a_document() -> None:
    async with desk(TRANSFERRED) as at:
        reply = await at.live.take_back(TransferEnded(CALL, False, wants_document=True), INFO, STREAM)
        assert fromstring(reply.body)[0].text == STREAM.url
        assert at.account.requests == []
        assert (await at.live.take_back(TransferEnded(CALL, False), INFO, STREAM)).body == ""
        assert at.document()[0].text == STREAM.url


async def test_the_carriers_voice_speaks_in_a_call_that_was_answered_here() -> None:
    async with desk(TRANSFERRED) as at:
        with pytest.raises(PatterConfigError, match="not answered by this session"):
            await at.live.speak(CALL, "hello")
        await at.live.answer(INFO, STREAM)
        await at.live.speak(CALL, "Hallo.", language="de-DE")
        speak, over = at.document()
        assert (speak.text, speak.get("language"), over.tag) == ("Hallo.", "de-DE", "Hangup")


# --- recordings ---------------------------------------------------------------------------------------------


async def test_a_recording_begins_as_the_vendors_client_begins_it() -> None:
    said = {
        "url": "https://media.plivo.com/r1.wav",
        "recording_id": "r1",
        "message": "call recording started",
    }
    async with desk({f"POST /Call/{CALL}/Record/": said, f"DELETE /Call/{CALL}/Record/": 204}) as at:
        assert await at.live.start_recording(CALL, LINKS) == "r1"
        assert ours(at.account) == theirs(
            lambda client: client.calls.record(
                CALL,
                time_limit=14400,
                file_format="wav",
                record_channel_type="stereo",
                callback_url=LINKS.webhook("recording"),
                callback_method="POST",
            )
        )
        await at.live.stop_recording(CALL, "r1")
        at.account.replies.clear()
        await at.live.stop_recording(CALL, "r1")


async def test_a_recording_is_fetched_with_credentials_from_plivo_only() -> None:
    sound = RestReply(200, b"RIFF....")
    async with desk({"GET /r1.wav": sound}) as at:
        for host, shown in (("media.plivo.com", True), ("s3.example.test", False), ("xplivo.com", False)):
            saved = RecordingSaved(CALL, "r1", f"https://{host}/r1.wav")
            async with at.live.fetch_recording(saved) as pieces:
                assert b"".join([piece async for piece in pieces]) == b"RIFF...."
            assert ("authorization" in at.account.requests[-1].headers) is shown


@pytest.mark.parametrize(
    "url", ["http://media.plivo.com/r1.wav", "https://u:p@media.plivo.com/r", "https://[", "x"]
)
async def test_a_recording_at_a_strange_address_is_not_fetched(url: str) -> None:
    async with desk() as at:
        with pytest.raises(RemoteProtocolError):
            async with at.live.fetch_recording(RecordingSaved(CALL, "r1", url)):
                pass
        with pytest.raises(ProviderError, match="no address"):
            async with at.live.fetch_recording(RecordingSaved(CALL, "r1")):
                pass
        assert at.account.requests == []
        with pytest.raises(ProviderError, match="404"):
            async with at.live.fetch_recording(RecordingSaved(CALL, "r1", "https://media.plivo.com/r2")):
                pass


# --- the account --------------------------------------------------------------------------------------------

NUMBER = f"/Number/{OURS[1:]}/"
SHARED = {"app_id": "11", "app_name": "shared", "answer_url": "https://old.example.test/a"}
SHARED |= {"hangup_url": "https://old.example.test/h", "answer_method": "GET", "hangup_method": "POST"}
POINTS = {"number": OURS[1:], "application": f"{ROOT}/Application/11/"}
OWN = f"patter-trio-{OURS[1:]}"
PAGE = "GET /Application/?limit=20&offset="
VOICE = "https://voice.example.test/webhooks/plivo/voice"


async def test_the_account_has_a_name() -> None:
    async with desk({"GET /": {"auth_id": ACCOUNT, "name": "Ada"}}) as at:
        assert await at.live.check() == "Ada"
        at.account.replies["GET /"] = {"auth_id": "MAother"}
        with pytest.raises(RemoteProtocolError):
            await at.live.check()


async def test_a_number_goes_where_its_application_says() -> None:
    async with desk({f"GET {NUMBER}": POINTS, "GET /Application/11/": SHARED}) as at:
        route = await at.live.read_number(OURS)
        assert (route.voice_url, route.status_url) == (SHARED["answer_url"], SHARED["hangup_url"])
        assert (route.previous["app_id"], route.previous["app_name"]) == ("11", "shared")
        at.account.replies[f"GET {NUMBER}"] = {"number": OURS[1:], "application": None}
        assert await at.live.read_number(OURS) == NumberRoute(OURS)
        with pytest.raises(ProviderError, match="no number"):
            await at.live.read_number(DESK)
        with pytest.raises(PatterConfigError):
            await at.live.read_number("15550100002/..")


async def test_a_number_gets_an_application_of_its_own_and_a_shared_one_stays_as_it_is() -> None:
    replies = {
        f"GET {NUMBER}": POINTS,
        "GET /Application/11/": SHARED,
        f"{PAGE}0": {"objects": [SHARED] * 20},
        f"{PAGE}20": {"objects": [SHARED]},
        "POST /Application/": {"app_id": "12", "message": "created"},
        f"POST {NUMBER}": {"message": "changed"},
    }
    async with desk(replies) as at:
        before = await at.live.route_number(OURS, VOICE, "https://voice.example.test/h")
        assert before.previous["app_id"] == "11"
        assert ours(at.account) == theirs(lambda client: client.numbers.update(OURS[1:], app_id="12"))
        method, path, body = ours(at.account, -2)
        expected = theirs(
            lambda client: client.applications.create(
                OWN, answer_url=VOICE, hangup_url="https://voice.example.test/h"
            )
        )
        assert (method, path) == expected[:2]
        assert body == {name: expected[2][name] for name in body}
        assert not any(each.startswith("POST /Application/11") for each in at.account.asked)


async def test_an_application_of_its_own_is_found_again_and_not_made_twice() -> None:
    own = {**SHARED, "app_id": "12", "app_name": OWN}
    replies = {
        f"GET {NUMBER}": POINTS,
        "GET /Application/11/": SHARED,
        f"{PAGE}0": {"objects": [SHARED, own]},
        "POST /Application/12/": {"message": "changed"},
        f"POST {NUMBER}": {"message": "changed"},
        "GET /Application/12/": own,
    }
    async with desk(replies) as at:
        await at.live.route_number(OURS, VOICE)
        assert at.account.body(-2) == {"answer_url": VOICE, "answer_method": "POST"}
        at.account.replies[f"GET {NUMBER}"] = {**POINTS, "application": f"{ROOT}/Application/12/"}
        at.account.requests.clear()
        await at.live.route_number(OURS, VOICE)
        assert at.account.asked == [f"GET {NUMBER}", "GET /Application/12/", "POST /Application/12/"]


async def test_nothing_else_makes_or_changes_an_application() -> None:
    async with desk({"POST /Call/": FIRED, "GET /": {"auth_id": ACCOUNT}}) as at:
        await at.live.check()
        await at.live.answer(INFO, STREAM)
        await at.live.place(CallOrder(THEIRS, OURS, STREAM))
        assert not any("Application" in each or "Number" in each for each in at.account.asked)


# --- what goes wrong ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (RestReply(401, b"{}"), AuthenticationError, "auth_token="),
        (RestReply(429, b"{}", {"Retry-After": "7"}), RateLimitError, "in 7 s"),
        (RestReply(429, b"{}"), RateLimitError, "in 5 s"),
        (RestReply(400, b'{"error":"from is invalid"}'), ProviderError, r"from is invalid \(400\)"),
        (RestReply(400, b'{"error":{"to":["bad"]}}'), ProviderError, r'"to":\["bad"\]'),
        (RestReply(404, b'{"error":"gone"}'), ProviderError, "may be over"),
        (RestReply(405, b"<html>"), ProviderError, r"an error \(405\)"),
        (RestReply(403, f'{{"error":"{TOKEN}"}}'.encode()), ProviderError, r"\*\*\* \(403\)"),
        (RestReply(200, b"<html>"), RemoteProtocolError, "does not describe"),
        (RestReply(201, b'{"request_uuid":"x"}'), RemoteProtocolError, "does not describe"),
        (RestReply(201, b'{"request_uuid":["x"]}'), RemoteProtocolError, "does not describe"),
    ],
)
async def test_refusals_are_errors_with_the_carriers_words(
    reply: RestReply, error: type[Exception], said: str
) -> None:
    async with desk({"POST /Call/": reply}) as at:
        with pytest.raises(error, match=said) as raised:
            await at.live.place(CallOrder(THEIRS, OURS, STREAM))
        assert TOKEN not in str(raised.value)
        assert coded(ACCOUNT, TOKEN) not in repr(at.live)
