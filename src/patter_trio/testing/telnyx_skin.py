"""Telnyx's face of the exchange: handles of legs, signed JSON webhooks, calls that wait for commands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import attrs
import msgspec
import trio

from .._wire.signatures_telnyx import sign_telnyx, telnyx_public_key
from .._wire.telnyx import CODECS
from ..events import AudioFormat
from .instructions import Document, OpenStream
from .legevents import (
    Cause,
    GreetingOver,
    LegAnswered,
    LegEnded,
    LegEvent,
    LegInitiated,
    MachineHeard,
    RecordingStopped,
    SpeechEnded,
    StreamClosed,
    StreamOpened,
)
from .legs import Leg
from .post import Webhook
from .recordings import Recording
from .telnyx_records import leg_record
from .telnyx_rest_api import TelnyxApi
from .telnyx_wire import TelnyxFarWire

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ["SimulatedTelnyx", "TelnyxSkin"]

_SEED = bytes(range(32))
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_CAUSES: Mapping[Cause, tuple[str, str]] = {
    "completed": ("normal_clearing", "unspecified"),
    "busy": ("user_busy", "486"),
    "no_answer": ("timeout", "unspecified"),
    "declined": ("call_rejected", "603"),
    "unreachable": ("not_found", "404"),
    "canceled": ("originator_cancel", "487"),
}
_PREMIUM = {"human": "human_residence", "machine": "machine", "fax": "fax_detected", "unknown": "not_sure"}


def _wall_time() -> float:
    return datetime.now(UTC).timestamp()


@attrs.define(eq=False)
class SimulatedTelnyx:
    """The carrier's side of calls by Call Control, for :func:`~patter_trio.testing.open_exchange`.

    Args:
        api_key: the key of its REST API.
        connection_id: the application that takes the calls to ``number``.
        seed: the 32 bytes that its webhooks' key is made of; see ``public_key``.
        number: the number that is called.
        caller: the number that calls.
        voice_path: where the application reports to, on the line's public URL.
        lead_limit: seconds of unplayed audio above which the server counts as unpaced.
        call_codec: what every call speaks, whatever is asked for: ``PCMU``, ``PCMA``, or empty for that.
        timestamps: the unit of media times, which Telnyx does not document.
        l16_byte_order: that of linear sound, which it does not document either.
        now: the time of webhooks, seconds since the epoch.
    """

    api_key: str = "KEY0123456789ABCDEF"
    connection_id: str = "1000000000000000001"
    seed: bytes = attrs.field(default=_SEED, repr=False)
    number: str = "+15550001234"
    caller: str = "+15557654321"
    voice_path: str = "/webhooks/telnyx/voice"
    lead_limit: float = 1.0
    call_codec: Literal["PCMU", "PCMA", ""] = ""
    timestamps: Literal["milliseconds", "samples"] = "milliseconds"
    l16_byte_order: Literal["little", "big"] = "little"
    now: Callable[[], float] = attrs.field(default=_wall_time, repr=False)

    @property
    def public_key(self) -> str:
        """The account's public key, for the carrier's ``public_key``."""
        return telnyx_public_key(self.seed)

    def open_skin(self, exchange: Exchange) -> TelnyxSkin:
        """Puts this carrier on an exchange."""
        return TelnyxSkin(self, exchange)


class TelnyxSkin:
    """The simulated Telnyx on an exchange.

    Attributes:
        numbers: the account's numbers, each with the connection that takes its calls.
        applications: its Call Control applications by their id.
        rest: the REST API.
    """

    stays_when_done = True

    def __init__(self, telnyx: SimulatedTelnyx, exchange: Exchange) -> None:
        self.telnyx = telnyx
        self.number = telnyx.number
        self.caller = telnyx.caller
        self.lead_limit = telnyx.lead_limit
        self.exchange = exchange
        self.numbers: dict[str, str] = {telnyx.number: telnyx.connection_id}
        self.applications: dict[str, dict[str, Any]] = {
            telnyx.connection_id: {
                "id": telnyx.connection_id,
                "record_type": "call_control_application",
                "application_name": "Simulated application",
                "webhook_event_url": exchange.line.public_url + telnyx.voice_path,
                "webhook_api_version": "2",
            }
        }
        self._events = 0
        self.rest = TelnyxApi(self)

    def leg_id(self, number: int) -> str:
        """A call_control_id."""
        return "v3:" + self.new_id(f"call {number}") + "-_"

    def new_id(self, what: str) -> str:
        """An id that is the same in each run."""
        origin = f"{self.telnyx.connection_id}/{self.exchange.conditions.seed}/{what}"
        return hashlib.sha256(origin.encode()).hexdigest()[:40]

    async def offer(self, leg: Leg) -> Document | None:
        """Tells the application of the number; what becomes of the call, commands say."""
        application = self.applications.get(self.numbers.get(leg.callee, ""))
        if application is None:
            leg.refusal = "no application takes the number"
            leg.end("unreachable", "carrier")
            return None
        leg_record(leg).webhook_url = application["webhook_event_url"]
        said = {"direction": "incoming", "state": "parked"}
        answer = await self.exchange.post.ask(self._webhook(leg, "voice", "call.initiated", said))
        if (answer is None or answer.status >= 300) and leg.answered_at is None:
            leg.refusal = "the webhook was not taken"
            leg.end("unreachable", "carrier")
            return None
        return ()

    def far_wire(self, leg: Leg, order: OpenStream, number: int) -> tuple[str, TelnyxFarWire]:
        """A stream's id, and ``connected`` to ``stop``."""
        asked = order.details if isinstance(order.details, Mapping) else {}
        hears = AudioFormat(
            CODECS[asked.get("stream_bidirectional_codec", "PCMU")],
            asked.get("stream_bidirectional_sampling_rate", 8000),
        )
        codec = self.telnyx.call_codec or asked.get("stream_codec", "PCMU")
        audio = AudioFormat(CODECS[codec], hears.sample_rate if codec == "L16" else 8000)
        start = {
            "user_id": self.new_id("user"),
            "call_control_id": leg.leg_id,
            "call_session_id": self.new_id(f"session {leg.leg_id}"),
            "from": leg.caller,
            "to": leg.callee,
            "client_state": leg_record(leg).client_state,
        }
        stream_id = self.new_id(f"stream {leg.leg_id} {number}")
        return stream_id, TelnyxFarWire(
            *(stream_id, start, audio, hears),
            swaps=self.telnyx.l16_byte_order == "big",
            samples=self.telnyx.timestamps == "samples",
        )

    def media_headers(self, leg: Leg, url: str) -> Mapping[str, str]:
        """Nothing: upgrades are not signed."""
        return {}

    # --- webhooks -------------------------------------------------------------------------------------------

    def webhooks(self, leg: Leg, event: LegEvent) -> Iterator[Webhook]:
        """What is told of an event: everything goes to one address."""
        record = leg_record(leg)
        outgoing = leg.direction != "inbound"
        premium = "premium." if record.amd == "premium" else ""
        match event:
            case LegInitiated() if outgoing:
                said = {"direction": "outgoing", "state": "bridging"}
                yield self._webhook(leg, "status", "call.initiated", said)
            case LegAnswered():
                yield self._webhook(leg, "status", "call.answered", {"state": "answered"})
            case LegEnded():
                yield self._hangup(leg, event)
            case MachineHeard():
                result = _PREMIUM[event.verdict] if premium else event.verdict.replace("unknown", "not_sure")
                yield self._webhook(
                    leg, "machine", f"call.machine.{premium}detection.ended", {"result": result}
                )
            case GreetingOver() if record.amd in ("premium", "greeting_end", "detect_words") or (
                record.amd == "detect_beep" and event.beep
            ):
                silent = "no_beep_detected" if premium else "ended"
                result = "beep_detected" if event.beep else silent
                yield self._webhook(
                    leg, "machine", f"call.machine.{premium}greeting.ended", {"result": result}
                )
            case SpeechEnded():
                status = "call_hangup" if event.is_cut else "completed"
                yield self._webhook(leg, "status", "call.speak.ended", {"status": status})
            case StreamOpened():
                yield self._webhook(leg, "stream", "streaming.started", {"stream_url": event.url})
            case StreamClosed(error=error) if error:
                said = {"failure_reason": "connection_failed", "stream_id": event.stream_id}
                yield self._webhook(leg, "stream", "streaming.failed", said)
            case StreamClosed():
                yield self._webhook(leg, "stream", "streaming.stopped", {"stream_url": event.url})
            case RecordingStopped(recording=recording):
                yield self._recorded(leg, recording)
            case _:
                return

    def tell_bridged(self, leg: Leg) -> None:
        """Two legs hear each other."""
        self.exchange.post.send(self._webhook(leg, "status", "call.bridged", {}))

    def recording_url(self, recording: Recording) -> str:
        """Where the sound can be fetched, by whoever knows the address."""
        base = self.exchange.url or "https://storage.telnyx.test"
        return f"{base}/recordings/{recording.recording_id}.wav?X-Amz-Expires=600"

    def _hangup(self, leg: Leg, event: LegEnded) -> Webhook:
        cause, sip = _CAUSES[event.cause]
        if event.cause == "completed" and event.by == "carrier":
            cause = "time_limit"
        party = "caller" if leg.direction == "inbound" else "callee"
        said = {
            "state": "hangup",
            "hangup_cause": cause,
            "hangup_source": party if event.by == "party" else "unknown",
            "sip_hangup_cause": sip,
        }
        return self._webhook(leg, "leg" if leg.direction == "dialled" else "status", "call.hangup", said)

    def _recorded(self, leg: Leg, recording: Recording) -> Webhook:
        said = {
            "channels": "dual" if recording.channels == 2 else "single",
            "recording_id": recording.recording_id,
            "recording_started_at": self._time(trio.current_time() - recording.seconds),
            "recording_ended_at": self._time(trio.current_time()),
            "recording_urls": {"wav": self.recording_url(recording)},
        }
        return self._webhook(leg, "recording", "call.recording.saved", said)

    def _webhook(self, leg: Leg, kind: str, event_type: str, more: Mapping[str, Any]) -> Webhook:
        record = leg_record(leg)
        self._events += 1
        payload = {
            "call_control_id": leg.leg_id,
            "call_leg_id": self.new_id(f"leg {leg.leg_id}"),
            "call_session_id": self.new_id(f"session {leg.leg_id}"),
            "connection_id": self.telnyx.connection_id,
            "client_state": record.client_state,
            "from": leg.caller,
            "to": leg.callee,
            "start_time": self._time(leg.began),
            **more,
        }
        event = {
            "record_type": "event",
            "event_type": event_type,
            "id": self.new_id(f"event {self._events}"),
            "occurred_at": self._time(trio.current_time()),
            "payload": payload,
        }
        url = record.webhook_url or self.applications[self.telnyx.connection_id]["webhook_event_url"]
        body = msgspec.json.encode({"data": event, "meta": {"attempt": 1, "delivered_to": url}})
        timestamp = int(self.telnyx.now())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "telnyx-webhooks",
            "telnyx-timestamp": str(timestamp),
            "telnyx-signature-ed25519": sign_telnyx(self.telnyx.seed, timestamp, body),
        }
        return Webhook(kind, url, body, headers, retries=2, retries_refusals=True)

    def _time(self, moment: float) -> str:
        return (_EPOCH + timedelta(seconds=moment)).isoformat().replace("+00:00", "Z")
