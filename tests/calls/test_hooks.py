"""Hooks between the stages: what they may change, and that none of them can break a call."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import attrs
import pytest
import trio

from patter_trio._audio import g711
from patter_trio._call.asking import Asking
from patter_trio._call.hooking import CallHooks
from patter_trio._call.hooks import HookContext, PatterDeprecationWarning, PipelineHooks
from patter_trio._turns.history import History, HistoryEntry
from patter_trio.abc import STTProvider
from patter_trio.errors import PatterConfigError
from patter_trio.events import (
    LINEAR_16K,
    MULAW_8K,
    AudioFormat,
    CallInfo,
    HearingItem,
    SpeechAudio,
    SpeechEnded,
    SpokenAudio,
    Transcript,
)

INFO = CallInfo("CA1", "+15550001", "+15550002")


def hooking(history: Any = None, **hooks: Any) -> CallHooks:
    return CallHooks(PipelineHooks(**hooks), INFO, history or History(), Asking(INFO.call_id))


@attrs.define
class Recogniser:
    """Hears, and understands nothing."""

    heard: list[HearingItem] = attrs.field(factory=list[HearingItem])
    name: str = "test"

    def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AbstractAsyncContextManager[AsyncIterable[Transcript]]:
        return self._transcribe(hearing)

    @trio.as_safe_channel
    async def _transcribe(self, hearing: AsyncIterable[HearingItem]) -> AsyncGenerator[Transcript, None]:
        async for item in hearing:
            self.heard.append(item)
        yield Transcript("done", is_final=True)


@attrs.define
class Speaker:
    """A voice that gives two pieces a sentence."""

    audio: AudioFormat = LINEAR_16K

    def speak(self, sentences: AsyncIterable[str]) -> AbstractAsyncContextManager[AsyncIterable[SpokenAudio]]:
        return self._speak(sentences)

    @trio.as_safe_channel
    async def _speak(self, sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
        async for sentence in sentences:
            yield SpokenAudio(b"\1\0", sentence)
            yield SpokenAudio(b"\2\0")
            yield SpokenAudio(b"")


@trio.as_safe_channel
async def stream(*items: Any) -> AsyncGenerator[Any, None]:
    for item in items:
        yield item


async def hear(hooks: CallHooks, *items: HearingItem, audio: AudioFormat = LINEAR_16K) -> list[HearingItem]:
    recogniser = Recogniser()
    async with (
        stream(*items) as hearing,
        hooks.around_recogniser(recogniser).transcribe(hearing, audio, INFO) as transcripts,
    ):
        assert [transcript.text async for transcript in transcripts] == ["done"]
    return recogniser.heard


async def speak(hooks: CallHooks, *sentences: str, voice: Speaker | None = None) -> list[SpokenAudio]:
    hooked = hooks.around_voice(voice or Speaker())
    async with stream(*sentences) as texts, hooked.speak(texts) as pieces:
        return [piece async for piece in pieces]


async def write(hooks: CallHooks, *deltas: str) -> list[str]:
    async with hooks.around_deltas(stream(*deltas)) as written:
        return [str(delta) async for delta in written]


# --- nothing set --------------------------------------------------------------------------------------------


async def test_hooks_that_are_not_set_cost_nothing() -> None:
    for hooks in (hooking(), CallHooks(None, INFO, History(), Asking("x"))):
        recogniser, voice, deltas, messages = Recogniser(), Speaker(), stream("a"), [{"role": "user"}]
        assert hooks.around_recogniser(recogniser) is recogniser
        assert hooks.around_voice(voice) is voice
        assert hooks.around_deltas(deltas) is deltas
        assert await hooks.messages(messages) is messages
        assert await hooks.heard("hi") == await hooks.sentence("hi") == await hooks.to_speak("hi") == "hi"
        assert not any([hooks.changes_sentences, hooks.changes_speech, hooks.holds_back_replies])
        async with deltas:
            pass


# --- each slot ----------------------------------------------------------------------------------------------


async def test_before_send_to_stt_changes_and_drops_sound_but_never_an_edge() -> None:
    hooks = hooking(before_send_to_stt=lambda audio: None if audio == b"\1\0" else audio * 2)
    items: list[HearingItem] = [
        SpeechAudio(b"\1\0", 0.0),
        SpeechAudio(b"\2\0", 0.1, speech=True),
        SpeechEnded(0.2),
    ]
    assert await hear(hooks, *items) == [SpeechAudio(b"\2\0\2\0", 0.1, speech=True), SpeechEnded(0.2)]


def test_a_hooked_recogniser_is_a_recogniser() -> None:
    recogniser = hooking(before_stt=lambda audio: audio).around_recogniser(Recogniser())
    assert isinstance(recogniser, STTProvider)
    assert recogniser.name == "test"


async def test_hooks_see_linear16_whatever_the_line_speaks() -> None:
    seen: list[bytes] = []
    sound = bytes(range(256))

    def louder(audio: bytes) -> bytes:
        seen.append(audio)
        return audio if len(seen) == 1 else bytes(len(audio))

    block = SpeechAudio(sound, 0.0)
    heard = await hear(hooking(before_send_to_stt=louder), block, block, audio=MULAW_8K)
    assert seen[0] == g711.mulaw_to_linear(sound)
    assert heard == [block, SpeechAudio(b"\xff" * 256, 0.0)]


async def test_after_transcribe_changes_the_words_or_skips_the_turn() -> None:
    hooks = hooking(after_transcribe=lambda text, ctx: None if "noise" in text else f"{ctx.caller}: {text}")
    assert await hooks.heard("hello") == "+15550001: hello"
    assert await hooks.heard("noise") is None


async def test_a_transcript_made_empty_skips_the_turn_too() -> None:
    assert await hooking(after_transcribe=lambda text: "").heard("hm") is None


async def test_before_llm_replaces_the_messages_or_keeps_them() -> None:
    messages = [{"role": "user", "content": "hi"}]

    def spoil(given: list[dict[str, str]]) -> None:
        given[0]["content"] = "spoiled"
        given.clear()

    assert await hooking(before_llm=spoil).messages(messages) is messages
    assert messages == [{"role": "user", "content": "hi"}]
    facts = {"role": "system", "content": "Open till six."}
    assert await hooking(before_llm=lambda given, ctx: [facts, *given]).messages(messages) == [
        facts,
        *messages,
    ]


async def test_on_chunk_rewrites_each_piece() -> None:
    hooks = hooking(after_llm={"on_chunk": lambda chunk: chunk.replace("um", "")})
    assert await write(hooks, "um", "brella") == ["", "brella"]
    assert not hooks.holds_back_replies


async def test_on_response_holds_the_reply_back_and_replaces_it() -> None:
    async def shout(text: str, ctx: HookContext) -> str | None:
        return text.upper() if "!" in text else None

    hooks = hooking(after_llm={"on_response": shout})
    assert hooks.holds_back_replies
    assert await write(hooks, "we ", "do!") == ["WE DO!"]
    assert await write(hooks, "we ", "do") == ["we do"]
    assert await write(hooks) == [""]


async def test_the_tiers_work_one_after_the_other() -> None:
    tiers = {"on_chunk": str.upper, "on_response": lambda text: text + "?"}
    assert await write(hooking(after_llm=tiers), "a", "b") == ["AB?"]


async def test_on_sentence_changes_keeps_and_drops() -> None:
    answers = {"a": "b", "keep": None, "drop": ""}
    hooks = hooking(after_llm={"on_sentence": lambda sentence, ctx: answers[sentence]})
    assert hooks.changes_sentences
    assert [await hooks.sentence(word) for word in answers] == ["b", "keep", ""]
    assert await hooks.sentence(" \n") == " \n"


async def test_the_tiers_may_be_attributes_of_an_object() -> None:
    class Polite:
        def __init__(self) -> None:
            self.ending = ", please"

        async def on_sentence(self, sentence: str, ctx: HookContext) -> str:
            return sentence + self.ending

    assert await hooking(after_llm=Polite()).sentence("wait") == "wait, please"


async def test_before_synthesize_changes_a_sentence_or_skips_it() -> None:
    hooks = hooking(before_synthesize=lambda text: None if text == "skip" else f"{text}\n now ")
    assert hooks.changes_speech
    assert await hooks.to_speak("stay") == "stay now"
    assert await hooks.to_speak("skip") == ""


async def test_after_synthesize_gets_the_sound_with_its_sentence() -> None:
    seen: list[tuple[bytes, str]] = []

    def louder(audio: bytes, text: str, ctx: HookContext) -> bytes | None:
        seen.append((audio, text))
        return None if text == "Two." else audio * 2

    pieces = await speak(hooking(after_synthesize=louder), "One.", "Two.")
    assert seen == [(b"\1\0", "One."), (b"\2\0", "One."), (b"\1\0", "Two."), (b"\2\0", "Two.")]
    assert [piece.audio for piece in pieces] == [b"\1\0\1\0", b"\2\0\2\0", b"", b"", b"", b""]
    assert [piece.text for piece in pieces if piece.text] == ["One.", "Two."]


async def test_after_synthesize_may_take_the_sound_alone_or_with_the_context() -> None:
    calls: list[str] = []

    def with_context(audio: bytes, ctx: HookContext) -> bytes:
        calls.append(ctx.call_id)
        return audio

    await speak(hooking(after_synthesize=with_context), "One.")
    await speak(hooking(after_synthesize=lambda audio: audio), "One.")
    assert calls == ["CA1", "CA1"]


async def test_leaving_a_hooked_stream_early_closes_what_is_below() -> None:
    closed: list[str] = []

    @trio.as_safe_channel
    async def endless() -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "x"
        finally:
            closed.append("yes")

    async with hooking(after_llm={"on_chunk": str.upper}).around_deltas(endless()) as written:
        async for delta in written:
            assert delta == "X"
            break
    assert closed == ["yes"]


# --- both names of a slot -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "slot"),
    [
        ("before_stt", "before_send_to_stt"),
        ("after_stt", "after_transcribe"),
        ("before_tts", "before_synthesize"),
        ("after_tts", "after_synthesize"),
    ],
)
def test_a_slot_has_two_names(other: str, slot: str) -> None:
    def mine(value: Any) -> Any:
        return value

    hooks = PipelineHooks(**{other: mine})
    hook = hooks.hook(slot)
    assert hook is not None
    assert hook.function is mine
    assert attrs.evolve(hooks).hook(slot) == hook
    with pytest.raises(PatterConfigError, match=f"{slot} and {other}"):
        PipelineHooks(**{other: mine, slot: lambda value: value})


# --- the context --------------------------------------------------------------------------------------------


async def test_the_context_is_frozen_and_shows_the_conversation_so_far() -> None:
    contexts: list[HookContext] = []

    def remember(text: str, ctx: HookContext) -> str:
        contexts.append(ctx)
        return text

    history = History()
    hooks = hooking(history, after_transcribe=remember)
    history.add(HistoryEntry("assistant", "Hello!", 1.5))
    await hooks.heard("a")
    await hooks.heard("b")
    history.add(HistoryEntry("user", "a", 2.5))
    await hooks.heard("c")
    first, same, later = contexts
    assert first == HookContext(
        "CA1", "+15550001", "+15550002", ({"role": "assistant", "text": "Hello!", "timestamp": 1.5},)
    )
    assert same is first, "not made anew for every block of sound"
    assert [entry["text"] for entry in later.history] == ["Hello!", "a"]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.caller = "x"  # type: ignore[misc]


class Called:
    def __call__(self, text: str) -> str:
        return text + "!"

    def method(self, text: str, ctx: HookContext) -> str:
        return text + ctx.call_id


def by_default(text: str, table: str = "!", ctx: HookContext | None = None) -> str:
    return text + table + (ctx.call_id if ctx else "?")


def by_name(text: str, *, ctx: HookContext) -> str:
    return text + ctx.call_id


def any_parameters(*given: Any) -> str:
    return f"{given[0]}{given[1].call_id}"


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda text: text + "!", "a!"),
        (lambda text, suffix="!": text + suffix, "a!"),
        (lambda text, context: text + context.call_id, "aCA1"),
        (by_default, "a!CA1"),
        (by_name, "aCA1"),
        (any_parameters, "aCA1"),
        (Called(), "a!"),
        (Called().method, "aCA1"),
        (str.upper, "A"),
        (str, "a"),
    ],
)
async def test_a_hook_gets_what_it_has_parameters_for(function: Callable[..., str], expected: str) -> None:
    assert await hooking(before_synthesize=function).to_speak("a") == expected


# --- none of them can break a call --------------------------------------------------------------------------


def raises(*_: Any) -> Any:
    raise ValueError("broken")


async def raises_later(*_: Any) -> Any:
    await trio.lowlevel.checkpoint()
    raise ExceptionGroup("several", [ValueError("broken")])


async def hangs(*_: Any) -> Any:
    await trio.sleep_forever()


def nonsense(*_: Any) -> Any:
    return 7


BROKEN = [raises, raises_later, hangs, nonsense]


async def ask_everything(hooks: CallHooks) -> None:
    """Every slot gives its original."""
    messages = [{"role": "user", "content": "hi"}]
    assert await hear(hooks, SpeechAudio(b"\1\0", 0.0)) == [SpeechAudio(b"\1\0", 0.0)]
    assert await hooks.heard("hi") == "hi"
    assert await hooks.messages(messages) is messages
    assert await hooks.sentence("hi") == "hi"
    assert await write(hooks, "a", "b") == ["ab"]
    assert await hooks.to_speak("hi") == "hi"
    assert [piece.audio for piece in await speak(hooks, "Hi.")] == [b"\1\0", b"\2\0", b""]


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_hook_is_passed_over_and_told_once_a_slot(
    broken: Any, caplog: pytest.LogCaptureFixture, autojump_clock: trio.testing.MockClock
) -> None:
    slots = ["before_send_to_stt", "after_transcribe", "before_llm", "before_synthesize", "after_synthesize"]
    tiers = ["on_sentence", "on_response", *(["on_chunk"] if broken in (raises, nonsense) else [])]
    hooks = hooking(**dict.fromkeys(slots, broken), after_llm=dict.fromkeys(tiers, broken))
    with caplog.at_level(logging.WARNING, "patter_trio.callbacks"):
        for _ in range(3):
            await ask_everything(hooks)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(slots) + len(tiers)
    for name in slots + tiers:
        assert sum(f"the hook {name} " in line and "CA1" in line for line in said) == 1


async def test_an_asynchronous_on_chunk_in_disguise_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert await write(hooking(after_llm={"on_chunk": lambda chunk: hangs(chunk)}), "a") == ["a"]
    assert "asynchronous" in caplog.text


@pytest.mark.parametrize("gave", [[], "text", [1], [{"content": "no role"}], {"role": "user"}])
async def test_messages_that_are_none_are_passed_over(gave: Any, caplog: pytest.LogCaptureFixture) -> None:
    messages = [{"role": "user", "content": "hi"}]
    assert await hooking(before_llm=lambda given: gave).messages(messages) is messages
    assert "list of messages" in caplog.text


async def test_half_a_sample_is_passed_over() -> None:
    hooks = hooking(before_send_to_stt=lambda audio: audio + b"x")
    assert await hear(hooks, SpeechAudio(b"\1\0", 0.0)) == [SpeechAudio(b"\1\0", 0.0)]


async def test_a_hook_that_hung_on_the_way_of_the_sound_is_not_asked_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    hooks = hooking(before_send_to_stt=hangs)
    began = trio.current_time()
    await hear(hooks, *(SpeechAudio(b"\1\0", n * 0.06) for n in range(100)))
    assert trio.current_time() - began < 0.5


@pytest.mark.parametrize(
    ("slot", "least", "most"), [("after_transcribe", 2.0, 3.5), ("before_llm", 2.0, 5.5)]
)
async def test_a_hook_may_take_its_time_but_not_for_ever(
    slot: str, least: float, most: float, autojump_clock: trio.testing.MockClock
) -> None:
    async def slow(value: Any) -> Any:
        await trio.sleep(least)
        return None

    async def ask(hooks: CallHooks) -> Any:
        if slot == "after_transcribe":
            return await hooks.heard("hi")
        return await hooks.messages([{"role": "user", "content": "hi"}])

    began = trio.current_time()
    answer = await ask(hooking(**{slot: slow}))
    assert trio.current_time() - began == pytest.approx(least)
    assert answer == (None if slot == "after_transcribe" else [{"role": "user", "content": "hi"}])
    began = trio.current_time()
    await ask(hooking(**{slot: hangs}))
    assert trio.current_time() - began <= most


async def test_a_hook_that_is_running_is_cancelled_with_its_turn(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    with trio.move_on_after(0.1) as turn:
        await hooking(before_synthesize=hangs).to_speak("hi")
    assert turn.cancelled_caught
    assert not caplog.records


# --- settings -----------------------------------------------------------------------------------------------


def test_a_function_as_after_llm_is_deprecated_and_taken_for_on_response() -> None:
    with pytest.warns(PatterDeprecationWarning, match="on_response") as warned:
        hooks = PipelineHooks(after_llm=lambda text, ctx: text.upper())
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert hooks.hook("on_response") is not None
    assert hooks.hook("on_sentence") is None


async def test_a_deprecated_function_still_works() -> None:
    with pytest.warns(PatterDeprecationWarning):
        hooks = hooking(after_llm=lambda text, ctx: text.upper())
    assert await write(hooks, "a", "b") == ["AB"]


async def async_chunk(chunk: str) -> str:
    return chunk


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"before_llm": 7}, "before_llm=7 is not a function"),
        ({"before_llm": lambda: None}, "called as before_llm\\(messages, ctx\\)"),
        ({"before_llm": lambda a, b, c: None}, "other parameters"),
        (
            {"before_llm": by_name, "after_synthesize": lambda a, b, c, d: None},
            "after_synthesize\\(audio, text, ctx",
        ),
        ({"after_tts": 7}, "after_synthesize=7"),
        ({"after_llm": {}}, "on_chunk, on_sentence, on_response"),
        ({"after_llm": {"on_token": str}}, "no tier 'on_token'"),
        ({"after_llm": 7}, "no tier"),
        ({"after_llm": {"on_sentence": "x"}}, "on_sentence='x' is not a function"),
        ({"after_llm": {"on_chunk": async_chunk}}, "on_chunk cannot be async"),
        ({"after_llm": {"on_chunk": lambda chunk, ctx: chunk}}, "on_chunk\\(chunk\\)"),
        ({"after_llm": {"on_sentence": lambda s, *, mode: s}}, "other parameters"),
    ],
)
def test_hooks_that_cannot_work_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PatterConfigError, match=complaint):
        PipelineHooks(**settings)


def test_a_slot_that_does_not_exist_is_refused() -> None:
    wrong: Sequence[str] = ["before_tool"]
    with pytest.raises(TypeError):
        PipelineHooks(**dict.fromkeys(wrong, str))
