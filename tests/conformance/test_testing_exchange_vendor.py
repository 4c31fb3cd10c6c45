"""The exchange's Twilio, judged by the vendor's own client over a real socket, and by real sockets alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from twilio.twiml.voice_response import Connect, Dial, VoiceResponse

from patter_trio.errors import RemoteProtocolError
from patter_trio.testing import (
    AnsweringMachine,
    Caller,
    Exchange,
    LoopbackLine,
    NoAnswer,
    Person,
    SimulatedTwilio,
    open_exchange,
)
from patter_trio.testing.instructions import HangUp, Pause, PlayDigits, Reject, Speak
from patter_trio.testing.twilio_skin import TwilioSkin
from patter_trio.testing.twiml_reader import (
    ConferenceVerb,
    DialVerb,
    RedirectVerb,
    StreamVerb,
    read_twiml,
)

from .exchange_desk import ORIGIN, OTHER, OURS, SOCKET, THEIRS, Desk, hook, line_to
from .test_testing_loopback import serving
from .test_testing_rest import ToLoopback, straight_to_loopback  # noqa: F401 (a fixture for all of these)

PATIENT = Person(Caller().says("hello").waits_for_hang_up(timeout=60), answers_after=0.1)
LONG = '<Response><Pause length="60"/></Response>'


@asynccontextmanager
async def vendor() -> AsyncIterator[tuple[Exchange, Client, Callable[..., Any]]]:
    """An exchange, and the vendor's client, which acts in a thread."""
    twilio = SimulatedTwilio()
    async with open_exchange(twilio, line_to(Desk())) as exchange:
        exchange.book |= {THEIRS: PATIENT, OTHER: NoAnswer()}
        http = ToLoopback(exchange.url)
        client = Client(twilio.account_sid, twilio.auth_token, http_client=http)

        async def act(method: Callable[..., Any], *given: Any, **named: Any) -> Any:
            with trio.fail_after(20):
                return await trio.to_thread.run_sync(partial(method, *given, **named))

        try:
            yield exchange, client, act
        finally:
            if http.session is not None:
                http.session.close()


async def test_the_vendors_client_places_watches_redirects_and_records_a_call() -> None:
    async with vendor() as (exchange, client, act):
        call = await act(client.calls.create, to=THEIRS, from_=OURS, twiml=LONG, timeout=30)
        assert (call.status, call.direction, call.to, call._from) == ("queued", "outbound-api", THEIRS, OURS)
        leg = exchange.legs[call.sid]
        await leg.answered.wait()
        assert (await act(client.calls(call.sid).fetch)).status == "in-progress"
        recordings = client.calls(call.sid).recordings
        recording = await act(recordings.create, recording_channels="dual")
        assert [each.sid for each in await act(recordings.list)] == [recording.sid]
        current = recordings("Twilio.CURRENT")
        assert (await act(current.update, status="paused")).status == "paused"
        await act(
            client.calls(call.sid).update, twiml="<Response><Say>bye</Say><Pause length='9'/></Response>"
        )
        await exchange.wait_until(lambda: leg.phone.ear.text() == "bye")
        assert (await act(recordings(recording.sid).update, status="stopped")).status == "completed"
        assert (await act(client.recordings(recording.sid).fetch)).channels == 2
        assert await act(client.recordings(recording.sid).delete)
        assert (await act(client.calls(call.sid).update, status="completed")).status == "completed"
        await exchange.wait_quiet()
        over = await act(client.calls(call.sid).fetch)
    assert (over.status, int(over.duration) >= 0, over.start_time.year) == ("completed", True, 2025)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"to": "12"}, 21211),
        ({"from_": "12"}, 21212),
        ({"from_": "+15559999999"}, 21210),
        ({"twiml": "x" * 4001}, 21200),
        ({"timeout": 601}, 21200),
        ({"time_limit": 0}, 21200),
        ({"send_digits": "12x"}, 21200),
        ({"status_callback": "https://under_score.test/"}, 21205),
        ({"status_callback": "/status"}, 21205),
        ({"status_callback_event": ["done"]}, 21200),
        ({"machine_detection": "On"}, 21200),
        ({"machine_detection_timeout": 60}, 21200),
        ({"machine_detection_speech_threshold": 10}, 21200),
        ({"async_amd": "yes"}, 21200),
        ({"record": True, "recording_channels": "stereo"}, 21200),
        ({"caller_id": "me"}, 21200),
    ],
)
async def test_orders_that_the_carrier_refuses(wrong: dict[str, Any], code: int) -> None:
    async with vendor() as (exchange, client, act):
        order = {"to": THEIRS, "from_": OURS, "twiml": LONG, **wrong}
        with pytest.raises(TwilioRestException) as refused:
            await act(client.calls.create, **order)
        assert exchange.legs == {}
    assert (refused.value.status, refused.value.code) == (400, code)


