from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from patter_trio.abc import LLMProvider, STTProvider, TTSProvider, VADProvider
from patter_trio.errors import LanguageModelError, PatterConfigError, RecognizerError, VoiceError
from patter_trio.events import (
    LINEAR_8K,
    LINEAR_16K,
    MULAW_8K,
    AudioFormat,
    CallInfo,
    HearingItem,
    LLMChunk,
    Message,
    SpeechAudio,
    SpeechEnded,
    SpokenAudio,
    Transcript,
)
from patter_trio.testing import (
    Reply,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    ToolUse,
    WordReader,
    run_virtual,
    speak_words,
)
from patter_trio.testing.wordsound import join_words

CALL = CallInfo("call-1")
ASK: Sequence[Message] = [{"role": "user", "content": "When are you open?"}]


def test_they_fit_the_protocols() -> None:
    assert isinstance(ScriptedSTT(), STTProvider)
    assert isinstance(ScriptedLLM(["yes"]), LLMProvider)
    assert isinstance(ScriptedTTS(), TTSProvider)
    assert isinstance(ScriptedVAD(), VADProvider)


# --- the recogniser -----------------------------------------------------------------------------------------


async def hear(stt: ScriptedSTT, items: Sequence[HearingItem]) -> list[tuple[float, Transcript]]:
    """Transcripts with their times, for items that come at their media time."""
    outlet, inlet = trio.open_memory_channel[HearingItem](0)
    heard: list[tuple[float, Transcript]] = []

    async def speak() -> None:
        async with outlet:
            for item in items:
                await trio.sleep_until(item.at)
                await outlet.send(item)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak)
        async with stt.transcribe(inlet, MULAW_8K, CALL) as transcripts:
            async for transcript in transcripts:
                heard.append((trio.current_time(), transcript))
        nursery.cancel_scope.cancel()
    return heard


def spoken(text: str, at: float = 0.0) -> list[HearingItem]:
    sound = speak_words(text, words_per_second=2.5)
    return [SpeechAudio(sound[start : start + 320], at + start / 8000) for start in range(0, len(sound), 320)]


def test_interims_follow_words_and_the_final_the_end_of_speech() -> None:
    heard = run_virtual(hear, ScriptedSTT(delay=0.3), [*spoken("two words"), SpeechEnded(0.9)])
    assert [(transcript.text, transcript.is_final) for _, transcript in heard] == [
        ("two", False),
        ("two words", False),
        ("two words", True),
    ]
    at, final = heard[-1]
    assert at == pytest.approx(1.2)
    assert final.from_finalize
    assert [word.text for word in final.words] == ["two", "words"]
    assert [word.start for word in final.words] == pytest.approx([0.0, 0.4])
    assert [word.end for word in final.words] == pytest.approx([0.4, 0.8])


def test_the_recogniser_goes_on_hearing_while_a_final_is_on_its_way() -> None:
    items = [*spoken("one"), SpeechEnded(0.41), *spoken("two", at=0.5), SpeechEnded(1.0)]
    heard = run_virtual(hear, ScriptedSTT(delay=2.0, interim=False), items)
    assert [(round(at, 2), transcript.text) for at, transcript in heard] == [(2.41, "one"), (3.0, "two")]


def test_the_end_of_the_hearing_gives_what_was_left() -> None:
    heard = run_virtual(hear, ScriptedSTT(interim=False), spoken("last words"))
    assert [(transcript.text, transcript.from_finalize) for _, transcript in heard] == [("last words", False)]


def test_a_deaf_recogniser_says_nothing() -> None:
    assert run_virtual(hear, ScriptedSTT(deaf=True), [*spoken("hello"), SpeechEnded(1.0)]) == []


