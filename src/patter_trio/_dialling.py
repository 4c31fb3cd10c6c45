"""Calls that go out: placed at the carrier's pace, and watched until somebody is on the line."""

from __future__ import annotations

import logging

import trio

from ._call.agent import Agent
from ._call.call import CallResult
from ._call.prerender import render
from ._call.screening import Screening
from ._foreign import foreign
from ._lines import Line
from ._office import Office
from ._outgoing import OutgoingCall
from ._streams import Streams
from ._switchboard import Switchboard
from ._text.prompt import fill
from ._text.sentences import SentenceChunker
from .abc import LiveCarrier, TTSProvider
from .errors import PatterConfigError, PatterError, VoiceError
from .events import AudioFormat, CallInfo
from .telephony import CallState, Placed

__all__ = ["Dialler", "Pace"]

_log = logging.getLogger("patter_trio.session")

# A carrier may ring some seconds longer than it was told to, and its report takes a moment.
_MARGIN_SECONDS = 10.0
# How long a stream may take from the answer on, and how long we wait between two questions.
_STREAM_SECONDS = 10.0
# After so many questions without a clear answer the call is given up.
_QUESTIONS = 3
_CARRIERS_VOICE_SECONDS = 60.0
_FAREWELL_SECONDS = 3.0


class Pace:
    """Lets so many through per second, one after the other, in the order in which they came."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1.0 / per_second
        self._next = float("-inf")

    async def wait(self) -> None:
        """Waits for this caller's turn."""
        turn = max(self._next, trio.current_time())
        self._next = turn + self._gap
        await trio.sleep_until(turn)


