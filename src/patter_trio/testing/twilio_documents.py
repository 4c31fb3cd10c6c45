"""Where the simulated Twilio gets TwiML from, and the instructions that it is for a leg."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from ..errors import RemoteProtocolError
from .dialling import Dial
from .instructions import Document, Fetch, HangUp, Instruction, JoinRoom, OpenStream, PlayDigits
from .legevents import DialEnded
from .legs import Instruct, Leg
from .outcome import Violation
from .twilio_forms import Form, about, dial_form, record_of, sign_webhook
from .twilio_records import TwilioCall
from .twiml_reader import ConferenceVerb, DialVerb, RedirectVerb, StreamVerb, Verb, read_twiml

__all__ = ["Documents"]


@attrs.frozen
class Documents:
    """Documents that come inline, or from an address that is asked with a signed form."""

    account_sid: str
    auth_token: str = attrs.field(repr=False)

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
        form = (
            *about(leg, self.account_sid),
            *more,
            *((("AnsweredBy", answered_by),) if answered_by else ()),
        )
        answer = await leg.exchange.post.ask(sign_webhook(self.auth_token, kind, url, form))
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
            return await self.fetch(leg, "transfer", verb.action, dial_form(ended))

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
