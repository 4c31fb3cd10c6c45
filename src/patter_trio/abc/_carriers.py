"""What a telephone company can do, and how its media stream is spoken."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

import attrs

from ..events import AudioFormat, CallInfo, CarrierEvent
from ..telephony import (
    CallOrder,
    CallState,
    Links,
    Notice,
    NumberRoute,
    Placed,
    RecordingSaved,
    Refusal,
    StreamOrder,
    TransferEnded,
    TransferOrder,
    WebhookReply,
)

__all__ = [
    "Carrier",
    "EndsByClosing",
    "FollowsUp",
    "LiveCarrier",
    "MediaSocket",
    "MediaWire",
    "OutlivesStreams",
    "SendsDigits",
    "ServesDocuments",
    "SignsTestWebhook",
    "WebhookRequest",
    "WritesDigits",
]


class MediaWire(Protocol):
    """One media stream's protocol, sans-IO: text messages to events, and back."""

    @property
    def audio(self) -> AudioFormat:
        """The format of the stream, both ways."""
        ...

    def decode(self, message: str | bytes) -> CarrierEvent | None:
        """Reads a message; ``None`` for one that carries nothing for us.

        Raises:
            RemoteProtocolError: the message is malformed; the caller counts and drops it.
        """
        ...

    def encode_audio(self, audio: bytes) -> str:
        """The message that plays ``audio``."""
        ...

    def encode_mark(self, name: str) -> str:
        """The message that asks for :class:`MarkPlayed` once all audio before it was played."""
        ...

    def encode_clear(self) -> str:
        """The message that drops whatever the carrier has not played yet."""
        ...


class MediaSocket(Protocol):
    """A connected socket of whole text messages, as the carrier opened it to us."""

    async def receive(self) -> str | bytes:
        """The next message.

        Raises:
            trio.EndOfChannel: the far side closed, or the connection broke.
        """
        ...

    def send_nowait(self, message: str) -> bool:
        """Sends without waiting; ``False`` when nothing of the message could be taken now."""
        ...

    async def send(self, message: str) -> None:
        """Sends, waiting for room. Only the call's writer calls this, never a turn.

        Raises:
            trio.BrokenResourceError: the connection is gone.
        """
        ...

    async def aclose(self) -> None:
        """Says goodbye within a short deadline and closes."""
        ...