class Dialler:
    """Places the calls of a session."""

    def __init__(self, office: Office, switchboard: Switchboard, streams: Streams) -> None:
        self._office = office
        self._switchboard = switchboard
        self._streams = streams
        carrier = office.settings.carrier
        self._pace = Pace(1.0 if carrier is None else carrier.calls_per_second)
        self._dialling: set[OutgoingCall] = set()

    @property
    def ringing(self) -> int:
        """Calls that were placed and are neither up nor over."""
        return len(self._dialling)

    async def give_up(self) -> None:
        """Ends what rings."""
        for outgoing in list(self._dialling):
            await outgoing.hangup()

    async def dial(
        self,
        outgoing: OutgoingCall,
        agent: Agent,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Places a call and watches it until it is up or over; started once the carrier has taken it on.

        Raises:
            PatterError: before it is started: there is no room, or the carrier refuses.
        """
        live, carrier = self._office.live, self._office.settings.carrier
        if live is None or carrier is None:
            raise PatterConfigError("a session without a carrier calls nobody", hint="pass carrier=")
        await self._pace.wait()
        info = CallInfo("", outgoing.caller_id, outgoing.to, "outbound", carrier.kind)
        line = Line(info, agent, outgoing, trace=self._office.lookout.trace_headers())
        lasting = outgoing.ring_seconds + _MARGIN_SECONDS + _QUESTIONS * _STREAM_SECONDS
        token = self._office.admission.admit(line, trio.current_time(), lasting)
        self._office.lines.add(line)
        self._dialling.add(outgoing)
        try:
            order = outgoing.order(self._switchboard.stream_order(line, token), agent.max_duration_s)
            outgoing.placed = await live.place(order)
            if outgoing.placed.call_id and not line.recognise(outgoing.placed.call_id):
                _log.error("call to %s: its stream came for another call", outgoing.to)
            self._office.counts.placed += 1
            task_status.started()
            await self._see_through(line, agent, token)
        finally:
            self._dialling.discard(outgoing)
            if outgoing.call is None:
                self._office.admission.forget(token)
                self._office.lines.end(line)
            self._streams.note_change()

    async def _see_through(self, line: Line, agent: Agent, token: str) -> None:
        """Prepares the agent while it rings, until the call is up or over."""
        live, carrier, outgoing = self._office.live, self._office.settings.carrier, line.outgoing
        assert live is not None
        assert carrier is not None
        assert outgoing is not None
        result: CallResult | None = outgoing.untaken("canceled", "the session ended")
        try:
            async with trio.open_nursery() as nursery:
                if agent.prewarm:
                    nursery.start_soon(self._prewarm, outgoing, agent, carrier.open_wire().audio, line.info)
                result = await _watch(outgoing, live)
                nursery.cancel_scope.cancel()
        finally:
            if result is not None and outgoing.call is None:
                self._office.admission.forget(token)
                with trio.move_on_after(_FAREWELL_SECONDS, shield=True):
                    if result.status == "canceled":
                        # Also when the session ends: a telephone must not go on ringing for nobody.
                        await _cancel(outgoing, live)
                    await self._end(line, result)

    async def _end(self, line: Line, result: CallResult) -> None:
        """Nobody was on the line with our agent."""
        self._office.counts.not_taken += 1
        if line.outgoing is not None and line.outgoing.rendering is not None:
            self._office.counts.prewarmed_in_vain += 1
        await self._streams.report(line, result)

    async def _prewarm(
        self, outgoing: OutgoingCall, agent: Agent, audio: AudioFormat, info: CallInfo
    ) -> None:
        """Opens what the agent works with, and has its first message spoken, while it rings."""
        try:
            live = await self._office.providers.live_agent(agent)
            greeting = outgoing.greets(live)
            text = fill(greeting.first_message, greeting.variables_of(info))
            if not text or not agent.prewarm_first_message or not isinstance(live.tts, TTSProvider):
                return
            chunker = SentenceChunker(
                language=live.language, aggressive_first_flush=live.aggressive_first_flush
            )
            with foreign(VoiceError, f"text to speech ({live.tts.name})"):
                outgoing.rendering = await render(live.tts, text, audio, info, chunker)
        except PatterError as error:
            # The call itself will meet it again, and knows what to do about it.
            _log.warning("call to %s could not be prepared: %s", outgoing.to, error)


async def _watch(outgoing: OutgoingCall, carrier: LiveCarrier) -> CallResult | None:
    """Waits until the call is up (``None``) or over; where nobody tells us, the carrier is asked."""
    questions = 0
    patience = outgoing.ring_seconds + _MARGIN_SECONDS
    while True:
        with trio.move_on_after(patience) as waiting:
            while not _settled(outgoing):
                await outgoing.changes()
                if outgoing.answered and waiting.deadline > trio.current_time() + _STREAM_SECONDS:
                    waiting.deadline = trio.current_time() + _STREAM_SECONDS
        if outgoing.call is not None:
            return None
        if outgoing.over is not None:
            ended_as = outgoing.over.ended_as
            if ended_as == "completed" and not outgoing.answered:
                # The network far away gave up; a cause of Telnyx's does not tell that from a goodbye.
                ended_as = "no_answer"
            return outgoing.untaken(ended_as, outgoing.over.detail)
        if outgoing.given_up:
            return outgoing.untaken("canceled", "given up before it was answered")
        if outgoing.screening is not None and outgoing.screening.is_machine:
            return await _leave_to_carrier(outgoing, outgoing.screening, carrier)
        questions += 1
        state = await _ask(outgoing, carrier)
        if state is not None and state.status == "ended":
            return outgoing.untaken(state.ended_as or "failed", state.detail or "the carrier told nobody")
        rings = state is not None and state.status in ("queued", "ringing")
        if rings or questions >= _QUESTIONS:
            await _cancel(outgoing, carrier)
            if outgoing.call is not None:
                return None
            why = "it rang for too long" if rings else "no media stream came"
            return outgoing.untaken("no_answer" if rings else "failed", why)
        patience = _STREAM_SECONDS


def _settled(outgoing: OutgoingCall) -> bool:
    return outgoing.call is not None or outgoing.over is not None or outgoing.given_up


def _known(outgoing: OutgoingCall) -> Placed:
    return Placed(outgoing.call_id, outgoing.placed.request_id)


async def _leave_to_carrier(outgoing: OutgoingCall, screening: Screening, carrier: LiveCarrier) -> CallResult:
    """A machine picked up and no stream of ours is there: the carrier's own voice leaves the message."""
    # A stream that comes now comes too late: the message is never left twice.
    outgoing.given_up = True
    if not screening.message or screening.verdict != "machine" or not outgoing.call_id:
        await _cancel(outgoing, carrier)
        return outgoing.untaken("completed", "a machine answered")
    try:
        await carrier.speak(outgoing.call_id, screening.message)
    except PatterError as error:
        _log.warning("call %s: no message was left: %s", outgoing.call_id, error)
        return outgoing.untaken("failed", str(error))
    with trio.move_on_after(_CARRIERS_VOICE_SECONDS):
        while outgoing.over is None:
            await outgoing.changes()
    return outgoing.untaken("completed", "left to the carrier's voice", message_left=True)


async def _ask(outgoing: OutgoingCall, carrier: LiveCarrier) -> CallState | None:
    try:
        return await carrier.read_state(_known(outgoing))
    except PatterError as error:
        _log.warning("call to %s: its state cannot be read: %s", outgoing.to, error)
        return None


async def _cancel(outgoing: OutgoingCall, carrier: LiveCarrier) -> None:
    try:
        await carrier.cancel(_known(outgoing))
    except PatterError as error:
        _log.warning("call %s cannot be cancelled: %s", outgoing.call_id or f"to {outgoing.to}", error)
