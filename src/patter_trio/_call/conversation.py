"""The conversation of one call: utterances in, turns out, and what of them was heard."""

from __future__ import annotations

import logging

import attrs
import trio

from .._actors.channels import Level
from .._actors.foreign import foreign
from .._actors.leg import Leg
from .._actors.observe import Reporter
from .._actors.ticker import Ticker
from .._text.prompt import GO_ON, fill, system_message
from .._text.sentences import SentenceChunker
from .._turns.endpointing import Utterance
from .._turns.history import History, HistoryEntry
from .._turns.latency import TurnMetrics, TurnTimes
from .._turns.ledger import Ledger
from .._turns.playout import Playout
from ..abc import LLMProvider, TTSProvider, Voice
from ..errors import LanguageModelError, VoiceError
from ..events import CallInfo, TurnKind
from .agent import Agent
from .barge_in import Floor, Inbox
from .control import CallControl
from .scripts import fixed_script, function_script, model_script
from .turn import Script, Turn, run_turn

__all__ = ["Conversation"]

_log = logging.getLogger("patter_trio.call")

# A call whose voice fails this often in a row can only be silent: it is ended instead.
_VOICE_FAILURES = 3
_VOICE_DELAY = 0.1

# A voice that takes longer to open than a caller waits for the first word is no voice.
_OPEN_SECONDS = 10.0


