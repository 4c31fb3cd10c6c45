"""Telnyx's REST API on the exchange: commands to legs, recordings' files, numbers and applications.

A field that a command does not have is refused, where the real one ignores it: it is a mistake of whoever
sent it.
"""

from __future__ import annotations

import binascii
import io
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

import msgspec

from .._audio import g711
from .._audio.wav import read_wav
from ..errors import RemoteProtocolError
from ..events import MULAW_8K
from .dialling import Dial
from .instructions import Document, HangUp, JoinRoom, OpenStream, PlaySound, Reject, Speak
from .legevents import Cause, DialEnded, StreamClosed, StreamOpened
from .legs import Leg
from .restapi import RestApi, RestReply, RestRequest
from .telnyx_records import TelnyxLeg, leg_record

if TYPE_CHECKING:
    from .telnyx_skin import TelnyxSkin

__all__ = ["TelnyxApi"]

_STREAM = frozenset(
    {
        *("stream_url", "stream_track", "stream_codec", "stream_bidirectional_mode"),
        *("stream_bidirectional_codec", "stream_bidirectional_target_legs"),
        "stream_bidirectional_sampling_rate",
    }
)
_HOOK = frozenset({"webhook_url", "webhook_url_method"})
_COMMON = frozenset({"client_state", "command_id"})
_FIELDS: Mapping[str, frozenset[str]] = {
    "dial": _COMMON
    | _STREAM
    | _HOOK
    | {"connection_id", "from", "to", "timeout_secs", "time_limit_secs", "send_digits_on_answer", "link_to"}
    | {"answering_machine_detection", "record", "record_channels", "record_format", "send_silence_when_idle"},
    "answer": _COMMON | _STREAM | _HOOK | {"send_silence_when_idle"},
    "reject": _COMMON | {"cause"},
    "hangup": _COMMON,
    "transfer": _COMMON | _HOOK | {"to", "from", "timeout_secs", "target_leg_client_state"},
    "bridge": _COMMON | {"call_control_id"},
    "send_dtmf": _COMMON | {"digits", "duration_millis"},
    "speak": _COMMON | {"payload", "voice", "language"},
    "playback_start": _COMMON | {"playback_content", "audio_type", "loop"},
    "playback_stop": _COMMON | {"stop"},
    "record_start": _COMMON | {"format", "channels"},
    "record_stop": _COMMON | {"recording_id"},
    "streaming_start": _COMMON | _STREAM | {"custom_parameters"},
    "streaming_stop": _COMMON | {"stream_id"},
    "client_state_update": frozenset({"client_state", "command_id"}),
}
_UNANSWERED = frozenset({"answer", "reject", "hangup", "client_state_update"})
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_DIGITS = re.compile(r"[0-9A-D#*wW]{1,64}")
_REJECTIONS: Mapping[str, Cause] = {"USER_BUSY": "busy", "CALL_REJECTED": "declined"}
_AMD = ("premium", "greeting_end", "detect_words", "detect_beep", "detect")
_LONGEST_WAIT = 600.0


class _RefusedError(Exception):
    def __init__(self, code: str, title: str, status: int = 422) -> None:
        super().__init__(title)
        self.reply = _errors(status, code, title)


def _json(status: int, body: Any) -> RestReply:
    return RestReply(status, msgspec.json.encode(body), {"Content-Type": "application/json"})


def _errors(status: int, code: str, title: str) -> RestReply:
    return _json(status, {"errors": [{"code": code, "title": title, "detail": title}]})


