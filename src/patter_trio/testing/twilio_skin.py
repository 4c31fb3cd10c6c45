"""Twilio's face of the exchange: ids, signed webhooks, and TwiML as instructions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from .._wire.signatures import sign_twilio
from ..errors import RemoteProtocolError
from .dialling import Dial
from .instructions import Document, Fetch, HangUp, Instruction, JoinRoom, OpenStream, PlayDigits
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
from .legs import Instruct, Leg
from .outcome import Violation
from .post import Webhook
from .recordings import Recording
from .twilio_records import (
    CALL_STATUS,
    SIP_CODES,
    NumberRecord,
    RecordingRecord,
    TwilioCall,
    call_status,
    describe_call,
    describe_recording,
    rfc_2822,
)
from .twilio_wire import TwilioFarWire
from .twiml_reader import ConferenceVerb, DialVerb, RedirectVerb, StreamVerb, Verb, read_twiml

if TYPE_CHECKING:
    from .carrier import SimulatedTwilio
    from .exchange import Exchange
    from .twilio_rest_api import TwilioRest

__all__ = ["TwilioSkin"]

Form = tuple[tuple[str, str], ...]

_NAMES: Mapping[type, str] = {LegInitiated: "initiated", LegRinging: "ringing", LegAnswered: "answered"}


class TwilioSkin:
    """The simulated Twilio on an exchange.

    Attributes:
        numbers: the account's numbers by their sid; the first one is that of the simulated carrier.
        rest: the REST API.
    """

    stays_when_done = False

    def __init__(self, twilio: SimulatedTwilio, exchange: Exchange) -> None:
        from .twilio_rest_api import TwilioRest

        self.account_sid = twilio.account_sid
        self.number = twilio.number
        self.caller = twilio.caller
        self.lead_limit = twilio.lead_limit
        self.exchange = exchange
        self.numbers: dict[str, NumberRecord] = {}
        self.rest: TwilioRest = TwilioRest(self, twilio.auth_token)
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

    # --- documents ------------------------------------------------------------------------------------------

    async def offer(self, leg: Leg) -> Document | None:
        """Asks the number's voice webhook what to do with a call."""
        record = next((each for each in self.numbers.values() if each.number == leg.callee), None)
        if record is None or record.settings["voice_application_sid"] or record.settings["trunk_sid"]:
            leg.refusal = "no voice webhook: " + ("unknown number" if record is None else "taken by another")
            leg.end("unreachable", "carrier")
            return None
        leg.details = TwilioCall(record.settings["status_callback"])
        return await self.fetch(leg, "voice", record.settings["voice_url"])

    def instruct(self, *, xml: str = "", url: str = "", waits: bool = False, digits: str = "") -> Instruct:
        """Gets a call of ours its document when it was answered, after the verdict if that is waited for."""

        async def instruct(leg: Leg) -> Document | None:
            details = record_of(leg)
            if waits:
                await leg.wait_told(lambda: details.answered_by is not None)
            document = self.read(leg, xml) if xml else await self.fetch(leg, "answer", url)
            return (PlayDigits(digits), *document) if digits else document

        return instruct

    async def fetch(self, leg: Leg, kind: str, url: str, more: Form = ()) -> Document:
        """Asks an address for a document; a call that gets none hears an error and ends."""
        answered_by = record_of(leg).answered_by
        form = (*self.about(leg), *more, *((("AnsweredBy", answered_by),) if answered_by else ()))
        answer = await self.exchange.post.ask(self.webhook(kind, url, form))
        if answer is None or answer.status != 200:
            what = "did not answer" if answer is None else f"answered HTTP {answer.status}"
            leg.refusal = f"the {kind} webhook {what}"
            leg.violations.append(Violation(leg.phone.now, "no TwiML", leg.refusal))
            return (HangUp(),)
        return self.read(leg, answer.body.decode(errors="replace"))

    def read(self, leg: Leg, xml: str) -> Document:
        """A document's instructions; one that cannot be followed is a violation, and ends the call."""
        try:
            return tuple(each for verb in read_twiml(xml) for each in self._instructions(verb))
        except RemoteProtocolError as error:
            leg.refusal = f"unusable TwiML: {error}"
            leg.violations.append(Violation(leg.phone.now, "unusable TwiML", str(error)))
            return (HangUp(),)

    def _instructions(self, verb: Verb) -> Iterator[Instruction]:
        match verb:
            case StreamVerb():
                yield OpenStream(verb.url, verb.parameters, verb)
            case RedirectVerb():
                yield self.fetching("voice", verb.url)
            case ConferenceVerb():
                yield JoinRoom(verb.name, verb.starts, verb.ends, verb.muted, verb)
                if verb.action:
                    yield self.fetching("transfer", verb.action)
            case DialVerb():
                yield self._dial(verb)
            case _:
                yield verb

    def fetching(self, kind: str, url: str) -> Fetch:
        """The instruction that asks an address for a document."""
        return Fetch(lambda leg: self.fetch(leg, kind, url))

    def _dial(self, verb: DialVerb) -> Dial:
        async def then(leg: Leg, ended: DialEnded) -> Document:
            return await self.fetch(leg, "transfer", verb.action, _dial_form(ended))

        async def first(child: Leg) -> Document:
            said = await self.fetch(child, "document", verb.whisper_url) if verb.whisper_url else ()
            return (PlayDigits(verb.send_digits), *said) if verb.send_digits else said

        return Dial(
            *(verb.number, verb.caller_id, verb.ring_seconds, verb.time_limit),
            first=first,
            answers_late=verb.answers_late,
            then=then if verb.action else None,
            details=TwilioCall(verb.status_callback, verb.status_events, action=verb.action),
        )

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
                yield from self._status(leg, "completed", _ending(leg, event))
            case MachineHeard() | GreetingOver():
                yield from self._machine(leg, event)
            case StreamOpened() | StreamClosed():
                yield from self._stream(leg, event)
            case RecordingStopped(recording=recording):
                yield from self.recording_webhooks(leg, recording, "completed")
            case DialEnded(details=TwilioCall(action=action)) if action and leg.ended is not None:
                # Who called has hung up: the action is told, and its answer has nobody to be for.
                yield self.webhook("transfer", action, (*self.about(leg), *_dial_form(event)))
            case RoomChanged(details=ConferenceVerb() as verb) if event.what in verb.status_events:
                yield self._room(leg, event, verb)
            case _:
                return

    def webhook(self, kind: str, url: str, form: Form) -> Webhook:
        """A signed form; the fragment of the address says how often it is tried."""
        address, _, fragment = url.partition("#")
        overrides = parse_qs(fragment)
        conditions = ",".join(overrides.get("rp", [])).split(",")
        return Webhook(
            kind,
            address,
            urlencode(form).encode(),
            {
                "Content-Type": "application/x-www-form-urlencoded",
                "X-Twilio-Signature": sign_twilio(self._auth_token, address, form),
            },
            retries=int(overrides.get("rc", ["1"])[0]),
            retries_refusals="5xx" in conditions or "all" in conditions,
        )

    def about(self, leg: Leg) -> Form:
        """What every webhook says about its call."""
        described = describe_call(leg, self.account_sid)
        parent = described["parent_call_sid"]
        return (
            ("CallSid", leg.leg_id),
            ("AccountSid", self.account_sid),
            ("From", leg.caller),
            ("To", leg.callee),
            ("Caller", leg.caller),
            ("Called", leg.callee),
            ("CallStatus", call_status(leg)),
            ("ApiVersion", "2010-04-01"),
            ("Direction", described["direction"]),
            *((("ParentCallSid", parent),) if parent else ()),
        )

    def _status(self, leg: Leg, name: str, more: Form) -> Iterator[Webhook]:
        details = record_of(leg)
        if not details.status_callback or name not in details.status_events:
            return
        status = {"initiated": "initiated"}.get(name, call_status(leg))
        about = tuple((key, status if key == "CallStatus" else value) for key, value in self.about(leg))
        form = (
            *about,
            ("Timestamp", rfc_2822(leg.history[-1][0])),
            ("CallbackSource", "call-progress-events"),
            ("SequenceNumber", str(details.sequence)),
            *more,
            *self._recorded(leg),
        )
        details.sequence += 1
        yield self.webhook("leg" if leg.direction == "dialled" else "status", details.status_callback, form)

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
            yield self.webhook("machine", details.amd_callback, form)

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
        yield self.webhook("stream", verb.status_callback, form)

    def _room(self, leg: Leg, event: RoomChanged, verb: ConferenceVerb) -> Webhook:
        about = "conference" if event.what in ("start", "end") else "participant"
        form = (
            ("AccountSid", self.account_sid),
            ("ConferenceSid", self.room_sid(event.room)),
            ("FriendlyName", event.room),
            ("CallSid", leg.leg_id),
            ("StatusCallbackEvent", f"{about}-{event.what}"),
        )
        return self.webhook("conference", verb.status_callback, form)

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
        yield self.webhook("recording", ordered.callback, form)


def record_of(leg: Leg) -> TwilioCall:
    """The carrier's own record of a leg."""
    if not isinstance(leg.details, TwilioCall):
        leg.details = TwilioCall()
    return leg.details


def _ending(leg: Leg, event: LegEnded) -> Form:
    seconds = round(event.seconds)
    return (
        ("CallDuration", str(seconds)),
        ("Duration", str(-(-seconds // 60))),
        ("SipResponseCode", SIP_CODES[event.cause]),
    )


def _dial_form(ended: DialEnded) -> Form:
    return (
        ("DialCallStatus", CALL_STATUS[ended.cause]),
        ("DialCallSid", ended.child.leg_id),
        ("DialBridged", str(ended.answered).lower()),
        *((("DialCallDuration", str(round(ended.seconds))),) if ended.answered else ()),
    )
