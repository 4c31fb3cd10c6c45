from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import attrs
import pytest

from patter_trio import abc, telephony
from patter_trio._wire import twilio_far
from patter_trio._wire.signatures import HMAC_SHA256, sign_twilio
from patter_trio._wire.twiml import Refusal, SayAnswer, StreamAnswer, parse_answer
from patter_trio.abc import WebhookRequest
from patter_trio.carriers import Twilio, twilio
from patter_trio.errors import PatterConfigError, RemoteProtocolError, SignatureError
from patter_trio.events import CallInfo, MarkPlayed
from patter_trio.telephony import CallOffered, Links, StreamOrder
from patter_trio.testing.playback import PlaybackBuffer

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "twilio.json").read_text(encoding="utf-8"))
WEBHOOKS: list[dict[str, Any]] = VECTORS["webhooks"]
TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT = "AC00000000000000000000000000000001"
CALL = "CA00000000000000000000000000000001"
STREAM = "MZ00000000000000000000000000000001"
URL = "https://voice.example.test/webhooks/twilio/voice"
SOCKET_URL = f"wss://voice.example.test/ws/twilio/{CALL}"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_ACCOUNT_SID", raising=False)
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)


def request_of(vector: dict[str, Any]) -> WebhookRequest:
    form = tuple(parse_qsl(vector["body"], keep_blank_values=True))
    return WebhookRequest(vector["method"], vector["url"], vector["headers"], vector["body"].encode(), form)


def incoming(**fields: str) -> WebhookRequest:
    form = {"CallSid": CALL, "AccountSid": ACCOUNT, "From": "+15550100001", "To": "+15550100002"} | fields
    pairs = tuple(form.items())
    return WebhookRequest("POST", URL, {"X-Twilio-Signature": sign_twilio(TOKEN, URL, pairs)}, form=pairs)


# --- settings -----------------------------------------------------------------------------------------------


def test_it_is_a_carrier() -> None:
    carrier: abc.Carrier = Twilio(auth_token=TOKEN)
    assert isinstance(carrier, abc.Carrier)
    assert carrier.kind == "twilio"
    assert twilio.Carrier is Twilio


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", ACCOUNT)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", TOKEN)
    assert Twilio() == Twilio(account_sid=ACCOUNT, auth_token=TOKEN)
    assert Twilio(auth_token="other").auth_token == "other"


def test_a_missing_token_names_the_variable_to_set() -> None:
    with pytest.raises(PatterConfigError, match="TWILIO_AUTH_TOKEN"):
        Twilio(account_sid=ACCOUNT)


def test_settings_that_cannot_be_meant() -> None:
    with pytest.raises(PatterConfigError, match="TWILIO_ACCOUNT_SID"):
        Twilio(account_sid="SK00000000000000000000000000000001", auth_token=TOKEN)
    with pytest.raises(PatterConfigError, match="retired_auth_tokens"):
        Twilio(auth_token=TOKEN, retired_auth_tokens=("",))
    with pytest.raises(PatterConfigError, match="shared_keys"):
        Twilio(auth_token=TOKEN, shared_keys={"key": ""})


def test_secrets_are_not_shown() -> None:
    carrier = Twilio(auth_token="hush1", retired_auth_tokens=("hush2",), shared_keys={"key": "hush3"})
    assert "hush" not in repr(carrier)


def test_settings_can_be_shared_and_not_changed() -> None:
    carrier = Twilio(auth_token=TOKEN)
    hash(carrier)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        carrier.auth_token = "other"  # type: ignore[misc]  # the test is that this fails


