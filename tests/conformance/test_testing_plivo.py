"""The simulated Plivo: judged by the vendor's own client, by its signature check, and by what it refuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast
from urllib.parse import parse_qsl

import attrs
import httpx2
import plivo
import pytest
import trio
from plivo.exceptions import (
    AuthenticationError,
    PlivoRestError,
    ResourceNotFoundError,
    ValidationError,
)
from plivo.utils import signature_v3
from requests import PreparedRequest, Response
from trio.testing import MockClock

from patter_trio._server.app import build_app
from patter_trio._server.house import UpgradeRequest
from patter_trio._wire.plivo import PlivoWire
from patter_trio._wire.plivo_xml import dial, hang_up, join_room, open_stream, say_and_hang_up, wait_in_room
from patter_trio.abc import MediaSocket, WebhookRequest
from patter_trio.carriers.plivo import Plivo
from patter_trio.errors import RemoteProtocolError
from patter_trio.events import LINEAR_8K, LINEAR_16K, MULAW_8K, DigitPressed, MarkPlayed, StreamStarted
from patter_trio.telephony import Links, Placed, RecordingSaved, TransferOrder, WebhookReply
from patter_trio.testing import (
    AnsweringMachine,
    Busy,
    Caller,
    Exchange,
    MemoryLine,
    NoAnswer,
    Person,
    RestFault,
    SimulatedPlivo,
    open_exchange,
)
from patter_trio.testing.farwire import FarClear, FarDigits, FarMark, FarMedia, WrongStreamError
from patter_trio.testing.instructions import HangUp, Reject, Speak
from patter_trio.testing.plivo_reader import DialTag, RoomTag, StreamTag, read_plivo_xml
from patter_trio.testing.plivo_wire import PlivoFarWire

ORIGIN = "https://voice.example.test"
OURS, THEIRS, OTHER = "+15550001234", "+15550100001", "+15550100002"
SOCKET = "wss://voice.example.test/ws/plivo/one"
PATIENT = Person(Caller().says("hello").waits_for_hang_up(timeout=60), answers_after=0.1)


def hook(what: str) -> str:
    return f"{ORIGIN}/webhooks/plivo/{what}?call=t"


STREAM = open_stream(SOCKET, {"tenant": "t1"}, MULAW_8K, status_url=hook("stream"))


@attrs.define(eq=False)
class Desk:
    """A server that keeps what it was told, checked by the vendor's SDK; its socket hears and waits."""

    token: str
    documents: dict[str, str] = attrs.field(factory=dict[str, str])
    told: list[tuple[str, dict[str, str]]] = attrs.field(factory=list[tuple[str, dict[str, str]]])
    heard: list[Any] = attrs.field(factory=list[Any])
    says: list[str] = attrs.field(factory=list[str])
    closes: trio.Event = attrs.field(factory=trio.Event)

    def public_url(self, target: str, *, websocket: bool = False) -> str:
        return (ORIGIN.replace("http", "ws", 1) if websocket else ORIGIN) + target

    def health(self) -> dict[str, Any]:
        return {}

    async def answer_webhook(self, kind: str, what: str, request: WebhookRequest) -> WebhookReply:
        assert signature_v3.validate_v3_signature(
            "POST",
            request.url,
            request.headers["x-plivo-signature-v3-nonce"],
            self.token,
            request.headers["x-plivo-signature-v3"],
            dict(parse_qsl(request.body.decode(), keep_blank_values=True)),
        )
        self.told.append((what, dict(request.form)))
        await trio.lowlevel.checkpoint()
        return WebhookReply(self.documents.get(what, STREAM if what in ("voice", "answer") else ""))

    def refuse_media(self, upgrade: UpgradeRequest) -> int | None:
        Plivo("MA" + "X" * 18, self.token).verify(WebhookRequest("GET", SOCKET, upgrade.headers))
        return None

    async def run_media(self, socket: MediaSocket, upgrade: UpgradeRequest) -> None:
        wire = PlivoWire()
        async with trio.open_nursery() as nursery:

            async def close() -> None:
                await self.closes.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(close)
            try:
                while True:
                    event = wire.decode(await socket.receive())
                    if isinstance(event, (StreamStarted, DigitPressed, MarkPlayed)):
                        self.heard.append(event)
                    if isinstance(event, StreamStarted):
                        for word in self.says:
                            await socket.send(wire.encode_digits(word))
            except trio.EndOfChannel:
                nursery.cancel_scope.cancel()

    def of(self, what: str) -> list[dict[str, str]]:
        return [form for each, form in self.told if each == what]