async def test_an_order_without_instructions_and_changes_of_calls_that_are_not_up() -> None:
    async with vendor() as (_, client, act):
        with pytest.raises(TwilioRestException) as refused:
            await act(client.calls.create, to=THEIRS, from_=OURS)
        assert refused.value.code == 21205
        call = await act(client.calls.create, to=OTHER, from_=OURS, twiml=LONG)
        for action, code in (
            (partial(client.calls(call.sid).update, twiml=LONG), 21220),
            (client.calls(call.sid).recordings.create, 21220),
            (client.calls("CA" + "9" * 32).fetch, 20404),
            (partial(client.calls(call.sid).update, status="busy"), 21200),
            (partial(client.calls(call.sid).update, status="completed", twiml=LONG), 21200),
        ):
            with pytest.raises(TwilioRestException) as refused:
                await act(action)
            assert refused.value.code == code
        assert (await act(client.calls(call.sid).update, status="canceled")).status == "canceled"


async def test_numbers_and_the_account_are_read_and_changed() -> None:
    async with vendor() as (exchange, client, act):
        skin = exchange.skin
        assert isinstance(skin, TwilioSkin)
        for last in range(5):
            skin.add_number(f"+1555000900{last}")
        assert (await act(client.api.accounts(skin.account_sid).fetch)).status == "active"
        assert len(await act(client.incoming_phone_numbers.list, page_size=2)) == 6
        (number,) = await act(client.incoming_phone_numbers.list, phone_number=OURS)
        assert number.voice_url == "https://voice.example.test/webhooks/twilio/voice"
        changed = {"voice_url": hook("other"), "status_callback": hook("status"), "voice_application_sid": ""}
        await act(client.incoming_phone_numbers(number.sid).update, **changed)
        number = await act(client.incoming_phone_numbers(number.sid).fetch)
        assert (number.voice_url, number.status_callback) == (hook("other"), hook("status"))
        # Calls go where the number says from now on; an application takes them from there.
        await exchange.call(Caller().waits(0.1))
        first = exchange.post.deliveries[0].webhook
        assert (first.kind, first.url) == ("voice", hook("other"))
        await act(client.incoming_phone_numbers(number.sid).update, voice_application_sid="AP" + "0" * 32)
        outcome = await exchange.call(Caller().waits(0.1))
    assert outcome.refusal == "no voice webhook: taken by another"


async def test_a_conference_is_made_of_participants() -> None:
    async with vendor() as (exchange, client, act):
        participants = client.conferences("desk").participants
        await act(participants.create, from_=OURS, to=THEIRS, label="human", end_conference_on_exit=True)
        await exchange.wait_until(lambda: "desk" in exchange.rooms)
        (conference,) = await act(client.conferences.list, friendly_name="desk", status="in-progress")
        participants = client.conferences(conference.sid).participants
        (human,) = await act(participants.list)
        assert (human.label, human.muted, human.end_conference_on_exit) == ("human", False, True)
        assert (await act(participants("human").update, muted=True, hold=True)).muted
        assert next(iter(exchange.seats.values())).held
        assert await act(participants(human.call_sid).delete)
        await exchange.wait_quiet()
        await act(participants_again := client.conferences("desk").participants.create, from_=OURS, to=THEIRS)
        assert participants_again
        await exchange.wait_until(lambda: "desk" in exchange.rooms)
        await act(client.conferences("desk").update, status="completed")
        await exchange.wait_quiet()
    assert exchange.rooms == {}


# --- the vendor's own documents -----------------------------------------------------------------------------


