"""What strangers say to each carrier's side of a session, with the carrier's own signature."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlencode

from patter_trio._wall import wall_time
from patter_trio._wire.plivo_signatures import sign_plivo_v3
from patter_trio._wire.signatures import sign_twilio
from patter_trio._wire.signatures_telnyx import sign_telnyx
from patter_trio._wire.twilio_far import FarStream
from patter_trio.testing import SimulatedPlivo, SimulatedTelnyx, SimulatedTwilio

from ..calls.exchanged import VENDORS
from ..calls.ring import NUMBER, URL
from .fuzzing import Stranger, anything, some_text

__all__ = ["STRANGERS"]

FORM = "application/x-www-form-urlencoded"
WAYS = {way.name: way for way in VENDORS}
TWILIO, TELNYX, PLIVO = SimulatedTwilio(), SimulatedTelnyx(), SimulatedPlivo()
WEBHOOKS = ("voice", "answer", "status", "machine", "recording", "transfer", "leg", "stream", "document")


def _pairs(body: bytes) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    except ValueError:
        return ()


def _form(random: Random, always: dict[str, str], names: Sequence[str], values: Sequence[str]) -> bytes:
    """A form with names and values that may really be there, some of them in the wrong place."""
    if random.random() < 0.1:
        return some_text(random, 80).encode("utf-8", "replace")
    fields = dict(always)
    for _ in range(random.randrange(9)):
        name = random.choice(names) if random.random() < 0.9 else some_text(random)
        fields[name] = random.choice(values) if random.random() < 0.8 else some_text(random)
    return urlencode(fields, errors="replace").encode()


def _stream_in(reply: bytes, orders: Sequence[bytes]) -> str:
    """The media socket's address in an answer, or in the last command that has one."""
    for text in (reply, *reversed(orders)):
        found = re.search(rb"wss:[^\"<]+", text)
        if found is not None:
            return found[0].decode()
    raise AssertionError(f"no stream was ordered: {reply!r}")


# --- Twilio -------------------------------------------------------------------------------------------------


def _sid(number: int) -> str:
    return f"CA{number:032x}"


def _sign_twilio(url: str, body: bytes) -> dict[str, str]:
    return {
        "Content-Type": FORM,
        "X-Twilio-Signature": sign_twilio(TWILIO.auth_token, url, _pairs(body)),
    }


def _offer_twilio(number: int) -> tuple[str, bytes]:
    fields = {"CallSid": _sid(number), "AccountSid": TWILIO.account_sid, "From": "+15550000000", "To": NUMBER}
    return f"{URL}/webhooks/twilio/voice", urlencode(fields).encode()


def _twilio_form(random: Random) -> bytes:
    return _form(
        random,
        {"CallSid": _sid(1), "AccountSid": TWILIO.account_sid},
        [
            *("CallSid", "AccountSid", "From", "To", "CallStatus", "Direction", "AnsweredBy", "StreamEvent"),
            *("RecordingSid", "RecordingUrl", "RecordingStatus", "DialCallStatus", "CallDuration"),
        ],
        [
            *(_sid(1), _sid(99), "busy", "completed", "machine_end_beep", "human", "fax", "no-answer"),
            *("ringing", "in-progress", "outbound-api", "1e999", "-1", "", "https://evil.example.test/x"),
        ],
    )


# --- Telnyx -------------------------------------------------------------------------------------------------


def _control_id(number: int) -> str:
    return f"v3:stranger-{number}"


def _sign_telnyx(url: str, body: bytes) -> dict[str, str]:
    now = int(wall_time())
    return {
        "Content-Type": "application/json",
        "telnyx-timestamp": str(now),
        "telnyx-signature-ed25519": sign_telnyx(TELNYX.seed, now, body),
    }


def _telnyx_event(kind: str, payload: Any, number: int) -> bytes:
    event = {"record_type": "event", "event_type": kind, "id": f"event-{number}", "payload": payload}
    return json.dumps({"data": event, "meta": {"attempt": 1}}).encode()


def _offer_telnyx(number: int) -> tuple[str, bytes]:
    payload = {
        "call_control_id": _control_id(number),
        "connection_id": TELNYX.connection_id,
        "direction": "incoming",
        "state": "parked",
        "from": "+15550000000",
        "to": NUMBER,
    }
    return f"{URL}/webhooks/telnyx/voice", _telnyx_event("call.initiated", payload, number)


def _telnyx_json(random: Random) -> bytes:
    if random.random() < 0.2:
        return json.dumps(anything(random)).encode()
    kind = random.choice(
        [
            *("call.initiated", "call.answered", "call.hangup", "call.bridged", "call.dtmf.received"),
            *("call.machine.premium.detection.ended", "call.machine.premium.greeting.ended"),
            *("call.recording.saved", "call.recording.error", "streaming.failed", "call.speak.ended", "new"),
        ]
    )
    names = [
        "call_control_id",
        "client_state",
        "direction",
        "result",
        "hangup_cause",
        "recording_urls",
        "from",
    ]
    payload: dict[str, Any] = {"call_control_id": _control_id(1)}
    for _ in range(random.randrange(7)):
        known = random.choice(["outgoing", "machine", "user_busy", "eyJjYWxsIjoiYzEifQ==", _control_id(99)])
        payload[random.choice(names)] = known if random.random() < 0.6 else anything(random)
    return _telnyx_event(kind, payload, random.randrange(1 << 30))