@asynccontextmanager
async def exchanging(**settings: Any) -> AsyncIterator[tuple[Exchange, Desk, Any]]:
    """In virtual time: the exchange, a server, and our own live carrier."""
    simulated = SimulatedPlivo(**settings)
    desk = Desk(simulated.auth_token)
    line = MemoryLine(cast("Any", build_app(cast("Any", desk))))
    async with open_exchange(simulated, line, port=None) as exchange:
        carrier = Plivo(simulated.auth_id, simulated.auth_token, transport=exchange.transport)
        async with carrier.open() as live:
            yield exchange, desk, live


# --- calls --------------------------------------------------------------------------------------------------


async def test_a_call_that_comes_in_is_offered_streamed_and_reported(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, desk, _):
        desk.says = ["12#"]
        outcome = await exchange.call(Caller().waits(1).presses("7").waits(1).hangs_up())
        await exchange.wait_quiet()
    assert outcome.ok, outcome.steps
    (offer,) = desk.of("voice")
    assert (offer["Event"], offer["From"], offer["To"]) == ("StartApp", "15557654321", OURS[1:])
    assert (offer["Direction"], offer["CallStatus"]) == ("inbound", "ringing")
    started, digit = desk.heard
    assert (started.call_id, started.parameters) == (offer["CallUUID"], {"tenant": "t1"})
    assert digit == DigitPressed("7")
    (leg,) = exchange.legs.values()
    assert leg.keys_heard == "12#"
    assert [form["Event"] for form in desk.of("stream")] == ["StartStream", "StopStream"]
    (over,) = desk.of("status")
    assert (over["Event"], over["CallStatus"], over["HangupCauseCode"]) == ("Hangup", "completed", "4000")


async def test_a_transfer_waits_until_the_server_closes_the_socket(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, desk, live):
        links = Links(ORIGIN, "plivo", "t")
        exchange.book[OTHER] = Busy()

        async def give_away() -> None:
            await exchange.wait_until(lambda: bool(desk.heard))
            call_id = next(iter(exchange.legs))
            await live.transfer(call_id, TransferOrder(OTHER, links))
            await trio.sleep(5)
            assert not desk.of("document"), "the stream is still up"
            request = json.loads(exchange.rest.requests[-1].body)
            reply = live.serve_document(WebhookRequest("POST", request["aleg_url"], {}))
            desk.documents = {"document": reply.body, "transfer": say_and_hang_up("nobody there")}
            desk.closes.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(give_away)
            outcome = await exchange.call(Caller().waits_for_hang_up(timeout=60))
        await exchange.wait_quiet()
    assert len(desk.of("document")) == 1
    (ended,) = desk.of("transfer")
    assert (ended["DialStatus"], ended["DialBLegUUID"]) == ("busy", "")
    assert outcome.heard == "nobody there"


async def test_a_stream_with_nothing_behind_it_ends_the_call(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, desk, _):
        desk.closes.set()
        outcome = await exchange.call(Caller().waits_for_hang_up(timeout=10))
    assert outcome.ok, outcome.steps


@pytest.mark.parametrize(
    ("document", "why"),
    [("<Response><Say>hi</Say></Response>", "8011"), ("nonsense", "8011"), (" ", "8011"), ("", "7011")],
)
async def test_a_document_that_cannot_be_followed_ends_the_call(
    document: str, why: str, autojump_clock: MockClock
) -> None:
    async with exchanging() as (exchange, desk, _):
        desk.documents["voice"] = document
        outcome = await exchange.call(Caller().waits_for_hang_up(timeout=10))
    assert why in str(outcome.refusal or [each.detail for each in outcome.violations])


async def test_only_machines_are_reported(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, desk, live):
        order = {"from": OURS[1:], "answer_url": hook("answer"), "machine_detection_url": hook("machine")}
        order |= {"machine_detection": "true", "ring_url": hook("status"), "hangup_url": hook("status")}
        exchange.book |= {THEIRS: AnsweringMachine("nobody is here"), OTHER: PATIENT}
        requests = [await live._calls.create_call({**order, "to": to[1:]}) for to in (THEIRS, OTHER)]
        await trio.sleep(20)
        (machine,) = desk.of("machine")
        assert (machine["Machine"], machine["RequestUUID"]) == ("true", requests[0])
        assert {form["CallUUID"] for form in desk.of("answer")} == set(exchange.legs)
        rings = [form for form in desk.of("status") if form["Event"] == "Ring"]
        assert [form["CallStatus"] for form in rings] == ["ringing"] * 2


async def test_a_request_is_canceled_only_before_the_answer(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, desk, live):
        order = {"from": OURS[1:], "to": THEIRS[1:], "answer_url": hook("answer")}
        order["hangup_url"] = hook("status")
        exchange.book[THEIRS] = NoAnswer()
        request_id = await live._calls.create_call(order)
        await trio.sleep(2)
        await live.cancel(Placed(request_id=request_id))
        await exchange.wait_quiet()
        (over,) = desk.of("status")
        assert (over["CallStatus"], over["HangupCauseCode"]) == ("cancel", "1000")
        state = await live.read_state(Placed(over["CallUUID"], request_id))
        assert (state.status, state.ended_as) == ("ended", "canceled")
        assert not await live._calls.cancel_request(request_id)


