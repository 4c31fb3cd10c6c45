"""Everything Twilio is asked for, request by request; the vendor's own client says what such a request is."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import httpx2
import pytest
import trio
import trio.testing
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from patter_trio import abc
from patter_trio._wire.twiml import SayAnswer, StreamAnswer, connect_stream, parse_answer
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
from patter_trio.events import CallInfo
from patter_trio.telephony import (
    CallOrder,
    CallState,
    Links,
    NumberRoute,
    Placed,
    RecordingSaved,
    StreamOrder,
    TransferEnded,
    TransferOrder,
)

TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT = "AC00000000000000000000000000000001"
CALL = "CA00000000000000000000000000000001"
LEG = "CA00000000000000000000000000000002"
RECORDING = "RE00000000000000000000000000000001"
PHONE = "PN00000000000000000000000000000001"
OURS, THEIRS, HUMAN = "+15550001234", "+15557654321", "+15550109999"
LINKS = Links("https://voice.example.test", "twilio", "token")
STREAM = StreamOrder("wss://voice.example.test/ws/twilio/t", LINKS, {"a": "b"})
ORDER = CallOrder(THEIRS, OURS, STREAM)
WARM = TransferOrder(HUMAN, LINKS, mode="warm", caller_id=OURS, summary="Ann asks.", language="en-GB")
API = f"/2010-04-01/Accounts/{ACCOUNT}"
SAVED = RecordingSaved(CALL, RECORDING, f"https://api.twilio.com{API}/Recordings/{RECORDING}")


@attrs.frozen
class Asked:
    """A request as the carrier got it."""

    method: str
    path: str
    fields: list[tuple[str, str]]

    def __getitem__(self, name: str) -> str:
        return dict(self.fields)[name]


class Far:
    """A REST API that gives prepared answers in order, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []
        self.requests: list[httpx2.Request] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        parts = urlsplit(str(request.url))
        fields = parse_qsl(request.content.decode() or parts.query, keep_blank_values=True)
        self.asked.append(Asked(request.method, parts.path, fields))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if answer == "hangs":
            await trio.sleep_forever()
        return answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer)


@asynccontextmanager
async def opened(far: Far, **settings: Any) -> AsyncIterator[abc.LiveCarrier]:
    given = {"account_sid": ACCOUNT, "auth_token": TOKEN, **settings}
    carrier: abc.Carrier = Twilio(**given, transport=httpx2.MockTransport(far))
    async with carrier.open() as live:
        yield live


def call(status: str = "in-progress", sid: str = CALL, **more: Any) -> dict[str, Any]:
    return {"sid": sid, "status": status, "to": OURS, "from": THEIRS, "direction": "inbound", **more}


def refusal(status: int, code: int, message: str = "no") -> httpx2.Response:
    return httpx2.Response(status, json={"code": code, "message": message, "status": status})


def number(**fields: str | None) -> dict[str, Any]:
    return {"sid": PHONE, "phone_number": OURS, "voice_url": "https://old.test/", **fields}