def _open_telnyx(number: int) -> tuple[str, ...]:
    start = {
        "user_id": "u",
        "call_control_id": _control_id(number),
        "call_session_id": "s",
        "from": "+15550000000",
        "to": NUMBER,
        "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
    }
    return (
        json.dumps({"event": "connected", "version": "1.0.0"}),
        json.dumps(
            {"event": "start", "sequence_number": "1", "start": start, "stream_id": f"stream-{number}"}
        ),
    )


# --- Plivo --------------------------------------------------------------------------------------------------


def _uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def _sign_plivo(url: str, body: bytes) -> dict[str, str]:
    return {
        "Content-Type": FORM,
        "X-Plivo-Signature-V3": sign_plivo_v3(PLIVO.auth_token, "POST", url, "nonce", _pairs(body)),
        "X-Plivo-Signature-V3-Nonce": "nonce",
    }


def _sign_plivo_socket(url: str) -> dict[str, str]:
    return {
        "X-Plivo-Signature-V3": sign_plivo_v3(PLIVO.auth_token, "GET", url, "nonce"),
        "X-Plivo-Signature-V3-Nonce": "nonce",
    }


def _offer_plivo(number: int) -> tuple[str, bytes]:
    fields = {
        "CallUUID": _uuid(number),
        "Event": "StartApp",
        "CallStatus": "ringing",
        "Direction": "inbound",
        "From": "15550000000",
        "To": NUMBER.removeprefix("+"),
    }
    return f"{URL}/webhooks/plivo/voice?v=1", urlencode(fields).encode()


def _plivo_form(random: Random) -> bytes:
    return _form(
        random,
        {"CallUUID": _uuid(1)},
        [
            *("CallUUID", "Event", "CallStatus", "Direction", "From", "To", "Machine", "HangupCause"),
            *("RequestUUID", "RecordingID", "RecordUrl", "DialStatus", "Duration", "MPCName"),
        ],
        [
            *(
                _uuid(1),
                _uuid(99),
                "Hangup",
                "Ring",
                "StartApp",
                "busy",
                "completed",
                "true",
                "false",
                "timeout",
            ),
            *("timeout", "outbound", "1e999", "-1", "", "https://evil.example.test/x", "DroppedStream"),
        ],
    )


def _open_plivo(number: int) -> tuple[str, ...]:
    start = {
        "callId": _uuid(number),
        "streamId": _uuid(number + 5000),
        "accountId": PLIVO.auth_id,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
    }
    return (json.dumps({"sequenceNumber": 1, "event": "start", "start": start, "extra_headers": "{}"}),)


# A stop would end the stream, and what is said after it reaches nobody.
STRANGERS = {
    "twilio": Stranger(
        way=WAYS["twilio"],
        offer=_offer_twilio,
        stream_in=_stream_in,
        headers_of=lambda url: {"X-Twilio-Signature": sign_twilio(TWILIO.auth_token, url)},
        opening=lambda number: tuple(
            FarStream(f"MZ{number:032x}", call_sid=_sid(number), account_sid=TWILIO.account_sid).opening({})
        ),
        sign=_sign_twilio,
        webhooks=WEBHOOKS,
        events=("connected", "start", "media", "dtmf", "mark", "clear", "new"),
        keys=(
            *("payload", "timestamp", "track", "name", "digit", "streamSid", "callSid", "mediaFormat"),
            *("chunk", "customParameters", "encoding", "sampleRate", "channels", "sequenceNumber"),
        ),
        values=(f"MZ{1:032x}", _sid(1), "//8=", "5", "inbound", "1:1", "9" * 400, "#", -1),
        body=_twilio_form,
    ),
    "telnyx": Stranger(
        way=WAYS["telnyx"],
        offer=_offer_telnyx,
        stream_in=_stream_in,
        headers_of=lambda url: {},
        opening=_open_telnyx,
        sign=_sign_telnyx,
        webhooks=WEBHOOKS,
        events=("connected", "start", "media", "dtmf", "mark", "clear", "error", "new"),
        keys=(
            *("payload", "timestamp", "track", "name", "digit", "stream_id", "call_control_id", "chunk"),
            *("media_format", "encoding", "sample_rate", "code", "title", "sequence_number"),
        ),
        values=("stream-1", _control_id(1), "//8=", "5", "inbound", "1:1", "9" * 400, "#", -1, "PCMA"),
        body=_telnyx_json,
    ),
    "plivo": Stranger(
        way=WAYS["plivo"],
        offer=_offer_plivo,
        stream_in=_stream_in,
        headers_of=_sign_plivo_socket,
        opening=_open_plivo,
        sign=_sign_plivo,
        webhooks=WEBHOOKS,
        events=("start", "media", "dtmf", "playedStream", "played", "clearedAudio", "error", "playFailed"),
        keys=(
            *("payload", "timestamp", "track", "name", "digit", "streamId", "callId", "mediaFormat", "chunk"),
            *("extra_headers", "encoding", "sampleRate", "sequenceNumber", "message"),
        ),
        values=(_uuid(1), _uuid(5001), "//8=", "5", "inbound", "1:1", "9" * 400, "#", -1, "audio/x-l16"),
        body=_plivo_form,
    ),
}
