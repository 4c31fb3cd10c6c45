"""What an agent is: frozen settings, checked when they are written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from .._turns.endpointing import EndpointingSettings
from ..abc import LLMProvider, Opens, STTProvider, TTSProvider, VADProvider
from ..errors import PatterConfigError
from .checks import Check, function_or_none, mapping, number, text, text_or_none

__all__ = ["Agent"]


def _provider(protocol: type[Any], methods: str) -> Check:
    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None or (not isinstance(value, type) and isinstance(value, (protocol, Opens))):
            return
        raise PatterConfigError(
            f"{attribute.name}={value!r} is not a provider", hint=f"it needs {methods}; see patter_trio.abc"
        )

    return check


@attrs.frozen(kw_only=True)
class Agent:
    """Who answers: what it is told, how it hears, thinks and speaks, and how it takes turns.

    Args:
        system_prompt: the instructions; ``{name}`` is replaced from ``variables``.
        first_message: said as soon as the line is open; a turn like any other, so it can be interrupted.
        stt: speech to text.
        llm: the language model; give this or ``on_message``.
        tts: the voice.
        vad: the voice activity detector.
        on_message: a function in place of the model: it gets the event dict (``text, call_id, caller,
            callee, history``) and, if it has a second required parameter, the :class:`CallControl`; it
            returns the answer, or is an async generator of its pieces.
        language: BCP 47 tag of the conversation.
        variables: values for ``{name}`` in ``system_prompt`` and ``first_message``.
        disable_phone_preamble: leave out the standard words that tell a model it is on the telephone.
        aggressive_first_flush: let the first sentence of a reply be cut at a comma, for a faster start.
        llm_error_message: said when the model failed before anything of that turn reached the caller.
        barge_in_threshold_ms: voiced speech over the agent that takes the floor; 0 makes the agent
            uninterruptible (the caller's words are still answered afterwards).
        min_endpointing_delay_ms: nothing is answered earlier after the detector's trailing edge.
        max_endpointing_delay_ms: the longest wait for the recogniser's final words after that edge.
        playout_lead_ms: how far the carrier's buffer may run ahead of the caller's ear.
        max_history: entries of the conversation that are kept.

    Raises:
        PatterConfigError: a value is out of range, or two settings contradict each other.
    """

    system_prompt: str = attrs.field(validator=text)
    first_message: str = attrs.field(default="", validator=text)
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
    on_message: Callable[..., Any] | None = attrs.field(default=None, validator=function_or_none)
    language: str = attrs.field(default="en", validator=text)
    variables: Mapping[str, Any] = attrs.field(factory=dict[str, Any], validator=mapping)
    disable_phone_preamble: bool = False
    aggressive_first_flush: bool = False
    llm_error_message: str | None = attrs.field(default=None, validator=text_or_none)
    barge_in_threshold_ms: int = attrs.field(default=300, validator=number(0))
    min_endpointing_delay_ms: int = attrs.field(default=100, validator=number(0))
    max_endpointing_delay_ms: int = attrs.field(default=1500, validator=number(0))
    playout_lead_ms: int = attrs.field(default=100, validator=number(20))
    max_history: int = attrs.field(default=200, validator=number(1, whole=True))

    def __attrs_post_init__(self) -> None:
        if self.llm is not None and self.on_message is not None:
            raise PatterConfigError(
                "llm= and on_message= both want to answer", hint="pass one or the other, not both"
            )
        if self.max_endpointing_delay_ms < self.min_endpointing_delay_ms:
            raise PatterConfigError("max_endpointing_delay_ms is smaller than min_endpointing_delay_ms")

    @property
    def endpointing(self) -> EndpointingSettings:
        """The delays as the pure core takes them."""
        return EndpointingSettings(
            min_delay=self.min_endpointing_delay_ms / 1000, max_delay=self.max_endpointing_delay_ms / 1000
        )

    def require_pipeline(self) -> None:
        """Checks that this agent can take a call.

        Raises:
            PatterConfigError: a stage is missing.
        """
        missing = [name for name in ("stt", "tts", "vad") if getattr(self, name) is None]
        if self.llm is None and self.on_message is None:
            missing.append("llm (or on_message)")
        if missing:
            raise PatterConfigError(
                f"the agent cannot take calls without {', '.join(missing)}",
                hint="pass them to Patter.agent(…); patter-trio[local] brings voices that need no key",
            )
