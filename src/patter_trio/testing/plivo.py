"""A simulated Plivo: ids, V3-signed webhooks, XML as instructions, and media streams, on an exchange."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import count

from .._wire.plivo_signatures import sign_plivo_v3
from .exchange import Exchange
from .instructions import Document, OpenStream
from .legevents import (
    DialEnded,
    LegEnded,
    LegEvent,
    LegRinging,
    MachineHeard,
    RecordingStopped,
    RoomChanged,
    StreamClosed,
    StreamOpened,
)
from .legs import Leg
from .plivo_documents import ROOM_FORM, PlivoDocuments
from .plivo_reader import RecordTag, RoomTag, StreamTag
from .plivo_records import (
    Form,
    PlivoApplication,
    PlivoCall,
    about,
    dial_form,
    ending_form,
    record_of,
    sign_webhook,
)
from .plivo_rest_api import PlivoRestApi
from .plivo_wire import PlivoFarWire
from .post import Webhook
from .recordings import Recording

__all__ = ["PlivoSkin", "SimulatedPlivo"]


class SimulatedPlivo:
    """A Plivo account with one number; :func:`~patter_trio.testing.open_exchange` brings it to life.

    Args:
        auth_id: the account that owns the number.
        auth_token: signs webhooks and upgrades.
        number: the number that is called.
        caller: the number that calls.
        voice_path: where the number's application points, on the line's public URL.
        hangup_path: where it reports ends of calls; nowhere, if left out.
        lead_limit: seconds of unplayed audio above which the server counts as unpaced.
        says_stop: whether a stream ends with ``stop``, as some of Plivo's pages have it, and not only by the
            end of its socket, as its reference has it.
    """

    def __init__(
        self,
        auth_id: str = "MA" + "X" * 18,
        auth_token: str = "a-token-worth-nothing-outside-tests",  # noqa: S107
        *,
        number: str = "+15550001234",
        caller: str = "+15557654321",
        voice_path: str = "/webhooks/plivo/voice",
        hangup_path: str = "/webhooks/plivo/status",
        lead_limit: float = 1.0,
        says_stop: bool = False,
    ) -> None:
        self.auth_id = auth_id
        self.auth_token = auth_token
        self.number = number
        self.caller = caller
        self.voice_path = voice_path
        self.hangup_path = hangup_path
        self.lead_limit = lead_limit
        self.says_stop = says_stop

    def open_skin(self, exchange: Exchange) -> PlivoSkin:
        """Puts this carrier on an exchange."""
        return PlivoSkin(self, exchange)


class PlivoSkin:
    """The simulated Plivo on an exchange.

    Attributes:
        applications: the account's applications by their id.
        numbers: its numbers, and the id of the application that each points to (or nothing).
        rest: the REST API.
    """

    stays_when_done = False

    def __init__(self, plivo: SimulatedPlivo, exchange: Exchange) -> None:
        self.auth_id = plivo.auth_id
        self.number = plivo.number
        self.caller = plivo.caller
        self.lead_limit = plivo.lead_limit
        self.says_stop = plivo.says_stop
        self.exchange = exchange
        self._auth_token = plivo.auth_token
        self._nonces = count(10**19)
        self._streams: dict[str, StreamTag] = {}
        origin = exchange.line.public_url
        fields = {"app_name": "first", "answer_url": origin + plivo.voice_path, "answer_method": "POST"}
        if plivo.hangup_path:
            fields |= {"hangup_url": origin + plivo.hangup_path, "hangup_method": "POST"}
        self.applications = {"10000000001": PlivoApplication("10000000001", fields)}
        self.numbers = {plivo.number: "10000000001"}
        self.documents = PlivoDocuments(plivo.auth_token, self.next_nonce, self.start_recording)
        self.rest = PlivoRestApi(self, plivo.auth_token)

    def next_nonce(self) -> str:
        """A nonce that was not used before."""
        return str(next(self._nonces))

    def new_id(self, what: str) -> str:
        """A UUID that is the same in each run."""
        origin = f"{self.auth_id}/{self.exchange.conditions.seed}/{what}"
        digits = hashlib.sha256(origin.encode()).hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"

    def leg_id(self, number: int) -> str:
        """A CallUUID."""
        return self.new_id(f"call {number}")

    def far_wire(self, leg: Leg, order: OpenStream, number: int) -> tuple[str, PlivoFarWire]:
        """A StreamID, and its messages in the format that was asked for."""
        assert isinstance(order.details, StreamTag)
        stream_id = self.new_id(f"stream {leg.leg_id} {number}")
        self._streams[stream_id] = order.details
        return stream_id, PlivoFarWire(
            stream_id,
            call_id=leg.leg_id,
            auth_id=self.auth_id,
            audio=order.details.audio,
            says_stop=self.says_stop,
        )

    def media_headers(self, leg: Leg, url: str) -> Mapping[str, str]:
        """The signature of an upgrade, over the address that is dialled."""
        nonce = self.next_nonce()
        return {
            "X-Plivo-Signature-V3": sign_plivo_v3(self._auth_token, "GET", url, nonce),
            "X-Plivo-Signature-V3-Nonce": nonce,
        }

    async def offer(self, leg: Leg) -> Document | None:
        """Asks the answer URL of the number's application what to do with a call."""
        application = self.applications.get(self.numbers.get(leg.callee, ""))
        if application is None or not application.fields.get("answer_url"):
            leg.refusal = "the number has no application with an answer URL"
            leg.end("unreachable", "carrier")
            return None
        leg.details = PlivoCall(
            hangup_url=application.fields.get("hangup_url") or application.fields["answer_url"]
        )
        return await self.documents.fetch(leg, application.fields["answer_url"])

    # --- webhooks -------------------------------------------------------------------------------------------

    def webhooks(self, leg: Leg, event: LegEvent) -> Iterator[Webhook]:
        """The callbacks that were ordered for an event."""
        details = record_of(leg)
        match event:
            case LegRinging() if details.ring_url:
                yield self._webhook(details.ring_url, about(leg, "Ring"))
            case LegEnded() if details.hangup_url:
                yield self._webhook(details.hangup_url, (*about(leg, "Hangup"), *ending_form(event)))
            case MachineHeard(verdict="machine"):
                # Nothing is told of humans; what is of a fax, no page says.
                yield from self._machine(leg)
            case StreamOpened() | StreamClosed():
                yield from self._stream(leg, event)
            case RecordingStopped(recording=recording):
                yield from self._recording(leg, recording)
            case DialEnded(details=PlivoCall(action=action)) if action and leg.ended is not None:
                # Who called has hung up: the action is told, and its answer has nobody to be for.
                yield self._webhook(action, (*about(leg, ""), *dial_form(event)))
            case RoomChanged(what="leave", details=RoomTag(action=action)) if (
                action and leg.ended is not None
            ):
                yield self._webhook(action, (*about(leg, ""), *ROOM_FORM))
            case _:
                return

    def _webhook(self, url: str, form: Form) -> Webhook:
        return sign_webhook(self._auth_token, url, form, self.next_nonce())

    def _machine(self, leg: Leg) -> Iterator[Webhook]:
        details = record_of(leg)
        if details.machine_url:
            what = "hangup" if details.ends_for_machines else "continue"
            form = (*about(leg, "MachineDetection"), ("Machine", "true"), ("IfMachine", what))
            yield self._webhook(details.machine_url, form)
        if details.ends_for_machines:
            leg.hang_up("carrier")

    def _stream(self, leg: Leg, event: StreamOpened | StreamClosed) -> Iterator[Webhook]:
        tag = self._streams[event.stream_id]
        if not tag.status_url:
            return
        error = event.error if isinstance(event, StreamClosed) else ""
        what = "StartStream" if isinstance(event, StreamOpened) else "StopStream"
        form = (
            ("CallUUID", leg.leg_id),
            ("StreamID", event.stream_id),
            ("ServiceURL", event.url),
            ("Event", "DroppedStream" if error else what),
            *((("Error", "connection_failed"),) if error else ()),
        )
        yield self._webhook(tag.status_url, form)

    # --- recordings -----------------------------------------------------------------------------------------

    def start_recording(self, leg: Leg, tag: RecordTag) -> Recording:
        """Records a leg from now on."""
        recording_id = self.new_id(f"recording {leg.leg_id} {len(leg.recordings) + 1}")
        return leg.start_recording(recording_id, channels=tag.channels, details=tag)

    def recording_url(self, recording: Recording) -> str:
        """Where the sound can be fetched."""
        base = self.exchange.url or "https://media.plivo.com"
        return f"{base}/v1/Account/{self.auth_id}/Recording/{recording.recording_id}.wav"

    def _recording(self, leg: Leg, recording: Recording) -> Iterator[Webhook]:
        tag = recording.details
        if not isinstance(tag, RecordTag) or not tag.callback:
            return
        form = (
            ("call_uuid", leg.leg_id),
            ("record_url", self.recording_url(recording)),
            ("recording_id", recording.recording_id),
            ("recording_duration", str(round(recording.seconds))),
            ("recording_duration_ms", str(round(recording.seconds * 1000))),
        )
        yield self._webhook(tag.callback, form)
