"""Where the simulated Plivo gets its XML from, and the instructions that it is for a leg."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import attrs

from ..errors import RemoteProtocolError
from .dialling import Dial
from .instructions import Document, Fetch, HangUp, Instruction, JoinRoom, OpenStream, PlayDigits
from .legevents import DialEnded
from .legs import Instruct, Leg
from .outcome import Violation
from .plivo_reader import DialTag, RecordTag, RedirectTag, RoomTag, StreamTag, Tag, read_plivo_xml
from .plivo_records import Form, PlivoCall, about, dial_form, record_of, sign_webhook

__all__ = ["ROOM_FORM", "PlivoDocuments"]

ROOM_FORM: Form = (("MPCName", "a room"), ("ExitReason", "ended"))
"""What is told where a room is over."""


@attrs.frozen
class _Stream:
    """A stream that goes on when a transfer is ordered: that waits until the server closes the socket."""

    stream: OpenStream
    ends_itself: ClassVar[bool] = True

    async def perform(self, leg: Leg) -> Document | None:
        details = record_of(leg)
        details.is_streaming = True
        try:
            await self.stream.perform(leg)
        finally:
            details.is_streaming = False
            if leg.streams:
                leg.keys_heard += leg.streams[-1].received.digits
        pending, details.pending = details.pending, None
        return pending


@attrs.frozen
class _Record:
    start: Callable[[Leg, RecordTag], object] = attrs.field(repr=False)
    tag: RecordTag
    ends_itself: ClassVar[bool] = False

    async def perform(self, leg: Leg) -> Document | None:
        leg.answer()
        self.start(leg, self.tag)
        return None


@attrs.frozen
class PlivoDocuments:
    """Documents come from addresses that are asked with a signed form."""

    auth_token: str = attrs.field(repr=False)
    nonce: Callable[[], str] = attrs.field(repr=False)
    start_recording: Callable[[Leg, RecordTag], object] = attrs.field(repr=False)

    def instruct(self, url: str, *, digits: str = "") -> Instruct:
        """Gets a call of ours its document when it was answered."""

        async def instruct(leg: Leg) -> Document | None:
            document = await self.fetch(leg, url)
            return (PlayDigits(digits), *document) if digits else document

        return instruct

    def fetching(self, url: str, more: Form = ()) -> Fetch:
        """The instruction that asks an address for a document."""
        return Fetch(lambda leg: self.fetch(leg, url, more))

    async def fetch(self, leg: Leg, url: str, more: Form = ()) -> Document:
        """Asks an address for a document; a call that gets none ends."""
        form = (*about(leg, "" if more else "StartApp"), *more)
        answer = await leg.exchange.post.ask(sign_webhook(self.auth_token, url, form, self.nonce()))
        if answer is None or answer.status != 200 or not answer.body:
            what = "did not answer" if answer is None else f"answered HTTP {answer.status} or nothing"
            leg.refusal = f"{url.partition('?')[0]} {what} (7011)"
            leg.violations.append(Violation(leg.phone.now, "no XML", leg.refusal))
            return (HangUp(),)
        try:
            tags = read_plivo_xml(answer.body.decode(errors="replace"))
        except RemoteProtocolError as error:
            leg.refusal = f"unusable XML (8011): {error}"
            leg.violations.append(Violation(leg.phone.now, "unusable XML", str(error)))
            return (HangUp(),)
        return tuple(each for tag in tags for each in self._instructions(tag))

    def _instructions(self, tag: Tag) -> Iterator[Instruction]:
        match tag:
            case StreamTag():
                yield _Stream(OpenStream(tag.url, tag.parameters, tag))
                if not tag.keeps_call:
                    yield HangUp()
            case RedirectTag():
                yield self.fetching(tag.url)
            case RoomTag():
                yield JoinRoom(tag.name, tag.starts, tag.ends, details=tag)
                if tag.action:
                    yield self.fetching(tag.action, ROOM_FORM)
            case RecordTag():
                yield _Record(self.start_recording, tag)
            case DialTag():
                yield self._dial(tag)
            case _:
                yield tag

    def _dial(self, tag: DialTag) -> Dial:
        async def then(leg: Leg, ended: DialEnded) -> Document | None:
            document = await self.fetch(leg, tag.action, dial_form(ended))
            return document if tag.replaces else None

        return Dial(
            *(tag.number, tag.caller_id, tag.ring_seconds),
            then=then if tag.action else None,
            details=PlivoCall(action=tag.action),
        )
