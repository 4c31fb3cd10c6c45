"""Recordings, conferences and numbers of the simulated Twilio's REST API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import trio

from .account import REFUSALS, json_reply
from .instructions import Document, Instruction, JoinRoom
from .legs import Instruct, Leg
from .recordings import Recording
from .restapi import RestReply, RestRequest
from .rooms import Room
from .twilio_orders import Fields, OrderError, read_numbers, read_recording
from .twilio_records import NumberRecord, TwilioCall, describe_number, describe_recording

if TYPE_CHECKING:
    from .twilio_skin import TwilioSkin

__all__ = ["Resources"]

_PARTICIPANT = frozenset(
    {
        *("From", "To", "Label", "Timeout", "EarlyMedia", "Beep", "Muted", "StartConferenceOnEnter"),
        *("EndConferenceOnExit", "WaitUrl", "StatusCallback", "StatusCallbackMethod", "StatusCallbackEvent"),
    }
)
_EVENTS = ("initiated", "ringing", "answered", "completed")
_SETTINGS = {
    "VoiceUrl": "voice_url",
    "VoiceMethod": "voice_method",
    "VoiceFallbackUrl": "voice_fallback_url",
    "VoiceFallbackMethod": "voice_fallback_method",
    "StatusCallback": "status_callback",
    "StatusCallbackMethod": "status_callback_method",
    "VoiceApplicationSid": "voice_application_sid",
    "TrunkSid": "trunk_sid",
}


class Resources:
    """What the account has besides calls."""

    def __init__(self, skin: TwilioSkin) -> None:
        self._skin = skin

    # --- recordings -----------------------------------------------------------------------------------------

    def start_recording(self, request: RestRequest, call_sid: str) -> RestReply:
        """Records a call from now on."""
        leg = self._skin.rest.find(call_sid)
        ordered = read_recording(request.fields)
        if leg.status != "in_progress":
            raise OrderError(21220, "Requested resource is not eligible for recording")
        return self._recording(leg, self._skin.start_recording(leg, ordered), 201)

    def change_recording(self, request: RestRequest, call_sid: str, sid: str) -> RestReply:
        """Pauses a recording, goes on with it, or ends it."""
        leg = self._skin.rest.find(call_sid)
        fields = Fields(request.fields, {"Status", "PauseBehavior"})
        fields.choice("PauseBehavior", ("silence",))
        status = fields.choice("Status", ("paused", "in-progress", "stopped"))
        running = [one for one in leg.recordings.values() if one.status in ("running", "paused")]
        recording = leg.recordings.get(sid)
        if sid == "Twilio.CURRENT":
            recording = running[0] if len(running) == 1 else None
        if recording is None or recording not in running:
            return REFUSALS["not_found"]
        match status:
            case "paused":
                recording.pause()
            case "in-progress":
                recording.resume()
            case "stopped":
                leg.stop_recording(recording)
            case _:
                raise OrderError(21200, "Status is missing")
        return self._recording(leg, recording)

    def list_recordings(self, request: RestRequest, call_sid: str) -> RestReply:
        """The recordings of a call."""
        leg, account = self._skin.rest.find(call_sid), self._skin.account_sid
        found = [describe_recording(leg, one, account) for one in leg.recordings.values() if _kept(one)]
        return _page(request, "recordings", found)

    def read_recording(self, request: RestRequest, sid: str) -> RestReply:
        """One recording."""
        leg, recording = self._find_recording(sid)
        return self._recording(leg, recording)

    def fetch_recording(self, request: RestRequest, sid: str) -> RestReply:
        """Its sound, as WAV; there is none while it is being made."""
        _, recording = self._find_recording(sid)
        if recording.status != "stopped":
            return REFUSALS["not_found"]
        return RestReply(200, recording.wav(), {"Content-Type": "audio/x-wav"})

    def delete_recording(self, request: RestRequest, sid: str) -> RestReply:
        """Deletes the sound."""
        _, recording = self._find_recording(sid)
        recording.status = "deleted"
        return RestReply(204)

    def _find_recording(self, sid: str) -> tuple[Leg, Recording]:
        for leg in self._skin.exchange.legs.values():
            recording = leg.recordings.get(sid)
            if recording is not None and _kept(recording):
                return leg, recording
        raise OrderError(20404, f"The requested resource {sid} was not found", status=404)

    def _recording(self, leg: Leg, recording: Recording, status: int = 200) -> RestReply:
        return json_reply(status, describe_recording(leg, recording, self._skin.account_sid))

    # --- conferences ----------------------------------------------------------------------------------------

    def list_conferences(self, request: RestRequest) -> RestReply:
        """The conferences that go on, by name if that is asked."""
        wanted, status = request.query.get("FriendlyName"), request.query.get("Status", "in-progress")
        rooms = self._skin.exchange.rooms.values()
        found = [self._room(room) for room in rooms if wanted in (None, room.name)]
        return _page(request, "conferences", found if status == "in-progress" else [])

    def end_conference(self, request: RestRequest, name: str) -> RestReply:
        """Ends a conference for everybody in it."""
        room = self._find_room(name)
        if Fields(request.fields, {"Status"}).choice("Status", ("completed",)) != "completed":
            raise OrderError(21200, "Status is missing")
        room.over.set()
        return json_reply(200, {**self._room(room), "status": "completed"})

    def list_participants(self, request: RestRequest, name: str) -> RestReply:
        """Who is in a conference."""
        room = self._find_room(name)
        return _page(request, "participants", [self._participant(room, leg) for leg in self._legs_in(room)])

    def add_participant(self, request: RestRequest, name: str) -> RestReply:
        """Calls somebody into a conference, which begins with that if there is none of this name."""
        skin, fields = self._skin, Fields(request.fields, _PARTICIPANT)
        owned = {record.number for record in skin.numbers.values()}
        to, caller = read_numbers(fields, owned)
        friendly = next((room.name for room in skin.exchange.rooms.values() if self._is(room, name)), name)
        join = JoinRoom(
            friendly,
            fields.flag("StartConferenceOnEnter", default=True),
            fields.flag("EndConferenceOnExit"),
            fields.flag("Muted"),
        )
        call = TwilioCall(
            fields.address("StatusCallback"),
            fields.events("StatusCallbackEvent", _EVENTS, "completed"),
            label=fields.text("Label"),
        )
        ring_seconds = fields.number("Timeout", range(5, 601)) or 60
        leg = skin.exchange.place(to, caller, _joining(join), ring_seconds=ring_seconds, details=call)
        return json_reply(201, self._participant(Room(friendly), leg))

    def change_participant(self, request: RestRequest, name: str, who: str) -> RestReply:
        """Mutes or holds somebody."""
        room, fields = self._find_room(name), Fields(request.fields, {"Muted", "Hold"})
        leg = self._find_participant(room, who)
        seat = self._skin.exchange.seats[leg.leg_id]
        seat.muted = fields.flag("Muted", default=seat.muted)
        seat.held = fields.flag("Hold", default=seat.held)
        return json_reply(200, self._participant(room, leg))

    def remove_participant(self, request: RestRequest, name: str, who: str) -> RestReply:
        """Ends the call of somebody who is in a conference."""
        self._find_participant(self._find_room(name), who).hang_up()
        return RestReply(204)

    def _is(self, room: Room, name: str) -> bool:
        return name in (room.name, self._skin.room_sid(room.name))

    def _find_room(self, name: str) -> Room:
        for room in self._skin.exchange.rooms.values():
            if self._is(room, name):
                return room
        raise OrderError(20404, f"The requested resource {name} was not found", status=404)

    def _legs_in(self, room: Room) -> list[Leg]:
        exchange = self._skin.exchange
        return [exchange.legs[leg_id] for leg_id, seat in exchange.seats.items() if seat.room is room]

    def _find_participant(self, room: Room, who: str) -> Leg:
        for leg in self._legs_in(room):
            if who == leg.leg_id or (isinstance(leg.details, TwilioCall) and leg.details.label == who):
                return leg
        raise OrderError(20404, f"The requested resource {who} was not found", status=404)

    def _room(self, room: Room) -> dict[str, Any]:
        account, sid = self._skin.account_sid, self._skin.room_sid(room.name)
        status = "in-progress" if room.has_started else "init"
        uri = f"/2010-04-01/Accounts/{account}/Conferences/{sid}.json"
        return {"sid": sid, "account_sid": account, "friendly_name": room.name, "status": status, "uri": uri}

    def _participant(self, room: Room, leg: Leg) -> dict[str, Any]:
        seat = self._skin.exchange.seats.get(leg.leg_id)
        return {
            "account_sid": self._skin.account_sid,
            "call_sid": leg.leg_id,
            "conference_sid": self._skin.room_sid(room.name),
            "label": (leg.details.label if isinstance(leg.details, TwilioCall) else "") or None,
            "muted": seat is not None and seat.muted,
            "hold": seat is not None and seat.held,
            "start_conference_on_enter": seat is None or seat.starts,
            "end_conference_on_exit": seat is not None and seat.ends,
            "status": "connected" if seat is not None else "queued",
        }

    # --- numbers --------------------------------------------------------------------------------------------

    def list_numbers(self, request: RestRequest) -> RestReply:
        """The account's numbers, or the one that is asked for."""
        wanted, account = request.query.get("PhoneNumber"), self._skin.account_sid
        numbers = [each for each in self._skin.numbers.values() if wanted in (None, each.number)]
        return _page(request, "incoming_phone_numbers", [describe_number(each, account) for each in numbers])

    def read_number(self, request: RestRequest, sid: str) -> RestReply:
        """One number."""
        return json_reply(200, describe_number(self._find_number(sid), self._skin.account_sid))

    def change_number(self, request: RestRequest, sid: str) -> RestReply:
        """Changes where the calls to a number go."""
        record, fields = self._find_number(sid), Fields(request.fields, _SETTINGS)
        given = dict(request.fields)
        for name in ("VoiceUrl", "StatusCallback"):
            fields.address(name)
        record.settings |= {_SETTINGS[name]: value for name, value in given.items()}
        return self.read_number(request, sid)

    def _find_number(self, sid: str) -> NumberRecord:
        record = self._skin.numbers.get(sid)
        if record is None:
            raise OrderError(20404, f"The requested resource {sid} was not found", status=404)
        return record


def _joining(join: Instruction) -> Instruct:
    async def instruct(leg: Leg) -> Document:
        await trio.lowlevel.checkpoint()
        return (join,)

    return instruct


def _kept(recording: Recording) -> bool:
    return recording.status != "deleted"


def _page(request: RestRequest, name: str, found: Sequence[dict[str, Any]]) -> RestReply:
    """A page of a list, as large as was asked, with the address of the next one."""
    query = request.query
    size, page = int(query.get("PageSize", "50")), int(query.get("Page", "0"))
    rest = found[page * size :]
    filters = "".join(f"&{key}={value}" for key, value in query.items() if key not in ("PageSize", "Page"))
    following = f"{request.path}?PageSize={size}&Page={page + 1}{filters}".replace("+", "%2B")
    more = {
        "page": page,
        "page_size": size,
        "uri": request.target,
        "first_page_uri": f"{request.path}?PageSize={size}&Page=0",
        "previous_page_uri": None,
        "next_page_uri": following if len(rest) > size else None,
        "start": page * size,
        "end": page * size + len(rest[:size]) - 1,
    }
    return json_reply(200, {name: list(rest[:size]), **more})