@attrs.frozen
class WebhookRequest:
    """An HTTP request (or WebSocket upgrade) from a carrier, as far as a signature needs it.

    ``url`` is the public URL the carrier was given, rebuilt from configuration, never from proxy headers.
    ``form`` holds every decoded form field in order, blanks included.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    form: tuple[tuple[str, str], ...] = ()


@runtime_checkable
class WritesDigits(Protocol):
    """A media wire that has a message for pressing keys (Plivo's has)."""

    def encode_digits(self, digits: str) -> str:
        """The message that presses ``digits`` (``0-9 * # A-D``) behind the audio that was sent."""
        ...


@runtime_checkable
class EndsByClosing(Protocol):
    """A media wire whose carrier says goodbye by closing the socket (Plivo); else that is a loss."""

    ends_by_closing: bool


@runtime_checkable
class Carrier(Protocol):
    """A telephone company's settings: what its webhooks mean and how its media stream is spoken; all pure.

    ``open()`` makes what acts on calls of it: see :class:`LiveCarrier`.
    """

    @property
    def kind(self) -> str:
        """``"twilio"``, ``"telnyx"`` or ``"plivo"``: the carrier's part of our URLs."""
        ...

    @property
    def calls_per_second(self) -> float:
        """How many calls an account may place each second; more are held back here."""
        ...

    def verify(self, request: WebhookRequest) -> None:
        """Checks the carrier's signature of a webhook, or of a media socket's upgrade where it signs that.

        Raises:
            SignatureError: it is missing or wrong.
        """
        ...

    def read_notice(self, what: str, request: WebhookRequest) -> Notice | None:
        """What a verified webhook tells; ``None`` for one that tells nothing we need.

        Args:
            what: the last part of the address that it came to; see :meth:`Links.webhook
                <patter_trio.telephony.Links.webhook>`.
            request: the webhook.

        Raises:
            RemoteProtocolError: it does not say what such a webhook must.
        """
        ...

    def open_wire(self) -> MediaWire:
        """The protocol of one media stream."""
        ...

    def open(self) -> AbstractAsyncContextManager[LiveCarrier]:
        """The carrier with its connections, for as long as a session."""
        ...


@runtime_checkable
class SignsTestWebhook(Protocol):
    """A carrier whose webhooks are signed with a secret that we share (Twilio's, Plivo's).

    So we can send ourselves one and see whether it arrives as it was signed. Telnyx signs with a key that
    nobody else has.
    """

    def sign_webhook(self, url: str, form: Sequence[tuple[str, str]] = ()) -> Mapping[str, str]:
        """The headers by which :meth:`Carrier.verify` takes a ``POST`` of ``form`` to exactly this URL."""
        ...


@runtime_checkable
class LiveCarrier(Protocol):
    """What a carrier does, by its REST API or by the answer to its webhooks; returning means it was taken on.

    Every request has a deadline and its result is checked. It is asked again after a failure only where
    asking twice cannot do anything twice. What goes wrong is raised, never with a part of a credential:

    * :class:`PatterConfigError`: the request cannot be meant, nothing was asked;
    * :class:`AuthenticationError`: the credentials were refused;
    * :class:`RateLimitError`: the carrier asks for fewer requests;
    * :class:`ProviderError`: it refuses, with its own code and words;
    * :class:`PatterConnectionError`: it was not reached, or did not answer in time;
    * :class:`RemoteProtocolError`: its answer cannot be understood.

    After the last two, and after a cancellation, it may have been done all the same.
    """

    # --- calls that come in ---------------------------------------------------------------------------------

    async def answer(self, info: CallInfo, stream: StreamOrder) -> WebhookReply:
        """Takes an offered call and opens its stream: by the document that is returned, or by a command."""
        ...

    async def refuse(self, info: CallInfo, refusal: Refusal) -> WebhookReply:
        """Declines an offered call, or tells the caller a sentence and hangs up."""
        ...

    # --- calls that go out ----------------------------------------------------------------------------------

    async def place(self, order: CallOrder) -> Placed:
        """Has a number called. Never asked twice: a repetition would ring again."""
        ...

    async def read_state(self, placed: Placed) -> CallState:
        """How a call stands, for whoever was told nothing."""
        ...

    async def cancel(self, placed: Placed) -> None:
        """Ends a call that may still ring, or be answered by now; one that is over is no error."""
        ...

    # --- running calls --------------------------------------------------------------------------------------

    async def hang_up(self, call_id: str) -> None:
        """Ends a running call; one that is over already is no error."""
        ...

    async def speak(self, call_id: str, text: str, *, language: str = "en-US") -> None:
        """Has the carrier's own voice say ``text`` and then end the call: where no stream of ours is up."""
        ...

    async def transfer(self, call_id: str, order: TransferOrder) -> None:
        """Gives the other side of a call to somebody else; the caller of this closes the media stream next.

        Returns when the carrier has taken the order. How it went comes as
        :class:`~patter_trio.telephony.TransferEnded`.
        """
        ...

    async def take_back(self, notice: TransferEnded, info: CallInfo, stream: StreamOrder) -> WebhookReply:
        """Opens a stream to a caller whose transfer nobody answered."""
        ...

    async def start_recording(self, call_id: str, links: Links) -> str:
        """Has the carrier record both sides from now on, on two channels; returns the recording's id."""
        ...

    async def stop_recording(self, call_id: str, recording_id: str) -> None:
        """Ends a recording; one that has ended is no error. It is told of as ``RecordingSaved``."""
        ...

    def fetch_recording(self, saved: RecordingSaved) -> AbstractAsyncContextManager[AsyncIterable[bytes]]:
        """The sound file of a recording, piece by piece."""
        ...

    # --- the account ----------------------------------------------------------------------------------------

    async def check(self) -> str:
        """Asks who we are to the carrier, which the credentials must allow; returns the account's name."""
        ...

    async def read_number(self, number: str) -> NumberRoute:
        """Where calls to a number of ours go.

        Raises:
            ProviderError: the account has no such number.
        """
        ...

    async def route_number(self, number: str, voice_url: str, status_url: str = "") -> NumberRoute:
        """Has calls to a number of ours come to ``voice_url``; returns where they went before."""
        ...


@runtime_checkable
class SendsDigits(Protocol):
    """A live carrier that presses keys by a command (Telnyx's API can)."""

    async def send_digits(self, call_id: str, digits: str) -> None:
        """Presses ``digits`` (``0-9 * # A-D``, ``w`` half a second of pause, ``W`` a whole one)."""
        ...


@runtime_checkable
class FollowsUp(Protocol):
    """A live carrier whose calls are led by commands (Telnyx): some are due when a webhook says so."""

    async def follow_up(self, what: str, request: WebhookRequest) -> None:
        """Does what a verified webhook makes possible; it may come twice. It raises as all commands do."""
        ...


@runtime_checkable
class OutlivesStreams(Protocol):
    """A live carrier whose calls go on when their media stream ends (Telnyx): we must hang up by command."""

    calls_outlive_streams: bool


@runtime_checkable
class ServesDocuments(Protocol):
    """A live carrier that fetches its instructions from us (Plivo): what it was told to fetch is served."""

    def serve_document(self, request: WebhookRequest) -> WebhookReply | None:
        """The document that was left for this (verified) request; ``None`` if there is none."""
        ...
