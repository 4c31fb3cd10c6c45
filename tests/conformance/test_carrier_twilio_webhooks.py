"""What each webhook of Twilio's tells."""

from __future__ import annotations

import json
import logging
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from patter_trio._wire.signatures import sign_twilio
from patter_trio.abc import WebhookRequest
from patter_trio.carriers import Twilio
from patter_trio.errors import RemoteProtocolError, SignatureError
from patter_trio.telephony import (
    CallAnswered,
    CallOffered,
    CallOver,
    CallRinging,
    Links,
    MachineVerdict,
    Notice,
    RecordingSaved,
    TransferEnded,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "twilio.json").read_text(encoding="utf-8"))
TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT = "AC00000000000000000000000000000001"
CALL = "CA00000000000000000000000000000001"
LEG = "CA00000000000000000000000000000002"
RECORDING = "RE00000000000000000000000000000001"
LINKS = Links("https://voice.example.test", "twilio", "token")
URL = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}"


def told(what: str, *, method: str = "POST", extra: str = "", **fields: str) -> Notice | None:
    """What a signed webhook tells."""
    carrier = Twilio(account_sid=ACCOUNT, auth_token=TOKEN)
    pairs = tuple({"CallSid": CALL, "AccountSid": ACCOUNT, **fields}.items())
    url = LINKS.webhook(what) + extra
    if method == "GET":
        url, pairs = f"{url}&{urlencode(pairs)}", ()
    signature = sign_twilio(TOKEN, url, pairs)
    request = WebhookRequest(method, url, {"X-Twilio-Signature": signature}, form=pairs)
    carrier.verify(request)
    return carrier.read_notice(what, request)


EXPECTED: dict[str, tuple[str, object]] = {
    "inbound_call": ("voice", CallOffered),
    "status_busy": ("status", CallOver(CALL, "busy", detail="busy (SIP 486)", seconds=0.0)),
    "amd_async": ("machine", MachineVerdict(CALL, "machine", True, "machine_end_beep")),
    "recording_completed": ("recording", RecordingSaved(CALL, RECORDING, URL, 12.0)),
    "stream_stopped": ("stream", None),
}


@pytest.mark.parametrize("vector", VECTORS["webhooks"], ids=lambda vector: vector["name"])
def test_the_recorded_webhooks_are_read(vector: dict[str, Any]) -> None:
    form = tuple(parse_qsl(vector["body"], keep_blank_values=True))
    request = WebhookRequest(vector["method"], vector["url"], vector["headers"], form=form)
    what, expected = EXPECTED[vector["name"]]
    notice = Twilio(account_sid=ACCOUNT, auth_token=TOKEN).read_notice(what, request)
    assert isinstance(notice, CallOffered) if expected is CallOffered else notice == expected


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("what", ["voice", "answer"])
def test_a_call_is_offered_by_either_method(what: str, method: str) -> None:
    notice = told(what, method=method, From="+15550100001", To="+15550100002", Direction="outbound-api")
    assert isinstance(notice, CallOffered)
    assert (notice.info.caller, notice.info.callee) == ("+15550100001", "+15550100002")
    assert (notice.info.direction, notice.call_id) == ("outbound", CALL)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("status", "notice"),
    [
        *(("queued", None), ("initiated", None)),
        ("ringing", CallRinging(CALL)),
        ("in-progress", CallAnswered(CALL)),
        *(
            (status, CallOver(CALL, outcome.replace("-", "_"), detail=status))
            for status, outcome in VECTORS["call_status_to_outcome"].items()
        ),
    ],
)
def test_each_status_is_a_notice(status: str, notice: Notice | None, method: str) -> None:
    assert told("status", method=method, CallStatus=status) == notice


def test_the_end_of_a_call_says_why_and_how_long() -> None:
    ended = told("status", CallStatus="failed", SipResponseCode="503", CallDuration="7", Duration="1")
    assert ended == CallOver(CALL, "failed", detail="failed (SIP 503)", seconds=7.0)
    odd = told("status", CallStatus="completed", SipResponseCode="no<>", CallDuration="-1")
    assert odd == CallOver(CALL, "completed", detail="completed")


@pytest.mark.parametrize(
    ("word", "verdict", "greeting_over"),
    [
        ("human", "human", False),
        ("fax", "fax", False),
        ("unknown", "unknown", False),
        ("machine_start", "machine", False),
        ("machine_end_beep", "machine", True),
        ("machine_end_silence", "machine", True),
        ("machine_end_other", "machine", True),
        ("a_word_of_next_year", "unknown", False),
    ],
)
def test_each_verdict_is_read(word: str, verdict: Any, greeting_over: bool) -> None:
    assert told("machine", AnsweredBy=word) == MachineVerdict(CALL, verdict, greeting_over, word)