def test_documents_of_the_vendors_library_are_read() -> None:
    response, connect, dial = (
        VoiceResponse(),
        Connect(),
        Dial(caller_id=OURS, timeout=20, action=hook("transfer")),
    )
    stream: Any = connect.stream(url=SOCKET, name="agent", status_callback=hook("stream"))
    stream.parameter(name="token", value="9f8e")
    dial.number(THEIRS, send_digits="ww1#", url=hook("document"), status_callback_event="answered completed")
    room = Dial()
    room.conference("desk", start_conference_on_enter=False, end_conference_on_exit=True, beep="false")
    response.say("hello", language="en-US")
    response.play(digits="w1")
    response.pause(length=3)
    response.append(connect)
    response.append(dial)
    response.append(room)
    response.redirect(hook("document"), method="POST")
    response.hangup()
    assert read_twiml(str(response)) == (
        Speak("hello", "en-US"),
        PlayDigits("w1"),
        Pause(3),
        StreamVerb(SOCKET, {"token": "9f8e"}, "agent", hook("stream")),
        DialVerb(
            *(THEIRS, OURS, 20),
            action=hook("transfer"),
            send_digits="ww1#",
            whisper_url=hook("document"),
            status_events=frozenset({"answered", "completed"}),
        ),
        ConferenceVerb("desk", starts=False, ends=True),
        RedirectVerb(hook("document")),
        HangUp(),
    )
    assert read_twiml('<Response><Reject reason="busy"/></Response>') == (Reject("busy"),)


@pytest.mark.parametrize(
    "body",
    [
        "<Dance/>",
        "<Say/>",
        "<Say volume='9'>x</Say>",
        "<Hangup/><Reject/>",
        "<Reject reason='no'/>",
        "<Pause length='x'/>",
        "<Play digits='x'/>",
        "<Redirect>/relative</Redirect>",
        "<Redirect method='GET'>https://a.test/</Redirect>",
        "<Connect/>",
        "<Connect><Stream url='ws://far.test/'/></Connect>",
        "<Connect><Stream url='wss://a.test/?q'/></Connect>",
        "<Connect><Stream url='wss://a.test/' track='both_tracks'/></Connect>",
        "<Connect><Stream url='wss://a.test/'><Parameter name='' value='1'/></Stream></Connect>",
        "<Dial/>",
        "<Dial timeout='4'>+15550100001</Dial>",
        "<Dial><Number>+15550100001</Number><Number>+15550100002</Number></Dial>",
        "<Dial><Client>me</Client></Dial>",
        "<Dial><Number statusCallbackEvent='done'>+15550100001</Number></Dial>",
        "<Dial><Conference beep='loud'>x</Conference></Dial>",
        "<Dial><Conference/></Dial>",
    ],
)
def test_documents_that_break_a_rule_are_not_followed(body: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read_twiml(f"<Response>{body}</Response>")


@pytest.mark.parametrize("xml", ["", "<Response>", "<Answer/>", "<!DOCTYPE x><Response/>", " " * 70000])
def test_what_is_no_document_is_not_followed(xml: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read_twiml(xml)


# --- real sockets both ways ---------------------------------------------------------------------------------


async def test_a_machine_is_called_in_real_time() -> None:
    machine = AnsweringMachine(0.2, beep=True, answers_after=0.1)
    async with vendor() as (exchange, client, act):
        exchange.book[THEIRS] = machine
        call = await act(client.calls.create, to=THEIRS, from_=OURS, twiml=LONG)
        await exchange.wait_until(lambda: exchange.legs[call.sid].greeting_beep is not None)
        await act(client.calls(call.sid).update, twiml="<Response><Say>call back</Say></Response>")
        await exchange.wait_quiet()
    assert machine.messages == ["call back"]


async def test_everything_runs_over_real_sockets_too() -> None:
    desk, twilio = Desk(greeting="hello"), SimulatedTwilio()
    async with serving(desk) as url, open_exchange(twilio, LoopbackLine(url, ORIGIN)) as exchange:
        exchange.book[THEIRS] = Person(Caller().waits_for_agent(quiet=0.2).hangs_up(), answers_after=0.1)
        http = ToLoopback(exchange.url)
        client = Client(twilio.account_sid, twilio.auth_token, http_client=http)
        order = {"to": THEIRS, "from_": OURS, "url": hook("answer"), "status_callback": hook("status")}
        with trio.fail_after(20):
            call = await trio.to_thread.run_sync(partial(client.calls.create, **order))
            await exchange.wait_quiet()
        if http.session is not None:
            http.session.close()
    outcome = exchange.outcomes[str(call.sid)]
    assert (outcome.ok, outcome.heard) == (True, "hello")
    assert desk.statuses_told() == ["completed"]
    assert desk.stops == 1
