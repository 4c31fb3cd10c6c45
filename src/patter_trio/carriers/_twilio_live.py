"""Twilio with its connections: what it does with calls, by a document in an answer or by a request."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from .._wire.twilio_forms import call_form, check_number, leg_form, recording_form, route_form
from .._wire.twiml import connect_stream, dial, reject, say_and_hangup
from .._wire.twiml_rooms import wait_in_room
from .._wire.twiml_rules import check_inline
from ..errors import PatterConfigError, PatterError, ProviderError
from ..events import CallInfo
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
from ._twilio_calls import TwilioRest

__all__ = ["TwilioLive"]


@attrs.frozen
class TwilioLive:
    """Twilio, open. It has no way to press keys in a running call: neither a message nor a command."""

    _calls: TwilioRest

    # --- calls that come in ---------------------------------------------------------------------------------

    async def answer(self, info: CallInfo, stream: StreamOrder) -> WebhookReply:
        """The TwiML that opens a two-way stream.

        Raises:
            PatterConfigError: the URL has a query, is not ``wss://``, or a parameter is too long.
        """
        return WebhookReply(_open_stream(stream))

    async def refuse(self, info: CallInfo, refusal: Refusal) -> WebhookReply:
        """The TwiML that declines a call."""
        if refusal.reason == "said":
            return WebhookReply(say_and_hangup(refusal.sentence, language=refusal.language))
        return WebhookReply(reject(refusal.reason))

    # --- calls that go out ----------------------------------------------------------------------------------

    async def place(self, order: CallOrder) -> Placed:
        """Has a number called; its stream is in the request: nothing is asked of us on answer."""
        return Placed(await self._calls.create_call(call_form(order)))

    async def read_state(self, placed: Placed) -> CallState:
        """How a call stands; a moment behind, as the carrier's own records are."""
        return await self._calls.read_call(placed.call_id)

    async def cancel(self, placed: Placed) -> None:
        """Ends a call whether it still rings or was answered."""
        await self._calls.end_call(placed.call_id)

    # --- running calls --------------------------------------------------------------------------------------

    async def hang_up(self, call_id: str) -> None:
        """Ends the call; one that is over already is no error."""
        await self._calls.end_call(call_id)

    async def speak(self, call_id: str, text: str, *, language: str = "en-US") -> None:
        """Has Twilio's own voice say ``text`` and end the call; the media stream ends."""
        await self._calls.redirect(call_id, check_inline(say_and_hangup(text, language=language)))

    async def transfer(self, call_id: str, order: TransferOrder) -> None:
        """Connects the caller to a number, E.164 or a ``sip:`` address; the media stream ends.

        A warm transfer without a ``caller_id`` shows our side's number of the call.
        """
        if order.mode == "warm":
            await self._transfer_warm(call_id, order)
            return
        document = dial(
            order.number,
            action=order.links.webhook("transfer"),
            caller_id=order.caller_id,
            ring_seconds=order.ring_seconds,
        )
        await self._calls.redirect(call_id, document)

    async def _transfer_warm(self, call_id: str, order: TransferOrder) -> None:
        """Calls the human first and moves the caller into the waiting room after that.

        In this order a human who cannot be called costs the caller nothing: the agent still has them. When it
        is the caller who cannot be moved, the human's call is ended, also when all this is cancelled.
        """
        room = f"transfer-{secrets.token_urlsafe(18)}"
        wait = wait_in_room(room, action=order.links.webhook("transfer"))
        # What is wrong with the order is found before anything is asked, with any number as the caller's.
        leg_form(call_id, order, room, order.caller_id or "+15550001234")
        caller_id = order.caller_id or await self._calls.our_number(call_id)
        if not caller_id:
            raise PatterConfigError("a warm transfer of a call without a number of ours needs caller_id=")
        leg = await self._calls.create_call(leg_form(call_id, order, room, caller_id))
        is_moved = False
        try:
            await self._calls.redirect(call_id, wait)
            is_moved = True
        finally:
            if not is_moved:
                await self._give_up_leg(leg)

    async def _give_up_leg(self, leg: str) -> None:
        # Also in a cancelled block: nobody else knows of this call. The request has a deadline of its own.
        with trio.CancelScope(shield=True):
            try:
                await self._calls.end_call(leg)
            except PatterError as error:
                self._calls.rest.log.warning("the human's call %s of a transfer may go on: %s", leg, error)

    async def take_back(self, notice: TransferEnded, info: CallInfo, stream: StreamOrder) -> WebhookReply:
        """Opens a stream again: in the answer where Twilio waits for one, else by a request."""
        document = _open_stream(stream)
        if notice.wants_document:
            return WebhookReply(document)
        await self._calls.redirect(info.call_id, check_inline(document))
        return WebhookReply()

    async def start_recording(self, call_id: str, links: Links) -> str:
        """Has Twilio record both sides, each on a channel of its own; returns the recording's id."""
        return await self._calls.start_recording(call_id, recording_form(links))

    async def stop_recording(self, call_id: str, recording_id: str) -> None:
        """Ends a recording; one that has ended is no error."""
        await self._calls.stop_recording(call_id, recording_id)

    @asynccontextmanager
    async def fetch_recording(self, saved: RecordingSaved) -> AsyncIterator[AsyncIterable[bytes]]:
        """The recording as a WAV file. Only Twilio's own hosts are shown the credentials.

        Raises:
            ProviderError: there is no recording, or not yet.
            RemoteProtocolError: its address is not one to fetch from.
        """
        if saved.error or not saved.url:
            raise ProviderError(
                f"Twilio has no recording {saved.recording_id}: {saved.error or 'no address'}"
            )
        async with self._calls.fetch(f"{saved.url.removesuffix('.wav')}.wav") as received:
            yield received

    # --- the account ----------------------------------------------------------------------------------------

    async def check(self) -> str:
        """The account's name; a suspended or closed account is an error."""
        return await self._calls.read_account()

    async def read_number(self, number: str) -> NumberRoute:
        """Where calls to a number of ours go.

        Raises:
            ProviderError: the account has no such number.
        """
        check_number(number)
        _, route = await self._calls.find_number(number)
        return route

    async def route_number(self, number: str, voice_url: str, status_url: str = "") -> NumberRoute:
        """Has calls to a number of ours come to ``voice_url``, out of the hands of an application or a trunk.

        Returns where they went before. Without ``status_url`` the number's own stays as it is.
        """
        check_number(number)
        form = route_form(voice_url, status_url)
        number_sid, before = await self._calls.find_number(number)
        after = await self._calls.change_number(number_sid, form)
        if after.taken_by or after.voice_url != voice_url:
            raise ProviderError(
                f"Twilio took the change and {number} is not routed to us",
                hint=f"it is taken by {after.taken_by}"
                if after.taken_by
                else "see the number in the console",
            )
        return before


def _open_stream(stream: StreamOrder) -> str:
    return connect_stream(stream.url, stream.parameters, status_callback=stream.links.webhook("stream"))
