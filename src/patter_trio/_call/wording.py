"""Wording: what becomes of a sentence between the model and the voice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from inspect import iscoroutinefunction
from typing import Any

from .._text.speakable import speakable
from ..errors import PatterConfigError
from .asking import NO_ANSWER, Asking
from .guardrails import Guard, Guardrail
from .hooking import CallHooks

__all__ = ["Reword", "check_transforms", "transform", "wording"]

Reword = Callable[[str], Awaitable[str]]
"""Takes a sentence as it was written; gives what is spoken of it, or nothing."""


def check_transforms(value: Any) -> tuple[Callable[[str], str], ...]:
    """The text transforms of an agent as a tuple; ``None`` is none.

    Raises:
        PatterConfigError: one of them is no function, or has to be waited for.
    """
    if value is None:
        return ()
    if callable(value) or isinstance(value, str) or not isinstance(value, Iterable):
        raise PatterConfigError(
            f"text_transforms must be a list of functions, not {value!r}", hint="write text_transforms=[…]"
        )
    transforms = tuple(value)
    for function in transforms:
        if not callable(function):
            raise PatterConfigError(f"the text transform {function!r} is not a function")
        if iscoroutinefunction(function):
            raise PatterConfigError(
                f"the text transform {_name(function)} cannot be async",
                hint="wait for things in PipelineHooks(after_llm={'on_sentence': …}) instead",
            )
    return transforms


def transform(sentence: str, transforms: Sequence[Callable[[str], str]], asking: Asking) -> str:
    """The sentence after all transforms; one that fails is passed over."""
    for function in transforms:
        what = f"the text transform {_name(function)}"
        changed = asking.now(what, function, sentence)
        if isinstance(changed, str):
            sentence = changed
        elif changed is not NO_ANSWER:
            asking.no_answer(what, f"{what} gave {type(changed).__name__} where text was expected")
    return sentence


def wording(
    hooks: CallHooks,
    transforms: Sequence[Callable[[str], str]],
    rails: Sequence[Guardrail],
    asking: Asking,
    *,
    written: bool,
    on_blocked: Callable[[Guardrail], None] | None = None,
) -> Reword | None:
    """The way of a turn's sentences; ``None`` if nothing stands on it but :func:`speakable`.

    In order: ``after_llm.on_sentence``, the transforms, what can be spoken, the guardrails, and
    ``before_synthesize``: a guardrail judges what would be heard, and the last word is the developer's own.

    Args:
        hooks: those of the call.
        transforms: the agent's text transforms.
        rails: the agent's guardrails.
        asking: asks the transforms and the checks.
        written: whether a model (or ``on_message``) writes the sentences: only those go through
            ``on_sentence`` and the guardrails, fixed words such as the greeting do not.
        on_blocked: called with each guardrail that blocks a sentence.
    """
    changes = written and hooks.changes_sentences
    guard = Guard(rails, asking) if written and rails else None
    if not (changes or transforms or guard or hooks.changes_speech):
        return None

    async def reword(sentence: str) -> str:
        if changes:
            sentence = await hooks.sentence(sentence)
        spoken = speakable(transform(sentence, transforms, asking))
        if guard is not None and spoken:
            spoken, blocked = guard.apply(spoken)
            if blocked is not None and on_blocked is not None:
                on_blocked(blocked)
        return await hooks.to_speak(spoken) if spoken else ""

    return reword


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
