"""The words of telephony: what is asked of a carrier, and what a carrier tells, the same for all of them.

Two families of frozen records. **Orders** go to a carrier: place a call, open a stream, transfer. **Notices**
come from its webhooks: who calls, who answered, how a call ended. A carrier's own module translates both ways
(:class:`patter_trio.abc.Carrier`); nothing else of the product knows a vendor's field names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

import attrs

from .events import CallInfo

__all__ = [
    "CallAnswered",
    "CallOffered",
    "CallOrder",
    "CallOver",
    "CallRinging",
    "CallState",
    "EndedAs",
    "GreetingEnded",
    "Links",
    "MachineVerdict",
    "Notice",
    "NumberRoute",
    "Placed",
    "RecordingSaved",
    "Refusal",
    "StreamOrder",
    "TransferEnded",
    "TransferMode",
    "TransferOrder",
    "Verdict",
    "WebhookReply",
]

EndedAs = Literal["completed", "busy", "no_answer", "canceled", "failed"]
"""How a call ended, whatever the carrier calls it; only a ``completed`` one was ever answered."""

Verdict = Literal["human", "machine", "fax", "unknown"]
"""Who picked up; ``unknown`` is what a detector says that gave up, and is treated as a human."""

TransferMode = Literal["cold", "warm"]


# --- what is asked of a carrier -----------------------------------------------------------------------------


@attrs.frozen
class Links:
    """Where a carrier reports to about one call: our public address and the call's unguessable token.

    ``base`` has no trailing slash. The token stands in the query, so that a report finds its call even when
    the carrier's id of that call is not known yet, and so that nobody else can report about it.
    """

    base: str
    kind: str
    token: str = attrs.field(repr=False)

    def webhook(self, what: str) -> str:
        """The address for one kind of report: ``voice``, ``answer``, ``status``, ``machine``, ``recording``,
        ``transfer`` (the call itself, after it was given away), ``leg`` (the other leg of a transfer),
        ``stream`` or ``document``.
        """
        return f"{self.base}/webhooks/{self.kind}/{what}?call={quote(self.token)}"


@attrs.frozen
class StreamOrder:
    """Open a two-way media stream.

    ``url`` is ``wss://…`` without a query, with a token that opens one stream; ``parameters`` come back in
    the stream's start where the carrier has a place for them.
    """

    url: str
    links: Links
    parameters: Mapping[str, str] = attrs.field(factory=dict[str, str])


@attrs.frozen
class CallOrder:
    """Place a call and open ``stream`` when somebody answers.

    Args:
        to: who is called, E.164 or a ``sip:`` address.
        caller_id: our number that is shown, E.164.
        stream: what is opened once the call is answered.
        ring_seconds: how long it may ring.
        machine_detection: whether the carrier listens for answering machines, to the end of their greeting.
        max_seconds: a hard limit for the answered call, ``None`` for the carrier's own.
        send_digits: keys that the carrier presses on answer, ``w`` is half a second.
        record: whether the carrier records it from the answer on.
    """

    to: str
    caller_id: str
    stream: StreamOrder
    ring_seconds: int = 25
    machine_detection: bool = False
    max_seconds: int | None = None
    send_digits: str = ""
    record: bool = False


@attrs.frozen
class Placed:
    """A call that the carrier has taken on. Plivo gives a request's id only; its call's id comes later."""

    call_id: str = ""
    request_id: str = ""


@attrs.frozen
class CallState:
    """What a carrier says of a call when it is asked; ``ended_as`` is ``None`` while it is not over."""

    status: Literal["queued", "ringing", "in_progress", "ended"]
    ended_as: EndedAs | None = None
    detail: str = ""
    seconds: float | None = None
    price: str = ""


@attrs.frozen
class TransferOrder:
    """Connect a call's other side to somebody else.

    ``cold`` connects at once. ``warm`` has the caller wait while ``number`` is called and told ``summary``,
    and joins them then. Nobody is lost in either: when ``number`` does not answer, the carrier reports
    :class:`TransferEnded` to ``links`` and the agent takes the caller back.
    """

    number: str
    links: Links
    mode: TransferMode = "cold"
    caller_id: str = ""
    summary: str = ""
    language: str = "en-US"
    ring_seconds: int = 20


@attrs.frozen
class Refusal:
    """Do not take a call: ``busy`` and ``rejected`` before it is answered, ``said`` with a sentence."""

    reason: Literal["busy", "rejected", "said"] = "busy"
    sentence: str = ""
    language: str = "en-US"


@attrs.frozen
class NumberRoute:
    """Where calls to a number of ours go; ``voice_url`` is empty where something else takes them.

    ``taken_by`` names what that is (an application, a trunk). ``previous`` holds the vendor's own fields, to
    be shown to whoever changes them: nothing is restored silently.
    """

    number: str
    voice_url: str = ""
    status_url: str = ""
    taken_by: str = ""
    previous: Mapping[str, str] = attrs.field(factory=dict[str, str])


# --- what we answer -----------------------------------------------------------------------------------------


@attrs.frozen
class WebhookReply:
    """What a carrier gets back for its webhook; without a body it is only told that we have it."""

    body: str = ""
    media_type: str = "text/xml"
    status: int = 200


# --- what a carrier tells -----------------------------------------------------------------------------------


@attrs.frozen
class CallOffered:
    """The carrier asks what to do with a call: one that comes in, or one of ours that was picked up."""

    info: CallInfo

    @property
    def call_id(self) -> str:
        """The carrier's id of the call."""
        return self.info.call_id


@attrs.frozen
class CallRinging:
    """A call of ours rings at the other side."""

    call_id: str
    request_id: str = ""


@attrs.frozen
class CallAnswered:
    """A call of ours was picked up; its stream comes by itself."""

    call_id: str
    request_id: str = ""


@attrs.frozen
class CallOver:
    """A call has ended. ``detail`` is the carrier's own word for why, ``seconds`` how long it was up."""

    call_id: str
    ended_as: EndedAs
    request_id: str = ""
    detail: str = ""
    seconds: float | None = None


@attrs.frozen
class MachineVerdict:
    """Who picked up. ``greeting_over`` says that a machine's greeting has ended already.

    ``raw`` is the carrier's own word.
    """

    call_id: str
    verdict: Verdict
    greeting_over: bool = False
    raw: str = ""


@attrs.frozen
class GreetingEnded:
    """A machine's greeting is over, with a beep or without: a message may be left now."""

    call_id: str
    beep: bool = True
    raw: str = ""


@attrs.frozen
class RecordingSaved:
    """A recording can be fetched from ``url`` (or cannot: ``error``); some addresses live only minutes."""

    call_id: str
    recording_id: str
    url: str = ""
    seconds: float | None = None
    error: str = ""


@attrs.frozen
class TransferEnded:
    """The other side of a transfer is over, or never came about (``answered`` is false).

    ``wants_document`` says that the carrier waits for instructions as the answer to this very webhook.
    """

    call_id: str
    answered: bool
    detail: str = ""
    wants_document: bool = False


Notice = (
    CallOffered
    | CallRinging
    | CallAnswered
    | CallOver
    | MachineVerdict
    | GreetingEnded
    | RecordingSaved
    | TransferEnded
)