# --- webhooks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", WEBHOOKS, ids=[vector["name"] for vector in WEBHOOKS])
def test_signed_webhooks_are_accepted_and_tampered_ones_are_not(vector: dict[str, Any]) -> None:
    carrier = Twilio(auth_token=vector["secret"])
    request = request_of(vector)
    carrier.verify(request)
    lower = {name.lower(): value for name, value in request.headers.items()}
    carrier.verify(attrs.evolve(request, headers=lower))
    for broken in (
        attrs.evolve(request, form=(*request.form, ("AnsweredBy", "human"))),
        attrs.evolve(request, form=request.form[1:]),
        attrs.evolve(request, url=request.url + "/"),
        attrs.evolve(request, method="GET"),
        attrs.evolve(request, headers={"X-Twilio-Signature": "A" + request.headers["X-Twilio-Signature"]}),
    ):
        with pytest.raises(SignatureError, match="wrong"):
            carrier.verify(broken)
    with pytest.raises(SignatureError, match="without"):
        carrier.verify(attrs.evolve(request, headers={}))


def test_a_refusal_holds_no_secret() -> None:
    request = attrs.evolve(incoming(), headers={"X-Twilio-Signature": "guess"})
    with pytest.raises(SignatureError) as caught:
        Twilio(auth_token=TOKEN).verify(request)
    assert TOKEN not in str(caught.value)
    assert "guess" not in str(caught.value)


def test_a_media_socket_is_verified_over_its_stream_url() -> None:
    vector = next(vector for vector in VECTORS["signature"] if vector["name"] == "websocket_upgrade")
    headers = {"X-Twilio-Signature": vector["signature"]}
    carrier = Twilio(auth_token=vector["secret"])
    carrier.verify(WebhookRequest("GET", vector["url"], headers))
    with pytest.raises(SignatureError):
        carrier.verify(WebhookRequest("GET", vector["url"].replace("wss", "https"), headers))


def test_a_retired_token_signs_while_it_is_listed() -> None:
    request = incoming()
    Twilio(auth_token="new", retired_auth_tokens=(TOKEN,)).verify(request)
    with pytest.raises(SignatureError):
        Twilio(auth_token="new").verify(request)


def test_only_the_shared_keys_that_are_listed_sign() -> None:
    vector = next(vector for vector in VECTORS["signature"] if vector["algorithm"] == HMAC_SHA256)
    form = tuple((name, value) for name, value in vector["params"])
    settings = "X-Twilio-Webhooks-Signature-Settings"
    headers = {"X-Twilio-Signature": vector["signature"], settings: "key=k1,algorithm=HMAC_SHA256"}
    request = WebhookRequest("POST", vector["url"], headers, form=form)
    Twilio(auth_token="t", shared_keys={"k1": vector["secret"]}).verify(request)
    for carrier in (
        Twilio(auth_token=vector["secret"]),
        Twilio(auth_token=vector["secret"], shared_keys={"k2": vector["secret"]}),
        Twilio(auth_token=vector["secret"], shared_keys={"k1": "other"}),
    ):
        with pytest.raises(SignatureError):
            carrier.verify(request)
    unknown = attrs.evolve(request, headers={**headers, settings: "key=k1,algorithm=NONE"})
    with pytest.raises(SignatureError):
        Twilio(auth_token="t", shared_keys={"k1": vector["secret"]}).verify(unknown)


def read(carrier: Twilio, request: WebhookRequest) -> CallInfo:
    notice = carrier.read_notice("voice", request)
    assert isinstance(notice, CallOffered)
    return notice.info


def test_an_incoming_call_is_read() -> None:
    info = read(Twilio(auth_token=TOKEN), request_of(WEBHOOKS[0]))
    assert info == CallInfo(CALL, "+15550100001", "+15550100002", "inbound", "twilio")


@pytest.mark.parametrize("caller", ["anonymous", "Restricted", "sip:alice@pbx.example.test", ""])
def test_a_caller_need_not_have_a_number(caller: str) -> None:
    assert read(Twilio(auth_token=TOKEN), incoming(From=caller)).caller == caller


@pytest.mark.parametrize(
    ("said", "direction"),
    [("inbound", "inbound"), ("outbound-api", "outbound"), ("outbound-dial", "outbound")],
)
def test_the_direction_is_read(said: str, direction: str) -> None:
    assert read(Twilio(auth_token=TOKEN), incoming(Direction=said)).direction == direction