def test_a_connection_breaks_as_often_as_the_script_says() -> None:
    stt = ScriptedSTT(fail_after=0.2, failures=2)
    for _ in range(2):
        with pytest.raises(ExceptionGroup) as caught:  # the group is of the nursery above
            run_virtual(hear, stt, spoken("hello there"))
        assert caught.group_contains(RecognizerError, depth=1)
    assert run_virtual(hear, stt, spoken("hello there"))[-1][1].text == "hello there"
    assert (stt.record.connections, stt.record.failures, stt.record.open_connections) == (3, 2, 0)


def test_a_recogniser_that_cannot_read_the_format_says_so() -> None:
    async def listen() -> None:
        inlet = trio.open_memory_channel[HearingItem](0)[1]
        async with ScriptedSTT().transcribe(inlet, LINEAR_16K, CALL):
            raise AssertionError("it was entered")

    with pytest.raises(PatterConfigError, match="8 kHz"):
        run_virtual(listen)


# --- the model ----------------------------------------------------------------------------------------------


async def answer(llm: ScriptedLLM, messages: Sequence[Message] = ASK) -> list[LLMChunk]:
    async with llm.stream(messages, call_id="call-1") as chunks:
        return [chunk async for chunk in chunks]


def test_tokens_come_at_their_pace() -> None:
    llm = ScriptedLLM(["We open at nine."], first_token_delay=0.5, token_delay=0.1)

    async def listen() -> list[tuple[float, str]]:
        async with llm.stream(ASK) as chunks:
            return [(round(trio.current_time(), 3), chunk.content) async for chunk in chunks if chunk.content]

    assert run_virtual(listen) == [(0.5, "We "), (0.6, "open "), (0.7, "at "), (0.8, "nine.")]


def test_the_last_reply_answers_every_further_request() -> None:
    llm = ScriptedLLM(["one", "two"])
    texts = [run_virtual(answer, llm)[0].content for _ in range(3)]
    assert texts == ["one", "two", "two"]
    with pytest.raises(PatterConfigError):
        ScriptedLLM([])


def test_a_function_sees_the_messages_and_they_are_kept() -> None:
    llm = ScriptedLLM(lambda messages: f"you said {messages[-1]['content']}")
    messages: list[dict[str, str]] = [{"role": "user", "content": "hello"}]
    chunks = run_virtual(answer, llm, messages)
    messages[0]["content"] = "changed afterwards"
    assert "".join(chunk.content for chunk in chunks) == "you said hello"
    assert llm.requests[0].messages == ({"role": "user", "content": "hello"},)
    assert [chunk.type for chunk in chunks[-2:]] == ["usage", "done"]


def test_tool_calls_follow_the_text() -> None:
    llm = ScriptedLLM(
        [Reply("One moment.", tools=[ToolUse("book", {"day": "Monday"}), ToolUse("broken", "{")])]
    )
    tools = [chunk for chunk in run_virtual(answer, llm) if chunk.type == "tool_call"]
    assert [(tool.index, tool.name, tool.arguments) for tool in tools] == [
        (0, "book", '{"day": "Monday"}'),
        (1, "broken", "{"),
    ]
    assert tools[0].id != tools[1].id


@pytest.mark.parametrize(("fails_at", "tokens"), [(0, 0), (2, 2), (3, 3)])
def test_an_answer_breaks_at_its_token(fails_at: int, tokens: int) -> None:
    llm = ScriptedLLM([Reply("We open at", fails_at=fails_at)])
    with pytest.raises(LanguageModelError):
        run_virtual(answer, llm)
    assert (llm.requests[0].tokens, llm.requests[0].outcome) == (tokens, "failed")


@given(st.floats(0.0, 1.5))
def test_an_answer_that_is_left_counts_as_cancelled(after: float) -> None:
    llm = ScriptedLLM(["We open at nine."], first_token_delay=0.5, token_delay=0.5)

    async def leave() -> None:
        with trio.move_on_after(after):
            async with llm.stream(ASK) as chunks:
                async for _chunk in chunks:
                    assert llm.open_streams == 1

    run_virtual(leave)
    assert llm.open_streams == 0
    # One that is left before it was first asked for a chunk has never become a request.
    assert llm.cancelled_streams == len(llm.requests) <= 1


