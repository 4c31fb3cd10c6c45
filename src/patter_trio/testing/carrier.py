"""A simulated Twilio: it places signed calls to a server and behaves as the carrier's reference says."""

from __future__ import annotations

import hashlib
import itertools
from urllib.parse import urlencode

import trio

from .._wire.signatures import sign_twilio
from .._wire.twiml import Answer, Refusal, SayAnswer, StreamAnswer, parse_answer
from ..errors import RemoteProtocolError
from .account import RestCall, TwilioAccount
from .caller import Caller
from .conditions import LineConditions
from .ear import Ear
from .exchange import Exchange
from .line import Line, UpgradeRefusedError
from .media import MediaLeg
from .outcome import CallOutcome, EndedBy, StepRecord, Violation
from .twilio_skin import TwilioSkin
from .twilio_wire import TwilioFarWire

__all__ = ["SimulatedTwilio"]

# Twilio's own default for the answer to a webhook.
_ANSWER_SECONDS = 15.0
_FORM = "application/x-www-form-urlencoded"


class SimulatedTwilio:
    """The carrier's side of incoming calls, with signatures made by its own auth token.

    Args:
        account_sid: the account that owns the number.
        auth_token: signs webhooks and upgrades.
        number: the number that is called.
        caller: the number that calls.
        voice_path: where the number's voice webhook points, on the line's public URL.
        lead_limit: seconds of unplayed audio above which the server counts as unpaced.

    What its REST API does to running calls is in ``account``, which
    :func:`~patter_trio.testing.open_rest` serves.

    Calls are numbered, and their ids are made from the account, the caller, the line's seed and that number.
    """

    def __init__(
        self,
        account_sid: str = "AC" + "0" * 31 + "1",
        auth_token: str = "0123456789abcdef0123456789abcdef",  # noqa: S107 (worth nothing outside tests)
        *,
        number: str = "+15550001234",
        caller: str = "+15557654321",
        voice_path: str = "/webhooks/twilio/voice",
        lead_limit: float = 1.0,
    ) -> None:
        self.account_sid = account_sid
        self.auth_token = auth_token
        self.number = number
        self.caller = caller
        self.voice_path = voice_path
        self.lead_limit = lead_limit
        self.account = TwilioAccount(account_sid, auth_token)
        self._calls = itertools.count(1)
        self._exchange: Exchange | None = None

    def open_skin(self, exchange: Exchange) -> TwilioSkin:
        """Puts this carrier on an exchange; see :func:`~patter_trio.testing.open_exchange`."""
        self._exchange = exchange
        return TwilioSkin(self, exchange)

    async def call(
        self, line: Line, caller: Caller, *, conditions: LineConditions | None = None
    ) -> CallOutcome:
        """Places a call and lets ``caller`` follow its script; by the exchange, if one is open on this line.

        What the server refuses or does wrong is in the outcome, not raised. What an app on a
        :class:`~patter_trio.testing.MemoryLine` raises comes out of here.

        Raises:
            PatterConnectionError: the server cannot be reached.
        """
        if self._exchange is not None and self._exchange.line is line:
            return await self._exchange.call(caller, conditions=conditions)
        conditions = conditions or LineConditions()
        script = caller.rendered()
        call = _Call(self, line, conditions, next(self._calls))
        try:
            return await call.place(script)
        except BaseExceptionGroup as group:
            raise _only(group) from None

    def sign(self, url: str, form: tuple[tuple[str, str], ...] = ()) -> str:
        """The ``X-Twilio-Signature`` of a request to ``url`` with these form fields."""
        return sign_twilio(self.auth_token, url, form)


def _only(group: BaseException) -> BaseException:
    """What a group stands for when it holds one exception."""
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        group = group.exceptions[0]
    return group


def _why(answer: Answer) -> str:
    """What an answer that opens no media stream does to the call."""
    match answer:
        case Refusal(reason=reason):
            return reason
        case SayAnswer(text=text):
            return f"said {text!r} and hung up"
        case _:
            return "hung up at once"


