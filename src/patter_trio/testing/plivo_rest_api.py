"""Plivo's REST API on the exchange: calls, recordings, numbers and applications."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from .legs import Leg
from .plivo_reader import RecordTag
from .plivo_records import CAUSES, PlivoApplication, PlivoCall, call_status, record_of
from .restapi import RestApi, RestReply, RestRequest
from .wordsound import speak_words

if TYPE_CHECKING:
    from .plivo import PlivoSkin

__all__ = ["PlivoRestApi"]

_JSON = {"Content-Type": "application/json"}
_KNOWN_OF_A_CALL = frozenset(
    {
        *("from", "to", "answer_url", "answer_method", "ring_url", "ring_method", "hangup_url"),
        *("hangup_method", "fallback_url", "fallback_method", "ring_timeout", "time_limit", "send_digits"),
        *("machine_detection", "machine_detection_time", "machine_detection_url"),
        *("machine_detection_method", "error_if_parent_not_found"),
    }
)
_DIGITS = re.compile(r"[0-9A-D*#wW]*")


def _reply(status: int, **said: Any) -> RestReply:
    return RestReply(status, json.dumps({"api_id": "simulated", **said}).encode(), _JSON)


class PlivoRestApi(RestApi):
    """The account's API; a path without its last ``/`` is not found, as at Plivo."""

    refusals: ClassVar[Mapping[str, RestReply]] = {
        "unauthorized": RestReply(401, b"Could not verify your access level for that URL."),
        "too_many": RestReply(429, b'{"error":"Too Many Requests"}', {**_JSON, "Retry-After": "5"}),
        "not_found": _reply(404, error="not found"),
    }

    def __init__(self, skin: PlivoSkin, auth_token: str) -> None:
        super().__init__()
        self.skin = skin
        self._authorization = "Basic " + b64encode(f"{skin.auth_id}:{auth_token}".encode()).decode()
        some = "([^/]+)"
        self._routes: tuple[tuple[str, str, Callable[..., RestReply]], ...] = (
            ("GET", "", self._account),
            ("POST", "Call/", self._place),
            ("DELETE", "Call/", self._end_all),
            ("GET", f"Call/{some}/", self._read),
            ("POST", f"Call/{some}/", self._transfer),
            ("DELETE", f"Call/{some}/", self._end),
            ("DELETE", f"Request/{some}/", self._cancel),
            ("POST", f"Call/{some}/Record/", self._record),
            ("DELETE", f"Call/{some}/Record/", self._stop_recording),
            ("POST", f"Call/{some}/DTMF/", self._press),
            ("POST", f"Call/{some}/Speak/", self._speak),
            ("GET", rf"Recording/{some}\.wav", self._fetch),
            ("GET", f"Number/{some}/", self._number),
            ("POST", f"Number/{some}/", self._point),
            ("GET", "Application/", self._applications),
            ("POST", "Application/", self._create_application),
            ("GET", f"Application/{some}/", self._application),
            ("POST", f"Application/{some}/", self._change_application),
        )

    def carry_out(self, request: RestRequest) -> RestReply:
        """Finds what is asked for and does it."""
        if request.headers.get("authorization") != self._authorization:
            return self.refusals["unauthorized"]
        path, prefix = urlsplit(request.target).path, f"/v1/Account/{self.skin.auth_id}/"
        if not path.startswith(prefix):
            return self.refusals["not_found"]
        found = False
        for method, pattern, act in self._routes:
            match = re.fullmatch(pattern, path[len(prefix) :])
            found = found or match is not None
            if match is not None and method == request.method:
                return self._act(act, request, *match.groups())
        return _reply(405, error="method not allowed") if found else self.refusals["not_found"]

    def _act(self, act: Callable[..., RestReply], request: RestRequest, *ids: str) -> RestReply:
        if request.method != "POST":
            return act(request, *ids)
        try:
            body = json.loads(request.body or b"{}")
        except ValueError:
            return _reply(400, error="the body is not JSON")
        return act(body, *ids) if isinstance(body, dict) else _reply(400, error="the body is no object")

    def _leg(self, call_id: str) -> Leg | None:
        """A call that is up or being placed."""
        leg = self.skin.exchange.legs.get(call_id)
        return leg if leg is not None and leg.ended is None else None

    def _account(self, request: RestRequest) -> RestReply:
        return _reply(200, auth_id=self.skin.auth_id, name="Simulated account", cash_credits="10.00")

    # --- calls ----------------------------------------------------------------------------------------------

    def _place(self, order: Mapping[str, Any]) -> RestReply:
        skin = self.skin
        if unknown := order.keys() - _KNOWN_OF_A_CALL:
            return _reply(400, error=f"unknown parameters: {', '.join(sorted(unknown))}")
        if missing := {"from", "to", "answer_url"} - order.keys():
            return _reply(400, error=f"missing parameters: {', '.join(sorted(missing))}")
        caller, to, digits = f"+{order['from']}", str(order["to"]), str(order.get("send_digits", ""))
        if caller not in skin.numbers or not _DIGITS.fullmatch(digits):
            return _reply(400, error="from is not a number of the account, or send_digits has no keys")
        details = PlivoCall(
            hangup_url=order.get("hangup_url", ""),
            ring_url=order.get("ring_url", ""),
            machine_url=order.get("machine_detection_url", ""),
            ends_for_machines=order.get("machine_detection") == "hangup",
        )
        leg = skin.exchange.place(
            to if to.startswith("sip:") else f"+{to}",
            caller,
            skin.documents.instruct(order["answer_url"], digits=digits),
            ring_seconds=float(order.get("ring_timeout", 120)),
            max_seconds=float(order.get("time_limit", 14400)),
            detection=skin.exchange.detection if order.get("machine_detection") else None,
            details=details,
        )
        details.request_id = skin.new_id(f"request {leg.leg_id}")
        return _reply(201, message="call fired", request_uuid=details.request_id)

    def _read(self, request: RestRequest, call_id: str) -> RestReply:
        status, leg = request.query.get("status"), self.skin.exchange.legs.get(call_id)
        if leg is None or (status == "live") is not (leg.ended is None) or status == "queued":
            return self.refusals["not_found"]
        said: dict[str, Any] = {"call_uuid": leg.leg_id}
        direction = "inbound" if leg.direction == "inbound" else "outbound"
        if leg.ended is None:
            numbers = {"from": leg.caller.removeprefix("+"), "to": leg.callee.removeprefix("+")}
            return _reply(200, **said, **numbers, call_status=call_status(leg), direction=direction)
        _, name, code = CAUSES[leg.ended.cause]
        numbers = {"from_number": leg.caller.removeprefix("+"), "to_number": leg.callee.removeprefix("+")}
        return _reply(
            200,
            **said,
            **numbers,
            call_direction=direction,
            call_state="ANSWER" if leg.ended.cause == "completed" else call_status(leg),
            call_duration=round(leg.ended.seconds),
            total_amount="0.00000",
            hangup_cause_name=name,
            hangup_cause_code=code,
        )

    def _transfer(self, order: Mapping[str, Any], call_id: str) -> RestReply:
        leg = self._leg(call_id)
        if leg is None or leg.answered_at is None:
            return self.refusals["not_found"]
        if order.get("legs") != "aleg" or not order.get("aleg_url"):
            return _reply(400, error="a simulated call is transferred with legs=aleg and aleg_url")
        details, document = record_of(leg), (self.skin.documents.fetching(order["aleg_url"]),)
        if details.is_streaming:
            details.pending = document
        else:
            leg.redirect(document)
        return _reply(202, message="call transferred", call_uuids=[call_id])

    def _end(self, request: RestRequest, call_id: str) -> RestReply:
        leg = self._leg(call_id)
        if leg is None:
            return self.refusals["not_found"]
        leg.hang_up()
        return RestReply(204)

    def _end_all(self, request: RestRequest) -> RestReply:
        for leg in self.skin.exchange.legs.values():
            leg.hang_up()
        return RestReply(204)

    def _cancel(self, request: RestRequest, request_id: str) -> RestReply:
        for leg in self.skin.exchange.legs.values():
            if record_of(leg).request_id == request_id and leg.ended is None and leg.answered_at is None:
                leg.hang_up()
                return RestReply(204)
        return self.refusals["not_found"]

    def _record(self, order: Mapping[str, Any], call_id: str) -> RestReply:
        leg = self._leg(call_id)
        if leg is None or leg.answered_at is None:
            return self.refusals["not_found"]
        if "time_limit" not in order:
            return _reply(400, error="a recording without time_limit would end after 60 s")
        channels = 2 if order.get("record_channel_type") == "stereo" else 1
        recording = self.skin.start_recording(leg, RecordTag(order.get("callback_url", ""), channels))
        url = self.skin.recording_url(recording)
        return _reply(202, message="call recording started", url=url, recording_id=recording.recording_id)

    def _stop_recording(self, request: RestRequest, call_id: str) -> RestReply:
        leg = self._leg(call_id)
        if leg is None or not leg.recordings:
            return self.refusals["not_found"]
        for recording in leg.recordings.values():
            leg.stop_recording(recording)
        return RestReply(204)

    def _fetch(self, request: RestRequest, recording_id: str) -> RestReply:
        for leg in self.skin.exchange.legs.values():
            recording = leg.recordings.get(recording_id)
            if recording is not None and recording.status == "stopped":
                return RestReply(200, recording.wav(), {"Content-Type": "audio/x-wav"})
        return self.refusals["not_found"]

    def _press(self, order: Mapping[str, Any], call_id: str) -> RestReply:
        leg = self._leg(call_id)
        if leg is None:
            return self.refusals["not_found"]
        leg.keys_heard += re.sub("[wW]", "", str(order.get("digits", "")))
        return _reply(202, message="digits sent")

    def _speak(self, order: Mapping[str, Any], call_id: str) -> RestReply:
        leg = self._leg(call_id)
        if leg is None:
            return self.refusals["not_found"]
        leg.play_over(speak_words(str(order.get("text", "")), serial=self.skin.exchange.next_serial()))
        return _reply(202, message="speak started")

    # --- numbers and applications ---------------------------------------------------------------------------

    def _number(self, request: RestRequest, number: str) -> RestReply:
        app_id = self.skin.numbers.get(f"+{number}")
        if app_id is None:
            return self.refusals["not_found"]
        application = f"/v1/Account/{self.skin.auth_id}/Application/{app_id}/" if app_id else None
        return _reply(200, number=number, application=application)

    def _point(self, order: Mapping[str, Any], number: str) -> RestReply:
        app_id = str(order.get("app_id", ""))
        if f"+{number}" not in self.skin.numbers or app_id not in self.skin.applications:
            return self.refusals["not_found"]
        self.skin.numbers[f"+{number}"] = app_id
        return _reply(202, message="changed")

    def _applications(self, request: RestRequest) -> RestReply:
        first, size = int(request.query.get("offset", "0")), int(request.query.get("limit", "20"))
        if not 1 <= size <= 20:
            return _reply(400, error="limit is 1 to 20")
        found = [{"app_id": each.app_id, **each.fields} for each in self.skin.applications.values()]
        return _reply(200, objects=found[first : first + size], meta={"total_count": len(found)})

    def _application(self, request: RestRequest, app_id: str) -> RestReply:
        found = self.skin.applications.get(app_id)
        if found is None:
            return self.refusals["not_found"]
        return _reply(200, app_id=app_id, **found.fields)

    def _create_application(self, order: Mapping[str, Any]) -> RestReply:
        if not re.fullmatch("[A-Za-z0-9_-]+", str(order.get("app_name", ""))):
            return _reply(400, error="app_name has letters, digits, _ and -")
        app_id = str(10000000001 + len(self.skin.applications))
        fields = {name: value for name, value in order.items() if isinstance(value, str)}
        self.skin.applications[app_id] = PlivoApplication(app_id, fields)
        return _reply(201, message="created", app_id=app_id)

    def _change_application(self, order: Mapping[str, Any], app_id: str) -> RestReply:
        found = self.skin.applications.get(app_id)
        if found is None:
            return self.refusals["not_found"]
        found.fields.update({name: value for name, value in order.items() if isinstance(value, str)})
        return _reply(202, message="changed")
