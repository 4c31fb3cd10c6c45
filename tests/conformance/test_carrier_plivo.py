"""Plivo as a carrier: its settings, whose webhooks it takes, and what it reads in them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from patter_trio import abc
from patter_trio._wire.plivo import PlivoWire
from patter_trio._wire.plivo_signatures import sign_plivo_v2, sign_plivo_v3
from patter_trio.abc import WebhookRequest
from patter_trio.carriers.plivo import Plivo
from patter_trio.errors import PatterConfigError, RemoteProtocolError, SignatureError
from patter_trio.events import LINEAR_16K, AudioFormat, CallInfo
from patter_trio.telephony import (
    CallAnswered,
    CallOffered,
    CallOver,
    CallRinging,
    MachineVerdict,
    RecordingSaved,
    TransferEnded,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "plivo.json").read_text())
ACCOUNT, TOKEN = "MAXXXXXXXXXXXXXXXXXX", VECTORS["webhooks"][0]["auth_token"]
CALL, REQUEST = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
OTHER = "00000000-0000-4000-8000-00000000000f"
URL = "https://voice.example.test/webhooks/plivo/status?call=token"
PLIVO = Plivo(ACCOUNT, TOKEN)


def from_vector(name: str) -> WebhookRequest:
    (vector,) = [each for each in VECTORS["webhooks"] if each["name"] == name]
    form = tuple(parse_qsl(vector["body"], keep_blank_values=True))
    return WebhookRequest(vector["method"], vector["url"], vector["headers"], vector["body"].encode(), form)


def read(what: str, /, url: str = URL, **fields: str) -> Any:
    return PLIVO.read_notice(what, WebhookRequest("POST", url, {}, form=tuple(fields.items())))


# --- settings -----------------------------------------------------------------------------------------------


def test_settings_are_a_carrier() -> None:
    carrier: abc.Carrier = PLIVO
    assert isinstance(carrier, abc.Carrier)
    assert (carrier.kind, carrier.calls_per_second) == ("plivo", 2.0)
    assert isinstance(carrier.open_wire(), PlivoWire)


def test_credentials_come_from_the_environment_and_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIVO_AUTH_ID", ACCOUNT)
    monkeypatch.setenv("PLIVO_AUTH_TOKEN", "hidden-token")
    settings = Plivo(more_auth_tokens=("another-hidden-token",))
    assert (settings.auth_id, settings.auth_token) == (ACCOUNT, "hidden-token")
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"auth_id": None}, "PLIVO_AUTH_ID"),
        ({"auth_id": "AC" + "0" * 32}, "auth id"),
        ({"auth_token": None}, "PLIVO_AUTH_TOKEN"),
        ({"more_auth_tokens": ("",)}, "more_auth_tokens"),
        ({"more_auth_tokens": ["a"]}, "more_auth_tokens"),
        ({"audio": AudioFormat("alaw", 8000)}, "LINEAR_8K"),
        ({"base_url": "http://api.plivo.com"}, "https"),
        ({"base_url": "https://u:p@api.plivo.com"}, "web address"),
        ({"base_url": "https://[x"}, "web address"),
        ({"timeout": 0}, "timeout=0"),
        ({"calls_per_second": float("inf")}, "calls_per_second=inf"),
    ],
)
def test_settings_that_cannot_be_meant(
    settings: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PLIVO_AUTH_ID", raising=False)
    monkeypatch.delenv("PLIVO_AUTH_TOKEN", raising=False)
    with pytest.raises(PatterConfigError, match=said):
        Plivo(**{"auth_id": ACCOUNT, "auth_token": TOKEN, **settings})


def test_this_machine_may_be_asked_without_a_certificate() -> None:
    assert Plivo(ACCOUNT, TOKEN, base_url="http://127.0.0.1:1", audio=LINEAR_16K).audio == LINEAR_16K


# --- whose webhooks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["webhooks"], ids=lambda vector: vector["name"])
def test_signed_webhooks_are_taken_and_changed_ones_are_not(vector: dict[str, Any]) -> None:
    request = from_vector(vector["name"])
    PLIVO.verify(request)
    changed = tuple((name, value + "1") for name, value in request.form)
    with pytest.raises(SignatureError, match="wrong"):
        PLIVO.verify(WebhookRequest("POST", request.url, request.headers, request.body, changed))
    with pytest.raises(SignatureError, match="without"):
        PLIVO.verify(WebhookRequest("POST", request.url, {}, request.body, request.form))


def signed(name: str, token: str, nonce_name: str = "X-Plivo-Signature-V3-Nonce") -> dict[str, str]:
    signature = (
        sign_plivo_v2(token, URL, "n") if "V2" in name else sign_plivo_v3(token, "POST", URL, "n", FORM)
    )
    return {name: signature, nonce_name: "n"}


FORM = (("CallUUID", CALL),)


def test_the_main_accounts_signature_and_other_tokens_count() -> None:
    ma = WebhookRequest("POST", URL, signed("x-plivo-signature-ma-v3", "main"), form=FORM)
    Plivo(ACCOUNT, TOKEN, more_auth_tokens=("main",)).verify(ma)
    with pytest.raises(SignatureError):
        PLIVO.verify(ma)


def test_a_signature_without_a_nonce_is_refused() -> None:
    signature = sign_plivo_v3(TOKEN, "POST", URL, "", FORM)
    with pytest.raises(SignatureError):
        PLIVO.verify(WebhookRequest("POST", URL, {"X-Plivo-Signature-V3": signature}, form=FORM))


def test_the_older_signature_counts_only_where_that_is_asked_for() -> None:
    headers = signed("X-Plivo-Signature-V2", TOKEN, "X-Plivo-Signature-V2-Nonce")
    older = Plivo(ACCOUNT, TOKEN, accept_v2=True)
    older.verify(WebhookRequest("POST", URL, headers, form=FORM))
    with pytest.raises(SignatureError, match="without"):
        PLIVO.verify(WebhookRequest("POST", URL, headers, form=FORM))
    both = headers | signed("X-Plivo-Signature-V3", "somebody else's")
    with pytest.raises(SignatureError, match="wrong"):
        older.verify(WebhookRequest("POST", URL, both, form=FORM))


def test_a_webhook_of_our_own_is_taken_as_it_was_signed_and_no_other_is() -> None:
    assert isinstance(PLIVO, abc.SignsTestWebhook)
    headers = PLIVO.sign_webhook(URL, FORM)
    PLIVO.verify(WebhookRequest("POST", URL, headers, form=FORM))
    with pytest.raises(SignatureError):
        PLIVO.verify(WebhookRequest("POST", f"{URL}1", headers, form=FORM))
    assert PLIVO.sign_webhook(URL, FORM) != headers, "each has a nonce of its own"


@pytest.mark.parametrize("scheme", ["wss", "https"])
def test_an_upgrade_is_signed_too(scheme: str) -> None:
    rest = "://voice.example.test/ws/plivo/token"
    headers = {
        "X-Plivo-Signature-V3": sign_plivo_v3(TOKEN, "GET", scheme + rest, "n"),
        "X-Plivo-Signature-V3-Nonce": "n",
    }
    PLIVO.verify(WebhookRequest("GET", "wss" + rest, headers))
    with pytest.raises(SignatureError):
        PLIVO.verify(WebhookRequest("GET", "wss" + rest + "2", headers))


# --- what they say ------------------------------------------------------------------------------------------


def test_calls_are_offered_in_both_directions() -> None:
    def info(caller: str, callee: str, direction: Any) -> CallOffered:
        return CallOffered(CallInfo(CALL, caller, callee, direction, telephony_provider="plivo"))

    inbound, outbound = from_vector("answer_inbound"), from_vector("answer_outbound")
    ours, theirs = "+15550100002", "+15550100001"
    assert PLIVO.read_notice("voice", inbound) == info(theirs, ours, "inbound")
    assert PLIVO.read_notice("answer", outbound) == info(ours, theirs, "outbound")


@pytest.mark.parametrize("caller", ["anonymous", "sip:a@example.test", "", "+15550100001", "1001"])
def test_a_caller_without_a_number_stays_as_it_is(caller: str) -> None:
    assert read("voice", CallUUID=CALL, From=caller, CallStatus="ringing").info.caller == caller


def test_a_number_may_be_configured_for_get() -> None:
    url = f"https://voice.example.test/webhooks/plivo/voice?CallUUID={CALL}&From=15550100001"
    notice = PLIVO.read_notice("voice", WebhookRequest("GET", url, {}))
    assert isinstance(notice, CallOffered)
    assert notice.info.caller == "+15550100001"


def test_a_hang_up_that_comes_to_the_answer_address_is_no_new_call() -> None:
    told = {"CallUUID": CALL, "CallStatus": "completed", "Duration": "61", "HangupCauseCode": "4000"}
    over = CallOver(CALL, "completed", "", "completed: (4000)", 61.0)
    assert read("voice", **told) == over
    assert read("voice", Event="Hangup", **told) == over


def test_the_way_of_a_call_is_told() -> None:
    assert read("status", CallUUID=CALL, Event="Ring", RequestUUID=REQUEST) == CallRinging(CALL, REQUEST)
    assert read("status", CallUUID=CALL, CallStatus="ringing") == CallRinging(CALL)
    answered = read("status", CallUUID=CALL, CallStatus="in-progress", ALegRequestUUID=REQUEST)
    assert answered == CallAnswered(CALL, REQUEST)
    busy = PLIVO.read_notice("status", from_vector("hangup_busy"))
    assert busy == CallOver(CALL, "busy", REQUEST, "busy: USER_BUSY (3010)", 0.0)


@pytest.mark.parametrize(("status", "outcome"), VECTORS["call_status_to_outcome"].items())
def test_every_end_of_a_call_is_known(status: str, outcome: str) -> None:
    over = read("status", CallUUID=CALL, Event="Hangup", CallStatus=status)
    assert over == CallOver(CALL, outcome.replace("-", "_"), detail=status)  # type: ignore[arg-type]


def test_a_request_id_that_is_none_is_not_passed_on() -> None:
    assert read("status", CallUUID=CALL, Event="Ring", RequestUUID="x/y") == CallRinging(CALL)


@pytest.mark.parametrize(("word", "verdict"), [("true", "machine"), ("false", "human"), ("maybe", "unknown")])
def test_who_picked_up(word: str, verdict: Any) -> None:
    assert read("machine", CallUUID=CALL, Machine=word) == MachineVerdict(
        CALL, verdict, raw=f"Machine={word}"
    )


def test_a_machine_in_the_vectors() -> None:
    assert PLIVO.read_notice("machine", from_vector("amd_machine")) == MachineVerdict(
        CALL, "machine", raw="Machine=true"
    )


def test_recordings_are_told_in_two_vocabularies() -> None:
    url = "https://media.plivo.com/v1/Account/MAXXXXXXXXXXXXXXXXXX/Recording/r1.wav"
    assert PLIVO.read_notice("recording", from_vector("recording_ready")) == RecordingSaved(
        CALL, "r1", url, 12.0
    )
    by_xml = {"CallUUID": CALL, "RecordingID": "r2", "RecordUrl": url}
    assert read("recording", **by_xml, RecordingDuration="-1") is None
    assert read("recording", **by_xml, RecordingDuration="3", RecordingDurationMs="3200").seconds == 3.2
    assert read("recording", **by_xml, RecordingDuration="3").seconds == 3.0
    lost = read("recording", call_uuid=CALL, recording_id="r1")
    assert lost == RecordingSaved(CALL, "r1", error="Plivo names no address")


@pytest.mark.parametrize(
    ("status", "answered"),
    [("completed", True), ("busy", False), ("no-answer", False), ("timeout", False), ("failed", False)],
)
def test_a_transfer_ends_and_its_answer_is_waited_for(status: str, answered: bool) -> None:
    ended = read("transfer", CallUUID=CALL, DialStatus=status, DialHangupCause="CAUSE")
    assert ended == TransferEnded(CALL, answered, f"{status}: CAUSE", wants_document=True)


def test_a_room_that_was_left_asks_for_more() -> None:
    ended = read("transfer", CallUUID=CALL, MPCUUID=OTHER, MPCName="r1")
    assert ended == TransferEnded(CALL, True, "left the room", wants_document=True)


def test_the_other_leg_of_a_transfer_speaks_of_the_call_that_waits() -> None:
    url = f"https://voice.example.test/webhooks/plivo/leg?call=t&of={CALL}"
    told = {"CallUUID": OTHER, "HangupCause": "USER_BUSY", "HangupCauseCode": "3010"}
    assert read("leg", url, **told, CallStatus="busy") == TransferEnded(CALL, False, "busy: USER_BUSY (3010)")
    assert read("leg", url, **told, CallStatus="completed").answered
    assert read("leg", url, **told, CallStatus="ringing") is None


@pytest.mark.parametrize("event", ["StartStream", "StopStream", "PlayedStream", "started", "stopped"])
def test_a_stream_that_goes_well_is_not_spoken_of(event: str, caplog: pytest.LogCaptureFixture) -> None:
    assert read("stream", CallUUID=CALL, Event=event) is None
    assert not caplog.records


@pytest.mark.parametrize(
    "told",
    [
        {"Event": "DroppedStream", "Error": "connection_failed"},
        {"Event": "failed", "StatusReason": "connection_failed"},
    ],
)
def test_a_stream_that_broke_is_logged(told: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert read("stream", CallUUID=CALL, **told) is None
    assert "connection_failed" in caplog.text


def test_what_we_do_not_know_tells_nothing() -> None:
    assert read("document", CallUUID=CALL) is None
    assert PLIVO.read_notice("stream", from_vector("stream_stopped")) is None


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("voice", {}),
        ("voice", {"CallUUID": "CA123"}),
        ("voice", {"CallUUID": CALL + "/Record"}),
        ("status", {"CallUUID": CALL, "CallStatus": "melted"}),
        ("status", {"CallUUID": CALL, "Event": "Hangup"}),
        ("machine", {"CallUUID": CALL}),
        ("recording", {"call_uuid": CALL, "recording_id": "../x"}),
        ("transfer", {"CallUUID": CALL}),
        ("leg", {"CallUUID": CALL, "CallStatus": "busy"}),
    ],
)
def test_a_webhook_that_does_not_say_what_it_must_is_refused(what: str, fields: dict[str, str]) -> None:
    with pytest.raises(RemoteProtocolError):
        read(what, **fields)