@attrs.define(eq=False)
class Conversation:
    """Everything the turns of one call share, and the words that are still on their way.

    ``waiting`` are words of the caller that no heard answer belongs to yet; ``cut_off`` is what the agent
    had still to say when the caller took the floor, and ``unfinished`` the question it was answering when
    the answer was not written yet.
    """

    info: CallInfo
    agent: Agent
    leg: Leg
    ticker: Ticker
    floor: Floor
    inbox: Inbox
    report: Reporter
    control: CallControl
    gone: Level[bool]
    history: History
    metrics: list[TurnMetrics] = attrs.field(factory=list[TurnMetrics])
    current: Turn | None = None
    _waiting: str = ""
    _cut_off: str = ""
    _unfinished: str = ""
    _ended: bool = False
    _idx: int = 0
    _serial: int = 0

    async def run(self) -> None:
        """Greets, answers until the caller is gone or the agent hangs up.

        Raises:
            VoiceError: the voice failed too often in a row.
        """
        tts = self.agent.tts
        assert isinstance(tts, TTSProvider), "checked by Agent.require_pipeline, opened by the session"
        greeting = fill(self.agent.first_message, self.agent.variables)
        self._cut_off = greeting
        failures = 0
        while True:
            turns = len(self.metrics)
            try:
                await self._with_a_voice(tts)
                return
            except VoiceError as error:
                if self._ended:
                    _log.warning("call %s: at its end: %s", self.info.call_id, error)
                    return
                heard = any(turn.audio_heard_seconds for turn in self.metrics[turns:])
                failures = 1 if heard else failures + 1
                _log.warning("call %s: %s (%d in a row)", self.info.call_id, error, failures)
                if failures >= _VOICE_FAILURES:
                    raise
            await trio.sleep(_VOICE_DELAY * 2 ** (failures - 1))

    async def _with_a_voice(self, tts: TTSProvider) -> None:
        """Opens a voice and talks with it until the call ends, or raises the VoiceError that it met.

        What our own code raises in there is not the voice's fault and comes out as it is.
        """
        ours = False
        try:
            with foreign(VoiceError, f"text to speech ({tts.name})"):
                with trio.CancelScope(deadline=trio.current_time() + _OPEN_SECONDS) as opening:
                    async with tts.open_voice(self.leg.audio, self.info) as voice:
                        opening.deadline = float("inf")
                        ours = True
                        try:
                            await self._talk(voice, tts.name)
                            self._ended = True
                        except (VoiceError, trio.Cancelled):
                            ours = False
                            raise
                        ours = False
                if opening.cancelled_caught:
                    raise VoiceError(f"text to speech ({tts.name}) did not open within {_OPEN_SECONDS:g} s")
        except VoiceError as error:
            if ours and error.__cause__ is not None:
                raise error.__cause__ from None
            raise

    async def _talk(self, voice: Voice, voice_name: str) -> None:
        """Answers with one opened voice; raises the VoiceError of the turn that found it broken."""
        if self._cut_off and not self.control.is_hung_up and not self.gone.value:
            # The greeting, or what a voice that broke had still to say.
            await self._say(self._cut_off, "say" if self.metrics else "greeting", voice, voice_name)
        while not self.control.is_hung_up:
            try:
                utterance = await self.inbox.next()
            except trio.EndOfChannel:
                return
            self._waiting = " ".join(filter(None, [self._waiting, utterance.text]))
            self._idx = utterance.turn_idx
            if self.gone.value:
                self._remember_user()
            elif self._waiting:
                await self._answer(utterance, voice, voice_name)
            # The floor was taken by a sound without words: the agent takes up what it was saying.
            elif self._unfinished:
                await self._go_on(utterance, voice, voice_name)
            elif self._cut_off:
                await self._say(self._cut_off, "say", voice, voice_name)

    async def _answer(self, utterance: Utterance, voice: Voice, voice_name: str) -> None:
        script = self._reply_script(self._waiting, self._waiting)
        turn = await self._take_turn(
            "reply", script, voice, voice_name, user_text=self._waiting, utterance=utterance
        )
        message = self.agent.llm_error_message
        silent = isinstance(turn.error, LanguageModelError) and not turn.audible and not turn.floor_lost
        if silent and message and not self.gone.value:
            await self._say(message, "say", voice, voice_name)

    async def _go_on(self, utterance: Utterance, voice: Voice, voice_name: str) -> None:
        """Continues an answer that was cut before the model had written all of it."""
        question, told = self._unfinished, self.history.entries[-1].text if self.history.entries else ""
        script = self._reply_script(question, GO_ON, told)
        turn = await self._take_turn("reply", script, voice, voice_name, utterance=utterance)
        if turn.floor_lost and not self._unfinished and not self._cut_off:
            self._unfinished = question

    async def _say(self, text: str, kind: TurnKind, voice: Voice, voice_name: str) -> None:
        await self._take_turn(kind, fixed_script(text), voice, voice_name, text=text)

    def _reply_script(self, question: str, message: str, told: str = "") -> Script:
        """Where the answer comes from: a function gets the caller's question, a model the message.

        ``told`` is the part of the function's answer that was heard already.
        """
        agent = self.agent
        if agent.on_message is not None:
            event = {
                "text": question,
                "call_id": self.info.call_id,
                "caller": self.info.caller,
                "callee": self.info.callee,
                "history": self.history.transcript(),
            }
            return function_script(agent.on_message, event, self.control, told)
        assert isinstance(agent.llm, LLMProvider), "checked by Agent.require_pipeline, opened by the session"
        system = system_message(
            agent.system_prompt, agent.variables, phone_preamble=not agent.disable_phone_preamble
        )
        messages = [
            {"role": "system", "content": system},
            *self.history.messages(),
            {"role": "user", "content": message},
        ]
        return model_script(agent.llm, messages, self.info.call_id)

    async def _take_turn(
        self,
        kind: TurnKind,
        script: Script,
        voice: Voice,
        voice_name: str,
        *,
        user_text: str = "",
        text: str = "",
        utterance: Utterance | None = None,
    ) -> Turn:
        self._cut_off = self._unfinished = ""
        turn = self._open_turn(kind, user_text, text, utterance)
        chunker = SentenceChunker(
            language=self.agent.language, aggressive_first_flush=self.agent.aggressive_first_flush
        )
        self.current = turn
        try:
            await self.floor.run(
                turn,
                lambda: run_turn(
                    turn, script, chunker, voice, voice_name, self.leg, self.ticker, self.report
                ),
            )
        finally:
            # Also when the whole call is being cancelled: nothing in here waits.
            self.current = None
            self._close_turn(turn)
        if isinstance(turn.error, VoiceError):
            raise turn.error
        return turn

    def _open_turn(self, kind: TurnKind, user_text: str, text: str, utterance: Utterance | None) -> Turn:
        self._serial += 1
        ledger = Ledger(self._serial, self.leg.audio.sample_rate)
        times = TurnTimes(trio.current_time())
        if utterance is not None:
            times.speech_started = utterance.speech_started
            times.speech_ended = utterance.speech_ended
            times.trailing_silence = utterance.trailing_silence
            times.final = utterance.final_at
            times.committed = utterance.committed_at
        return Turn(
            serial=self._serial,
            idx=self._idx,
            kind=kind,
            user_text=user_text,
            ledger=ledger,
            playout=Playout(self.leg.audio, ledger, lead=self.agent.playout_lead_ms / 1000),
            times=times,
            text=text,
        )

    def _close_turn(self, turn: Turn) -> None:
        """Commits what was heard and reports the turn: always, however it ended."""
        now = trio.current_time()
        turn.times.ended = turn.times.ended if turn.times.ended is not None else now
        turn.ledger.cut(now)
        heard, unheard = turn.ledger.heard_text(now), turn.ledger.unheard_text(now)
        overtaken = turn.floor_lost and not heard
        if overtaken and turn.user_text:
            self.report.overtaken(turn.user_text)
        else:
            if turn.user_text:
                self._remember_user()
            if heard or not turn.floor_lost:
                self.history.add(HistoryEntry("assistant", heard, self.report.wall(), unheard, turn.idx))
            if turn.floor_lost and turn.user_text and not turn.written:
                self._unfinished = turn.user_text
            elif turn.floor_lost or isinstance(turn.error, VoiceError):
                self._cut_off = turn.rest(now)
        if turn.audible:
            duration = turn.ledger.heard(now) / self.leg.audio.sample_rate
            self.report.agent_speech_ended(turn.idx, duration, interrupted=turn.floor_lost)
        if heard:
            self.report.transcript("assistant", heard)
        if turn.error is not None:
            _log.warning("call %s: turn %d: %s", self.info.call_id, turn.idx, turn.error)
            self.report.turn_failed(turn.idx, str(turn.error.code), str(turn.error))
        metrics = turn.metrics(self.report.wall(), self.leg.audio.sample_rate)
        self.metrics.append(metrics)
        self.report.turn_ended(turn.idx, turn.kind, metrics)

    def _remember_user(self) -> None:
        if self._waiting:
            self.history.add(HistoryEntry("user", self._waiting, self.report.wall(), turn_idx=self._idx))
            self._waiting = ""
