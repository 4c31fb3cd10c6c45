"""PipelineHooks: functions of the user between the stages of a call, and how each wants to be called."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ..errors import PatterConfigError
from .control import CallControl

__all__ = ["Hook", "HookContext", "PatterDeprecationWarning", "PipelineHooks"]

_PAIRS = {
    "before_stt": "before_send_to_stt",
    "after_stt": "after_transcribe",
    "before_tts": "before_synthesize",
    "after_tts": "after_synthesize",
}
_TIERS = {
    "on_chunk": ("chunk",),
    "on_sentence": ("sentence", "ctx"),
    "on_response": ("text", "ctx"),
}
_SLOTS = {
    "before_send_to_stt": ("audio", "ctx"),
    "after_transcribe": ("text", "ctx"),
    "before_llm": ("messages", "ctx"),
    "before_synthesize": ("text", "ctx"),
    "after_synthesize": ("audio", "text", "ctx"),
}


class PatterDeprecationWarning(DeprecationWarning):
    """Something that still works here, and will not for ever."""


@attrs.frozen
class HookContext:
    """The call that a hook is asked in; an entry of ``history`` has ``role``, ``text`` and ``timestamp``.

    ``control`` acts on the call. A hook between two turns (``after_transcribe``) must not wait for keys to be
    pressed: they are pressed when it has answered.
    """

    call_id: str
    caller: str
    callee: str
    history: tuple[dict[str, Any], ...] = ()
    control: CallControl | None = attrs.field(default=None, repr=False, eq=False)


@attrs.frozen
class Hook:
    """A function in a slot.

    Args:
        name: the slot, for logs.
        function: the user's.
        count: how much of what the slot offers it takes by position.
        context_by_name: whether it takes ``ctx`` as a keyword.
        wants_context: whether it takes the context at all.
    """

    name: str
    function: Callable[..., Any]
    count: int
    context_by_name: bool
    wants_context: bool

    def __call__(self, *offered: Any) -> Any:
        """Calls the function with what it takes of ``offered``, whose last is the context."""
        keywords = {"ctx": offered[-1]} if self.context_by_name else {}
        return self.function(*offered[: self.count], **keywords)


@attrs.frozen(kw_only=True)
class PipelineHooks:
    """Functions that see, change or drop what goes from one stage of a call to the next.

    Each may be sync or async and leave out the last of its parameters. One that fails or takes too long is
    passed over: the original goes on, and the log says so once a call.

    Args:
        before_send_to_stt: gets linear16 sound of the caller and ``ctx``; returns the sound for the
            recogniser, or ``None`` to drop it.
        after_transcribe: gets what the caller said and ``ctx``; returns the text to be answered, or ``None``
            to skip the turn.
        before_llm: gets the list of messages and ``ctx``; returns another list, or ``None`` to keep it.
        after_llm: a dict or an object with any of ``on_chunk(chunk)``, sync, for each piece that the model
            writes; ``on_sentence(sentence, ctx)``, where ``None`` keeps the sentence and ``""`` drops it;
            ``on_response(text, ctx)``, which holds back the whole reply, and where ``None`` keeps it. A
            single function is deprecated and taken for ``on_response``.
        before_synthesize: gets a sentence as it will be spoken and ``ctx``; returns the text for the voice,
            or ``None`` to skip it.
        after_synthesize: gets linear16 sound of the voice, the sentence it speaks and ``ctx``; returns the
            sound to be played, or ``None`` to discard it.
        before_stt: another name of ``before_send_to_stt``.
        after_stt: another name of ``after_transcribe``.
        before_tts: another name of ``before_synthesize``.
        after_tts: another name of ``after_synthesize``.

    Raises:
        PatterConfigError: something is no function, takes other parameters, or a slot is given by both names.
    """

    before_send_to_stt: Callable[..., Any] | None = None
    after_transcribe: Callable[..., Any] | None = None
    before_llm: Callable[..., Any] | None = None
    after_llm: Any = None
    before_synthesize: Callable[..., Any] | None = None
    after_synthesize: Callable[..., Any] | None = None
    before_stt: Callable[..., Any] | None = None
    after_stt: Callable[..., Any] | None = None
    before_tts: Callable[..., Any] | None = None
    after_tts: Callable[..., Any] | None = None
    _hooks: Mapping[str, Hook] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        for other, slot in _PAIRS.items():
            if getattr(self, other) is None:
                continue
            if getattr(self, slot) not in (None, getattr(self, other)):
                raise PatterConfigError(f"{slot} and {other} are the same hook", hint="give one of them")
            object.__setattr__(self, slot, getattr(self, other))
        given = {slot: (getattr(self, slot), offered) for slot, offered in _SLOTS.items()}
        for tier, function in _tiers(self.after_llm).items():
            given[tier] = function, _TIERS[tier]
        hooks = {
            name: _arrange(name, function, offered)
            for name, (function, offered) in given.items()
            if function is not None
        }
        object.__setattr__(self, "_hooks", hooks)

    def hook(self, name: str) -> Hook | None:
        """What is asked in a slot (``before_send_to_stt`` …) or tier (``on_chunk`` …), if anything is."""
        return self._hooks.get(name)


def _tiers(after_llm: Any) -> dict[str, Any]:
    """The three tiers of ``after_llm``, however they were given."""
    if after_llm is None:
        return {}
    if isinstance(after_llm, Mapping):
        unknown = ", ".join(repr(key) for key in after_llm if key not in _TIERS)
        if unknown or not after_llm:
            raise PatterConfigError(
                f"after_llm has no tier {unknown}" if unknown else "after_llm has no tier in it",
                hint=f"its tiers are {', '.join(_TIERS)}",
            )
        return dict(after_llm)
    found = {tier: getattr(after_llm, tier) for tier in _TIERS if hasattr(after_llm, tier)}
    if found:
        return found
    if not callable(after_llm):
        raise PatterConfigError(
            f"after_llm={after_llm!r} has no tier in it",
            hint=f"give a dict or an object with any of {', '.join(_TIERS)}",
        )
    warnings.warn(
        "after_llm as a function is deprecated: write after_llm={'on_response': …}, or use the faster tiers "
        "on_chunk and on_sentence",
        PatterDeprecationWarning,
        stacklevel=4,  # the code that builds the hooks
    )
    return {"on_response": after_llm}


def _arrange(name: str, function: Any, offered: tuple[str, ...]) -> Hook:
    """Finds out what of ``offered`` the function takes.

    A parameter with a default is the function's own affair, unless it is called ``ctx``.
    """
    if not callable(function):
        raise PatterConfigError(f"the hook {name}={function!r} is not a function")
    if name == "on_chunk" and inspect.iscoroutinefunction(function):
        raise PatterConfigError(
            "on_chunk cannot be async: it stands between all pieces of a reply",
            hint="use on_sentence or on_response for what has to be waited for",
        )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        # Some functions written in C do not say.
        return Hook(name, function, 1, context_by_name=False, wants_context=False)
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = any(
        p.name == "ctx" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in parameters[1:]
    )
    most = len(offered) - by_name
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        count = most
    else:
        needed = [p for p in by_place[1:] if p.default is p.empty and not (by_name and p.name == "ctx")]
        count = len(by_place[:1]) + len(needed)
    unknown = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name != "ctx"]
    if not 1 <= count <= most or unknown or (by_name and offered[-1] != "ctx"):
        raise PatterConfigError(
            f"the hook {name} takes other parameters than it is given",
            hint=f"it is called as {name}({', '.join(offered)}), and may leave out the last ones",
        )
    context_by_place = count == len(offered) and offered[-1] == "ctx"
    return Hook(name, function, count, by_name, by_name or context_by_place)
