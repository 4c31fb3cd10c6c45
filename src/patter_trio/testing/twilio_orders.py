"""The parameters of Twilio's REST API, checked as Twilio checks them, and a little more strictly.

A parameter that the API does not have is refused, where the real one ignores it: it is a mistake of whoever
sent it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

import attrs

from .twilio_records import RecordingRecord, TwilioCall

__all__ = [
    "CallOrderRead",
    "Fields",
    "OrderError",
    "UpdateRead",
    "read_call_order",
    "read_recording",
    "read_update",
]

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_DIGITS = re.compile(r"[0-9A-D#*wW]{0,32}")
_EVENTS = ("initiated", "ringing", "answered", "completed")
_RECORDING_EVENTS = ("in-progress", "completed", "absent")
_LONGEST_TWIML = 4000
# Parameters of the detector, in milliseconds, and what they change.
_DETECTOR = {
    "MachineDetectionSpeechThreshold": (range(1000, 6001), "machine_after"),
    "MachineDetectionSpeechEndThreshold": (range(500, 5001), "human_after"),
    "MachineDetectionSilenceTimeout": (range(2000, 10001), "gives_up_after"),
}
_CALL_NAMES = frozenset(
    {
        *("To", "From", "Url", "Method", "Twiml", "Timeout", "TimeLimit", "SendDigits", "CallReason"),
        *("StatusCallback", "StatusCallbackMethod", "StatusCallbackEvent"),
        *("MachineDetection", "MachineDetectionTimeout", *_DETECTOR),
        *("AsyncAmd", "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod", "Record", "Trim"),
        *("RecordingChannels", "RecordingTrack", "RecordingStatusCallback"),
        *("RecordingStatusCallbackMethod", "RecordingStatusCallbackEvent"),
    }
)


class OrderError(Exception):
    """What is asked is refused, with Twilio's code."""

    def __init__(self, code: int, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@attrs.frozen
class CallOrderRead:
    """A call to be placed."""

    to: str
    caller: str
    xml: str
    url: str
    call: TwilioCall
    ring_seconds: int
    max_seconds: int | None
    digits: str
    waits: bool
    detection: Mapping[str, float]


@attrs.frozen
class UpdateRead:
    """What a running call is to do; one of the three is set."""

    xml: str = ""
    url: str = ""
    status: str = ""


class Fields:
    """The parameters of a request."""

    def __init__(self, fields: Iterable[tuple[str, str]], known: Collection[str]) -> None:
        self._fields = list(fields)
        for name, _ in self._fields:
            if name not in known:
                raise OrderError(21200, f"There is no parameter {name}")

    def text(self, name: str, default: str = "") -> str:
        """The last value."""
        return next((value for key, value in reversed(self._fields) if key == name), default)

    def all(self, name: str) -> list[str]:
        """All values of a parameter that may be repeated."""
        return [value for key, value in self._fields if key == name]

    def choice(self, name: str, choices: Sequence[str], default: str = "") -> str:
        """One of several words."""
        value = self.text(name, default)
        if value != default and value not in choices:
            raise OrderError(21200, f"{name} must be one of {', '.join(choices)}, not {value}")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """``true`` or ``false``, as text."""
        return self.choice(name, ("true", "false"), str(default).lower()) == "true"

    def number(self, name: str, allowed: range) -> int | None:
        """A whole number, or none."""
        value = self.text(name)
        if not value:
            return None
        if not value.isdecimal() or int(value) not in allowed:
            raise OrderError(21200, f"{name} must be {allowed[0]} to {allowed[-1]}, not {value}")
        return int(value)

    def address(self, name: str) -> str:
        """An absolute address, or none; only POST is done here."""
        value = self.text(name)
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or "_" in parts.hostname):
            raise OrderError(21205, f"{name} is not a valid URL: {value}")
        self.choice("Method" if name == "Url" else f"{name}Method", ("POST",), "POST")
        return value

    def events(self, name: str, choices: Sequence[str], default: str) -> frozenset[str]:
        """Names of events: repeated, or separated by spaces."""
        events = frozenset(" ".join(self.all(name)).split()) or frozenset({default})
        if events - set(choices):
            raise OrderError(21200, f"{name} has no such event: {sorted(events - set(choices))}")
        return events


