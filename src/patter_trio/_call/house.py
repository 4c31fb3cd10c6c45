"""The nursery of a call: its actors, and the channels and levels between them."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Literal

import trio

from .._actors.accompany import AccompaniedLeg, accompany
from .._actors.channels import Level, LossySender, open_lossy_channel
from .._actors.clean import clean
from .._actors.detect import SpeechEdge, detect
from .._actors.hear import HearingCounts, hear
from .._actors.judge import Question, judge
from .._actors.leg import Leg
from .._actors.listen import EdgeSeen, Heard, KeySeen, listen
from .._actors.observe import Reporter
from .._actors.ticker import Ticker
from .._actors.transcribe import Reconnection, transcribe
from .._turns.edges import CallerSpeech, SpeechTracker
from .._turns.endpointing import CallerWords, Endpointing
from .._turns.history import History
from .._turns.keys import KeyCollector, KeyPresses
from .._turns.latency import TurnMetrics
from .._turns.sound_endpointing import SoundEndpointing
from .._turns.window import SoundWindow
from ..abc import (
    AudioFilterProvider,
    Engine,
    LLMProvider,
    MediaSocket,
    MediaWire,
    SpeechDetector,
    STTProvider,
    TurnDetector,
    VADProvider,
)
from ..errors import CarrierLostError
from ..events import AudioReceived, CallInfo, DigitReceived, HearingItem, SpeechStarted, TurnWindow
from .agent import Agent
from .asking import Asking
from .barge_in import Floor
from .compact import compact
from .control import CallControl
from .conversation import Conversation
from .engine import CallEngine
from .engine_turn import EngineAnswers
from .hooking import CallHooks
from .inbox import Agenda, Inbox, Leave
from .keyboard import Keyboard
from .muffled import Muffled
from .persona import Persona
from .preempt import Preemption, PreemptionCounts
from .replies import Replies
from .running import RunningCall
from .screening import Screening
from .toolbox import MoreTools, Toolbox

__all__ = ["EndReason", "House"]

# Half a second of frames: a detector that is further behind answers too late to be of use.
_FRAMES = 25
# About 1 s of 60 ms blocks, and the edges between them.
_HEARING = 20
# Edges and results: the listener does nothing that waits, so this only rides out a burst.
_HEARD = 64
# What waits for the agent's attention while it may not be interrupted.
_AGENDA = 16

# What a turn detector sees: the models that there are were trained on 8 s.
_WINDOW_SECONDS = 8.0

# After the line is gone the recogniser may still finish the caller's last words for the transcript.
_LAST_WORDS_SECONDS = 2.0

# A turn that is still running when the call has lasted as long as it may can end within this time.
_LAST_TURN_SECONDS = 10.0
_GOODBYE_SECONDS = 20.0

EndReason = Literal[
    "caller_hung_up",
    "agent_hung_up",
    "caller_silent",
    "max_duration",
    "transferred",
    "machine",
    "not_taken",
    "carrier_lost",
    "carrier_silent",
    "carrier_stalled",
    "stt_failed",
    "tts_failed",
    "engine_failed",
    "drained",
    "error",
]

_ENDINGS: dict[str, EndReason] = {
    "stopped": "caller_hung_up",
    "lost": "carrier_lost",
    "silent": "carrier_silent",
    "agent_hung_up": "agent_hung_up",
    "caller_silent": "caller_silent",
    "max_duration": "max_duration",
    "machine": "machine",
}


class House:
    """Everything that lives as long as one call is up.

    What happens on the line travels in this direction: hear, detect, transcribe, listen, conversation.
    """

    def __init__(
        self,
        info: CallInfo,
        agent: Agent,
        socket: MediaSocket,
        wire: MediaWire,
        *,
        ticker: Ticker,
        report: Reporter,
        control: CallControl,
        history: History,
        counts: HearingCounts,
        reconnection: Reconnection,
        more_tools: MoreTools | None = None,
        screening: Screening | None = None,
    ) -> None:
        self._info = info
        self._agent = agent
        self._socket = socket
        self._wire = wire
        self._report = report
        self._control = control
        self._counts = counts
        self._reconnection = reconnection
        self._screening = screening
        self._speech = Level(CallerSpeech())
        self._words = Level(CallerWords())
        self._keys = Level(KeyPresses())
        self._gone = Level(False)
        self._line = trio.CancelScope()
        self._ticker = ticker
        self._leg = _open_leg(agent, socket, wire)
        self._ending: EndReason = "agent_hung_up"
        self._frames: LossySender[AudioReceived]
        self._hearing: LossySender[HearingItem]
        self._frames, self._frames_in = open_lossy_channel(_FRAMES)
        self._hearing, self._hearing_in = open_lossy_channel(_HEARING)
        self._heard, self._heard_in = trio.open_memory_channel[Heard](_HEARD)
        self._agenda, agenda_in = trio.open_memory_channel[Agenda](_AGENDA)
        self._preemption = None
        if agent.preemptive_generation:
            stable = agent.preemptive_min_stable_ms / 1000
            self._preemption = Preemption(self._words, stable, agent.preemptive_max_misses)
        rules, inbox = agent.floor_rules.of_a_call(), Inbox(agenda_in)
        floor = Floor(rules, self._speech, self._words, self._gone, inbox, self._leg, report, self._keys)
        asking = Asking(info.call_id)
        self._hooks = CallHooks(agent.hooks, info, history, asking, control)
        persona = Persona(info, agent)
        self._toolbox = Toolbox(persona, control, report, more_tools)
        self._engine: CallEngine | None = None
        answers: EngineAnswers | None = None
        if isinstance(agent.engine, Engine):
            self._engine = CallEngine(agent.engine, wire.audio, info, history)
            answers = EngineAnswers(self._engine, persona, self._toolbox)
        replies = Replies(info, agent, persona, history, control, self._hooks, self._toolbox)
        self._conversation = Conversation(
            info,
            agent,
            self._leg,
            ticker,
            floor,
            report,
            control,
            history,
            replies,
            asking,
            Keyboard(info.call_id, self._leg, report, control.carrier),
            self._preemption,
            answers,
        )
        self._running = RunningCall(
            agent.language,
            self._conversation,
            self._agenda,
            self._heard,
            report,
            counts,
            leave_line=self._line.cancel,
        )
        self._toolbox.tell(self._conversation.remember_tool)
        self._history = history

    @property
    def metrics(self) -> list[TurnMetrics]:
        """The records of the turns so far."""
        return self._conversation.metrics

    @property
    def preemption_counts(self) -> PreemptionCounts:
        """What came of replies that were begun early."""
        return PreemptionCounts() if self._preemption is None else self._preemption.counts

    async def run(self) -> EndReason:
        """Lives until the line is gone or the agent's side ends the call, and says which.

        Raises:
            CarrierLostError: the socket ended without a goodbye.
            PatterError: something broke that the call cannot go on without.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._leg.write)
            if isinstance(self._leg, AccompaniedLeg):
                nursery.start_soon(accompany, self._leg, self._ticker)
            nursery.start_soon(self._hear_the_line, nursery.cancel_scope)
            self._start_ears(nursery)
            nursery.start_soon(self._toolbox.run)
            agent = self._agent
            if agent.compaction is not None and isinstance(agent.llm, LLMProvider):
                nursery.start_soon(
                    compact, self._history, agent.compaction, agent.llm, self._conversation.closed_turns
                )
            nursery.start_soon(self._hang_up_when_asked)
            nursery.start_soon(self._end_in_time, nursery.cancel_scope)
            self._control.connect(self._running)
            try:
                await self._converse()
            finally:
                self._control.disconnect()
            nursery.cancel_scope.cancel()
        self._counts.frames_dropped = self._frames.dropped
        self._counts.blocks_dropped = self._hearing.dropped
        if self._conversation.left and not self._gone.value:
            self._ending = _ENDINGS[self._conversation.left]
        if self._ending == "carrier_lost":
            raise CarrierLostError("the carrier closed the media socket without a stop")
        return self._ending

    async def _converse(self) -> None:
        """Talks to a person; to a machine nothing is said but the message that was left for it."""
        screening = self._screening
        if screening is None:
            await self._conversation.run()
            return
        if await screening.wait_for_person(self._speech):
            async with trio.open_nursery() as talk:
                talk.start_soon(self._fall_silent_for_machine, screening, talk.cancel_scope)
                await self._conversation.run()
                talk.cancel_scope.cancel()
        if screening.is_machine and not self._gone.value:
            self._ending = "machine"
            if screening.message and screening.verdict == "machine":
                await screening.wait_for_beep(self._speech)
                await self._conversation.leave_message(screening.message)
                screening.message_left = not self._gone.value

    async def _fall_silent_for_machine(self, screening: Screening, talk: trio.CancelScope) -> None:
        await screening.wait_for_machine()
        talk.cancel()

    # --- the ears -------------------------------------------------------------------------------------------

    def _start_ears(self, nursery: trio.Nursery) -> None:
        """What understands the caller: the detector, the recogniser, and who says when they are done."""
        agent, audio = self._agent, self._wire.audio
        assert isinstance(agent.vad, VADProvider), "checked by Agent.require_pipeline, opened by the session"
        stt = self._engine or agent.stt
        assert isinstance(stt, STTProvider), "checked by Agent.require_pipeline, opened by the session"
        detector = agent.vad.open_detector(audio.sample_rate)
        tracker = SpeechTracker(agent.vad.thresholds, detector.window)
        window = None
        questions, questions_in = trio.open_memory_channel[Question](1)
        if isinstance(agent.turn_detector, TurnDetector):
            window = SoundWindow(_WINDOW_SECONDS, audio.sample_rate)
            patience = agent.max_semantic_hold_ms / 1000
            verdicts = self._heard.clone()
            nursery.start_soon(
                judge, questions_in, agent.turn_detector, verdicts, patience, self._info.call_id
            )
        nursery.start_soon(self._detect, detector, tracker, window)
        nursery.start_soon(
            transcribe,
            self._hooks.around_recogniser(stt),
            self._hearing_in,
            audio,
            self._info,
            self._heard.clone(),
            self._reconnection,
        )
        nursery.start_soon(self._listen, questions, window)

    async def _detect(
        self, detector: SpeechDetector, tracker: SpeechTracker, window: SoundWindow | None
    ) -> None:
        with self._heard:
            await detect(
                self._cleaned(),
                detector,
                tracker,
                self._wire.audio,
                self._speech,
                self._hearing,
                lambda edge: self._on_edge(edge, tracker),
                window,
            )

    def _cleaned(self) -> AsyncIterable[AudioReceived]:
        agent = self._agent
        noise = agent.audio_filter
        assert noise is None or isinstance(noise, AudioFilterProvider), "opened by the session"
        return clean(
            Muffled(self._frames_in, self._running.muted, self._wire.audio),
            self._wire.audio,
            self._info.call_id,
            high_pass_hz=agent.high_pass_hz,
            audio_filter=noise,
            agc=agent.agc,
        )

    async def _listen(self, questions: trio.MemorySendChannel[Question], window: SoundWindow | None) -> None:
        def ask(silence: int, words: str) -> None:
            assert window is not None, "only an agent with a turn detector has silences to judge"
            seen = TurnWindow(window.sound(), window.sample_rate, words, self._agent.language)
            try:
                questions.send_nowait(Question(silence, seen))
            except (trio.WouldBlock, trio.BrokenResourceError):
                # It is still busy with the last question, or given up: the next one comes soon, or none.
                return

        with self._agenda, questions:
            made = Endpointing if self._engine is None else SoundEndpointing
            endpointing = made(self._agent.endpointing)
            keys = KeyCollector((self._agent.dtmf_timeout_ms or 0) / 1000, self._agent.dtmf_terminator)
            await listen(self._heard_in, endpointing, keys, self._agenda, self._words, self._report, ask)

    # --- the line -------------------------------------------------------------------------------------------

    async def _hear_the_line(self, scope: trio.CancelScope) -> None:
        how = "stopped"
        with self._line:
            how = await hear(
                self._socket, self._wire, self._frames, self._on_mark, self._on_digit, self._counts
            )
        # A call that was given to somebody else has no stream any more.
        self._ending = "transferred" if self._control.settle_transfer() else _ENDINGS[how]
        self._gone.set(True)
        if self._conversation.current is not None:
            self._conversation.current.wake()
        scope.deadline = trio.current_time() + _LAST_WORDS_SECONDS
        if self._line.cancelled_caught:
            # There are carriers that connect the caller only when our stream is closed.
            await self._socket.aclose()

    def _on_mark(self, name: str) -> bool:
        current = self._conversation.current
        return current is not None and current.mark_played(name)

    def _on_digit(self, digit: str) -> None:
        self._report.tell(DigitReceived, digit=digit)
        if self._agent.dtmf_timeout_ms is None or self._running.muted.value:
            return
        now = trio.current_time()
        self._keys.set(KeyPresses(self._keys.value.count + 1, now))
        self._tell_listener(KeySeen(digit, now))

    def _on_edge(self, edge: SpeechEdge, tracker: SpeechTracker) -> None:
        now = trio.current_time()
        starting = isinstance(edge, SpeechStarted)
        if starting:
            self._report.user_speech_started(tracker.confidence, edge.at)
            seen = EdgeSeen(True, now - tracker.onset_delay)
        else:
            began = self._speech.value.since - tracker.onset_delay
            length = now - tracker.trailing_silence - began
            self._report.user_speech_ended(length, tracker.confidence, edge.at)
            seen = EdgeSeen(False, now, tracker.trailing_silence)
        self._tell_listener(seen)

    def _tell_listener(self, heard: Heard) -> None:
        try:
            self._heard.send_nowait(heard)
        except trio.WouldBlock:
            # Nobody has listened for dozens of edges: the voice hangs, and its deadline ends that.
            self._counts.edges_dropped += 1

    # --- what the agent's side wants ------------------------------------------------------------------------

    async def _hang_up_when_asked(self) -> None:
        await self._control.wait_hangup()
        await self._running.post(Leave("agent_hung_up"))

    async def _end_in_time(self, scope: trio.CancelScope) -> None:
        """A call that has lasted as long as it may ends with a goodbye, or soon after without."""
        await trio.sleep(self._agent.max_duration_s)
        with trio.move_on_after(_LAST_TURN_SECONDS):
            await self._running.post(Leave("max_duration"))
            await trio.sleep_forever()
        if self._conversation.left:
            await trio.sleep(_GOODBYE_SECONDS)
        self._ending = "max_duration"
        scope.cancel()


def _open_leg(agent: Agent, socket: MediaSocket, wire: MediaWire) -> Leg:
    if agent.background_audio is None:
        return Leg(socket, wire)
    bed = agent.background_audio.open_bed(wire.audio)
    return AccompaniedLeg(socket, wire, bed, agent.playout_lead_ms / 1000)