class TelnyxApi(RestApi):
    """The account's API, version 2."""

    refusals: ClassVar[Mapping[str, RestReply]] = {
        "unauthorized": _errors(401, "10009", "Authentication failed"),
        "too_many": _errors(429, "90103", "Dial rate limit exceeded"),
        "call_over": _errors(422, "90018", "Call has already ended"),
        "no_channels": _errors(422, "90041", "Channel limit exceeded"),
    }

    def __init__(self, skin: TelnyxSkin) -> None:
        super().__init__()
        self._skin = skin

    def carry_out(self, request: RestRequest) -> RestReply:
        """Finds what is asked for and does it."""
        path = unquote(urlsplit(request.target).path)
        if path.startswith("/recordings/"):
            return self._fetch(path)
        if request.headers.get("authorization") != f"Bearer {self._skin.telnyx.api_key}":
            return self.refusals["unauthorized"]
        try:
            given = msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
            return self._route(request, path, given)
        except msgspec.MsgspecError:
            return _errors(400, "10015", "Invalid JSON")
        except _RefusedError as refused:
            return refused.reply

    def _route(self, request: RestRequest, path: str, given: dict[str, Any]) -> RestReply:
        parts = path.split("/")[1:]
        match request.method, parts:
            case "POST", ["v2", "calls"]:
                return self._dial(given)
            case "GET", ["v2", "calls", leg_id]:
                return self._describe(self._find(leg_id))
            case "POST", ["v2", "calls", leg_id, "actions", action]:
                return self._command(self._find(leg_id), action, given)
            case "GET", ["v2", "phone_numbers"]:
                return self._list_numbers(request.query)
            case "PATCH", ["v2", "phone_numbers", number_id]:
                return self._give_number(number_id, given)
            case (("GET" | "PATCH"), ["v2", "call_control_applications", application_id]):
                return self._application(application_id, given if request.method == "PATCH" else {})
            case _:
                return _errors(404, "10005", "Resource not found")

    # --- calls ----------------------------------------------------------------------------------------------

    def _find(self, leg_id: str) -> Leg:
        leg = self._skin.exchange.legs.get(leg_id)
        if leg is None:
            raise _RefusedError("90015", "Invalid Call Control ID")
        return leg

    def _dial(self, given: dict[str, Any]) -> RestReply:
        _check_fields("dial", given, {"connection_id", "from", "to"})
        if given["connection_id"] not in self._skin.applications:
            raise _RefusedError("10005", "No such connection")
        if given["from"] not in self._skin.numbers or not _is_number(given["to"]):
            raise _RefusedError(
                "10016", "Phone number must be in +E164 format, and the caller's the account's"
            )
        if given.get("timeout_secs", 30) not in range(5, 601) or given.get(
            "time_limit_secs", 60
        ) not in range(60, 14401):
            raise _RefusedError("90028", "Invalid time limit")
        amd = given.get("answering_machine_detection", "")
        if amd not in ("", *_AMD):
            raise _RefusedError("10015", f"No such detection: {amd}")
        record = TelnyxLeg(given.get("webhook_url", ""), given.get("client_state"), amd)
        leg = self._skin.exchange.place(
            *(given["to"], given["from"], self._instruct(given)),
            ring_seconds=given.get("timeout_secs", 30),
            max_seconds=given.get("time_limit_secs"),
            detection=self._skin.exchange.detection if amd else None,
            details=record,
        )
        return _json(200, {"data": {**self._described(leg), "is_alive": False}})

    def _instruct(self, given: dict[str, Any]) -> Callable[[Leg], Awaitable[Document]]:
        stream = self._stream(given)

        async def instruct(leg: Leg) -> Document:
            if given.get("record"):
                leg.start_recording(self._skin.new_id(f"recording {leg.leg_id}"))
            leg.keys_heard += re.sub("[wW]", "", given.get("send_digits_on_answer", ""))
            return stream

        return instruct

    def _stream(self, given: Mapping[str, Any]) -> Document:
        """The instruction for the stream of a command, if it has one."""
        if not given.get("stream_url"):
            return ()
        if given.get("stream_bidirectional_mode") != "rtp":
            raise _RefusedError("10015", "Raw sound is not played without stream_bidirectional_mode rtp")
        parameters = {each["name"]: each["value"] for each in given.get("custom_parameters", ())}
        return (OpenStream(given["stream_url"], parameters, dict(given)),)

    def _described(self, leg: Leg) -> dict[str, Any]:
        record = leg_record(leg)
        return {
            "record_type": "call",
            "call_control_id": leg.leg_id,
            "call_leg_id": self._skin.new_id(f"leg {leg.leg_id}"),
            "call_session_id": self._skin.new_id(f"session {leg.leg_id}"),
            "client_state": record.client_state,
        }

    def _describe(self, leg: Leg) -> RestReply:
        is_over = leg.ended is not None
        seconds = leg.ended.seconds if leg.ended is not None else leg.phone.now if leg.answered_at else 0
        end = "2026-01-01T00:00:00Z" if is_over else None
        more = {"is_alive": not is_over, "call_duration": round(seconds), "end_time": end}
        return _json(200, {"data": {**self._described(leg), **more}})

    def _command(self, leg: Leg, action: str, given: dict[str, Any]) -> RestReply:
        required = {
            "bridge": {"call_control_id"},
            "client_state_update": {"client_state"},
            "record_start": {"format", "channels"},
            "reject": {"cause"},
            "send_dtmf": {"digits"},
            "speak": {"payload", "voice"},
            "streaming_start": {"stream_url"},
            "transfer": {"to"},
        }
        if action not in _FIELDS or action == "dial":
            return _errors(404, "10005", "Resource not found")
        _check_fields(action, given, required.get(action, set()))
        record = leg_record(leg)
        if given.get("command_id") in record.commands:
            return _json(200, {"data": {"result": "ok"}})
        if leg.ended is not None:
            raise _RefusedError("90018", "Call has already ended")
        if leg.answered_at is None and action not in _UNANSWERED:
            raise _RefusedError("90034", "Call not answered yet")
        more = getattr(self, f"_do_{action}")(leg, given) or {}
        if "command_id" in given:
            record.commands.add(given["command_id"])
        if "client_state" in given:
            record.client_state = given["client_state"]
        return _json(200, {"data": {"result": "ok", **more}})

    def _do_answer(self, leg: Leg, given: dict[str, Any]) -> None:
        if leg.direction != "inbound":
            raise _RefusedError("90102", "Outgoing calls cannot be answered")
        stream, record = self._stream(given), leg_record(leg)
        record.webhook_url = given.get("webhook_url", record.webhook_url)
        record.client_state = given.get("client_state")
        leg.answer()
        if stream:
            leg.redirect(stream)

    def _do_reject(self, leg: Leg, given: dict[str, Any]) -> None:
        if leg.direction != "inbound" or leg.answered_at is not None:
            raise _RefusedError("90030", "Only calls that come in and ring can be rejected")
        leg.redirect((Reject(_REJECTIONS.get(given["cause"], "unreachable")),))

    def _do_hangup(self, leg: Leg, given: dict[str, Any]) -> None:
        leg.hang_up()

    def _do_client_state_update(self, leg: Leg, given: dict[str, Any]) -> None:
        leg_record(leg).client_state = given["client_state"]

    def _do_send_dtmf(self, leg: Leg, given: dict[str, Any]) -> None:
        if not _DIGITS.fullmatch(given["digits"]):
            raise _RefusedError("90014", "Invalid digits")
        leg.keys_heard += re.sub("[wW]", "", given["digits"])

    def _do_speak(self, leg: Leg, given: dict[str, Any]) -> None:
        if not 0 < len(given["payload"]) <= 3000:
            raise _RefusedError("10015", "Invalid payload")
        # What is said goes on while a stream is up; here nobody says anything then.
        leg.redirect((Speak(given["payload"], given.get("language", "")),))

    def _do_playback_start(self, leg: Leg, given: dict[str, Any]) -> None:
        try:
            channels, rate = read_wav(io.BytesIO(binascii.a2b_base64(given["playback_content"])))
        except (KeyError, ValueError, RemoteProtocolError) as error:
            raise _RefusedError("90040", "Audio cannot be read") from error
        if rate != MULAW_8K.sample_rate:
            raise _RefusedError("90040", "Audio is simulated with 8 kHz only")
        sound = g711.encode(channels[0], MULAW_8K)
        times = round(_LONGEST_WAIT * rate / len(sound)) if given.get("loop") == "infinity" else 1
        leg.redirect((PlaySound(sound * times),))

    def _do_playback_stop(self, leg: Leg, given: dict[str, Any]) -> None:
        leg.redirect(())

    def _do_streaming_start(self, leg: Leg, given: dict[str, Any]) -> None:
        if len(leg.events(StreamOpened)) > len(leg.events(StreamClosed)):
            raise _RefusedError("90045", "Stream is in use already")
        leg.redirect(self._stream(given))

    def _do_streaming_stop(self, leg: Leg, given: dict[str, Any]) -> None:
        leg.redirect(())

    def _do_record_start(self, leg: Leg, given: dict[str, Any]) -> None:
        channels = {"single": 1, "dual": 2}.get(given["channels"])
        if channels is None or given["format"] != "wav":
            raise _RefusedError("10015", "Only wav is simulated, with single or dual channels")
        recording_id = self._skin.new_id(f"recording {leg.leg_id} {len(leg.recordings)}")
        leg.start_recording(recording_id, channels=channels)

    def _do_record_stop(self, leg: Leg, given: dict[str, Any]) -> None:
        wanted = given.get("recording_id")
        for recording in leg.recordings.values():
            if wanted in (None, recording.recording_id):
                leg.stop_recording(recording)

    # --- transfers ------------------------------------------------------------------------------------------

    def _do_transfer(self, leg: Leg, given: dict[str, Any]) -> None:
        if not _is_number(given["to"]):
            raise _RefusedError("10016", "Phone number must be in +E164 format")
        record = TelnyxLeg(given.get("webhook_url", ""), given.get("target_leg_client_state"))
        ours = leg.callee if leg.direction == "inbound" else leg.caller

        async def bridged(child: Leg) -> Document:
            self._skin.tell_bridged(child)
            self._skin.tell_bridged(leg)
            return ()

        async def then(caller: Leg, ended: DialEnded) -> Document:
            # Whoever was connected goes with the other; nobody's call that never was is everybody's.
            return (HangUp(),) if ended.answered else ()

        dial = Dial(
            given["to"],
            caller_id=given.get("from") or ours,
            ring_seconds=given.get("timeout_secs", 30),
            first=bridged,
            then=then,
            details=record,
        )
        leg.redirect((dial,))

    def _do_bridge(self, leg: Leg, given: dict[str, Any]) -> None:
        other = self._find(given["call_control_id"])
        if other.ended is not None:
            raise _RefusedError("90018", "Call has already ended")
        if other.answered_at is None:
            raise _RefusedError("90034", "Call not answered yet")
        leg_record(leg).client_state = given.get("client_state", leg_record(leg).client_state)
        for each, far in ((leg, other), (other, leg)):
            each.redirect((JoinRoom(f"bridge {leg.leg_id}", ends=True), HangUp()))
            if each is other:
                each.transferred_to = far.callee
            self._skin.tell_bridged(each)

    # --- the account ----------------------------------------------------------------------------------------

    def _fetch(self, path: str) -> RestReply:
        wanted = path.removeprefix("/recordings/").removesuffix(".wav")
        for leg in self._skin.exchange.legs.values():
            if wanted in leg.recordings:
                return RestReply(200, leg.recordings[wanted].wav(), {"Content-Type": "audio/wav"})
        return RestReply(403, b"<Error/>", {"Content-Type": "application/xml"})

    def _number(self, number: str) -> dict[str, Any]:
        connection_id = self._skin.numbers[number]
        return {
            "id": number.lstrip("+"),
            "record_type": "phone_number",
            "phone_number": number,
            "status": "active",
            "connection_id": connection_id,
        }

    def _list_numbers(self, query: Mapping[str, str]) -> RestReply:
        digits, connection_id = query.get("filter[phone_number]", ""), query.get("filter[connection_id]")
        found = [
            self._number(number)
            for number, taken_by in self._skin.numbers.items()
            if digits in number and connection_id in (None, taken_by)
        ]
        meta = {"page_number": 1, "page_size": 50, "total_pages": 1, "total_results": len(found)}
        return _json(200, {"data": found, "meta": meta})

    def _give_number(self, number_id: str, given: dict[str, Any]) -> RestReply:
        number = f"+{number_id}"
        if number not in self._skin.numbers:
            return _errors(404, "10005", "Resource not found")
        self._skin.numbers[number] = given.get("connection_id", self._skin.numbers[number])
        return _json(200, {"data": self._number(number)})

    def _application(self, application_id: str, given: dict[str, Any]) -> RestReply:
        application = self._skin.applications.get(application_id)
        if application is None:
            return _errors(404, "10005", "Resource not found")
        if given and not {"application_name", "webhook_event_url"} <= given.keys():
            raise _RefusedError("10015", "application_name and webhook_event_url are required")
        application.update(given)
        return _json(200, {"data": application})


def _check_fields(action: str, given: Mapping[str, Any], required: set[str]) -> None:
    unknown = given.keys() - _FIELDS[action]
    if unknown or not required <= given.keys():
        raise _RefusedError(
            "10015", f"{action}: unknown {sorted(unknown)}, missing {sorted(required - given.keys())}"
        )
    state = given.get("client_state")
    if state is not None:
        try:
            binascii.a2b_base64(state, strict_mode=True)
        except (TypeError, ValueError) as error:
            raise _RefusedError("90017", "client_state must be base64") from error


def _is_number(number: str) -> bool:
    return bool(_E164.fullmatch(number)) or number.startswith("sip:")
