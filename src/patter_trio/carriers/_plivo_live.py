"""Plivo with its connections: what it does with calls, by a document that it fetches or by a request."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import attrs
import trio

from .._wire.plivo_answers import route_of
from .._wire.plivo_ids import check_id, without_plus
from .._wire.plivo_orders import call_order, leg_order, recording_order, transfer_order
from .._wire.plivo_xml import dial, hang_up, join_room, open_stream, say_and_hang_up, wait_in_room
from ..abc import WebhookRequest
from ..errors import PatterConfigError, PatterError, ProviderError
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
from ._plivo_calls import PlivoRest
from ._plivo_documents import LeftDocuments

__all__ = ["PlivoLive"]

# Calls that a session answered or wants recorded; more than it can have at a time.
_REMEMBERED = 4096
_Value = TypeVar("_Value")


@attrs.frozen
class PlivoLive:
    """Plivo, open.

    It fetches whatever it is told later from our own address, so documents wait here; and since it is told
    so by call, the addresses of the calls that were answered are remembered.
    """

    _calls: PlivoRest
    _audio: AudioFormat
    _left: LeftDocuments = attrs.field(factory=LeftDocuments, init=False)
    _links: OrderedDict[str, Links] = attrs.field(factory=OrderedDict[str, Links], init=False, repr=False)
    _recorded: OrderedDict[str, bool] = attrs.field(factory=OrderedDict[str, bool], init=False, repr=False)

    def serve_document(self, request: WebhookRequest) -> WebhookReply | None:
        """The document that was left for this (verified) request; ``None`` if there is none any more."""
        document = self._left.find(request.url, trio.current_time())
        return None if document is None else WebhookReply(document)

    # --- calls that come in ---------------------------------------------------------------------------------

    async def answer(self, info: CallInfo, stream: StreamOrder) -> WebhookReply:
        """The XML that opens a two-way stream; of a call that shall be recorded, with the recording before.

        Raises:
            PatterConfigError: the URL is not ``wss://``, or a parameter cannot be passed on.
        """
        _remember(self._links, info.call_id, stream.links)
        is_recorded = self._recorded.get(stream.links.token, False)
        return WebhookReply(self._open_stream(stream, is_recorded=is_recorded))

    async def refuse(self, info: CallInfo, refusal: Refusal) -> WebhookReply:
        """The XML that declines a call."""
        if refusal.reason == "said":
            return WebhookReply(say_and_hang_up(refusal.sentence, language=refusal.language))
        return WebhookReply(hang_up(refusal.reason))

    # --- calls that go out ----------------------------------------------------------------------------------

    async def place(self, order: CallOrder) -> Placed:
        """Has a number called. Plivo asks for the stream on answer, and names the call then or when it rings.

        Raises:
            PatterConfigError: the order cannot be meant, or its stream's document would be refused.
        """
        asked = call_order(order)
        # What is wrong with the stream is found before anything rings.
        self._open_stream(order.stream)
        if order.record:
            _remember(self._recorded, order.stream.links.token, value=True)
        return Placed(request_id=await self._calls.create_call(asked))

    async def read_state(self, placed: Placed) -> CallState:
        """How a call stands: by its own id, or by the request's as long as there is no other.

        Raises:
            ProviderError: Plivo knows of no such call.
        """
        if not placed.call_id and await self._calls.is_queued(placed.request_id):
            return CallState("queued", detail="queued")
        state = await self._calls.read_call(placed.call_id or placed.request_id)
        if state is None:
            raise ProviderError(
                f"Plivo knows no call {placed.call_id or placed.request_id}",
                hint="a call is known by its own id once it has rung",
            )
        return state

    async def cancel(self, placed: Placed) -> None:
        """Ends a call; by the request's id while that is all there is."""
        if placed.call_id:
            await self._calls.end_call(placed.call_id)
        elif not await self._calls.cancel_request(placed.request_id):
            # It was answered by now, or is over; some calls are known by their request's id.
            await self._calls.end_call(placed.request_id)

    # --- running calls --------------------------------------------------------------------------------------

    async def hang_up(self, call_id: str) -> None:
        """Ends the call; one that is over already is no error."""
        await self._calls.end_call(call_id)

    async def speak(self, call_id: str, text: str, *, language: str = "en-US") -> None:
        """Has Plivo's own voice say ``text`` and end the call.

        Raises:
            PatterConfigError: the call was not answered here: Plivo fetches the words from this session.
        """
        links = self._links.get(check_id(call_id))
        if links is None:
            raise PatterConfigError(
                f"Plivo cannot speak in call {call_id}: it was not answered by this session"
            )
        await self._redirect(call_id, say_and_hang_up(text, language=language), links)

    async def transfer(self, call_id: str, order: TransferOrder) -> None:
        """Connects the caller to a number, E.164 or a ``sip:`` address.

        Plivo fetches the document when the media stream ends: the caller of this closes its socket next.
        A warm transfer without a ``caller_id`` shows our side's number of the call.
        """
        check_id(call_id)
        if order.mode == "warm":
            await self._transfer_warm(call_id, order)
            return
        document = dial(
            order.number,
            action=order.links.webhook("transfer"),
            caller_id=order.caller_id,
            ring_seconds=order.ring_seconds,
        )
        await self._redirect(call_id, document, order.links)

    async def _transfer_warm(self, call_id: str, order: TransferOrder) -> None:
        """Calls the human first and moves the caller into the waiting room after that.

        In this order a human who cannot be called costs the caller nothing: the agent still has them. When it
        is the caller who cannot be moved, the human's call is ended, also when all this is cancelled.
        """
        room = f"transfer-{secrets.token_hex(16)}"
        wait = wait_in_room(room, action=order.links.webhook("transfer"))
        join = join_room(room, order.summary, language=order.language)
        # What is wrong with the order is found before anything is asked, with any number as the caller's.
        leg_order(call_id, order, order.caller_id or "+15550001234", "")
        caller_id = order.caller_id or await self._calls.our_number(call_id)
        if not caller_id:
            raise PatterConfigError("a warm transfer of a call without a number of ours needs caller_id=")
        document_url = self._leave(join, order.links)
        request_id = await self._calls.create_call(leg_order(call_id, order, caller_id, document_url))
        is_moved = False
        try:
            await self._redirect(call_id, wait, order.links)
            is_moved = True
        finally:
            if not is_moved:
                await self._give_up_leg(request_id)

    async def _give_up_leg(self, request_id: str) -> None:
        # Also in a cancelled block: nobody else knows of this call. The request has a deadline of its own.
        with trio.CancelScope(shield=True):
            try:
                await self.cancel(Placed(request_id=request_id))
            except PatterError as error:
                self._calls.rest.log.warning(
                    "the human's call %s of a transfer may go on: %s", request_id, error
                )

    async def take_back(self, notice: TransferEnded, info: CallInfo, stream: StreamOrder) -> WebhookReply:
        """Opens a stream again: in the answer where Plivo waits for one, else by a document it fetches."""
        _remember(self._links, info.call_id, stream.links)
        document = self._open_stream(stream)
        if notice.wants_document:
            return WebhookReply(document)
        await self._redirect(info.call_id, document, stream.links)
        return WebhookReply()

    async def start_recording(self, call_id: str, links: Links) -> str:
        """Has Plivo record both sides, each on a channel of its own; returns the recording's id."""
        return await self._calls.start_recording(call_id, recording_order(links))

    async def stop_recording(self, call_id: str, recording_id: str) -> None:
        """Ends the recordings of a call: Plivo has no request for one of them by its id."""
        await self._calls.stop_recording(call_id)

    @asynccontextmanager
    async def fetch_recording(self, saved: RecordingSaved) -> AsyncIterator[AsyncIterable[bytes]]:
        """The recording as a file. Only Plivo's own hosts are shown the credentials.

        Raises:
            ProviderError: there is no recording.
            RemoteProtocolError: its address is not one to fetch from.
        """
        if saved.error or not saved.url:
            raise ProviderError(f"Plivo has no recording {saved.recording_id}: {saved.error or 'no address'}")
        async with self._calls.fetch(saved.url) as received:
            yield received

    # --- the account ----------------------------------------------------------------------------------------

    async def check(self) -> str:
        """The account's name."""
        return await self._calls.read_account()

    async def read_number(self, number: str) -> NumberRoute:
        """Where calls to a number of ours go: to the addresses of the application that it points to.

        Raises:
            ProviderError: the account has no such number.
        """
        return route_of(number, await self._calls.application_of(number))

    async def route_number(self, number: str, voice_url: str, status_url: str = "") -> NumberRoute:
        """Has calls to a number of ours come to ``voice_url``; returns where they went before.

        The number gets an application of its own, which is made the first time: another one may be shared,
        and is left as it is. Its id is in ``previous``.
        """
        name = f"patter-trio-{without_plus(number)}"
        before = await self._calls.application_of(number)
        order = {"answer_url": voice_url, "answer_method": "POST"}
        if status_url:
            order |= {"hangup_url": status_url, "hangup_method": "POST"}
        is_ours = before is not None and before.name == name
        app_id = before.app_id if before is not None and is_ours else await self._calls.find_application(name)
        if app_id:
            await self._calls.change_application(app_id, order)
        else:
            app_id = await self._calls.create_application({"app_name": name, **order})
        if not is_ours:
            await self._calls.point_number(number, app_id)
        return route_of(number, before)

    # --- inside ---------------------------------------------------------------------------------------------

    def _open_stream(self, stream: StreamOrder, *, is_recorded: bool = False) -> str:
        return open_stream(
            stream.url,
            stream.parameters,
            self._audio,
            status_url=stream.links.webhook("stream"),
            recording_url=stream.links.webhook("recording") if is_recorded else "",
        )

    def _leave(self, document: str, links: Links) -> str:
        ref = self._left.leave(document, links.token, trio.current_time())
        return f"{links.webhook('document')}&ref={ref}"

    async def _redirect(self, call_id: str, document: str, links: Links) -> None:
        await self._calls.redirect(call_id, transfer_order(self._leave(document, links)))


def _remember(known: OrderedDict[str, _Value], key: str, value: _Value) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