class _Call:
    """One call, from the webhook to its outcome."""

    def __init__(self, twilio: SimulatedTwilio, line: Line, conditions: LineConditions, number: int) -> None:
        self._twilio = twilio
        self._line = line
        self._conditions = conditions
        origin = f"{twilio.account_sid}/{twilio.caller}/{conditions.seed}/{number}"
        digits = hashlib.sha256(origin.encode()).hexdigest()[:32]
        self._call_sid, self._stream_sid = f"CA{digits}", f"MZ{digits}"
        self._violations: list[Violation] = []

    async def place(self, script: Caller) -> CallOutcome:
        answer = await self._ask()
        if not isinstance(answer, StreamAnswer):
            return self._refused(script, answer)
        headers = {"X-Twilio-Signature": self._twilio.sign(answer.url)}
        call = self._twilio.account.begin(self._call_sid, self._twilio.caller, self._twilio.number)
        try:
            async with self._line.open_media(answer.url, headers) as socket:
                far = TwilioFarWire(
                    self._stream_sid, call_sid=self._call_sid, account_sid=self._twilio.account_sid
                )
                leg = MediaLeg(
                    socket, far, self._conditions, self._twilio.lead_limit, parameters=answer.parameters
                )
                steps = await leg.run(script, call.changed)
        except UpgradeRefusedError as refusal:
            return self._refused(script, str(refusal))
        finally:
            if not call.transferred_to:
                call.status = "completed"
        return self._outcome(leg, steps, call)

    async def _ask(self) -> StreamAnswer | str:
        """Posts the voice webhook; returns the stream to open, or why there is none."""
        twilio, url = self._twilio, self._line.public_url + self._twilio.voice_path
        form = (
            ("CallSid", self._call_sid),
            ("AccountSid", twilio.account_sid),
            ("From", twilio.caller),
            ("To", twilio.number),
            ("Caller", twilio.caller),
            ("Called", twilio.number),
            ("CallStatus", "ringing"),
            ("ApiVersion", "2010-04-01"),
            ("Direction", "inbound"),
        )
        headers = {"Content-Type": _FORM, "X-Twilio-Signature": twilio.sign(url, form)}
        answer = None
        with trio.move_on_after(_ANSWER_SECONDS):
            answer = await self._line.post(url, headers, urlencode(form).encode())
        if answer is None:
            return f"the voice webhook did not answer within {_ANSWER_SECONDS:g} s"
        if answer.status != 200:
            return f"the voice webhook answered HTTP {answer.status}"
        try:
            parsed = parse_answer(answer.body.decode())
        except (RemoteProtocolError, UnicodeDecodeError) as error:
            self._violations.append(Violation(0.0, "unusable TwiML", str(error)))
            return f"the voice webhook answered with unusable TwiML: {error}"
        return parsed if isinstance(parsed, StreamAnswer) else _why(parsed)

    def _refused(self, script: Caller, reason: str) -> CallOutcome:
        unreached = tuple(
            StepRecord(str(step), 0.0, 0.0, ok=False, note=f"not reached: {reason}") for step in script.steps
        )
        return CallOutcome(
            self._call_sid, "refused", reason, unreached, Ear(), violations=tuple(self._violations)
        )

    def _outcome(self, leg: MediaLeg, steps: tuple[StepRecord, ...], call: RestCall) -> CallOutcome:
        received, phone = leg.received, leg.phone
        ended_by: EndedBy = "agent" if phone.line_ended else "caller"
        if phone.socket_cut or phone.sending_closed:
            ended_by = "dropped"
        elif call.transferred_to:
            ended_by = "transferred"
        violations = [*self._violations, *received.violations]
        if call.unusable:
            violations.append(Violation(phone.now, "unusable TwiML", call.unusable))
        if leg.unsent:
            detail = f"{leg.unsent} messages to it were dropped"
            violations.append(Violation(phone.now, "the server reads too slowly", detail))
        return CallOutcome(
            self._call_sid,
            ended_by,
            None,
            steps,
            phone.ear,
            utterances=tuple(phone.utterances),
            clears=tuple(received.clears),
            marks=tuple(received.marks),
            frames_after_clear=received.frames_after_clear,
            violations=tuple(violations),
            log=tuple(received.log),
            transferred_to=call.transferred_to,
        )
