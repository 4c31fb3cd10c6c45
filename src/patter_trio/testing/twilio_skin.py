"""Twilio's face of the exchange: ids, signed webhooks, and TwiML as instructions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .._wire.signatures import sign_twilio
from .instructions import Document, OpenStream
from .legevents import (
    DialEnded,
    GreetingOver,
    LegAnswered,
    LegEnded,
    LegEvent,
    LegInitiated,
    LegRinging,
    MachineHeard,
    RecordingStopped,
    RoomChanged,
    StreamClosed,
    StreamOpened,
)
from .legs import Leg
from .post import Webhook
from .recordings import Recording
from .twilio_documents import Documents
from .twilio_forms import Form, about, dial_form, ending_form, record_of, sign_webhook
from .twilio_records import (
    NumberRecord,
    RecordingRecord,
    TwilioCall,
    call_status,
    describe_recording,
    rfc_2822,
)
from .twilio_rest_api import TwilioRest
from .twilio_wire import TwilioFarWire
from .twiml_reader import ConferenceVerb, StreamVerb

if TYPE_CHECKING:
    from .carrier import SimulatedTwilio
    from .exchange import Exchange

__all__ = ["TwilioSkin"]

_NAMES: Mapping[type, str] = {LegInitiated: "initiated", LegRinging: "ringing", LegAnswered: "answered"}


class TwilioSkin:
    """The simulated Twilio on an exchange.

    Attributes:
        numbers: the account's numbers by their sid; the first one is that of the simulated carrier.
        documents: reads and fetches TwiML.
        rest: the REST API.
    """

    stays_when_done = False

    def __init__(self, twilio: SimulatedTwilio, exchange: Exchange) -> None:
        self.account_sid = twilio.account_sid
        self.number = twilio.number
        self.caller = twilio.caller
        self.lead_limit = twilio.lead_limit
        self.exchange = exchange
        self.numbers: dict[str, NumberRecord] = {}
        self.documents = Documents(twilio.account_sid, twilio.auth_token)
        self.rest = TwilioRest(self, twilio.auth_token)
        self._auth_token = twilio.auth_token
        self._streams: dict[str, StreamVerb] = {}
        self.add_number(twilio.number, exchange.line.public_url + twilio.voice_path)

    def add_number(self, number: str, voice_url: str = "", status_callback: str = "") -> NumberRecord:
        """Gives the account another number."""
        settings = {
            "voice_url": voice_url,
            "voice_method": "POST",
            "voice_fallback_url": "",
            "voice_fallback_method": "POST",
            "status_callback": status_callback,
            "status_callback_method": "POST",
            "voice_application_sid": "",
            "trunk_sid": "",
        }
        record = NumberRecord(self.new_id("PN", number), number, settings)
        self.numbers[record.sid] = record
        return record

    def new_id(self, prefix: str, what: str) -> str:
        """An id that is the same in each run."""
        origin = f"{self.account_sid}/{self.exchange.conditions.seed}/{what}"
        return prefix + hashlib.sha256(origin.encode()).hexdigest()[:32]

    def leg_id(self, number: int) -> str:
        """A CallSid."""
        return self.new_id("CA", f"call {number}")

    def far_wire(self, leg: Leg, order: OpenStream, number: int) -> tuple[str, TwilioFarWire]:
        """A StreamSid, and ``connected`` to ``stop``."""
        stream_sid = self.new_id("MZ", f"{leg.leg_id} {number}")
        assert isinstance(order.details, StreamVerb)
        self._streams[stream_sid] = order.details
        return stream_sid, TwilioFarWire(stream_sid, call_sid=leg.leg_id, account_sid=self.account_sid)

    def media_headers(self, leg: Leg, url: str) -> Mapping[str, str]:
        """The signature of an upgrade."""
        return {"X-Twilio-Signature": sign_twilio(self._auth_token, url)}

    async def offer(self, leg: Leg) -> Document | None:
        """Asks the number's voice webhook what to do with a call."""
        record = next((each for each in self.numbers.values() if each.number == leg.callee), None)
        if record is None or record.settings["voice_application_sid"] or record.settings["trunk_sid"]:
            leg.refusal = "no voice webhook: " + ("unknown number" if record is None else "taken by another")
            leg.end("unreachable", "carrier")
            return None
        leg.details = TwilioCall(record.settings["status_callback"])
        return await self.documents.fetch(leg, "voice", record.settings["voice_url"])

    # --- webhooks -------------------------------------------------------------------------------------------

    def webhooks(self, leg: Leg, event: LegEvent) -> Iterator[Webhook]:
        """The callbacks that were ordered for an event."""
        details = record_of(leg)
        match event:
            case LegInitiated() | LegRinging() | LegAnswered():
                if isinstance(event, LegAnswered) and details.recording is not None:
                    self.start_recording(leg, details.recording)
                if leg.direction != "inbound":
                    yield from self._status(leg, _NAMES[type(event)], ())
            case LegEnded():
                yield from self._status(leg, "completed", ending_form(event))
            case MachineHeard() | GreetingOver():
                yield from self._machine(leg, event)
            case StreamOpened() | StreamClosed():
                yield from self._stream(leg, event)
            case RecordingStopped(recording=recording):
                yield from self.recording_webhooks(leg, recording, "completed")
            case DialEnded(details=TwilioCall(action=action)) if action and leg.ended is not None:
                # Who called has hung up: the action is told, and its answer has nobody to be for.
                yield self._webhook("transfer", action, (*about(leg, self.account_sid), *dial_form(event)))
            case RoomChanged(details=ConferenceVerb() as verb) if event.what in verb.status_events:
                yield self._room(leg, event, verb)
            case _:
                return

    def _webhook(self, kind: str, url: str, form: Form) -> Webhook:
        return sign_webhook(self._auth_token, kind, url, form)

    def _status(self, leg: Leg, name: str, more: Form) -> Iterator[Webhook]:
        details = record_of(leg)
        if not details.status_callback or name not in details.status_events:
            return
        status = {"initiated": "initiated"}.get(name, call_status(leg))
        described = tuple(
            (key, status if key == "CallStatus" else value) for key, value in about(leg, self.account_sid)
        )
        form = (
            *described,
            ("Timestamp", rfc_2822(leg.history[-1][0])),
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", str(details.sequence)),
            *more,
            *self._recorded(leg),
        )
        details.sequence += 1
        yield self._webhook("leg" if leg.direction == "dialled" else "status", details.status_callback, form)

    def _recorded(self, leg: Leg) -> Form:
        if leg.ended is None or record_of(leg).recording is None or not leg.recordings:
            return ()
        recording = next(iter(leg.recordings.values()))
        return (
            ("RecordingUrl", self.recording_url(recording)),
            ("RecordingSid", recording.recording_id),
            ("RecordingDuration", str(round(recording.seconds))),
        )

    def _machine(self, leg: Leg, event: MachineHeard | GreetingOver) -> Iterator[Webhook]:
        details = record_of(leg)
        if isinstance(event, GreetingOver):
            verdict = "machine_end_beep" if event.beep else "machine_end_silence"
        else:
            verdict = "machine_start" if event.verdict == "machine" else event.verdict
        if details.answered_by is not None or (
            verdict == "machine_start" and details.amd == "DetectMessageEnd"
        ):
            return
        details.answered_by = verdict
        if details.amd_callback:
            duration = str(round(event.seconds * 1000))
            form = (
                ("CallSid", leg.leg_id),
                ("AccountSid", self.account_sid),
                ("AnsweredBy", verdict),
                ("MachineDetectionDuration", duration),
            )
            yield self._webhook("machine", details.amd_callback, form)

    def _stream(self, leg: Leg, event: StreamOpened | StreamClosed) -> Iterator[Webhook]:
        verb = self._streams[event.stream_id]
        if not verb.status_callback:
            return
        error = event.error if isinstance(event, StreamClosed) else ""
        what = "stream-started" if isinstance(event, StreamOpened) else "stream-stopped"
        form = (
            ("AccountSid", self.account_sid),
            ("CallSid", leg.leg_id),
            ("StreamSid", event.stream_id),
            ("StreamName", verb.name or event.stream_id),
            ("StreamEvent", "stream-error" if error else what),
            *((("StreamError", error),) if error else ()),
        )
        yield self._webhook("stream", verb.status_callback, form)

    def _room(self, leg: Leg, event: RoomChanged, verb: ConferenceVerb) -> Webhook:
        subject = "conference" if event.what in ("start", "end") else "participant"
        form = (
            ("AccountSid", self.account_sid),
            ("ConferenceSid", self.room_sid(event.room)),
            ("FriendlyName", event.room),
            ("CallSid", leg.leg_id),
            ("StatusCallbackEvent", f"{subject}-{event.what}"),
        )
        return self._webhook("conference", verb.status_callback, form)

    def room_sid(self, name: str) -> str:
        """A ConferenceSid."""
        return self.new_id("CF", f"room {name}")

    # --- recordings -----------------------------------------------------------------------------------------

    def start_recording(self, leg: Leg, ordered: RecordingRecord) -> Recording:
        """Records a leg from now on, and says so if that was ordered."""
        sid = self.new_id("RE", f"{leg.leg_id} {len(leg.recordings) + 1}")
        recording = leg.start_recording(sid, channels=ordered.channels, details=ordered)
        for webhook in self.recording_webhooks(leg, recording, "in-progress"):
            self.exchange.post.send(webhook)
        return recording

    def recording_url(self, recording: Recording) -> str:
        """Where the sound can be fetched."""
        base = self.exchange.url or "https://api.twilio.com"
        return f"{base}/2010-04-01/Accounts/{self.account_sid}/Recordings/{recording.recording_id}"

    def recording_webhooks(self, leg: Leg, recording: Recording, status: str) -> Iterator[Webhook]:
        """What is told of a recording."""
        ordered = recording.details
        if not isinstance(ordered, RecordingRecord) or not ordered.callback or status not in ordered.events:
            return
        described = describe_recording(leg, recording, self.account_sid)
        form = (
            ("AccountSid", self.account_sid),
            ("CallSid", leg.leg_id),
            ("RecordingSid", recording.recording_id),
            ("RecordingUrl", self.recording_url(recording)),
            ("RecordingStatus", status),
            ("RecordingDuration", described["duration"] or "0"),
            ("RecordingChannels", str(recording.channels)),
            ("RecordingTrack", ordered.track),
            ("RecordingSource", ordered.source),
            ("ErrorCode", "0"),
        )
        yield self._webhook("recording", ordered.callback, form)
