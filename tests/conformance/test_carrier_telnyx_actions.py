"""What Telnyx is asked for, beside what its own client asks for; and what is made of its answers."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs
import httpx
import httpx2
import pytest
import telnyx
import trio
from trio.testing import MockClock

from patter_trio import abc
from patter_trio._wire.telnyx_state import LegState, read_state, write_state
from patter_trio.abc import WebhookRequest
from patter_trio.carriers import Telnyx
from patter_trio.carriers._telnyx_following import estimate
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
    Refusal,
    StreamOrder,
    TransferEnded,
    TransferOrder,
    WebhookReply,
)

KEY, APP = "KEYsecret", "1000000000000000001"
PUBLIC = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
CALL, HUMAN = "v3:caller-leg_1", "v3:human-leg_1"
OURS, THEIRS, OTHER = "+15550100002", "+15550100001", "+15550109999"
LINKS = Links("https://voice.example.test", "telnyx", "token")
STREAM = StreamOrder("wss://voice.example.test/ws/telnyx/one", LINKS)
INFO = CallInfo(CALL, THEIRS, OURS, "inbound", "telnyx")
OK: dict[str, Any] = {"data": {"result": "ok"}}
DIALLED: dict[str, Any] = {"data": {"call_control_id": HUMAN, "call_leg_id": "l", "is_alive": False}}


def refusal(code: str, title: str = "No", detail: str = "") -> dict[str, Any]:
    return {"errors": [{"code": code, "title": title, "detail": detail}]}


OVER = (422, refusal("90018", "Call has already ended"))


@attrs.define(eq=False)
class Carrier(httpx2.AsyncBaseTransport):
    """Answers what it was told to, else that it is well; keeps what it was asked."""

    answers: dict[str, list[Any]] = attrs.field(factory=dict[str, list[Any]])
    asked: list[tuple[str, str, dict[str, Any]]] = attrs.field(factory=list[tuple[str, str, dict[str, Any]]])
    headers: list[httpx2.Headers] = attrs.field(factory=list[httpx2.Headers])

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await trio.lowlevel.checkpoint()
        path = unquote(request.url.raw_path.decode())
        body = json.loads(await request.aread() or b"{}")
        self.asked.append((request.method, path, body))
        self.headers.append(request.headers)
        what = urlsplit(path).path.rpartition("/")[2]
        planned = self.answers.get(what) or [(200, DIALLED if what == "calls" else OK)]
        answer = planned.pop(0) if len(planned) > 1 else planned[0]
        if isinstance(answer, Exception):
            raise answer
        status, content = answer
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        return httpx2.Response(status, content=raw, headers={"retry-after": "7"}, request=request)

    @property
    def actions(self) -> list[tuple[str, str]]:
        """The commands: the leg and what it was to do."""
        return [
            (path.split("/")[3], path.rpartition("/")[2]) for _, path, _ in self.asked if "/actions/" in path
        ]

    def body(self, what: str, number: int = -1) -> dict[str, Any]:
        return [body for _, path, body in self.asked if path.partition("?")[0].endswith(f"/{what}")][number]


@asynccontextmanager
async def opened(carrier: Carrier | None = None, **settings: Any) -> AsyncIterator[tuple[Any, Carrier]]:
    carrier = carrier or Carrier()
    given = {"api_key": KEY, "connection_id": APP, "public_key": PUBLIC, "transport": carrier, **settings}
    async with Telnyx(**given).open() as live:
        yield live, carrier


def webhook(kind: str, call_id: str = CALL, state: LegState | None = None, **more: Any) -> WebhookRequest:
    payload = {"call_control_id": call_id, "client_state": state and write_state(state), **more}
    said = {"data": {"event_type": kind, "id": f"{kind}/{call_id}/{more}", "payload": payload}}
    return WebhookRequest("POST", LINKS.webhook("status"), {}, json.dumps(said).encode())


# --- beside the vendor's client -----------------------------------------------------------------------------


def sdk_asks(act: Callable[[Any], Any]) -> tuple[str, str, dict[str, Any]]:
    asked: list[tuple[str, str, dict[str, Any]]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = unquote(request.url.raw_path.decode())
        asked.append((request.method, path, json.loads(request.content or b"{}")))
        return httpx.Response(200, json=OK)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        act(telnyx.Telnyx(api_key=KEY, http_client=client))
    return asked[0]


STREAMED: dict[str, Any] = {
    "stream_url": STREAM.url,
    "stream_track": "inbound_track",
    "stream_codec": "PCMU",
    "stream_bidirectional_mode": "rtp",
    "stream_bidirectional_codec": "PCMU",
    "stream_bidirectional_target_legs": "self",
}
REPORTED: dict[str, Any] = {
    "webhook_url": "https://voice.example.test/webhooks/telnyx/status?call=token",
    "webhook_url_method": "POST",
}
COLD = TransferOrder(OTHER, LINKS, caller_id=OURS)
WARM = attrs.evolve(COLD, mode="warm", summary="A caller about an order.")
ORDER = CallOrder(THEIRS, OURS, STREAM)
BESIDE: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "answer": (
        lambda live: live.answer(INFO, STREAM),
        lambda sdk: sdk.calls.actions.answer(
            CALL,
            client_state=write_state(LegState("in")),
            send_silence_when_idle=True,
            **STREAMED,
            **REPORTED,
        ),
    ),
    "reject busy": (
        lambda live: live.refuse(INFO, Refusal("busy")),
        lambda sdk: sdk.calls.actions.reject(CALL, cause="USER_BUSY"),
    ),
    "reject": (
        lambda live: live.refuse(INFO, Refusal("rejected")),
        lambda sdk: sdk.calls.actions.reject(CALL, cause="CALL_REJECTED"),
    ),
    "dial": (
        lambda live: live.place(ORDER),
        lambda sdk: sdk.calls.dial(
            connection_id=APP,
            from_=OURS,
            to=THEIRS,
            timeout_secs=25,
            client_state=write_state(LegState("out")),
            send_silence_when_idle=True,
            stream_bidirectional_sampling_rate=8000,
            **STREAMED,
            **REPORTED,
        ),
    ),
    "dial with everything": (
        lambda live: live.place(
            attrs.evolve(
                ORDER,
                machine_detection=True,
                max_seconds=600,
                send_digits="1w2",
                record=True,
                ring_seconds=5,
            )
        ),
        lambda sdk: sdk.calls.dial(
            connection_id=APP,
            from_=OURS,
            to=THEIRS,
            timeout_secs=5,
            time_limit_secs=600,
            send_digits_on_answer="1w2",
            answering_machine_detection="premium",
            record="record-from-answer",
            record_channels="dual",
            record_format="wav",
            client_state=write_state(LegState("out")),
            send_silence_when_idle=True,
            stream_bidirectional_sampling_rate=8000,
            **STREAMED,
            **REPORTED,
        ),
    ),
    "hang up": (lambda live: live.hang_up(CALL), lambda sdk: sdk.calls.actions.hangup(CALL)),
    "cancel": (lambda live: live.cancel(Placed(CALL)), lambda sdk: sdk.calls.actions.hangup(CALL)),
    "send digits": (
        lambda live: live.send_digits(CALL, "1wW#A"),
        lambda sdk: sdk.calls.actions.send_dtmf(CALL, digits="1wW#A", duration_millis=250),
    ),
    "transfer": (
        lambda live: live.transfer(CALL, COLD),
        lambda sdk: sdk.calls.actions.transfer(
            CALL,
            to=OTHER,
            from_=OURS,
            timeout_secs=20,
            target_leg_client_state=write_state(LegState("cold", caller=CALL)),
            webhook_url="https://voice.example.test/webhooks/telnyx/leg?call=token",
            webhook_url_method="POST",
        ),
    ),
    "call the human": (
        lambda live: live.transfer(CALL, WARM),
        lambda sdk: sdk.calls.dial(
            connection_id=APP,
            from_=OURS,
            to=OTHER,
            timeout_secs=20,
            link_to=CALL,
            client_state=write_state(LegState("briefing", CALL, WARM.summary, "en-US")),
            webhook_url="https://voice.example.test/webhooks/telnyx/leg?call=token",
            webhook_url_method="POST",
        ),
    ),
    "take back": (
        lambda live: live.take_back(
            TransferEnded(CALL, False), INFO, attrs.evolve(STREAM, parameters={"a": "1"})
        ),
        lambda sdk: sdk.calls.actions.start_streaming(
            CALL,
            custom_parameters=[{"name": "a", "value": "1"}],
            stream_bidirectional_sampling_rate=8000,
            **STREAMED,
        ),
    ),
    "record": (
        lambda live: live.start_recording(CALL, LINKS),
        lambda sdk: sdk.calls.actions.start_recording(CALL, format="wav", channels="dual"),
    ),
    "stop recording": (
        lambda live: live.stop_recording(CALL, "r1"),
        lambda sdk: sdk.calls.actions.stop_recording(CALL, recording_id="r1"),
    ),
    "speak": (
        lambda live: live.speak(CALL, "Good bye."),
        lambda sdk: sdk.calls.actions.speak(
            CALL,
            payload="Good bye.",
            voice="female",
            language="en-US",
            client_state=write_state(LegState("farewell")),
        ),
    ),
}


@pytest.mark.parametrize(("ours", "theirs"), BESIDE.values(), ids=BESIDE.keys())
async def test_each_request_is_the_one_of_the_vendors_client(ours: Any, theirs: Any) -> None:
    async with opened() as (live, carrier):
        await ours(live)
        method, path, body = carrier.asked[0]
    command_id = body.pop("command_id")
    assert len(command_id) == 36
    assert (method, path, body) == sdk_asks(theirs)


async def test_what_is_read_is_read_as_the_vendors_client_does() -> None:
    async with opened(Carrier({CALL: [(200, {"data": {"is_alive": True}})]})) as (live, carrier):
        await live.read_state(Placed(CALL))
        assert carrier.asked[0] == sdk_asks(lambda sdk: sdk.calls.retrieve_status(CALL))
    answers: dict[str, list[Any]] = {
        APP: [(200, {"data": {"application_name": "ours", "webhook_event_url": "https://a.test"}})],
        "phone_numbers": [(200, {"data": [{"id": "7", "phone_number": OURS, "connection_id": APP}]})],
    }
    async with opened(Carrier(dict(answers))) as (live, carrier):
        assert await live.check() == "ours"
        assert carrier.asked[0] == sdk_asks(lambda sdk: sdk.call_control_applications.retrieve(APP))
        await live.read_number(OURS)
    _, path, _ = sdk_asks(lambda sdk: sdk.phone_numbers.list(filter={"phone_number": OURS[1:]}, page_size=50))
    assert sorted(parse_qsl(carrier.asked[1][1].partition("?")[2])) == sorted(
        parse_qsl(path.partition("?")[2])
    )


async def test_the_key_and_the_codec_are_those_that_are_set() -> None:
    async with opened(codec="L16", sample_rate=16000, machine_detection="detect", voice="AWS") as (
        live,
        carrier,
    ):
        assert isinstance(live, abc.LiveCarrier)
        assert isinstance(live, abc.SendsDigits)
        assert await live.answer(INFO, attrs.evolve(STREAM, parameters={"a": "1"})) == WebhookReply()
        answer = carrier.body("answer")
        assert (answer["stream_codec"], answer["stream_bidirectional_codec"]) == ("L16", "L16")
        assert answer["stream_bidirectional_sampling_rate"] == 16000
        assert read_state(answer["client_state"]).parameters == {"a": "1"}
        assert await live.place(attrs.evolve(ORDER, machine_detection=True)) == Placed(HUMAN)
        assert carrier.body("calls")["answering_machine_detection"] == "detect"
        await live.speak(CALL, "x")
        assert carrier.body("speak")["voice"] == "AWS"
        assert {headers["authorization"] for headers in carrier.headers} == {f"Bearer {KEY}"}


@pytest.mark.parametrize(
    "act",
    [
        lambda live: live.hang_up("CA1"),
        lambda live: live.hang_up("v3:a?b"),
        lambda live: live.send_digits(CALL, "12x"),
        lambda live: live.send_digits(CALL, ""),
        lambda live: live.place(attrs.evolve(ORDER, to="911x")),
        lambda live: live.place(attrs.evolve(ORDER, caller_id="")),
        lambda live: live.place(attrs.evolve(ORDER, ring_seconds=4)),
        lambda live: live.place(attrs.evolve(ORDER, max_seconds=59)),
        lambda live: live.place(attrs.evolve(ORDER, send_digits="?")),
        lambda live: live.answer(INFO, attrs.evolve(STREAM, url="https://voice.example.test/")),
        lambda live: live.transfer(CALL, attrs.evolve(COLD, number="x")),
        lambda live: live.transfer(CALL, attrs.evolve(COLD, ring_seconds=1000)),
        lambda live: live.transfer(CALL, attrs.evolve(WARM, caller_id="")),
        lambda live: live.transfer(CALL, attrs.evolve(WARM, summary="x" * 3001)),
        lambda live: live.speak(CALL, " "),
        lambda live: live.refuse(INFO, Refusal("said", "")),
        lambda live: live.read_number("sip:a@b"),
        lambda live: live.route_number(OURS, "https://a.test", "https://b.test"),
    ],
)
async def test_what_cannot_be_meant_is_not_asked(act: Any) -> None:
    async with opened() as (live, carrier):
        with pytest.raises(PatterConfigError):
            await act(live)
        assert carrier.asked == []


# --- answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (401, refusal("10009"), AuthenticationError, "10009.*TELNYX_API_KEY"),
        (403, refusal("10010"), AuthenticationError, "10010"),
        (429, refusal("10011"), RateLimitError, "try again in 7 s"),
        (429, refusal("90103"), RateLimitError, "90103"),
        (
            422,
            refusal("90034", "Not answered", "wait"),
            ProviderError,
            "Not answered: wait .422, 90034.*answered yet",
        ),
        (422, refusal("90018"), ProviderError, "the call is over"),
        (422, refusal("1", KEY), ProviderError, r"\*\*\*"),
        (404, b"<html>", ProviderError, "404"),
        (503, b"", ProviderError, "503"),
    ],
)
async def test_refusals_are_typed_and_keep_the_carriers_code(
    status: int, body: Any, error: type[PatterError], said: str, autojump_clock: MockClock
) -> None:
    async with opened(Carrier({"transfer": [(status, body)]})) as (live, _):
        with pytest.raises(error, match=said) as refused:
            await live.transfer(CALL, COLD)
    assert KEY not in str(refused.value)


async def test_a_call_that_is_over_is_no_error_to_hang_up_or_take_back() -> None:
    async with opened(Carrier({name: [OVER] for name in ("hangup", "streaming_start", "record_stop")})) as (
        live,
        _,
    ):
        await live.hang_up(CALL)
        await live.cancel(Placed(CALL))
        assert await live.take_back(TransferEnded(CALL, False), INFO, STREAM) == WebhookReply()
        await live.stop_recording(CALL, "")


@pytest.mark.parametrize("failure", [(503, b""), httpx2.ReadError("cut")])
async def test_a_command_is_asked_again_with_the_same_id(failure: Any, autojump_clock: MockClock) -> None:
    async with opened(Carrier({"send_dtmf": [failure, failure, (200, OK)]})) as (live, carrier):
        await live.send_digits(CALL, "1")
        assert len(carrier.asked) == 3
        assert len({body["command_id"] for _, _, body in carrier.asked}) == 1
        await live.send_digits(CALL, "1")
        assert len({body["command_id"] for _, _, body in carrier.asked}) == 2


async def test_a_call_is_placed_once(autojump_clock: MockClock) -> None:
    async with opened(Carrier({"calls": [httpx2.ReadError("cut")]})) as (live, carrier):
        with pytest.raises(PatterConnectionError):
            await live.place(ORDER)
        assert len(carrier.asked) == 1


@pytest.mark.parametrize("body", [b"<html>", {"data": {}}, {"data": 5}, {}, b"\xff"])
async def test_an_answer_that_says_nothing_is_a_protocol_error(body: Any) -> None:
    async with opened(Carrier({"calls": [(200, body)]})) as (live, _):
        with pytest.raises(RemoteProtocolError):
            await live.place(ORDER)


@pytest.mark.parametrize(
    ("leg", "state"),
    [
        ({"is_alive": False}, CallState("queued")),
        ({"is_alive": True, "call_duration": 0}, CallState("ringing", seconds=0.0)),
        ({"is_alive": True, "call_duration": 9}, CallState("in_progress", seconds=9.0)),
        ({"is_alive": False, "end_time": "t", "call_duration": 9}, ("completed", 9.0)),
        ({"is_alive": False, "end_time": "t", "call_duration": 0}, ("no_answer", 0.0)),
    ],
)
async def test_how_a_call_stands(leg: Any, state: Any) -> None:
    async with opened(Carrier({CALL: [(200, {"data": leg})]})) as (live, _):
        found = await live.read_state(Placed(CALL))
    assert found == state if isinstance(state, CallState) else (found.ended_as, found.seconds) == state


async def test_a_recording_is_fetched_without_the_key() -> None:
    carrier = Carrier({"r.wav": [(200, b"RIFF"), (403, b"expired")]})
    async with opened(carrier) as (live, _):
        saved = RecordingSaved(CALL, "r", "https://storage.example.test/r.wav?X-Amz=1")
        async with live.fetch_recording(saved) as pieces:
            assert b"".join([piece async for piece in pieces]) == b"RIFF"
        assert "authorization" not in carrier.headers[0]
        with pytest.raises(ProviderError, match="10 minutes"):
            async with live.fetch_recording(saved):
                pass
        for wrong in ("http://storage.example.test/r.wav", "file:///etc/passwd"):
            with pytest.raises(RemoteProtocolError):
                async with live.fetch_recording(attrs.evolve(saved, url=wrong)):
                    pass
        with pytest.raises(ProviderError, match="no space"):
            async with live.fetch_recording(RecordingSaved(CALL, "r", error="no space")):
                pass


# --- sentences before a hang-up -----------------------------------------------------------------------------


async def test_the_call_ends_when_the_sentence_was_said(autojump_clock: MockClock) -> None:
    async with opened() as (live, carrier):
        await live.speak(CALL, "Good bye.")
        await live.follow_up(
            "status", webhook("call.speak.ended", state=LegState("farewell"), status="completed")
        )
        await trio.testing.wait_all_tasks_blocked()
        assert carrier.actions == [(CALL, "speak"), (CALL, "hangup")]


async def test_the_call_ends_by_a_deadline_when_no_webhook_comes(autojump_clock: MockClock) -> None:
    async with opened() as (live, carrier):
        await live.speak(CALL, "Good bye.")
        await trio.sleep(estimate("Good bye.") - 0.1)
        assert carrier.actions == [(CALL, "speak")]
        await trio.sleep(0.2)
        assert carrier.actions == [(CALL, "speak"), (CALL, "hangup")]


async def test_the_call_ends_with_the_session() -> None:
    async with opened() as (live, carrier):
        await live.speak(CALL, "Good bye.")
    assert carrier.actions == [(CALL, "speak"), (CALL, "hangup")]


async def test_a_caller_who_hung_up_first_is_not_hung_up(autojump_clock: MockClock) -> None:
    async with opened() as (live, carrier):
        await live.speak(CALL, "Good bye.")
        await live.follow_up("status", webhook("call.hangup", state=LegState("farewell")))
        await trio.sleep(60)
    assert carrier.actions == [(CALL, "speak")]


async def test_a_refusal_that_is_said_waits_for_the_answer(autojump_clock: MockClock) -> None:
    async with opened() as (live, carrier):
        await live.refuse(INFO, Refusal("said", "Nur morgens.", "de-DE"))
        state = read_state(carrier.body("answer")["client_state"])
        assert state == LegState("refused", text="Nur morgens.", language="de-DE")
        answered = webhook("call.answered", state=state)
        await live.follow_up("status", answered)
        await live.follow_up("status", answered)
        spoken = carrier.body("speak")
        assert (spoken["payload"], spoken["language"]) == ("Nur morgens.", "de-DE")
        await live.follow_up("status", webhook("call.speak.ended", state=read_state(spoken["client_state"])))
        await trio.testing.wait_all_tasks_blocked()
    assert carrier.actions == [(CALL, "answer"), (CALL, "speak"), (CALL, "hangup")]


async def test_after_a_restart_the_webhooks_alone_are_enough() -> None:
    async with opened() as (live, carrier):
        await live.follow_up("status", webhook("call.speak.ended", state=LegState("farewell")))
        briefing = LegState("briefing", CALL, "x")
        await live.follow_up("leg", webhook("call.speak.ended", HUMAN, briefing))
    assert carrier.actions == [(CALL, "hangup"), (HUMAN, "bridge")]


# --- transfers ----------------------------------------------------------------------------------------------


async def test_a_cold_transfer_that_came_about_is_remembered() -> None:
    async with opened() as (live, carrier):
        bridged = webhook("call.bridged", HUMAN, LegState("cold", CALL))
        await live.follow_up("leg", bridged)
        await live.follow_up("leg", bridged)
        assert carrier.actions == [(HUMAN, "client_state_update")]
        assert read_state(carrier.body("client_state_update")["client_state"]) == LegState("joined", CALL)


async def test_a_warm_transfer_goes_step_by_step(autojump_clock: MockClock) -> None:
    async with opened() as (live, carrier):
        await live.transfer(CALL, WARM)
        hold = carrier.body("playback_start")
        assert (b64decode(hold["playback_content"])[:4], hold["loop"]) == (b"RIFF", "infinity")
        state = read_state(carrier.body("calls")["client_state"])
        await live.follow_up("leg", webhook("call.answered", HUMAN, state))
        assert carrier.body("speak")["payload"] == WARM.summary
        await live.follow_up("leg", webhook("call.speak.ended", HUMAN, state, status="completed"))
        await trio.sleep(0.1)
        bridge = carrier.body("bridge")
        assert bridge["call_control_id"] == CALL
        assert read_state(bridge["client_state"]) == LegState("joined", CALL)
    steps = [(CALL, "playback_start"), (HUMAN, "speak"), (CALL, "playback_stop"), (HUMAN, "bridge")]
    assert carrier.actions == steps


async def test_the_two_are_connected_though_the_end_of_the_summary_is_not_told(
    autojump_clock: MockClock,
) -> None:
    async with opened() as (live, carrier):
        await live.follow_up("leg", webhook("call.answered", HUMAN, LegState("briefing", CALL, "hello")))
        await trio.sleep(estimate("hello") + 0.1)
        assert carrier.actions == [(HUMAN, "speak"), (HUMAN, "bridge")]


async def test_without_a_summary_they_are_connected_at_once() -> None:
    async with opened() as (live, carrier):
        await live.follow_up("leg", webhook("call.answered", HUMAN, LegState("briefing", CALL)))
        assert carrier.actions == [(HUMAN, "bridge")]


async def test_a_human_who_hangs_up_during_the_summary_is_not_connected(autojump_clock: MockClock) -> None:
    async with opened() as (live, carrier):
        state = LegState("briefing", CALL, "hello")
        await live.follow_up("leg", webhook("call.answered", HUMAN, state))
        await live.follow_up("leg", webhook("call.speak.ended", HUMAN, state, status="call_hangup"))
        await live.follow_up("leg", webhook("call.hangup", HUMAN, state))
        await trio.sleep(60)
        assert carrier.actions == [(HUMAN, "speak")]


async def test_a_caller_who_hangs_up_stops_the_humans_phone() -> None:
    async with opened() as (live, carrier):
        await live.transfer(CALL, WARM)
        await live.follow_up("status", webhook("call.hangup", CALL, LegState("in")))
        assert carrier.actions == [(CALL, "playback_start"), (HUMAN, "hangup")]


async def test_a_caller_who_is_gone_already_costs_nobody_a_call() -> None:
    async with opened(Carrier({"playback_start": [OVER]})) as (live, carrier):
        with pytest.raises(ProviderError, match="the call is over"):
            await live.transfer(CALL, WARM)
        assert carrier.actions[-1] == (HUMAN, "hangup")


async def test_two_who_cannot_be_connected_are_parted(autojump_clock: MockClock) -> None:
    async with opened(Carrier({"bridge": [OVER]})) as (live, carrier):
        await live.follow_up("leg", webhook("call.answered", HUMAN, LegState("briefing", CALL)))
        assert carrier.actions == [(HUMAN, "bridge"), (HUMAN, "hangup")]


async def test_a_summary_that_cannot_be_said_connects_them_all_the_same() -> None:
    async with opened(Carrier({"speak": [(422, refusal("1"))]})) as (live, carrier):
        with pytest.raises(ProviderError):
            await live.follow_up("leg", webhook("call.answered", HUMAN, LegState("briefing", CALL, "x")))
        assert carrier.actions == [(HUMAN, "speak"), (HUMAN, "bridge")]


async def test_a_warm_transfer_shows_our_number_of_the_call() -> None:
    async with opened() as (live, carrier):
        await live.answer(INFO, STREAM)
        await live.transfer(CALL, attrs.evolve(WARM, caller_id=""))
        assert carrier.body("calls")["from"] == OURS


# --- numbers ------------------------------------------------------------------------------------------------

VOICE = "https://voice.example.test/webhooks/telnyx/voice"


def number(connection_id: str | None = APP, name: str = OURS) -> dict[str, Any]:
    return {"id": f"id{name[-1]}", "phone_number": name, "connection_id": connection_id}


def application(url: str = VOICE) -> dict[str, Any]:
    return {"data": {"application_name": "ours", "webhook_event_url": url}}


async def test_a_number_that_goes_elsewhere_is_said_to() -> None:
    answers = {"phone_numbers": [(200, {"data": [number("5")]})], "5": [(404, refusal("10005"))]}
    async with opened(Carrier(answers)) as (live, _):
        route = await live.read_number(OURS)
        assert (route.voice_url, route.taken_by) == ("", "connection 5")
    answers = {"phone_numbers": [(200, {"data": [number(None)]})]}
    async with opened(Carrier(answers)) as (live, _):
        assert await live.read_number(OURS) == NumberRoute(
            OURS, previous={"phone_number_id": "id2", "connection_id": ""}
        )
    async with opened(Carrier({"phone_numbers": [(200, {"data": []})]})) as (live, _):
        with pytest.raises(ProviderError, match="has no number"):
            await live.read_number(OURS)


async def test_a_number_is_given_to_our_application() -> None:
    answers: dict[str, list[Any]] = {
        "phone_numbers": [(200, {"data": [number("5")]}), (200, {"data": []}), (200, {"data": [number()]})],
        "5": [(200, {"data": {"application_name": "old", "webhook_event_url": "https://old.test"}})],
        APP: [(200, application("")), (200, application("")), (200, application())],
        "id2": [(200, {"data": number()})],
    }
    async with opened(Carrier(answers)) as (live, carrier):
        before = await live.route_number(OURS, VOICE)
        assert (before.voice_url, before.previous["connection_id"]) == ("https://old.test", "5")
        assert [(method, body) for method, _, body in carrier.asked if method == "PATCH"] == [
            (
                "PATCH",
                {"application_name": "ours", "webhook_event_url": VOICE, "webhook_api_version": "2"},
            ),
            ("PATCH", {"connection_id": APP}),
        ]


async def test_the_address_of_an_application_with_other_numbers_is_left_alone() -> None:
    answers = {
        "phone_numbers": [(200, {"data": [number()]}), (200, {"data": [number(), number(name=OTHER)]})],
        APP: [(200, application("https://old.test"))],
    }
    async with opened(Carrier(answers)) as (live, carrier):
        with pytest.raises(ProviderError, match=f"takes calls to .{OTHER[1:]} too"):
            await live.route_number(OURS, VOICE)
        assert all(method == "GET" for method, _, _ in carrier.asked)


async def test_an_application_that_is_none_is_said_to_be() -> None:
    async with opened(Carrier({APP: [(404, refusal("10005"))]})) as (live, _):
        with pytest.raises(ProviderError, match="no Call Control application"):
            await live.check()