def test_a_number_configured_for_get_is_read_from_its_query() -> None:
    url = f"{URL}?CallSid={CALL}&From=%2B15550100001&To=&Direction=inbound"
    request = WebhookRequest("GET", url, {"X-Twilio-Signature": sign_twilio(TOKEN, url)})
    carrier = Twilio(auth_token=TOKEN)
    carrier.verify(request)
    assert read(carrier, request) == CallInfo(CALL, "+15550100001", telephony_provider="twilio")


@pytest.mark.parametrize(
    "call_sid", ["", "CA1", "CA" + "A" * 32, CALL + "\n", "CA../../Accounts", "MZ" + CALL[2:], CALL + "0"]
)
def test_a_webhook_without_a_valid_call_is_refused(call_sid: str) -> None:
    with pytest.raises(RemoteProtocolError, match="CallSid"):
        read(Twilio(auth_token=TOKEN), incoming(CallSid=call_sid))


def test_a_call_of_another_account_is_refused() -> None:
    carrier = Twilio(account_sid=ACCOUNT, auth_token=TOKEN)
    assert read(carrier, incoming()).call_id == CALL
    with pytest.raises(RemoteProtocolError, match="account"):
        read(carrier, incoming(AccountSid="AC00000000000000000000000000000002"))


# --- answers and the stream ---------------------------------------------------------------------------------


async def test_answers_are_what_the_carrier_understands() -> None:
    info, links = CallInfo(CALL), Links("https://voice.example.test", "twilio", "t")
    async with Twilio(auth_token=TOKEN).open() as live:
        answer = await live.answer(info, StreamOrder(SOCKET_URL, links, {"token": "abc"}))
        assert parse_answer(answer.body) == StreamAnswer(
            SOCKET_URL, {"token": "abc"}, links.webhook("stream")
        )
        for reason in ("busy", "rejected"):
            refused = await live.refuse(info, telephony.Refusal(reason))
            assert parse_answer(refused.body) == Refusal(reason)
        said = await live.refuse(info, telephony.Refusal("said", "We are closed."))
        assert parse_answer(said.body) == SayAnswer("We are closed.")
        with pytest.raises(PatterConfigError):
            await live.answer(info, StreamOrder(SOCKET_URL + "?token=abc", links))


def test_every_stream_has_a_wire_of_its_own() -> None:
    carrier = Twilio(auth_token=TOKEN)
    first: abc.MediaWire = carrier.open_wire()
    assert first is not carrier.open_wire()


def test_the_scenario_of_marks_and_a_clear() -> None:
    """The script of the vectors, step by step, with a carrier's playback buffer at the far end."""
    wire = Twilio(auth_token=TOKEN).open_wire()
    far = twilio_far.FarStream(STREAM, call_sid=CALL, account_sid=ACCOUNT)
    for message in far.opening({}):
        wire.decode(message)
    playback = PlaybackBuffer()
    returned: list[str] = []

    def obey(message: str) -> None:
        said = twilio_far.decode(message)
        assert said.stream_sid == STREAM
        if isinstance(said, twilio_far.FarMedia):
            assert playback.put(said.audio)
        elif isinstance(said, twilio_far.FarMark):
            returned.extend(playback.mark(said.name))
        else:
            returned.extend(playback.clear())

    for step in VECTORS["mark_clear_scenario"]["steps"]:
        verb, *words = str(step.get("send", "none")).split()
        if "advance_ms" in step:
            # A frame is played when the tick after it comes, so whole ticks: 210 ms are 11 of them.
            for _ in range(-(-step["advance_ms"] // 20)):
                returned.extend(playback.tick()[1])
        elif "recv" in step:
            name = step["recv"].split()[1]
            assert wire.decode(far.mark(returned.pop(0))) == MarkPlayed(name)
        elif verb == "media":
            milliseconds = int(words[1].strip("("))
            obey(wire.encode_audio(b"\x80" * (milliseconds * 8)))
        elif verb == "mark":
            obey(wire.encode_mark(words[0]))
        else:
            obey(wire.encode_clear())
    assert returned == []
