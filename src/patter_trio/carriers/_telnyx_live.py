"""Telnyx with its connections: every call is led by commands, and by what its webhooks say next."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from .._foreign import unwrapped
from .._wire.telnyx_rest import (
    answer_body,
    briefing_body,
    check_digits,
    check_number,
    dial_body,
    streaming_body,
    transfer_body,
)
from .._wire.telnyx_state import LegState, write_state
from .._wire.telnyx_webhooks import read_event
from ..abc import WebhookRequest
from ..errors import PatterConfigError, ProviderError
from ..events import AudioFormat, CallInfo
from ..telephony import (
    CallOrder,
    CallState,
    Links,
    NumberRoute,
    Placed,
    RecordingSaved,
    Refusal,
    StreamOrder,
    TransferEnded,
    TransferOrder,
    WebhookReply,
)
from ._telnyx_calls import TelnyxRest
from ._telnyx_following import Following, estimate

__all__ = ["TelnyxLive", "open_live"]

_CAUSES = {"busy": "USER_BUSY", "rejected": "CALL_REJECTED"}
_DIGIT_MILLISECONDS = 250
# A call that is answered only to be told something is answered at once, or is over.
_ANSWER_SECONDS = 10.0


@attrs.define(eq=False)
class TelnyxLive:
    """Telnyx, open. It has a method more than other carriers: :meth:`follow_up`."""

    calls_outlive_streams = True

    _calls: TelnyxRest
    _connection_id: str
    _audio: AudioFormat
    _detection: str
    _following: Following

    # --- calls that come in ---------------------------------------------------------------------------------

    async def answer(self, info: CallInfo, stream: StreamOrder) -> WebhookReply:
        """Answers by a command that opens a two-way stream as well; the webhook only wants to be had."""
        body = answer_body(stream, self._audio)
        self._following.note_number(info.call_id, info.callee)
        await self._calls.command(info.call_id, "answer", body)
        return WebhookReply()

    async def refuse(self, info: CallInfo, refusal: Refusal) -> WebhookReply:
        """Declines a call; or answers it, says a sentence, and hangs up after that or by a deadline."""
        if refusal.reason == "said":
            self._following.check_text(refusal.sentence)
            state = LegState("refused", text=refusal.sentence, language=refusal.language)
            await self._calls.command(info.call_id, "answer", {"client_state": write_state(state)})
            self._following.end_after(info.call_id, _ANSWER_SECONDS + estimate(refusal.sentence))
        else:
            await self._calls.command(info.call_id, "reject", {"cause": _CAUSES[refusal.reason]})
        return WebhookReply()

    # --- calls that go out ----------------------------------------------------------------------------------

    async def place(self, order: CallOrder) -> Placed:
        """Has a number called; its stream is in the request, and opens when somebody answers."""
        call_id = await self._calls.dial(dial_body(order, self._connection_id, self._audio, self._detection))
        self._following.note_number(call_id, order.caller_id)
        return Placed(call_id)

    async def read_state(self, placed: Placed) -> CallState:
        """How a call stands; Telnyx knows of it for 10 minutes after its end."""
        return await self._calls.read_call(placed.call_id)

    async def cancel(self, placed: Placed) -> None:
        """Ends a call whether it still rings or was answered."""
        await self._calls.hang_up(placed.call_id)

    # --- running calls --------------------------------------------------------------------------------------

    async def hang_up(self, call_id: str) -> None:
        """Ends the call; one that is over already is no error."""
        await self._calls.hang_up(call_id)

    async def speak(self, call_id: str, text: str, *, language: str = "en-US") -> None:
        """Has Telnyx's own voice say ``text``, and ends the call when that was said or by a deadline."""
        await self._following.say_farewell(call_id, text, language)

    async def send_digits(self, call_id: str, digits: str) -> None:
        """Presses keys towards the other side of a call."""
        body = {"digits": check_digits(digits), "duration_millis": _DIGIT_MILLISECONDS}
        await self._calls.command(call_id, "send_dtmf", body)

    async def transfer(self, call_id: str, order: TransferOrder) -> None:
        """Connects the caller to a number, E.164 or a ``sip:`` address.

        In a warm transfer the human is called first and told the summary, while the caller hears a tone now
        and then; a human who cannot be called costs the caller nothing. Without a ``caller_id`` it shows our
        side's number of the call.

        Raises:
            PatterConfigError: the order cannot be meant, or our number of the call is not known.
        """
        if order.mode == "warm":
            await self._transfer_warm(call_id, order)
        else:
            await self._calls.command(call_id, "transfer", transfer_body(call_id, order))

    async def _transfer_warm(self, call_id: str, order: TransferOrder) -> None:
        caller_id = order.caller_id or self._following.number_of(call_id)
        if not caller_id:
            raise PatterConfigError("a warm transfer of a call without a number of ours needs caller_id=")
        if order.summary:
            self._following.check_text(order.summary)
        human = await self._calls.dial(briefing_body(call_id, order, self._connection_id, caller_id))
        is_held = False
        try:
            await self._following.hold(call_id, human)
            is_held = True
        finally:
            if not is_held:
                await self._following.give_up(human)

    async def take_back(self, notice: TransferEnded, info: CallInfo, stream: StreamOrder) -> WebhookReply:
        """Opens a stream to the caller again; a caller who has hung up meanwhile is no error."""
        await self._following.release(info.call_id)
        body: dict[str, Any] = streaming_body(stream.url, self._audio, with_rate=True)
        if stream.parameters:
            body["custom_parameters"] = [
                {"name": key, "value": value} for key, value in stream.parameters.items()
            ]
        await self._following.unless_over(info.call_id, "streaming_start", body)
        return WebhookReply()

    async def start_recording(self, call_id: str, links: Links) -> str:
        """Records both sides, each on a channel of its own; ``""`` where Telnyx does not say its id.

        It is told of where the call's other webhooks go; ``links`` are not needed for that.
        """
        return await self._calls.start_recording(call_id)

    async def stop_recording(self, call_id: str, recording_id: str) -> None:
        """Ends a recording, all of the call's without an id; a call that is over has ended them."""
        body = {"recording_id": recording_id} if recording_id else {}
        await self._following.unless_over(call_id, "record_stop", body)

    @asynccontextmanager
    async def fetch_recording(self, saved: RecordingSaved) -> AsyncIterator[AsyncIterable[bytes]]:
        """The recording, within 10 minutes of the notice; the storage is not shown our key.

        Raises:
            ProviderError: there is none, or its address is too old.
            RemoteProtocolError: its address is none to fetch from.
        """
        if saved.error or not saved.url:
            raise ProviderError(f"Telnyx has no recording: {saved.error or 'no address'}")
        async with self._calls.fetch(saved.url) as received:
            yield received

    # --- what comes next ------------------------------------------------------------------------------------

    async def follow_up(self, what: str, request: WebhookRequest) -> None:
        """Does what a verified webhook makes possible.

        It says what was to be said on answer, connects the two of a transfer, ends a call that has heard its
        last sentence. A webhook that comes again does nothing.
        """
        event = read_event(request.body)
        if event is not None:
            await self._following.follow(event)

    # --- the account ----------------------------------------------------------------------------------------

    async def check(self) -> str:
        """The name of the application, for which key and id must be right."""
        application = await self._calls.read_application(self._connection_id)
        if application is None:
            raise ProviderError(
                f"the Telnyx account has no Call Control application {self._connection_id}",
                hint="check connection_id= or TELNYX_CONNECTION_ID; other connections will not do",
            )
        return application.application_name

    async def read_number(self, number: str) -> NumberRoute:
        """Where calls to a number of ours go.

        Raises:
            ProviderError: the account has no such number.
        """
        found = await self._calls.find_number(check_number(number, sip=False))
        previous = {"phone_number_id": found.id, "connection_id": found.connection_id or ""}
        if not found.connection_id:
            return NumberRoute(number, previous=previous)
        application = await self._calls.read_application(found.connection_id)
        if application is None:
            return NumberRoute(number, taken_by=f"connection {found.connection_id}", previous=previous)
        url = application.webhook_event_url or ""
        previous |= {"application_name": application.application_name, "webhook_event_url": url}
        is_ours = found.connection_id == self._connection_id
        taken_by = "" if is_ours else f"application {application.application_name} ({found.connection_id})"
        return NumberRoute(number, url, taken_by=taken_by, previous=previous)

    async def route_number(self, number: str, voice_url: str, status_url: str = "") -> NumberRoute:
        """Gives a number to our application, which reports to ``voice_url``; returns where its calls went.

        An address belongs to an application, and so to all its numbers: it is changed only where our
        application has no other number. All webhooks go there until a call is answered, and then where the
        call's own orders say; so there is nothing for ``status_url`` to set: it must be empty or the same.

        Raises:
            PatterConfigError: ``status_url`` is another address.
            ProviderError: the account has no such number, or others would be changed with it.
        """
        if status_url not in ("", voice_url):
            raise PatterConfigError(
                "a number at Telnyx has no address for statuses of its own", hint="leave status_url empty"
            )
        before = await self.read_number(number)
        name = await self.check()
        application = await self._calls.read_application(self._connection_id)
        if application is None or application.webhook_event_url != voice_url:
            others = [each for each in await self._calls.numbers_of(self._connection_id) if each != number]
            if others:
                raise ProviderError(
                    f"the application {name} takes calls to {others[0]} too, which would move with it",
                    hint=f"make an application for {number} alone, or set the address in the portal",
                )
            await self._calls.change_application(self._connection_id, name, voice_url)
        if before.previous["connection_id"] != self._connection_id:
            await self._calls.give_number(before.previous["phone_number_id"], self._connection_id)
        after = await self.read_number(number)
        if after.taken_by or after.voice_url != voice_url:
            raise ProviderError(
                f"Telnyx took the change and {number} is not routed to us",
                hint="see the number in the portal",
            )
        return before


@asynccontextmanager
async def open_live(
    calls: TelnyxRest, *, connection_id: str, audio: AudioFormat, detection: str, voice: str
) -> AsyncIterator[TelnyxLive]:
    """Telnyx for the length of the block; whoever hears a last sentence at its end is hung up then."""
    try:
        async with trio.open_nursery() as nursery:
            yield TelnyxLive(calls, connection_id, audio, detection, Following(calls, voice, nursery))
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # Nobody outside opened this nursery.
        raise unwrapped(group) from group.__cause__