async def test_a_recording_is_made_told_of_and_fetched(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, desk, live):

        async def record() -> None:
            await exchange.wait_until(lambda: bool(desk.heard))
            call_id = next(iter(exchange.legs))
            recording_id = await live.start_recording(call_id, Links(ORIGIN, "plivo", "t"))
            await trio.sleep(2)
            await live.stop_recording(call_id, recording_id)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(record)
            await exchange.call(Caller().says("hello").waits(5).hangs_up())
        await exchange.wait_quiet()
        (told,) = desk.of("recording")
        assert float(told["recording_duration_ms"]) == pytest.approx(2000, abs=40)
        saved = RecordingSaved(told["call_uuid"], told["recording_id"], told["record_url"])
        async with live.fetch_recording(saved) as pieces:
            assert (b"".join([piece async for piece in pieces])).startswith(b"RIFF")


async def test_faults_of_the_rest_api_are_what_a_client_sees(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, _, live):
        for fault, status in (("unauthorized", 401), ("too_many", 429), ("server_error", 503)):
            exchange.rest.fail(fault, fault, fault)
            async with httpx2.AsyncClient(transport=exchange.transport) as client:
                assert (await client.get("https://api.plivo.com/v1/")).status_code == status
            exchange.rest._faults.clear()
        exchange.rest.fail(RestFault.named("server_error", is_carried_out=True))
        assert await live.check() == "Simulated account"


# --- the vendor's own client --------------------------------------------------------------------------------


@asynccontextmanager
async def vendor() -> AsyncIterator[tuple[Exchange, plivo.RestClient, Callable[..., Any]]]:
    """The vendor's client at a real socket; it acts in a thread."""
    simulated = SimulatedPlivo()
    desk = Desk(simulated.auth_token)
    line = MemoryLine(cast("Any", build_app(cast("Any", desk))))
    async with open_exchange(simulated, line) as exchange:
        exchange.book |= {THEIRS: PATIENT, OTHER: NoAnswer()}
        client = plivo.RestClient(simulated.auth_id, simulated.auth_token)
        client.session.trust_env = False
        send = client.session.send

        def to_loopback(request: PreparedRequest, **options: Any) -> Response:
            request.url = str(request.url).replace("https://api.plivo.com", exchange.url)
            return cast("Response", send(request, **options))

        client.session.send = to_loopback

        async def act(method: Callable[..., Any], *given: Any, **named: Any) -> Any:
            with trio.fail_after(20):
                return await trio.to_thread.run_sync(partial(method, *given, **named))

        try:
            yield exchange, client, act
        finally:
            client.session.close()
            client.multipart_session.close()


async def test_the_vendors_client_places_watches_transfers_and_ends_a_call() -> None:
    async with vendor() as (exchange, client, act):
        fired = await act(
            client.calls.create, OURS[1:], THEIRS[1:], hook("answer"), hangup_url=hook("status")
        )
        assert fired.message == "call fired"
        (call_id,) = exchange.legs
        assert fired.request_uuid != call_id
        await exchange.legs[call_id].answered.wait()
        live = await act(client.live_calls.get, call_id)
        assert (live.call_status, live.to, live.direction) == ("in-progress", THEIRS[1:], "outbound")
        moved = await act(client.calls.update, call_id, legs="aleg", aleg_url=hook("document"))
        assert moved.message == "call transferred"
        recording = await act(client.calls.record, call_id, time_limit=60, callback_url=hook("recording"))
        assert recording.recording_id in exchange.legs[call_id].recordings
        await act(client.calls.send_digits, call_id, "1w2", "aleg")
        assert exchange.legs[call_id].keys_heard == "12"
        await act(client.calls.hangup, call_id)
        record = await act(client.calls.get, call_id)
        assert (record.call_state, record.hangup_cause_code) == ("ANSWER", 4000)
        with pytest.raises(ResourceNotFoundError):
            await act(client.calls.hangup, call_id)
        await exchange.wait_quiet()


async def test_the_vendors_client_cancels_a_request_and_points_a_number() -> None:
    async with vendor() as (exchange, client, act):
        fired = await act(client.calls.create, OURS[1:], OTHER[1:], hook("answer"))
        await exchange.wait_until(lambda: next(iter(exchange.legs.values())).status == "ringing")
        await act(client.calls.cancel, fired.request_uuid)
        assert next(iter(exchange.legs.values())).status == "ended"
        made = await act(client.applications.create, "mine", answer_url=hook("voice"))
        await act(client.numbers.update, OURS[1:], app_id=made.app_id)
        number = await act(client.numbers.get, OURS[1:])
        assert number.application.endswith(f"/{made.app_id}/")
        assert (await act(client.applications.get, made.app_id)).answer_url == hook("voice")
        assert len((await act(client.applications.list))["objects"]) == 2


