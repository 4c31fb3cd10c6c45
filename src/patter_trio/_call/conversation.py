"""The conversation of one call: utterances in, turns out, and what of them was heard."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import trio

from .._actors.channels import Level
from .._actors.leg import Leg
from .._actors.observe import Reporter
from .._actors.ticker import Ticker
from .._foreign import foreign, unwrapped
from .._text.prompt import GO_ON, fill
from .._text.sentences import SentenceChunker
from .._text.speakable import speakable
from .._turns.briefing import brief
from .._turns.endpointing import Utterance
from .._turns.history import History, HistoryEntry, UsedTool
from .._turns.latency import TurnMetrics, TurnTimes
from .._turns.ledger import Ledger
from .._turns.playout import Playout
from ..abc import TTSProvider
from ..errors import LanguageModelError, VoiceError
from ..events import CallInfo, TurnKind
from .agent import Agent
from .asking import Asking
from .barge_in import Floor
from .clip import Clip
from .control import CallControl
from .engine_turn import EngineAnswers, ReplyCheck, run_reply
from .inbox import Agenda, Held, Keys, Leave, Say
from .interludes import Interludes
from .keyboard import Keyboard
from .perform import Filler, Stagehands, run_turn
from .preempt import Preempted, Preemption
from .replies import Replies
from .scripts import fixed_script
from .turn import Script, Turn
from .wording import Reword, wording

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
    the answer was not written yet. ``left`` is why the agent's side ended the call, if it did.
    """

    info: CallInfo
    agent: Agent
    leg: Leg
    ticker: Ticker
    floor: Floor
    report: Reporter
    control: CallControl
    history: History
    replies: Replies
    asking: Asking
    keyboard: Keyboard
    preemption: Preemption | None = None
    engine: EngineAnswers | None = None
    metrics: list[TurnMetrics] = attrs.field(factory=list[TurnMetrics])
    closed_turns: Level[int] = attrs.field(factory=lambda: Level(0))
    current: Turn | None = None
    left: str = ""
    _waiting: str = ""
    _cut_off: Say | None = None
    _unfinished: str = ""
    _again: bool = False
    _ended: bool = False
    _idx: int = 0
    _serial: int = 0
    _echoing: bool | None = None
    _interludes: Interludes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._interludes = Interludes(self.floor, self.leg, self.keyboard, self._open_turn, self._hold_floor)

    @property
    def _gone(self) -> bool:
        return self.floor.gone.value

    def _filled(self, message: str) -> str:
        return fill(message, self.replies.persona.variables)

    async def run(self) -> None:
        """Greets, answers until the caller is gone or the agent hangs up.

        Raises:
            VoiceError: the voice failed too often in a row.
        """
        greeting = self._filled(self.agent.first_message)
        self._cut_off = Say(greeting, self.agent.first_message_interruptible) if greeting else None
        if greeting:
            # What was said before the agent could speak ("Hello?") is answered by the greeting.
            for utterance in self.floor.inbox.take_waiting():
                self._waiting = " ".join(filter(None, [self._waiting, utterance.text]))
            self._remember_user()
        await self._converse()

    async def leave_message(self, message: str) -> None:
        """Says this to a machine, from its beginning to its end, and no more.

        Raises:
            VoiceError: the voice failed too often in a row.
        """
        if self._serial:
            # The machine was taken for a person: what the carrier still holds of that is not its business.
            self.leg.clear(self._serial)
        self.left = "machine"
        self._cut_off = Say(self._filled(message), interruptible=False)
        await self._converse()

    async def _converse(self) -> None:
        tts = self.agent.tts or (self.engine and self.engine.engine)
        assert isinstance(tts, TTSProvider), "checked by Agent.require_pipeline, opened by the session"
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
                            heard = self.replies.hooks.around_voice(voice)
                            await self._talk(Stagehands(heard, tts.name, self.leg, self.ticker, self.report))
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

    async def _talk(self, hands: Stagehands) -> None:
        """Answers with one opened voice; raises the VoiceError of the turn that found it broken."""
        if self.preemption is None:
            await self._attend(hands)
            return
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.preemption.run, partial(self._begin_early, hands))
                await self._attend(hands)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise unwrapped(group) from None

    # --- what is next ---------------------------------------------------------------------------------------

    async def _attend(self, hands: Stagehands) -> None:
        if self._cut_off is not None and not self._on_hold and not self.control.is_hung_up and not self._gone:
            # The greeting, or what a voice that broke had still to say.
            await self._say(self._cut_off, hands, "say" if self.metrics else "greeting")
        if self.left:
            return
        if self._again and not self._on_hold and not self.control.is_hung_up and not self._gone:
            await self._answer_again(hands)
        while True:
            if self._on_hold:
                await self._stay_on_hold(hands)
            try:
                item = await self._next()
            except trio.EndOfChannel:
                return
            if self._on_hold:
                if item is not None:
                    self.floor.inbox.put_back(item)
                continue
            match item:
                case Leave():
                    await self._drop_early()
                    await self._leave(item.reason, hands)
                    return
                case Held():
                    continue
                case Say():
                    await self._drop_early()
                    await self._say(item, hands)
                case Clip():
                    await self._drop_early()
                    await self._interludes.play(item, hands)
                case Keys():
                    await self._drop_early()
                    await self._interludes.press(item, hands)
                case Utterance():
                    await self._take_up(item, hands)
                case None:
                    await self._drop_early()
                    if await self._call_back(hands):
                        return

    async def _next(self) -> Agenda | None:
        """What is to be attended to; ``None`` when nobody has said anything for too long."""
        if self.preemption is not None:
            self.preemption.allow()
        quiet_since = trio.current_time()
        while True:
            with trio.move_on_at(quiet_since + self._patience):
                return await self.floor.inbox.next()
            speech = self.floor.speech.value
            spoke = trio.current_time() if speech.speaking else max(speech.until, self.floor.keys.value.at)
            if spoke <= quiet_since:
                return None
            quiet_since = spoke

    async def _stay_on_hold(self, hands: Stagehands) -> None:
        """Answers nobody until the caller is taken back; goes on then with what was left unsaid."""
        await self._drop_early()
        left_off = self._cut_off, self._unfinished
        await self._interludes.wait_on_hold(hands)
        self._cut_off, self._unfinished = left_off
        if not self.floor.inbox.has_work:
            now = trio.current_time()
            await self._take_up(Utterance("", committed_at=now, turn_idx=self._idx), hands)

    @property
    def _on_hold(self) -> bool:
        return self.floor.hold.value is not None

    @property
    def _patience(self) -> float:
        away, leaves = self.agent.away_after_s, self.agent.away_hangup_after_s
        if self.report.user_state == "away":
            return float("inf") if leaves is None else leaves
        return float("inf") if away is None else away

    async def _call_back(self, hands: Stagehands) -> bool:
        """Asks whether the caller is still there; when they were asked before, ends the call."""
        if self.report.user_state == "away":
            await self._leave("caller_silent", hands)
            return True
        self.report.user_away(self._patience)
        if self.agent.away_message:
            await self._say(Say(self._filled(self.agent.away_message)), hands)
        return False

    async def _leave(self, reason: str, hands: Stagehands) -> None:
        """Says goodbye, unless the agent has said all it wanted itself."""
        self.left = reason
        goodbye = self._filled(self.agent.goodbye_message)
        if goodbye and reason != "agent_hung_up" and not self._gone:
            await self._say(Say(goodbye, interruptible=False), hands)

    async def _take_up(self, utterance: Utterance, hands: Stagehands) -> None:
        if utterance.text:
            text = await self.replies.hooks.heard(utterance.text)
            if text is None:
                await self._drop_early()
                return
            utterance = attrs.evolve(utterance, text=text)
        self._waiting = " ".join(filter(None, [self._waiting, utterance.text]))
        self._idx = utterance.turn_idx
        if utterance.unworded:
            self.report.end_of_utterance(utterance)
            self._idx = self.report.turn_idx
        if self._gone or self.control.is_hung_up:
            await self._learn_last_words()
            self._remember_user()
        elif self.engine is not None and utterance.says_something:
            await self._answer_by_engine(self.engine, utterance.text, utterance, hands)
        elif self._waiting:
            await self._answer(utterance, hands)
        # The floor was taken by a sound without words: the agent takes up what it was saying.
        elif self._unfinished:
            await self._go_on(utterance, hands)
        elif self._cut_off is not None:
            await self._say(self._cut_off, hands)

    def brief(self) -> str:
        """What somebody who takes over is told: the last exchanges, and what the caller has just said."""
        return brief(self.history.entries, self._waiting)

    # --- answers --------------------------------------------------------------------------------------------

    async def _answer(self, utterance: Utterance, hands: Stagehands) -> None:
        early = None if self.preemption is None else await self.preemption.claim(self._waiting)
        if early is not None:
            turn = await self._take_early(early, utterance)
        else:
            turn = self._open_turn("reply", user_text=self._waiting, utterance=utterance)
            script = self.replies.script(turn, self._waiting, self._waiting)
            await self._take_turn(turn, script, hands, self._filler)
        message = self.agent.llm_error_message
        silent = isinstance(turn.error, LanguageModelError) and not turn.answered and not turn.floor_lost
        if silent and message and not self._gone:
            await self._say(Say(message), hands)

    @property
    def _filler(self) -> Filler | None:
        text = self.agent.long_turn_message
        return Filler(text, self.agent.long_turn_message_after_s) if text else None

    async def _go_on(self, utterance: Utterance, hands: Stagehands) -> None:
        """Continues an answer that was cut before the model had written all of it."""
        if self.engine is not None:
            await self._answer_again(hands)
            return
        await self._drop_early()
        question, told = self._unfinished, self.history.entries[-1].text if self.history.entries else ""
        turn = self._open_turn("reply", utterance=utterance)
        script = self.replies.script(turn, question, GO_ON, told)
        await self._take_turn(turn, script, hands, self._filler)
        if turn.floor_lost and not self._unfinished and self._cut_off is None:
            self._unfinished = question

    async def _answer_by_engine(
        self, answers: EngineAnswers, text: str, utterance: Utterance | None, hands: Stagehands
    ) -> None:
        """Has the engine answer what it has heard; ``text`` are words that were not spoken.

        Where it has nothing to say to a sound that cut the agent off, the agent goes on with its words.
        """
        left_off = self._cut_off
        turn = self._open_turn("reply", utterance=utterance)
        reword = self._wording(written=True) if self.replies.persona.agent.has_guardrails else None
        check = ReplyCheck(self._chunker(), reword) if reword is not None else None
        try:
            await self._hold_floor(turn, lambda: run_reply(turn, answers, text, hands, check))
        except VoiceError:
            # The next session knows the conversation, but not what this one was about to say.
            self._cut_off, self._again = None, True
            raise
        self._again = False
        if turn.answered or turn.floor_lost or self._gone:
            return
        if isinstance(turn.error, LanguageModelError):
            if self.agent.llm_error_message:
                await self._say(Say(self.agent.llm_error_message), hands)
        elif left_off is not None and not turn.user_text and not any(turn.steps):
            await self._say(left_off, hands)

    async def _answer_again(self, hands: Stagehands) -> None:
        """Has the engine answer once more, or go on, where something else than the caller cut it off."""
        assert self.engine is not None, "only an engine's answers are asked for again"
        last = self.history.entries[-1] if self.history.entries else None
        begun = last is not None and last.role == "assistant" and last.turn_idx == self._idx
        await self._answer_by_engine(self.engine, GO_ON if begun else "", None, hands)

    async def _learn_last_words(self) -> None:
        if self.engine is not None:
            await self.engine.engine.take_last()
            await self.engine.engine.wait_words()
            self._learn_words()

    def _learn_words(self) -> None:
        """What the caller was answered to, as far as it is known in words by now."""
        if self.engine is not None:
            words = self.engine.engine.take_words()
            self._waiting = " ".join(filter(None, [self._waiting, words]))

    async def _say(self, say: Say, hands: Stagehands, kind: TurnKind = "say") -> None:
        turn = self._open_turn(kind, text=say.text, interruptible=say.interruptible)
        await self._take_turn(turn, fixed_script(say.text), hands)

    # --- answers that are begun early -----------------------------------------------------------------------

    def _begin_early(self, hands: Stagehands, words: str) -> tuple[Turn, Callable[[], Awaitable[None]]]:
        """Opens a turn for words that are not committed; it works behind its gate and tells nobody."""
        user_text = " ".join(filter(None, [self._waiting, words]))
        turn = self._open_turn("reply", user_text=user_text)
        script = self.replies.script(turn, user_text, user_text)
        turn.committed.set(False)
        turn.gate.set(False)
        return turn, lambda: run_turn(
            turn, script, self._chunker(), hands, self._filler, self._wording(written=True)
        )

    async def _take_early(self, early: Preempted, utterance: Utterance) -> Turn:
        turn = early.turn
        _note_utterance(turn.times, utterance)
        turn.commit(trio.current_time(), self._idx)
        await self._hold_floor(turn, early.joined.wait)
        return turn

    async def _drop_early(self) -> None:
        if self.preemption is not None:
            await self.preemption.claim("")

    # --- turns ----------------------------------------------------------------------------------------------

    def _chunker(self) -> SentenceChunker:
        return SentenceChunker(
            language=self.agent.language, aggressive_first_flush=self.agent.aggressive_first_flush
        )

    def _wording(self, *, written: bool) -> Reword | None:
        """What becomes of a turn's sentences: the guardrails and hooks of whoever speaks."""
        persona = self.replies.persona
        if not persona.agent.handoffs:
            return self._wording_of(persona.agent, written=written)
        # Somebody else may take over in the middle of the turn.
        made: dict[int, Reword | None] = {}

        async def reword(sentence: str) -> str:
            agent = persona.agent
            if id(agent) not in made:
                made[id(agent)] = self._wording_of(agent, written=written)
            own = made[id(agent)]
            return speakable(sentence) if own is None else await own(sentence)

        return reword

    def _wording_of(self, agent: Agent, *, written: bool) -> Reword | None:
        return wording(
            self.replies.hooks, agent.text_transforms, agent.guardrails, self.asking, written=written
        )

    async def _take_turn(
        self, turn: Turn, script: Script, hands: Stagehands, filler: Filler | None = None
    ) -> None:
        reword = self._wording(written=turn.kind == "reply")
        await self._hold_floor(turn, lambda: run_turn(turn, script, self._chunker(), hands, filler, reword))

    async def _hold_floor(self, turn: Turn, body: Callable[[], Awaitable[None]]) -> None:
        self._cut_off, self._unfinished = None, ""
        self.current = turn
        try:
            await self.floor.run(turn, body)
            if self.engine is not None:
                if turn.floor_lost:
                    self.engine.engine.truncate(turn.ledger, trio.current_time())
                if turn.kind == "reply" and turn.error is None:
                    await self.engine.engine.wait_words()
        finally:
            # Also when the whole call is being cancelled: nothing in here waits.
            self.current = None
            if self.engine is not None and turn.kind == "reply":
                self._learn_words()
                turn.user_text = self._waiting
            self._close_turn(turn)
        if isinstance(turn.error, VoiceError):
            raise turn.error

    def _open_turn(
        self,
        kind: TurnKind,
        *,
        user_text: str = "",
        text: str = "",
        interruptible: bool = True,
        utterance: Utterance | None = None,
    ) -> Turn:
        self._serial += 1
        if self.engine is not None:
            self.engine.engine.begin()
        ledger = Ledger(self._serial, self.leg.audio.sample_rate, self._echoing)
        times = TurnTimes(trio.current_time())
        if utterance is not None:
            _note_utterance(times, utterance)
        return Turn(
            serial=self._serial,
            idx=self._idx,
            kind=kind,
            user_text=user_text,
            ledger=ledger,
            playout=Playout(self.leg.audio, ledger, lead=self.agent.playout_lead_ms / 1000),
            times=times,
            text=text,
            interruptible=interruptible,
            reword=self._wording(written=False),
        )

    def _close_turn(self, turn: Turn) -> None:
        """Commits what was heard and reports the turn: always, however it ended."""
        now = trio.current_time()
        turn.closed = True
        turn.times.ended = turn.times.ended if turn.times.ended is not None else now
        turn.ledger.cut(now)
        self._echoing = turn.ledger.echoing
        if turn.cancel is None:
            turn.conclude(turn.times.ended)
        heard, unheard = turn.ledger.heard_text(now), turn.ledger.unheard_text(now)
        if turn.floor_lost and not heard and turn.user_text:
            self.report.overtaken(turn.user_text)
            if any(turn.steps):
                # What was done was done for these words: no model is shown the one without the other.
                self._remember_user()
            self._remember_answer(turn, "", now)
        else:
            if turn.user_text:
                self._remember_user()
            self._remember_answer(turn, unheard, now)
            if turn.floor_lost and turn.user_text and not turn.written:
                self._unfinished = turn.user_text
            elif turn.floor_lost or isinstance(turn.error, VoiceError):
                rest = turn.rest(now)
                self._cut_off = Say(rest, turn.interruptible) if rest else None
        self._remember_passed(turn)
        self._report_turn(turn, heard, now)
        self.closed_turns.set(self.closed_turns.value + 1)

    def _report_turn(self, turn: Turn, heard: str, now: float) -> None:
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

    def _remember_answer(self, turn: Turn, unheard: str, now: float) -> None:
        """What was heard, and the tools between: what those have done stays done, whoever has the floor."""
        *before, (last, tools) = turn.told(now)
        wall = self.report.wall()
        for text, used in before:
            self.history.add(HistoryEntry("assistant", text, wall, turn_idx=turn.idx, tools=used))
        if last or tools or not turn.floor_lost:
            self.history.add(HistoryEntry("assistant", last, wall, unheard, turn.idx, tools))

    def remember_tool(self, turn: Turn, used: UsedTool) -> None:
        """A tool has finished after its turn was cut: the model is told of it with the next question."""
        if self.engine is not None:
            self.engine.engine.give_result(used.id, used.result)
        if not turn.closed:
            turn.steps[-1].append(used)
            return
        self._remember_user()
        self.history.add(HistoryEntry("assistant", "", self.report.wall(), turn_idx=turn.idx, tools=(used,)))

    def _remember_user(self) -> None:
        if self._waiting:
            self.history.add(HistoryEntry("user", self._waiting, self.report.wall(), turn_idx=self._idx))
            self._waiting = ""

    def _remember_passed(self, turn: Turn) -> None:
        """Signs of listening are remembered where they were made, and answered by nobody."""
        for utterance in self.floor.inbox.take_passed(turn.ledger.plays_until):
            if utterance.unworded:
                # A noise. What the caller says now goes on in the same sound, and takes it along.
                if self.engine is not None and not turn.floor_lost and not self.floor.speech.value.speaking:
                    self.engine.engine.forget()
                continue
            self.report.passed_over(utterance.text)
            self.history.add(
                HistoryEntry("user", utterance.text, self.report.wall(), turn_idx=utterance.turn_idx)
            )


def _note_utterance(times: TurnTimes, utterance: Utterance) -> None:
    times.speech_started = utterance.speech_started
    times.speech_ended = utterance.speech_ended
    times.trailing_silence = utterance.trailing_silence
    times.final = utterance.final_at
    times.committed = utterance.committed_at
