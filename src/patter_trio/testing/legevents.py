"""What happens to a leg of the exchange, in words that are no vendor's; a skin makes its webhooks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from ..telephony import Verdict

if TYPE_CHECKING:
    from .legs import Leg
    from .recordings import Recording

__all__ = [
    "Cause",
    "DialEnded",
    "Ender",
    "GreetingOver",
    "LegAnswered",
    "LegEnded",
    "LegEvent",
    "LegInitiated",
    "LegRinging",
    "MachineHeard",
    "RecordingStopped",
    "RoomChanged",
    "SpeechEnded",
    "StreamClosed",
    "StreamOpened",
]

Cause = Literal["completed", "busy", "no_answer", "declined", "unreachable", "canceled"]
"""Why a leg is over; only a ``completed`` one was ever answered."""

Ender = Literal["party", "agent", "carrier"]
"""Who ended it: whoever holds the telephone, our side (a document, a command), or the carrier (a limit)."""


@attrs.frozen
class LegInitiated:
    """The call is on its way: it is being dialled, or it comes in."""


@attrs.frozen
class LegRinging:
    """The telephone rings."""


@attrs.frozen
class LegAnswered:
    """Somebody, or something, picked up."""


@attrs.frozen
class LegEnded:
    """The leg is over; ``seconds`` is how long it was up."""

    cause: Cause
    by: Ender
    seconds: float = 0.0


@attrs.frozen
class MachineHeard:
    """The detector knows who picked up, ``seconds`` after the answer."""

    verdict: Verdict
    seconds: float


@attrs.frozen
class GreetingOver:
    """The greeting of a machine is over, and its beep if it has one."""

    beep: bool
    seconds: float


@attrs.frozen
class StreamOpened:
    """A media stream is up."""

    stream_id: str
    url: str


@attrs.frozen
class StreamClosed:
    """A media stream is over; ``error`` says why it never came up."""

    stream_id: str
    url: str
    error: str = ""


@attrs.frozen
class SpeechEnded:
    """The carrier's own voice has said ``text``, or was cut (``is_cut``)."""

    text: str
    is_cut: bool = False


@attrs.frozen
class RecordingStopped:
    """A recording is over and can be fetched."""

    recording: Recording


@attrs.frozen
class DialEnded:
    """Another number that this leg dialled is over, or never answered; ``details`` are the instruction's."""

    child: Leg
    answered: bool
    cause: Cause
    seconds: float = 0.0
    details: object = None


@attrs.frozen
class RoomChanged:
    """A conference began, was joined or left by this leg, or ended."""

    room: str
    what: Literal["start", "join", "leave", "end"]
    details: object = None


LegEvent = (
    LegInitiated
    | LegRinging
    | LegAnswered
    | LegEnded
    | MachineHeard
    | GreetingOver
    | StreamOpened
    | StreamClosed
    | SpeechEnded
    | RecordingStopped
    | DialEnded
    | RoomChanged
)