def test_recordings_are_told_when_they_are_done_or_will_not_come() -> None:
    given = {"RecordingSid": RECORDING, "RecordingUrl": URL}
    assert told("recording", RecordingStatus="in-progress", **given) is None
    absent = told("recording", RecordingStatus="absent", ErrorCode="16101", **given)
    assert absent == RecordingSaved(CALL, RECORDING, error="absent (16101)")
    assert told("recording", RecordingStatus="absent", ErrorCode="0", **given) == RecordingSaved(
        CALL, RECORDING, error="absent"
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("status", "bridged", "answered"),
    [
        ("completed", "true", True),
        ("answered", "", True),
        ("completed", "", True),
        ("busy", "false", False),
        ("no-answer", "", False),
        ("failed", "", False),
        ("canceled", "", False),
        ("failed", "true", True),
    ],
)
def test_the_end_of_a_transfer_waits_for_a_document(
    status: str, bridged: str, answered: bool, method: str
) -> None:
    notice = told("transfer", method=method, DialCallStatus=status, DialBridged=bridged)
    assert notice == TransferEnded(CALL, answered, detail=status, wants_document=True)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("status", "answered"),
    [
        *(("initiated", None), ("ringing", None), ("in-progress", None), ("completed", True)),
        *(("busy", False), ("no-answer", False), ("failed", False), ("canceled", False)),
    ],
)
def test_a_leg_reports_for_the_call_that_waits(status: str, answered: bool | None, method: str) -> None:
    notice = told("leg", method=method, extra=f"&of={CALL}", CallSid=LEG, CallStatus=status)
    assert notice == (None if answered is None else TransferEnded(CALL, answered, detail=status))


@pytest.mark.parametrize("extra", ["", "&of=", "&of=CA1", "&of=../x", f"&of={CALL}0"])
def test_a_leg_of_no_call_is_refused(extra: str) -> None:
    with pytest.raises(RemoteProtocolError, match="no valid call"):
        told("leg", extra=extra, CallStatus="busy")


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("status", {}),
        ("status", {"CallStatus": "dancing"}),
        ("machine", {}),
        ("recording", {"RecordingStatus": "completed", "RecordingUrl": URL}),
        ("recording", {"RecordingStatus": "completed", "RecordingSid": "RE../x"}),
        ("recording", {"RecordingStatus": "completed", "RecordingSid": RECORDING}),
        ("recording", {"RecordingSid": RECORDING}),
        ("transfer", {}),
        ("leg", {"extra": f"&of={CALL}"}),
        ("status", {"CallStatus": "busy", "CallSid": "CA1"}),
        ("status", {"CallStatus": "busy", "AccountSid": ACCOUNT[:-1] + "2"}),
    ],
)
def test_a_webhook_that_does_not_say_what_it_must(what: str, fields: dict[str, str]) -> None:
    with pytest.raises(RemoteProtocolError):
        told(what, **fields)


def test_a_broken_stream_is_logged_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert told("stream", StreamEvent="stream-error", StreamError="31921\nclosed") is None
    assert caplog.messages == [f"call {CALL}: Twilio says that the stream broke: 31921 closed"]
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert told("stream", StreamEvent="stream-stopped") is None
        assert told("document") is None
    assert caplog.messages == []


@given(
    what=st.sampled_from(sorted({what for what, _ in EXPECTED.values()} | {"leg", "transfer"})),
    data=st.data(),
)
def test_no_fields_raise_anything_else(what: str, data: st.DataObject) -> None:
    names = st.sampled_from(
        ["CallStatus", "AnsweredBy", "RecordingSid", "RecordingStatus", "DialCallStatus", "CallDuration"]
    )
    fields = data.draw(st.dictionaries(names, st.text(max_size=12)))
    try:
        told(what, **fields)
    except RemoteProtocolError:
        return


# --- the vendor's own validator judges ----------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
HOSTS = st.sampled_from(["voice.example.test", "h.test:443", "h.test:80", "h.test:8443"])
QUERIES = st.text("abc=&%20+", max_size=10)


@given(host=HOSTS, query=QUERIES, form=st.dictionaries(st.text("abcXYZ", min_size=1), TEXT, min_size=1))
def test_forms_are_signed_and_verified_as_by_the_vendor(host: str, query: str, form: dict[str, str]) -> None:
    url = f"https://{host}/webhooks/twilio/status?call={query}"
    vendor = RequestValidator(TOKEN)
    pairs = tuple(form.items())
    assert vendor.validate(url, form, sign_twilio(TOKEN, url, pairs))
    headers = {"X-Twilio-Signature": vendor.compute_signature(url, form)}
    carrier = Twilio(auth_token=TOKEN)
    carrier.verify(WebhookRequest("POST", url, headers, form=pairs))
    with pytest.raises(SignatureError):
        carrier.verify(WebhookRequest("POST", url, headers, form=(*pairs, ("Added", ""))))


@given(scheme=st.sampled_from(["https", "wss"]), host=HOSTS, query=QUERIES)
def test_get_and_upgrades_are_signed_and_verified_as_by_the_vendor(
    scheme: str, host: str, query: str
) -> None:
    url = f"{scheme}://{host}/ws/twilio/token?call={query}"
    vendor = RequestValidator(TOKEN)
    assert vendor.validate(url, {}, sign_twilio(TOKEN, url))
    headers = {"X-Twilio-Signature": vendor.compute_signature(url, {})}
    Twilio(auth_token=TOKEN).verify(WebhookRequest("GET", url, headers))
    with pytest.raises(SignatureError):
        Twilio(auth_token=TOKEN).verify(WebhookRequest("GET", url + "x", headers))


@given(host=HOSTS, body=st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_json_bodies_are_verified_as_by_the_vendor(host: str, body: str) -> None:
    vendor = RequestValidator(TOKEN)
    url = f"https://{host}/x?bodySHA256={sha256(body.encode()).hexdigest()}"
    signature = sign_twilio(TOKEN, url)
    assert vendor.validate(url, body, signature)
    carrier, headers = Twilio(auth_token=TOKEN), {"X-Twilio-Signature": signature}
    carrier.verify(WebhookRequest("POST", url, headers, body=body.encode()))
    assert not vendor.validate(url, body + "x", signature)
    with pytest.raises(SignatureError):
        carrier.verify(WebhookRequest("POST", url, headers, body=body.encode() + b"x"))