def read_call_order(given: Iterable[tuple[str, str]], owned: Collection[str]) -> CallOrderRead:
    """The parameters of a call to be placed.

    Raises:
        OrderError: Twilio would refuse them.
    """
    fields = Fields(given, _CALL_NAMES)
    to, caller = read_numbers(fields, owned)
    url, xml = fields.address("Url"), fields.text("Twiml")
    if not url and not xml:
        raise OrderError(21205, "Url parameter is required")
    if len(xml) > _LONGEST_TWIML:
        raise OrderError(21200, "Twiml is too long")
    digits = fields.text("SendDigits")
    if not _DIGITS.fullmatch(digits):
        raise OrderError(21200, f"SendDigits is invalid: {digits}")
    is_async = fields.flag("AsyncAmd")
    amd = "" if digits else fields.choice("MachineDetection", ("Enable", "DetectMessageEnd"))
    detection = {
        what: value / 1000
        for name, (allowed, what) in _DETECTOR.items()
        if (value := fields.number(name, allowed)) is not None
    }
    timeout = fields.number("MachineDetectionTimeout", range(3, 60))
    if timeout is not None:
        detection["gives_up_after"] = min(timeout, detection.get("gives_up_after", timeout))
    call = TwilioCall(
        fields.address("StatusCallback"),
        fields.events("StatusCallbackEvent", _EVENTS, "completed"),
        amd=amd,
        amd_callback=fields.address("AsyncAmdStatusCallback") if is_async else "",
        recording=_read_recording(fields, "OutboundAPI") if fields.flag("Record") else None,
    )
    return CallOrderRead(
        *(to, caller, "" if url else xml, url, call),
        ring_seconds=fields.number("Timeout", range(1, 601)) or 60,
        max_seconds=fields.number("TimeLimit", range(1, 86401)),
        digits=digits,
        waits=bool(amd) and not is_async,
        detection=detection,
    )


def read_numbers(fields: Fields, owned: Collection[str]) -> tuple[str, str]:
    """Who is called, and which number of the account is shown.

    Raises:
        OrderError: one is missing or no number, or the latter is not the account's.
    """
    to, caller = fields.text("To"), fields.text("From")
    if not to:
        raise OrderError(21201, "No 'To' number is specified")
    if not _E164.fullmatch(to) and not to.startswith("sip:"):
        raise OrderError(21211, f"Invalid 'To' Phone Number: {to}")
    if not _E164.fullmatch(caller):
        raise OrderError(21212, f"Invalid 'From' Phone Number: {caller}")
    if caller not in owned:
        raise OrderError(21210, f"'From' phone number not verified: {caller}")
    return to, caller


def read_update(given: Iterable[tuple[str, str]]) -> UpdateRead:
    """The parameters of a change of a call.

    Raises:
        OrderError: Twilio would refuse them.
    """
    fields = Fields(given, {"Twiml", "Url", "Method", "Status"})
    update = UpdateRead(fields.text("Twiml"), fields.address("Url"), fields.text("Status"))
    if sum(map(bool, (update.xml, update.url, update.status))) != 1:
        raise OrderError(21200, "A call is changed by one of Twiml, Url and Status")
    if len(update.xml) > _LONGEST_TWIML:
        raise OrderError(21200, "Twiml is too long")
    fields.choice("Status", ("completed", "canceled"))
    return update


def read_recording(given: Iterable[tuple[str, str]]) -> RecordingRecord:
    """The parameters of a recording to be started.

    Raises:
        OrderError: Twilio would refuse them.
    """
    names = (
        *("RecordingChannels", "RecordingTrack", "Trim", "RecordingStatusCallback"),
        *("RecordingStatusCallbackMethod", "RecordingStatusCallbackEvent"),
    )
    return _read_recording(Fields(given, names), "StartCallRecordingAPI")


def _read_recording(fields: Fields, source: str) -> RecordingRecord:
    # Silence is never trimmed here; a test wants to find what was said where it was said.
    fields.choice("Trim", ("trim-silence", "do-not-trim"))
    return RecordingRecord(
        fields.address("RecordingStatusCallback"),
        fields.events("RecordingStatusCallbackEvent", _RECORDING_EVENTS, "completed"),
        source,
        2 if fields.choice("RecordingChannels", ("mono", "dual"), "mono") == "dual" else 1,
        fields.choice("RecordingTrack", ("both",), "both"),
    )
