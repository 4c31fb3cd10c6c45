"""What becomes of a sentence between the model and the voice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from patter_trio._call.asking import Asking
from patter_trio._call.guardrails import Guardrail
from patter_trio._call.hooking import CallHooks
from patter_trio._call.hooks import PipelineHooks
from patter_trio._call.wording import Reword, check_transforms, wording
from patter_trio._text.speakable import filter_emoji, filter_for_tts
from patter_trio._turns.history import History
from patter_trio.errors import PatterConfigError
from patter_trio.events import CallInfo


def way(
    transforms: Sequence[Callable[[str], str]] = (),
    rails: Sequence[Guardrail] = (),
    *,
    written: bool = True,
    on_blocked: Callable[[Guardrail], None] | None = None,
    **hooks: Any,
) -> Reword | None:
    asking = Asking("CA1")
    call_hooks = CallHooks(PipelineHooks(**hooks), CallInfo("CA1"), History(), asking)
    return wording(call_hooks, transforms, rails, asking, written=written, on_blocked=on_blocked)


async def through(sentence: str, *args: Any, **kwargs: Any) -> str:
    reword = way(*args, **kwargs)
    assert reword is not None
    return await reword(sentence)


def test_where_nothing_is_set_there_is_no_way() -> None:
    assert way() is None
    assert way(rails=[Guardrail("x", bool)], after_llm={"on_sentence": str}, written=False) is None
    assert way(after_llm={"on_chunk": str}) is None


async def test_the_steps_come_in_order() -> None:
    steps: list[str] = []

    def step(name: str) -> Callable[[str], str]:
        def note(sentence: str) -> str:
            steps.append(f"{name}: {sentence}")
            return sentence + name

        return note

    rail = Guardrail("x", lambda sentence: steps.append(f"rail: {sentence}"))
    said = await through(
        " **Hi**",
        [step("1"), step("2")],
        [rail],
        after_llm={"on_sentence": step("s")},
        before_synthesize=step("b"),
    )
    assert steps == ["s:  **Hi**", "1:  **Hi**s", "2:  **Hi**s1", "rail: His12", "b: His12"]
    assert said == "His12b"


async def test_a_guardrail_judges_what_would_be_heard() -> None:
    rail = Guardrail("x", blocked_terms=["badword"], replacement="Sorry.")
    assert await through("A b**ad**word.", [], [rail]) == "Sorry."
    assert await through("A good word.", [lambda text: text.replace("good ", "bad")], [rail]) == "Sorry."
    assert await through("A badword.", [lambda text: text.replace("bad", "good")], [rail]) == "A goodword."


async def test_who_blocked_is_told() -> None:
    blocked: list[str] = []
    rail = Guardrail("x", blocked_terms=["bad"])
    reword = way([], [rail], on_blocked=lambda rail: blocked.append(rail.name))
    assert reword is not None
    for sentence in ("good", "bad", "bad"):
        await reword(sentence)
    assert blocked == ["x", "x"]


async def test_fixed_words_skip_what_is_meant_for_the_model() -> None:
    def refuse(_: str) -> str:
        raise AssertionError("not asked")

    said = await through(
        "Hello!",
        [str.upper],
        [Guardrail("x", refuse)],
        written=False,
        after_llm={"on_sentence": refuse},
        before_synthesize=lambda text: text + "?",
    )
    assert said == "HELLO!?"


async def test_a_dropped_sentence_goes_no_further() -> None:
    asked: list[str] = []
    rail = Guardrail("x", asked.append)
    assert await through("Hi.", [], [rail], after_llm={"on_sentence": lambda _: ""}) == ""
    assert await through("😀", [filter_emoji], [rail]) == ""
    assert asked == []


async def test_a_sentence_replaced_by_nothing_is_not_offered_to_the_voice() -> None:
    asked: list[str] = []
    rail = Guardrail("x", blocked_terms=["bad"], replacement="")
    assert await through("bad", [], [rail], before_synthesize=asked.append) == ""
    assert asked == []


def breaks(_: str) -> str:
    raise ValueError("broken")


async def test_a_transform_that_fails_is_passed_over_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    not_text: Any = len
    reword = way([breaks, str.upper, not_text])
    assert reword is not None
    with caplog.at_level(logging.WARNING):
        assert [await reword("a"), await reword("b")] == ["A", "B"]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "transform breaks" in told[0]
    assert "transform len gave int" in told[1]


async def waits(text: str) -> str:
    return text


@pytest.mark.parametrize("value", [str.upper, "x", 7, ["x"], [waits]])
def test_transforms_that_cannot_work_are_refused(value: Any) -> None:
    with pytest.raises(PatterConfigError, match="transform"):
        check_transforms(value)


def test_the_filters_are_transforms() -> None:
    assert check_transforms([filter_emoji, filter_for_tts]) == (filter_emoji, filter_for_tts)
    assert check_transforms(None) == ()