async def test_the_vendors_client_is_refused_as_by_the_vendor() -> None:
    async with vendor() as (exchange, client, act):
        with pytest.raises(ValidationError, match="not a number of the account"):
            await act(client.calls.create, "15550009999", THEIRS[1:], hook("answer"))
        exchange.rest.fail("unauthorized")
        with pytest.raises(AuthenticationError):
            await act(client.numbers.get, OURS[1:])
        with pytest.raises(ResourceNotFoundError):
            await act(client.numbers.get, "15550009999")
        exchange.rest.fail(*["server_error"] * 3)
        with pytest.raises(PlivoRestError):
            await act(client.applications.list)


# --- documents and messages ---------------------------------------------------------------------------------


def test_everything_that_we_write_is_understood() -> None:
    recorded = open_stream(SOCKET, {}, LINEAR_16K, status_url=hook("stream"), recording_url=hook("recording"))
    record, stream = read_plivo_xml(recorded)
    assert isinstance(stream, StreamTag)
    assert (stream.audio, stream.keeps_call) == (LINEAR_16K, True)
    assert [type(each).__name__ for each in (record,)] == ["RecordTag"]
    assert read_plivo_xml(hang_up("busy")) == (Reject("busy"),)
    assert read_plivo_xml(hang_up("rejected")) == (Reject("declined"),)
    assert read_plivo_xml(say_and_hang_up("hello")) == (Speak("hello", "en-US"), HangUp())
    assert read_plivo_xml(dial(OTHER, action=hook("transfer"), caller_id=OURS)) == (
        DialTag(OTHER, OURS[1:], 20, hook("transfer"), True),
    )
    assert read_plivo_xml(wait_in_room("r", action=hook("transfer"))) == (
        RoomTag("r", False, True, hook("transfer")),
    )
    assert read_plivo_xml(join_room("r", "about"))[1] == RoomTag("r", True, True)


@pytest.mark.parametrize(
    "xml",
    [
        "<Response><Say>twilio</Say></Response>",
        "<Answer/>",
        "<!DOCTYPE a><Response/>",
        "<Response><Stream>wss://a.test</Stream></Response>",
        '<Response><Stream bidirectional="true">ws://a.test</Stream></Response>',
        '<Response><Stream bidirectional="true" track="x">wss://a.test</Stream></Response>',
        '<Response><Stream bidirectional="true" contentType="audio/opus">wss://a.test</Stream></Response>',
        '<Response><Dial timeout="soon"><Number>1</Number></Dial></Response>',
        '<Response><Dial action="/relative"><Number>1</Number></Dial></Response>',
        "<Response><MultiPartyCall>r</MultiPartyCall></Response>",
        "<Response><Record/></Response>",
        '<Response><Hangup reason="whatever"/></Response>',
    ],
)
def test_what_plivo_does_not_know_is_refused(xml: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read_plivo_xml(xml)


CALL, FLOW = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000c"


@pytest.mark.parametrize("audio", [MULAW_8K, LINEAR_8K, LINEAR_16K])
def test_both_ends_of_a_stream_understand_each_other(audio: Any) -> None:
    far, near = PlivoFarWire(FLOW, call_id=CALL, auth_id="MA", audio=audio, says_stop=True), PlivoWire()
    (opening,) = far.opening({"a": "1", "b": "2"})
    assert near.decode(opening) == StreamStarted(FLOW, CALL, {"a": "1", "b": "2"}, audio)
    assert far.decode(near.encode_audio(b"\1\2")) == FarMedia(b"\1\2")
    assert far.decode(near.encode_mark("m")) == FarMark("m")
    assert far.decode(near.encode_clear()) == FarClear()
    assert far.decode(near.encode_digits("1#")) == FarDigits("1#")
    assert near.decode(far.mark_played("m")) == MarkPlayed("m")
    assert near.decode(far.digit("5")) == DigitPressed("5")
    assert far.stop() is not None
    assert PlivoFarWire(FLOW, call_id=CALL, auth_id="MA", audio=audio).stop() is None


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ('{"event":"media","streamId":"x"}', RemoteProtocolError),
        ('{"event":"clearAudio","streamId":"x"}', WrongStreamError),
        (
            '{"event":"playAudio","media":{"contentType":"audio/x-l16","sampleRate":8000,"payload":""}}',
            RemoteProtocolError,
        ),
        ('{"event":"checkpoint"}', RemoteProtocolError),
    ],
)
def test_what_the_carrier_does_not_take_on_a_stream(message: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        PlivoFarWire(FLOW, call_id=CALL, auth_id="MA", audio=MULAW_8K).decode(message)