class Recorder(HttpClient):  # type: ignore[misc]
    """The vendor's client with its network taken away."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger("vendor"), False)
        self.asked: list[Asked] = []

    def request(
        self, method: str, url: str, params: Any = None, data: Any = None, *_: Any, **__: Any
    ) -> Response:
        fields = [
            (name, each)
            for name, value in (data or params or {}).items()
            for each in (value if isinstance(value, list) else [value])
        ]
        pairs = [(n, str(v).lower() if isinstance(v, bool) else str(v)) for n, v in fields]
        self.asked.append(Asked(method, urlsplit(url).path, pairs))
        body = {"sid": CALL, "incoming_phone_numbers": [], "meta": {"key": "incoming_phone_numbers"}}
        return Response(200, json.dumps(body))


def by_the_vendor(act: Callable[[Any], object]) -> Asked:
    recorder = Recorder()
    act(Client(ACCOUNT, TOKEN, http_client=recorder))
    (asked,) = recorder.asked
    return asked


def same(ours: Asked, theirs: Asked) -> bool:
    return (ours.method, ours.path, sorted(ours.fields)) == (
        theirs.method,
        theirs.path,
        sorted(theirs.fields),
    )


RECORDED = {
    "recording_channels": "dual",
    "recording_track": "both",
    "trim": "do-not-trim",
    "recording_status_callback": LINKS.webhook("recording"),
    "recording_status_callback_method": "POST",
}
EVENTS = ["initiated", "ringing", "answered", "completed"]
STATUS = {"status_callback": LINKS.webhook("status"), "status_callback_method": "POST"}


# --- calls that go out --------------------------------------------------------------------------------------


async def test_an_open_carrier_is_a_live_one_without_keys() -> None:
    async with opened(Far()) as live:
        assert isinstance(live, abc.LiveCarrier)
        assert not isinstance(live, abc.SendsDigits)
        assert not isinstance(Twilio(auth_token=TOKEN).open_wire(), abc.WritesDigits)


async def test_a_call_is_placed_as_by_the_vendor() -> None:
    far = Far(httpx2.Response(201, json=call("queued")))
    async with opened(far) as live:
        placed = await live.place(ORDER)
    document = connect_stream(STREAM.url, STREAM.parameters, status_callback=LINKS.webhook("stream"))
    given = {"to": THEIRS, "from_": OURS, "twiml": document, "timeout": 25}
    theirs = by_the_vendor(lambda it: it.calls.create(**given, **STATUS, status_callback_event=EVENTS))
    assert same(far.asked[0], theirs)
    assert placed == Placed(CALL)


async def test_a_call_with_everything_is_placed_as_by_the_vendor() -> None:
    far = Far(call("queued"))
    everything = attrs.evolve(
        ORDER, ring_seconds=40, machine_detection=True, max_seconds=300, record=True, to="sip:a@b.test"
    )
    async with opened(far) as live:
        await live.place(everything)
    theirs = by_the_vendor(
        lambda it: it.calls.create(
            to="sip:a@b.test", from_=OURS, twiml=far.asked[0]["Twiml"], timeout=40, time_limit=300,
            machine_detection="DetectMessageEnd", async_amd="true", record=True,
            async_amd_status_callback=LINKS.webhook("machine"), async_amd_status_callback_method="POST",
            **STATUS, status_callback_event=EVENTS, **RECORDED,
            recording_status_callback_event=["completed absent"],
        )
    )  # fmt: skip
    assert same(far.asked[0], theirs)


async def test_keys_are_pressed_on_answer() -> None:
    far = Far(call("queued"))
    async with opened(far) as live:
        await live.place(attrs.evolve(ORDER, send_digits="ww12#"))
    assert far.asked[0]["SendDigits"] == "ww12#"
    assert "MachineDetection" not in dict(far.asked[0].fields)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"to": "911"}, "cannot be called"),
        ({"to": "client:jenny"}, "cannot be called"),
        ({"caller_id": "sip:a@b.test"}, "shown"),
        ({"caller_id": ""}, "shown"),
        ({"ring_seconds": 4}, "ring"),
        ({"ring_seconds": 601}, "ring"),
        ({"max_seconds": 0}, "last"),
        ({"send_digits": "1x"}, "keys"),
        ({"send_digits": "1" * 33}, "keys"),
        ({"send_digits": "1", "machine_detection": True}, "leave out"),
        ({"stream": attrs.evolve(STREAM, url="https://x.test")}, "wss"),
        ({"stream": attrs.evolve(STREAM, parameters={str(n): "x" * 490 for n in range(9)})}, "4000"),
        ({"stream": attrs.evolve(STREAM, links=Links("https://a_b.test", "twilio", "t"))}, "_"),
    ],
)
async def test_an_order_that_cannot_be_meant_asks_nothing(changes: dict[str, Any], complaint: str) -> None:
    far = Far()
    async with opened(far) as live:
        with pytest.raises(PatterConfigError, match=complaint):
            await live.place(attrs.evolve(ORDER, **changes))
    assert far.asked == []


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (refusal(401, 20003), AuthenticationError, "20003"),
        (refusal(429, 20429), RateLimitError, "20429"),
        (refusal(400, 21211, f"bad To {TOKEN}"), ProviderError, r"bad To \*\*\* \(400, 21211\)"),
        (refusal(403, 21215, "geo"), ProviderError, "geo.*21215"),
        (httpx2.Response(503, text="<html>"), ProviderError, "503"),
        (httpx2.Response(201, text="<html>"), RemoteProtocolError, "does not describe a call"),
        (call(sid="MZ1"), RemoteProtocolError, "does not describe a call"),
        (httpx2.ReadError("cut"), PatterConnectionError, "may have been done"),
        (httpx2.ConnectError("no"), PatterConnectionError, "cannot be reached"),
        ("hangs", PatterConnectionError, "within 10 s"),
    ],
)
async def test_placing_fails_as_the_carrier_says_and_is_asked_once(
    answer: Any, error: type[PatterError], words: str, autojump_clock: trio.testing.MockClock
) -> None:
    far = Far(answer)
    async with opened(far) as live:
        with pytest.raises(error, match=words):
            await live.place(ORDER)
    assert len(far.asked) == 1


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (call("queued"), CallState("queued", detail="queued")),
        (call("initiated"), CallState("queued", detail="initiated")),
        (call("ringing"), CallState("ringing", detail="ringing")),
        (call("in-progress"), CallState("in_progress", detail="in-progress")),
        (
            call("completed", duration="12", price="-0.0085", price_unit="USD"),
            CallState("ended", "completed", "completed", 12.0, "-0.0085 USD"),
        ),
        (call("no-answer", duration="0"), CallState("ended", "no_answer", "no-answer", 0.0)),
        (call("busy"), CallState("ended", "busy", "busy")),
        (call("canceled"), CallState("ended", "canceled", "canceled")),
        (call("failed"), CallState("ended", "failed", "failed")),
    ],
)
async def test_a_state_is_read_and_asked_again_after_a_failure(said: Any, state: CallState) -> None:
    far = Far(httpx2.Response(500), httpx2.ReadError("cut"), said)
    async with opened(far) as live:
        assert await live.read_state(Placed(CALL)) == state
    assert [(asked.method, asked.path) for asked in far.asked] == [("GET", f"{API}/Calls/{CALL}.json")] * 3
    assert same(far.asked[0], by_the_vendor(lambda it: it.calls(CALL).fetch()))


@pytest.mark.parametrize("said", [call("dancing"), call(sid=LEG), [], {}])
async def test_a_state_that_is_none_is_not_believed(said: Any) -> None:
    async with opened(Far(said)) as live:
        with pytest.raises(RemoteProtocolError):
            await live.read_state(Placed(CALL))


@pytest.mark.parametrize("answer", [call("completed"), refusal(404, 20404), refusal(400, 21220)])
async def test_cancelling_ends_a_call_in_whatever_state(answer: Any) -> None:
    far = Far(httpx2.Response(502), answer)
    async with opened(far) as live:
        await live.cancel(Placed(CALL))
    assert same(far.asked[1], by_the_vendor(lambda it: it.calls(CALL).update(status="completed")))


# --- running calls ------------------------------------------------------------------------------------------


async def test_a_sentence_is_said_in_its_language_and_ends_the_call() -> None:
    far = Far(call())
    async with opened(far) as live:
        await live.speak(CALL, "Bis bald.", language="de-DE")
        with pytest.raises(PatterConfigError, match="4000"):
            await live.speak(CALL, "x" * 4000)
    assert same(far.asked[0], by_the_vendor(lambda it: it.calls(CALL).update(twiml=far.asked[0]["Twiml"])))
    assert parse_answer(far.asked[0]["Twiml"]) == SayAnswer("Bis bald.")
    assert 'language="de-DE"' in far.asked[0]["Twiml"]


async def test_a_warm_transfer_calls_the_human_before_the_caller_is_moved() -> None:
    far = Far(call("queued", LEG), call())
    async with opened(far) as live:
        await live.transfer(CALL, WARM)
    leg, moved = far.asked
    report = f"{LINKS.webhook('leg')}&of={CALL}"
    theirs = by_the_vendor(
        lambda it: it.calls.create(
            to=HUMAN, from_=OURS, twiml=leg["Twiml"], timeout=20, status_callback=report,
            status_callback_method="POST", status_callback_event=["completed"],
        )
    )  # fmt: skip
    assert same(leg, theirs)
    assert same(moved, by_the_vendor(lambda it: it.calls(CALL).update(twiml=moved["Twiml"])))
    assert '<Say language="en-GB">Ann asks.</Say>' in leg["Twiml"]
    room = leg["Twiml"].partition("</Conference>")[0].rpartition(">")[2]
    assert f">{room}</Conference>" in moved["Twiml"]
    assert len(room) > 30
    assert LINKS.webhook("transfer") in moved["Twiml"]


async def test_no_two_rooms_have_the_same_name() -> None:
    far = Far(call("queued", LEG), call(), call("queued", LEG), call())
    async with opened(far) as live:
        await live.transfer(CALL, WARM)
        await live.transfer(CALL, WARM)
    assert far.asked[1]["Twiml"] != far.asked[3]["Twiml"]


@pytest.mark.parametrize(
    ("direction", "shown"), [("inbound", OURS), ("outbound-api", THEIRS), ("outbound-dial", THEIRS)]
)
async def test_a_warm_transfer_shows_our_number_of_the_call(direction: str, shown: str) -> None:
    far = Far(call(direction=direction), call("queued", LEG), call())
    async with opened(far) as live:
        await live.transfer(CALL, attrs.evolve(WARM, caller_id=""))
    assert [asked.method for asked in far.asked] == ["GET", "POST", "POST"]
    assert far.asked[1]["From"] == shown


async def test_a_warm_transfer_without_any_number_of_ours_is_refused() -> None:
    far = Far(call(to="sip:a@b.test"))
    async with opened(far) as live:
        with pytest.raises(PatterConfigError, match="caller_id="):
            await live.transfer(CALL, attrs.evolve(WARM, caller_id=""))
    assert len(far.asked) == 1


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [({"number": "911"}, "transferred"), ({"summary": "x" * 4000}, "4000"), ({"language": "x"}, "language")],
)
async def test_a_warm_transfer_that_cannot_be_meant_calls_nobody(
    changes: dict[str, Any], complaint: str
) -> None:
    far = Far()
    async with opened(far) as live:
        with pytest.raises(PatterConfigError, match=complaint):
            await live.transfer(CALL, attrs.evolve(WARM, caller_id="", **changes))
        with pytest.raises(PatterConfigError, match="not a call"):
            await live.transfer("CA1", WARM)
    assert far.asked == []


async def test_a_human_who_cannot_be_called_leaves_the_caller_where_they_are() -> None:
    far = Far(refusal(400, 21211, "Invalid To"))
    async with opened(far) as live:
        with pytest.raises(ProviderError, match="21211"):
            await live.transfer(CALL, WARM)
    assert [asked.path for asked in far.asked] == [f"{API}/Calls.json"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(400, 21220), ProviderError),
        (call("completed"), ProviderError),
        (httpx2.ReadError("cut"), PatterConnectionError),
        ("hangs", PatterConnectionError),
    ],
)
@pytest.mark.parametrize("ended", [call("canceled", LEG), refusal(500, 20500)])
async def test_a_caller_who_cannot_be_moved_ends_the_humans_call(
    answer: Any, error: type[PatterError], ended: Any, autojump_clock: trio.testing.MockClock
) -> None:
    far = Far(call("queued", LEG), answer, ended, ended, ended)
    async with opened(far) as live:
        with pytest.raises(error):
            await live.transfer(CALL, WARM)
    assert far.asked[2] == Asked("POST", f"{API}/Calls/{LEG}.json", [("Status", "completed")])


async def test_a_cancelled_warm_transfer_ends_the_humans_call(autojump_clock: trio.testing.MockClock) -> None:
    far = Far(call("queued", LEG), "hangs", call("canceled", LEG))
    async with opened(far) as live:
        with trio.move_on_after(1) as scope:
            await live.transfer(CALL, WARM)
    assert scope.cancelled_caught
    assert far.asked[2].path == f"{API}/Calls/{LEG}.json"


async def test_a_caller_is_taken_back_in_the_answer_or_by_a_request() -> None:
    far = Far(call())
    info, expected = CallInfo(CALL), StreamAnswer(STREAM.url, STREAM.parameters, LINKS.webhook("stream"))
    async with opened(far) as live:
        answered = await live.take_back(TransferEnded(CALL, False, wants_document=True), info, STREAM)
        assert parse_answer(answered.body) == expected
        assert far.asked == []
        asked = await live.take_back(TransferEnded(CALL, False), info, STREAM)
        assert asked.body == ""
        assert parse_answer(far.asked[0]["Twiml"]) == expected


# --- recordings ---------------------------------------------------------------------------------------------


async def test_a_recording_is_begun_and_ended_as_by_the_vendor() -> None:
    far = Far(httpx2.Response(201, json={"sid": RECORDING}), httpx2.Response(500), {"sid": RECORDING})
    async with opened(far) as live:
        assert await live.start_recording(CALL, LINKS) == RECORDING
        await live.stop_recording(CALL, RECORDING)
    begun = by_the_vendor(
        lambda it: it.calls(CALL).recordings.create(
            **RECORDED, recording_status_callback_event=["completed absent"]
        )
    )
    ended = by_the_vendor(lambda it: it.calls(CALL).recordings(RECORDING).update(status="stopped"))
    assert same(far.asked[0], begun)
    assert same(far.asked[2], ended)


async def test_a_recording_that_has_ended_is_no_error_and_others_are() -> None:
    async with opened(Far(refusal(404, 20404), refusal(400, 21200), {"sid": "x"})) as live:
        await live.stop_recording(CALL, RECORDING)
        with pytest.raises(ProviderError, match="21200"):
            await live.stop_recording(CALL, RECORDING)
        with pytest.raises(PatterConfigError, match="not a recording"):
            await live.stop_recording(CALL, "../x")
        with pytest.raises(RemoteProtocolError, match="a recording"):
            await live.start_recording(CALL, LINKS)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (SAVED.url, True),
        (SAVED.url + ".wav", True),
        (SAVED.url.replace("api.twilio.com", "api.dublin.ie1.twilio.com"), True),
        (SAVED.url.replace("api.twilio.com", "bucket.example.test"), False),
        (SAVED.url.replace("api.twilio.com", "api.twilio.com.example.test"), False),
        (SAVED.url.replace("api.twilio.com", "nottwilio.com"), False),
        (SAVED.url.replace("api.twilio.com", "api.twilio.com:8443"), False),
    ],
)
async def test_only_the_carriers_own_hosts_see_the_credentials(url: str, shown: bool) -> None:
    far = Far(httpx2.Response(200, content=b"RIFF"))
    async with opened(far) as live, live.fetch_recording(attrs.evolve(SAVED, url=url)) as pieces:
        assert b"".join([piece async for piece in pieces]) == b"RIFF"
    assert ("authorization" in far.requests[0].headers) is shown
    assert far.requests[0].url.path.endswith(f"{RECORDING}.wav")


@pytest.mark.parametrize(
    ("saved", "error"),
    [
        (attrs.evolve(SAVED, url="http://api.twilio.com/x"), RemoteProtocolError),
        (attrs.evolve(SAVED, url="https://a:b@api.twilio.com/x"), RemoteProtocolError),
        (attrs.evolve(SAVED, url="https://[::1/x"), RemoteProtocolError),
        (attrs.evolve(SAVED, url="file:///etc/hostname"), RemoteProtocolError),
        (attrs.evolve(SAVED, url="", error="absent"), ProviderError),
        (SAVED, ProviderError),
    ],
)
async def test_a_recording_that_cannot_be_fetched(saved: RecordingSaved, error: type[PatterError]) -> None:
    async with opened(Far(refusal(404, 20404))) as live:
        with pytest.raises(error):
            async with live.fetch_recording(saved):
                raise AssertionError("nothing was to be fetched")


# --- the account --------------------------------------------------------------------------------------------


async def test_the_account_says_its_name() -> None:
    far = Far({"sid": ACCOUNT, "friendly_name": "Shop", "status": "active"}, {"sid": ACCOUNT})
    async with opened(far) as live:
        assert await live.check() == "Shop"
        assert await live.check() == ACCOUNT
    assert same(far.asked[0], by_the_vendor(lambda it: it.api.accounts(ACCOUNT).fetch()))


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (refusal(401, 20003), AuthenticationError, "20003"),
        ({"sid": ACCOUNT, "status": "suspended"}, ProviderError, "suspended"),
        ({"sid": ACCOUNT[:-1] + "2"}, RemoteProtocolError, "another account"),
        (httpx2.Response(200, text="<html>"), RemoteProtocolError, "an account"),
    ],
)
async def test_an_account_that_cannot_be_used(answer: Any, error: type[PatterError], words: str) -> None:
    async with opened(Far(answer)) as live:
        with pytest.raises(error, match=words):
            await live.check()


async def test_a_number_says_where_its_calls_go() -> None:
    far = Far({"incoming_phone_numbers": [number(phone_number=HUMAN), number(status_callback="https://s/")]})
    async with opened(far) as live:
        route = await live.read_number(OURS)
    assert (route.number, route.voice_url, route.status_url) == (OURS, "https://old.test/", "https://s/")
    assert route.taken_by == ""
    theirs = by_the_vendor(lambda it: it.incoming_phone_numbers.page(phone_number=OURS, page_size=50))
    assert same(far.asked[0], theirs)


@pytest.mark.parametrize(
    ("fields", "taken_by"),
    [
        ({"voice_application_sid": "AP1"}, "application AP1"),
        ({"trunk_sid": "TK1", "voice_application_sid": "AP1"}, "trunk TK1"),
    ],
)
async def test_a_number_may_be_taken_by_something_else(fields: dict[str, str], taken_by: str) -> None:
    async with opened(Far({"incoming_phone_numbers": [number(**fields)]})) as live:
        route = await live.read_number(OURS)
    assert (route.voice_url, route.taken_by) == ("", taken_by)
    assert route.previous["voice_url"] == "https://old.test/"
    assert route.previous["voice_application_sid"] == "AP1"


async def test_a_number_is_routed_to_us_out_of_other_hands() -> None:
    url, status = "https://voice.example.test/webhooks/twilio/voice", "https://voice.example.test/s"
    far = Far({"incoming_phone_numbers": [number(trunk_sid="TK1")]}, number(voice_url=url))
    async with opened(far) as live:
        before: NumberRoute = await live.route_number(OURS, url, status)
    assert (before.taken_by, before.previous["voice_url"]) == ("trunk TK1", "https://old.test/")
    theirs = by_the_vendor(
        lambda it: it.incoming_phone_numbers(PHONE).update(
            voice_url=url, voice_method="POST", voice_application_sid="", trunk_sid="",
            status_callback=status, status_callback_method="POST",
        )
    )  # fmt: skip
    assert same(far.asked[1], theirs)


async def test_a_route_without_a_status_address_leaves_the_old_one() -> None:
    far = Far({"incoming_phone_numbers": [number()]}, number(voice_url="https://v.test/"))
    async with opened(far) as live:
        await live.route_number(OURS, "https://v.test/")
    assert "StatusCallback" not in dict(far.asked[1].fields)


@pytest.mark.parametrize("after", [number(), number(voice_url="https://v.test/", trunk_sid="TK1")])
async def test_a_change_that_did_not_come_about_is_an_error(after: Any) -> None:
    async with opened(Far({"incoming_phone_numbers": [number()]}, after)) as live:
        with pytest.raises(ProviderError, match="not routed"):
            await live.route_number(OURS, "https://v.test/")


async def test_numbers_and_addresses_that_cannot_be_meant() -> None:
    far = Far()
    async with opened(far) as live:
        for number_ in ("", "911", "+1 555", "sip:a@b.test"):
            with pytest.raises(PatterConfigError, match="phone number"):
                await live.read_number(number_)
        for url in (
            "",
            "http://v.test/",
            "https://u:p@v.test/",
            "https://a_b.test/",
            "https://[::1",
            "ftp://v",
        ):
            with pytest.raises(PatterConfigError):
                await live.route_number(OURS, url)
    assert far.asked == []


@pytest.mark.parametrize("listed", [[], [number(phone_number=HUMAN)]])
async def test_a_number_that_is_not_ours(listed: list[Any]) -> None:
    async with opened(Far({"incoming_phone_numbers": listed})) as live:
        with pytest.raises(ProviderError, match="no number"):
            await live.read_number(OURS)


async def test_without_an_account_nothing_is_asked() -> None:
    far = Far()
    async with opened(far, account_sid=None) as live:
        for act in (live.check, lambda: live.place(ORDER), lambda: live.read_number(OURS)):
            with pytest.raises(PatterConfigError, match="TWILIO_ACCOUNT_SID"):
                await act()
    assert far.asked == []


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY", "TWILIO_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
