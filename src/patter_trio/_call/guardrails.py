"""Guardrails: sentences that the agent must not say, and what it says instead."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import iscoroutine, iscoroutinefunction
from typing import Any

import attrs

from ..errors import PatterConfigError
from .asking import Asking

__all__ = ["Guard", "Guardrail", "check_guardrails", "guardrail"]

_SORRY = "I'm sorry, I can't respond to that."


def _terms(value: Any) -> Any:
    if isinstance(value, str | Mapping):
        raise PatterConfigError(
            f"blocked_terms must be a list of terms, not {value!r}", hint="write blocked_terms=[…]"
        )
    return tuple(value) if isinstance(value, Iterable) else value


def _check_terms(_: Any, __: Any, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, tuple) or not value:
        raise PatterConfigError(f"blocked_terms must be a list with terms in it, not {value!r}")
    for term in value:
        if not isinstance(term, str) or not term.strip():
            raise PatterConfigError(f"a blocked term must be text, not {term!r}")


def _check_name(_: Any, __: Any, value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        raise PatterConfigError(f"a guardrail needs a name, not {value!r}")


def _check_function(_: Any, __: Any, value: Any) -> None:
    if value is not None and not callable(value):
        raise PatterConfigError(f"check={value!r} is not a function")
    if iscoroutinefunction(value):
        raise PatterConfigError(
            "the check of a guardrail cannot be async",
            hint="wait for things in PipelineHooks(after_llm={'on_sentence': …}) instead",
        )


def _check_replacement(_: Any, __: Any, value: Any) -> None:
    if not isinstance(value, str):
        raise PatterConfigError(f"replacement must be text, not {value!r}")


@attrs.frozen
class Guardrail:
    """Looks at every sentence that a model wrote, before it is spoken.

    Args:
        name: what it is called in logs.
        check: a function that gets the sentence and returns whether it is blocked. One that fails blocks too:
            a sentence too few is repaired by asking again, one too many is not.
        blocked_terms: a sentence is blocked if one of these is anywhere in it, be it inside a word, whatever
            the case. A term that begins or ends with a space matches only there.
        replacement: said in place of a blocked sentence, once where several in a row are blocked; empty says
            nothing.

    Raises:
        PatterConfigError: there is neither a check nor a term, or one of them cannot be one.
    """

    name: str = attrs.field(validator=_check_name)
    check: Callable[[str], Any] | None = attrs.field(default=None, validator=_check_function)
    blocked_terms: tuple[str, ...] | None = attrs.field(
        default=None, converter=_terms, validator=_check_terms
    )
    replacement: str = attrs.field(default=_SORRY, validator=_check_replacement)
    _folded: tuple[str, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.check is None and self.blocked_terms is None:
            raise PatterConfigError(
                f"the guardrail {self.name!r} blocks nothing", hint="give it blocked_terms= or check="
            )
        object.__setattr__(self, "_folded", tuple(_fold(term) for term in self.blocked_terms or ()))

    @property
    def reach(self) -> int:
        """Length of the longest term: so much of what was said before can belong to one that ends now."""
        return max(map(len, self._folded), default=0)

    def has_term(self, sentence: str, before: str = "") -> bool:
        """Whether a term is in the sentence, or begins in what was said ``before`` and ends in it."""
        folded = _fold(sentence).strip()
        texts = [f" {folded} "]
        if before:
            texts += [f"{before} {folded} ", f"{before}{folded} "]
        return any(term in text for term in self._folded for text in texts)


def guardrail(
    name: str,
    *,
    check: Callable[[str], Any] | None = None,
    blocked_terms: Iterable[str] | None = None,
    replacement: str = _SORRY,
) -> Guardrail:
    """A :class:`Guardrail`, for those who prefer a function."""
    return Guardrail(name, check, blocked_terms, replacement)


def check_guardrails(value: Any) -> tuple[Guardrail, ...]:
    """The guardrails of an agent as a tuple; ``None`` is none.

    Raises:
        PatterConfigError: one of them is no :class:`Guardrail`.
    """
    if value is None:
        return ()
    if isinstance(value, Guardrail) or not isinstance(value, Iterable):
        raise PatterConfigError(f"guardrails must be a list, not {value!r}", hint="write guardrails=[…]")
    rails = tuple(value)
    for rail in rails:
        if not isinstance(rail, Guardrail):
            raise PatterConfigError(f"{rail!r} is not a Guardrail", hint="make one with guardrail(name, …)")
    return rails


class Guard:
    """The guardrails over one turn, sentence by sentence, in the order in which they are spoken."""

    def __init__(self, rails: Sequence[Guardrail], asking: Asking) -> None:
        self._rails = rails
        self._asking = asking
        self._reach = max((rail.reach for rail in rails), default=0)
        self._said = ""
        self._last: Guardrail | None = None

    def apply(self, sentence: str) -> tuple[str, Guardrail | None]:
        """What is said in the place of ``sentence``, and the guardrail that wanted it so."""
        for rail in self._rails:
            if rail.has_term(sentence, self._said) or self._refuses(rail, sentence):
                again, self._last, self._said = rail is self._last, rail, ""
                return "" if again else rail.replacement, rail
        self._last = None
        if self._reach:
            self._said = f"{self._said} {_fold(sentence).strip()}"[-self._reach :].lstrip()
        return sentence, None

    def _refuses(self, rail: Guardrail, sentence: str) -> bool:
        check = rail.check
        if check is None:
            return False

        def verdict(sentence: str) -> Any:
            answer = check(sentence)
            return answer if iscoroutine(answer) else bool(answer)

        # Without an answer it is refused as well: what cannot be judged is not said.
        return self._asking.now(f"the check of guardrail {rail.name!r}", verdict, sentence) is not False


def _fold(text: str) -> str:
    """The text for comparing: case and width folded, one space for any, one apostrophe for all."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", " ", re.sub("[’ʼ]", "'", folded))
