"""What an agent is: frozen settings, checked when they are written down."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .._actors.record import RecordingPlace
from .._audio.background import BackgroundAudioPlayer
from .._audio.inbound import AgcConfig
from .._text.handoffs import check_handoffs
from .._text.prompt import call_variables
from .._text.skills import Skill, check_skills
from .._tools.contracts import ToolExecutor
from .._tools.definition import Tool
from .._turns.compaction import CompactionConfig
from .._turns.endpointing import EndpointingSettings
from ..abc import (
    AudioFilterProvider,
    BargeInStrategy,
    Engine,
    LLMProvider,
    Opens,
    STTProvider,
    TTSProvider,
    TurnDetector,
    VADProvider,
)
from ..errors import PatterConfigError
from ..events import CallInfo
from .barge_in import BargeInMode, FloorRules
from .checks import Check, mapping, number, number_or_none, one_of, text, text_or_none
from .guardrails import Guardrail, check_guardrails
from .hooks import PipelineHooks
from .wording import check_transforms

__all__ = ["Agent"]

_log = logging.getLogger("patter_trio.call")

_HOOKS_OF_WORDS = (
    *("after_transcribe", "before_llm", "on_chunk", "on_sentence", "on_response"),
    *("before_synthesize", "after_synthesize"),
)

# Whoever takes a call over takes it over on the line that there is.
_OF_THE_CALL = (
    *("hooks", "mcp_servers", "compaction"),
    *("high_pass_hz", "audio_filter", "agc", "background_audio", "local_recording"),
)


def _provider(protocol: type[Any], methods: str) -> Check:
    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None or (not isinstance(value, type) and isinstance(value, (protocol, Opens))):
            return
        raise PatterConfigError(
            f"{attribute.name}={value!r} is not a provider", hint=f"it needs {methods}; see patter_trio.abc"
        )

    return check


def _tuple(given: Any) -> Any:
    return tuple(given) if isinstance(given, list | tuple) else given


def _strategies(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    needs = "a list of objects with evaluate(transcript, is_interim, agent_speaking) and reset()"
    if not isinstance(value, tuple):
        raise PatterConfigError(f"{attribute.name}={value!r} is not {needs}")
    for strategy in value:
        if isinstance(strategy, type) or not isinstance(strategy, BargeInStrategy):
            raise PatterConfigError(f"{strategy!r} is no barge-in strategy", hint=f"it takes {needs}")
        try:
            copy.deepcopy(strategy)
        except (TypeError, ValueError, copy.Error) as error:
            raise PatterConfigError(
                f"{strategy!r} cannot be copied, and each call needs its own: {error}",
                hint="give it a __deepcopy__",
            ) from error


def _tools(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, tuple):
        raise PatterConfigError(f"{attribute.name}={value!r} is not a list of tools", hint="tools=[…]")
    for tool in value:
        if not isinstance(tool, Tool):
            raise PatterConfigError(f"{tool!r} is not a tool", hint="make one with @tool or Tool(…)")


def _answers(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not callable(value) and not isinstance(value, str | Opens):
        raise PatterConfigError(f"{attribute.name}={value!r} is neither a function nor a web address")


def _opens(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and (isinstance(value, type) or not isinstance(value, Opens)):
        raise PatterConfigError(f"{attribute.name}={value!r} is nothing that a session can open")


def _servers(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, tuple) or not all(hasattr(server, "open_tools") for server in value):
        raise PatterConfigError(
            f"{attribute.name}={value!r} is not a list of MCP servers", hint="MCPServer(url=…) or (command=…)"
        )


def _executor(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and (isinstance(value, type) or not isinstance(value, ToolExecutor)):
        raise PatterConfigError(
            f"{attribute.name}={value!r} carries out no tools", hint="see DefaultToolExecutor"
        )


def _hooks(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not isinstance(value, PipelineHooks):
        raise PatterConfigError(f"{attribute.name} must be PipelineHooks(…), not {value!r}")


def _handoffs(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, Mapping):
        raise PatterConfigError(
            f"{attribute.name} must say which agent has which name, not be a {type(value).__name__}",
            hint='like handoffs={"billing": agent}',
        )
    for name, agent in value.items():
        if not isinstance(agent, Agent):
            raise PatterConfigError(f"handoffs[{name!r}] must be an Agent, not {type(agent).__name__}")
        for setting in _OF_THE_CALL:
            if getattr(agent, setting):
                raise PatterConfigError(
                    f"handoffs[{name!r}] has {setting}, which stay those of the agent that answers the call",
                    hint="set them there",
                )


def _compaction(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not isinstance(value, CompactionConfig):
        raise PatterConfigError(f"{attribute.name} must be CompactionConfig(…), not {value!r}")


def _high_pass(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is None:
        return
    number(20)(_, attribute, value)
    if value > 1000:
        raise PatterConfigError(f"{attribute.name}={value!r} would take the voice out", hint="at most 1000")


def _recording(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, type) or not (isinstance(value, bool | str | os.PathLike) or callable(value)):
        raise PatterConfigError(
            f"{attribute.name}={value!r} is no place for recordings", hint="a folder, True, or a function"
        )


def _background(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and not isinstance(value, BackgroundAudioPlayer):
        raise PatterConfigError(f"{attribute.name} must be BackgroundAudioPlayer(…), not {value!r}")


def _even(given: Any) -> AgcConfig | None:
    if given is None or isinstance(given, bool):
        return AgcConfig() if given else None
    if not isinstance(given, AgcConfig):
        raise PatterConfigError(f"agc must be True, False or AgcConfig(…), not {given!r}")
    return given


@attrs.frozen(kw_only=True)
class Agent:
    """Who answers: what it is told, how it hears, thinks and speaks, and how it takes turns.

    Args:
        system_prompt: the instructions; ``{name}`` is replaced from ``variables``.
        first_message: said as soon as the line is open; a turn like any other, so it can be interrupted.
        first_message_interruptible: ``False`` for a greeting that must be heard to its end; what the caller
            says over it is answered afterwards.
        engine: speech to speech in one, such as :class:`OpenAIRealtime`, in place of ``stt``, ``llm`` and
            ``tts``; a ``tts`` that is given all the same says the fixed words, such as the first message.
        stt: speech to text.
        llm: the language model; give this or ``on_message``.
        tts: the voice.
        vad: the voice activity detector.
        on_message: in place of the model, a web address (``https://…``, ``wss://…``), a :class:`CustomLLM`
            with one, or a function: it gets the event dict (``text, call_id, caller,
            callee, history``) and, if it has a second required parameter, the :class:`CallControl`; it
            returns the answer, or is an async generator of its pieces.
        language: BCP 47 tag of the conversation.
        variables: values for ``{name}`` in every message that is set here.
        disable_phone_preamble: leave out the standard words that tell a model it is on the telephone.
        aggressive_first_flush: let the first sentence of a reply be cut at a comma, for a faster start.
        llm_error_message: said when the model failed before anything of its answer reached the caller.
        long_turn_message: said when an answer has no sound ``long_turn_message_after_s`` seconds after the
            caller's words were complete; it stops the moment the answer has.
        long_turn_message_after_s: see there.
        hedge_after_ms: ask a second time when the model has not begun to answer after so long; the first
            request to speak answers, the other is cancelled. ``None`` never asks twice.
        hedge_llm: who is asked the second time, if not the same model.
        preemptive_generation: begin to answer words that are not final yet, and keep the answer if they stay
            what they are. Only with ``llm``: a function may do what cannot be undone.
        preemptive_min_stable_ms: how long words must stand still for that, where they end no sentence.
        preemptive_max_misses: answers begun early and thrown away in one call before no more are begun.
        barge_in_threshold_ms: voiced speech over the agent that takes the floor; 0 makes the agent
            uninterruptible (the caller's words are still answered afterwards).
        barge_in_mode: ``"pause_resume"`` falls silent at the caller's first sound and goes on if it was
            nothing; ``"cancel"`` talks on until the interruption is certain.
        barge_in_strategies: what decides by the caller's *words* whether they take the floor, in place of
            ``barge_in_threshold_ms``; the first one that says yes is enough.
        barge_in_confirm_ms: how long the agent pauses for that decision.
        min_endpointing_delay_ms: nothing is answered earlier after the detector's trailing edge.
        max_endpointing_delay_ms: the longest wait for the recogniser's final words after that edge.
        adaptive_endpointing: learn from this caller's pauses how long to wait, between those two delays.
        turn_detector: judges by sound and words whether a caller who is silent has finished.
        max_semantic_hold_ms: how long after the trailing edge it may hold the agent back.
        dtmf_timeout_ms: keys that the caller presses are one input, which the agent answers like words, when
            none has followed for so long; ``None`` tells of keys by events only.
        dtmf_terminator: the key that ends an input at once; empty for none.
        away_after_s: silence of both sides after which the caller counts as ``away``; ``None`` for never.
        away_message: said then, as "Are you still there?".
        away_hangup_after_s: silence after that which ends the call; ``None`` leaves the line open.
        max_duration_s: the longest that a call may last.
        transfer_failed_message: said to a caller who comes back because nobody took a transfer.
        goodbye_message: said before the call is ended for its length or the caller's silence.
        tools: what the model may do: functions under ``@tool``, or :class:`Tool`.
        tool_executor: carries the tools out in your own way, in place of ``tools``: a
            :class:`DefaultToolExecutor` of yours, with its tools. It is kept for the session.
        tool_webhooks: how tools with a ``webhook_url`` are called: a :class:`ToolWebhooks`.
        builtin_tools: whether the model can end the call, press keys, and transfer the call where the carrier
            can.
        consult: another agent or back office that the model may ask: a :class:`ConsultConfig`.
        mcp_servers: MCP servers whose tools the model may use: addresses, or :class:`MCPServer`.
        hooks: functions between the stages: :class:`PipelineHooks`.
        guardrails: what is never said: a list of :class:`Guardrail`.
        text_transforms: functions through which each sentence goes before it is spoken.
        handoffs: agents that may take over, by name; the model gives them the call.
        handoff_description: what a colleague is told about this agent: when to hand over to it.
        skills: instructions that the model opens when it needs them: a list of :class:`Skill`.
        compaction: when the older part of a long call is summarised for the model.
        prewarm: open the providers' connections while an outgoing call rings.
        prewarm_first_message: render the first message meanwhile, so that it is heard at once. It is paid for
            even when nobody answers.
        high_pass_hz: take out what lies below this frequency, such as the rumble of a car, before anybody
            listens to the caller; 100 suits a telephone.
        audio_filter: somebody else's filter of the caller's sound, against noise: an object with
            ``open_filter(sample_rate)`` that gives each call one with ``process(pcm)``.
        agc: bring the caller's voice to one level: ``True``, or an :class:`AgcConfig`.
        background_audio: a sound behind the whole call, softer while the agent speaks: a
            :class:`BackgroundAudioPlayer`.
        local_recording: write each call to a WAV file of this machine, caller left and agent right as they
            were heard: a folder for ``<call id>.wav``, ``True`` for ``./recordings``, or a function that gets
            the :class:`CallInfo` and returns the file, or ``None`` for a call that is not recorded.
        playout_lead_ms: how far the carrier's buffer may run ahead of the caller's ear.
        max_history: entries of the conversation that are kept.

    Raises:
        PatterConfigError: a value is out of range, or two settings contradict each other.
    """

    system_prompt: str = attrs.field(validator=text)
    first_message: str = attrs.field(default="", validator=text)
    first_message_interruptible: bool = True
    engine: Engine | Opens[Engine] | None = attrs.field(
        default=None, validator=_provider(Engine, "name, model and open_session(audio, call, memory)")
    )
    stt: STTProvider | Opens[STTProvider] | None = attrs.field(
        default=None, validator=_provider(STTProvider, "name and transcribe(hearing, audio, call)")
    )
    llm: LLMProvider | Opens[LLMProvider] | None = attrs.field(
        default=None, validator=_provider(LLMProvider, "name, model and stream(messages, tools, *, call_id)")
    )
    tts: TTSProvider | Opens[TTSProvider] | None = attrs.field(
        default=None, validator=_provider(TTSProvider, "name and open_voice(audio, call)")
    )
    vad: VADProvider | Opens[VADProvider] | None = attrs.field(
        default=None, validator=_provider(VADProvider, "name, thresholds and open_detector(sample_rate)")
    )
    on_message: Any = attrs.field(default=None, validator=_answers)
    language: str = attrs.field(default="en", validator=text)
    variables: Mapping[str, Any] = attrs.field(factory=dict[str, Any], validator=mapping)
    disable_phone_preamble: bool = False
    aggressive_first_flush: bool = False
    llm_error_message: str | None = attrs.field(default=None, validator=text_or_none)
    long_turn_message: str | None = attrs.field(default=None, validator=text_or_none)
    long_turn_message_after_s: float = attrs.field(default=4.0, validator=number(0))
    hedge_after_ms: int | None = attrs.field(default=None, validator=number_or_none(0))
    hedge_llm: LLMProvider | Opens[LLMProvider] | None = attrs.field(
        default=None, validator=_provider(LLMProvider, "name, model and stream(messages, tools, *, call_id)")
    )
    preemptive_generation: bool = False
    preemptive_min_stable_ms: int = attrs.field(default=300, validator=number(0))
    preemptive_max_misses: int = attrs.field(default=20, validator=number(1, whole=True))
    barge_in_threshold_ms: int = attrs.field(default=300, validator=number(0))
    barge_in_mode: BargeInMode = attrs.field(
        default="pause_resume", validator=one_of("pause_resume", "cancel")
    )
    barge_in_strategies: tuple[BargeInStrategy, ...] = attrs.field(
        default=(), converter=_tuple, validator=_strategies
    )
    barge_in_confirm_ms: int = attrs.field(default=1500, validator=number(100))
    min_endpointing_delay_ms: int = attrs.field(default=100, validator=number(0))
    max_endpointing_delay_ms: int = attrs.field(default=1500, validator=number(0))
    adaptive_endpointing: bool = False
    turn_detector: TurnDetector | Opens[TurnDetector] | None = attrs.field(
        default=None, validator=_provider(TurnDetector, "name, threshold and async predict(window)")
    )
    max_semantic_hold_ms: int = attrs.field(default=1200, validator=number(1))
    dtmf_timeout_ms: int | None = attrs.field(default=1500, validator=number_or_none(100))
    dtmf_terminator: str = attrs.field(default="#", validator=one_of(*"0123456789*#ABCD", ""))
    away_after_s: float | None = attrs.field(default=15.0, validator=number_or_none(0.1))
    away_message: str = attrs.field(default="", validator=text)
    away_hangup_after_s: float | None = attrs.field(default=None, validator=number_or_none(0.1))
    max_duration_s: float = attrs.field(default=3600.0, validator=number(1))
    transfer_failed_message: str = attrs.field(
        default="I am sorry, nobody answered there. Can I help you with anything else?", validator=text
    )
    goodbye_message: str = attrs.field(default="", validator=text)
    tools: tuple[Tool, ...] = attrs.field(default=(), converter=_tuple, validator=_tools)
    tool_executor: ToolExecutor | None = attrs.field(default=None, validator=_executor)
    tool_webhooks: Any = attrs.field(default=None, validator=_opens)
    builtin_tools: bool = True
    consult: Any = attrs.field(default=None, validator=_opens)
    mcp_servers: tuple[Any, ...] = attrs.field(default=(), converter=_tuple, validator=_servers)
    hooks: PipelineHooks | None = attrs.field(default=None, validator=_hooks)
    guardrails: tuple[Guardrail, ...] = attrs.field(default=(), converter=check_guardrails)
    text_transforms: tuple[Callable[[str], str], ...] = attrs.field(default=(), converter=check_transforms)
    handoffs: Mapping[str, Agent] = attrs.field(factory=dict[str, "Agent"], validator=_handoffs)
    handoff_description: str = attrs.field(default="", validator=text)
    skills: tuple[Skill, ...] = attrs.field(default=(), converter=check_skills)
    compaction: CompactionConfig | None = attrs.field(default=None, validator=_compaction)
    prewarm: bool = True
    prewarm_first_message: bool = True
    high_pass_hz: float | None = attrs.field(default=None, validator=_high_pass)
    audio_filter: AudioFilterProvider | Opens[AudioFilterProvider] | None = attrs.field(
        default=None, validator=_provider(AudioFilterProvider, "open_filter(sample_rate)")
    )
    agc: AgcConfig | None = attrs.field(default=None, converter=_even)
    background_audio: BackgroundAudioPlayer | None = attrs.field(default=None, validator=_background)
    local_recording: RecordingPlace = attrs.field(default=False, validator=_recording)
    playout_lead_ms: int = attrs.field(default=100, validator=number(20))
    max_history: int = attrs.field(default=200, validator=number(1, whole=True))

    def __attrs_post_init__(self) -> None:
        if self.engine is not None:
            self._check_engine()
        if self.llm is not None and self.on_message is not None:
            raise PatterConfigError(
                "llm= and on_message= both want to answer", hint="pass one or the other, not both"
            )
        if self.tools and self.tool_executor is not None:
            raise PatterConfigError("tools= and tool_executor= both say what the model may do")
        names = [tool.name for tool in self.tools]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PatterConfigError(
                f"two tools are named {twice[0]!r}", hint="give one of them another name="
            )
        if self.on_message is not None and (self.tools or self.tool_executor or self.skills or self.handoffs):
            raise PatterConfigError(
                "on_message answers by itself and is offered no tools, skills or hand-offs",
                hint="use them with llm=",
            )
        if self.on_message is not None and self.compaction is not None:
            raise PatterConfigError("without llm= there is nobody to summarise", hint="leave compaction= out")
        if self.preemptive_generation and self.hooks is not None and self.hooks.hook("after_transcribe"):
            raise PatterConfigError(
                "preemptive_generation would ask the model before after_transcribe has seen the words",
                hint="use one of the two",
            )
        check_skills(self.skills, names)
        check_handoffs(self.handoffs, names)
        if self.max_endpointing_delay_ms < self.min_endpointing_delay_ms:
            raise PatterConfigError("max_endpointing_delay_ms is smaller than min_endpointing_delay_ms")
        if self.on_message is not None and self.preemptive_generation:
            raise PatterConfigError(
                "preemptive_generation would call on_message for words that may not stay what they are",
                hint="use it with llm=",
            )
        if self.on_message is not None and (self.hedge_after_ms is not None or self.hedge_llm is not None):
            raise PatterConfigError("on_message is never asked twice", hint="hedge_… goes with llm=")
        if self.hedge_llm is not None and self.hedge_after_ms is None:
            raise PatterConfigError("hedge_llm is never asked", hint="say when, with hedge_after_ms=")
        if self.barge_in_strategies and not self.barge_in_threshold_ms:
            raise PatterConfigError(
                "barge_in_threshold_ms=0 lets nobody interrupt, so barge_in_strategies would never be asked"
            )
        if self.away_after_s is None and (self.away_message or self.away_hangup_after_s is not None):
            raise PatterConfigError("away_after_s=None: the caller never counts as away")

    @property
    def has_guardrails(self) -> bool:
        """Whether this agent, or one that may take over from it, has any."""
        return bool(self.guardrails) or any(other.has_guardrails for other in self.handoffs.values())

    def _changes_text(self) -> bool:
        return bool(self.text_transforms) or any(other._changes_text() for other in self.handoffs.values())

    def _check_engine(self) -> None:
        """What an engine does by itself, and what cannot be done to its words before they are sound."""
        if self.on_message is not None:
            raise PatterConfigError("engine= and on_message= both want to answer", hint="pass one of them")
        hooks = self.hooks or PipelineHooks()
        without_words = {
            "text_transforms": self._changes_text(),
            "barge_in_strategies": self.barge_in_strategies,
            "preemptive_generation": self.preemptive_generation,
            "hedge_after_ms": self.hedge_after_ms is not None,
            "compaction": self.compaction,
            "long_turn_message": self.long_turn_message,
            **{f"the hook {name}": hooks.hook(name) for name in _HOOKS_OF_WORDS},
        }
        for name, wanted in without_words.items():
            if wanted:
                raise PatterConfigError(
                    f"{name} works on words, and an engine's answer is sound", hint="use stt=, llm= and tts="
                )
        ignored = [name for name in ("llm", "stt") if getattr(self, name) is not None]
        if ignored:
            _log.warning("%s is not used: the engine hears and thinks by itself", " and ".join(ignored))
            for name in ignored:
                object.__setattr__(self, name, None)

    @property
    def endpointing(self) -> EndpointingSettings:
        """The delays as the pure core takes them."""
        return EndpointingSettings(
            min_delay=self.min_endpointing_delay_ms / 1000,
            max_delay=self.max_endpointing_delay_ms / 1000,
            adaptive=self.adaptive_endpointing,
            semantic_hold=0.0 if self.turn_detector is None else self.max_semantic_hold_ms / 1000,
        )

    def variables_of(self, info: CallInfo) -> Mapping[str, Any]:
        """The variables of one call: the agent's own, and over them the parameters of the call."""
        return call_variables(self.variables, info.custom_params)

    @property
    def floor_rules(self) -> FloorRules:
        """What takes the floor from this agent."""
        return FloorRules(
            threshold=self.barge_in_threshold_ms / 1000,
            mode=self.barge_in_mode,
            strategies=self.barge_in_strategies,
            confirm=self.barge_in_confirm_ms / 1000,
        )

    def require_pipeline(self) -> None:
        """Checks that this agent can take a call.

        Raises:
            PatterConfigError: a stage is missing.
        """
        if self.engine is not None:
            if self.vad is None:
                raise PatterConfigError("the agent cannot take calls without vad", hint="see patter_trio.vad")
            return
        missing = [name for name in ("stt", "tts", "vad") if getattr(self, name) is None]
        if self.llm is None and self.on_message is None:
            missing.append("llm (or on_message)")
        if missing:
            raise PatterConfigError(
                f"the agent cannot take calls without {', '.join(missing)}",
                hint="pass them to Patter.agent(…); patter-trio[local] brings voices that need no key",
            )