# --- the voice ----------------------------------------------------------------------------------------------


async def speak(
    tts: ScriptedTTS, sentences: Sequence[str], audio: AudioFormat = MULAW_8K
) -> list[tuple[float, SpokenAudio]]:
    outlet, inlet = trio.open_memory_channel[str](len(sentences))
    for sentence in sentences:
        outlet.send_nowait(sentence)
    outlet.close()
    async with tts.open_voice(audio, CALL) as voice, voice.speak(inlet) as sound:
        return [(trio.current_time(), piece) async for piece in sound]


def test_a_voice_speaks_what_it_is_given_in_the_carriers_format() -> None:
    for audio in (MULAW_8K, LINEAR_8K):
        pieces = run_virtual(speak, ScriptedTTS(), ["Good morning.", "How are you?"], audio)
        heard = WordReader(audio).feed(b"".join(piece.audio for _, piece in pieces))
        assert join_words(heard) == "Good morning. How are you?"
        assert [piece.text for _, piece in pieces if piece.text] == ["Good morning.", "How are you?"]
        assert [word.text for word in pieces[0][1].words] == ["Good", "morning."]


def test_another_format_is_answered_in_mulaw() -> None:
    async def ask() -> AudioFormat:
        async with ScriptedTTS().open_voice(LINEAR_16K, CALL) as voice:
            return voice.audio

    assert run_virtual(ask) == MULAW_8K
    with pytest.raises(PatterConfigError):
        ScriptedTTS(audio=LINEAR_16K)


def test_sound_comes_as_fast_as_the_script_says() -> None:
    pieces = run_virtual(speak, ScriptedTTS(delay=0.4, realtime_factor=2, words_per_second=2), ["one two"])
    assert pieces[0][0] == pytest.approx(0.45)
    assert pieces[-1][0] == pytest.approx(0.4 + 0.5)


def test_each_turn_has_a_serial_of_its_own() -> None:
    serials: set[int] = set()
    tts, other = ScriptedTTS(), ScriptedTTS(name="fallback")
    for voice in (tts, tts, other):
        sound = b"".join(piece.audio for _, piece in run_virtual(speak, voice, ["yes"]))
        serials |= {word.serial for word in WordReader().feed(sound)}
    assert len(serials) == 3


def test_a_voice_breaks_at_its_sentence() -> None:
    tts = ScriptedTTS(fails_at=1)
    with pytest.raises(VoiceError):
        run_virtual(speak, tts, ["one.", "two."])
    assert tts.record.sentences == ["one."]
    assert (tts.record.failures, tts.record.open_turns, tts.record.open_voices) == (1, 0, 0)
    assert run_virtual(speak, tts, ["one.", "two."])


def test_a_turn_that_is_left_counts_as_cancelled() -> None:
    tts = ScriptedTTS()

    async def leave() -> None:
        outlet, inlet = trio.open_memory_channel[str](1)
        async with outlet, tts.open_voice(MULAW_8K, CALL) as voice, voice.speak(inlet) as sound:
            await outlet.send("a sentence with some words")
            async for _piece in sound:
                break

    run_virtual(leave)
    assert (tts.record.turns, tts.record.cancelled_turns, tts.record.open_turns) == (1, 1, 0)


# --- the detector -------------------------------------------------------------------------------------------


def test_loud_is_speech_and_quiet_is_not() -> None:
    detector = ScriptedVAD(loudness=500).open_detector(8000)
    assert detector.feed((600).to_bytes(2, "little") * 160 + bytes(319)) == [1.0]
    assert detector.feed(bytes(1)) == [0.0]
    with pytest.raises(PatterConfigError):
        ScriptedVAD(window=0.0).open_detector(8000)
