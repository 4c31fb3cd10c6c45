"""OpenAI Realtime: its settings on the wire, its sessions, and the far end judged by the vendor's client."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

import patter_trio.engines.openai as namespaced
from patter_trio._net.websocket import WebSocket
from patter_trio.abc import Engine, EngineRequest, EngineSession, EngineSound
from patter_trio.engines import OpenAIRealtime, OpenAIRealtime2
from patter_trio.errors import (
    AuthenticationError,
    LanguageModelError,
    PatterConfigError,
    PatterConnectionError,
    RateLimitError,
    VoiceError,
)
from patter_trio.events import (
    MULAW_8K,
    AudioFormat,
    CallInfo,
    LLMChunk,
    SpeechAudio,
    SpeechEnded,
    SpeechStarted,
)
from patter_trio.testing.wordsound import WordReader, join_words, speak_words

from . import realtime_endpoint
from .realtime_endpoint import Calls, Dies, Fails, RealtimeEndpoint, speak_evenly

CALL = CallInfo("CA1")


@pytest.fixture
def endpoint() -> Iterator[RealtimeEndpoint]:
    with RealtimeEndpoint().reached() as far:
        yield far


@asynccontextmanager
async def opened(
    engine: Any = None, audio: AudioFormat = MULAW_8K, **more: Any
) -> AsyncIterator[EngineSession]:
    engine = engine or OpenAIRealtime(api_key="sk-test")
    async with engine.open_session(audio, CALL, **more) as session:
        yield session


async def say(session: EngineSession, text: str) -> None:
    sound = speak_words(text)
    await session.hear(SpeechAudio(sound[:480], 0.0))
    await session.hear(SpeechStarted(0.0))
    for start in range(480, len(sound), 480):
        await session.hear(SpeechAudio(sound[start : start + 480], start / 8000, True))
    await session.hear(SpeechEnded(len(sound) / 8000))


async def answer(
    session: EngineSession, request: EngineRequest | None = None
) -> tuple[str, bytes, list[LLMChunk]]:
    chunks, sound = list[LLMChunk](), b""
    async with session.respond(request or EngineRequest()) as pieces:
        async for piece in pieces:
            if isinstance(piece, EngineSound):
                sound += piece.audio
            else:
                chunks.append(piece)
    return "".join(chunk.content for chunk in chunks if chunk.type == "text"), sound, chunks


async def _hangs(_: Any) -> None:
    await trio.sleep_forever()


# --- settings -----------------------------------------------------------------------------------------------

ON_THE_WIRE: dict[str, tuple[Any, tuple[str, ...], Any]] = {
    "voice": ("marin", ("audio", "output", "voice"), "marin"),
    "reasoning_effort": ("low", ("reasoning", "effort"), "low"),
    "input_audio_transcription_model": (
        "gpt-realtime-whisper",
        ("audio", "input", "transcription", "model"),
        None,
    ),
    "transcription_language": ("de", ("audio", "input", "transcription", "language"), "de"),
    "noise_reduction": ("far_field", ("audio", "input", "noise_reduction", "type"), "far_field"),
    "speed": (1.2, ("audio", "output", "speed"), 1.2),
    "max_output_tokens": (512, ("max_output_tokens",), 512),
}
DEFAULTS = {
    ("audio", "output", "voice"): "alloy",
    ("audio", "input", "transcription", "model"): "gpt-transcribe",
    ("audio", "input", "noise_reduction"): None,
    ("audio", "input", "turn_detection"): None,
    ("audio", "input", "format"): {"type": "audio/pcmu"},
    ("audio", "output", "format"): {"type": "audio/pcmu"},
    ("max_output_tokens",): "inf",
    ("output_modalities",): ["audio"],
    ("type",): "realtime",
}


def at(config: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        config = config[name]
    return config


@pytest.mark.parametrize("name", ON_THE_WIRE)
async def test_each_setting_reaches_the_wire(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock, name: str
) -> None:
    value, path, expected = ON_THE_WIRE[name]
    settings: dict[str, Any] = {"api_key": "sk-test", name: value}
    async with opened(OpenAIRealtime(**settings)):
        pass
    assert at(endpoint.of("session.update")[0]["session"], path) == (value if expected is None else expected)


async def test_what_is_said_without_any_settings(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    async with opened():
        pass
    session = endpoint.of("session.update")[0]["session"]
    for path, expected in DEFAULTS.items():
        assert at(session, path) == expected, path
    assert "reasoning" not in session
    (far,) = endpoint.sessions
    assert far.path == "/v1/realtime?model=gpt-realtime-mini"
    assert far.headers["authorization"] == "Bearer sk-test"
    assert "openai-beta" not in far.headers


@pytest.mark.parametrize(
    ("engine", "model"),
    [
        (partial(OpenAIRealtime, model="gpt-realtime-2.1"), "gpt-realtime-2.1"),
        (OpenAIRealtime2, "gpt-realtime-2"),
    ],
)
async def test_the_model_and_the_address_are_in_the_url(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock, engine: Any, model: str
) -> None:
    for base in ("http://proxy.test/ai/", "ws://proxy.test/ai"):
        async with opened(engine(api_key="k", base_url=base)):
            pass
        assert endpoint.addresses[-1] == f"ws://proxy.test/ai/realtime?model={model}"
        assert endpoint.sessions[-1].path == f"/ai/realtime?model={model}"


def test_names() -> None:
    assert namespaced.Realtime is OpenAIRealtime
    assert namespaced.Realtime2 is OpenAIRealtime2
    assert isinstance(OpenAIRealtime(api_key="k"), Engine)
    assert isinstance(OpenAIRealtime2(api_key="k"), OpenAIRealtime)


def test_the_key_comes_from_the_environment_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\n")
    engine = OpenAIRealtime()
    assert engine.api_key == "sk-secret"
    assert "secret" not in repr(engine)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(PatterConfigError, match="OPENAI_API_KEY"):
        OpenAIRealtime()


@pytest.mark.parametrize(
    "wrong",
    [
        {"voice": ""},
        {"model": ""},
        {"model": "a b"},
        {"reasoning_effort": "much"},
        {"input_audio_transcription_model": ""},
        {"transcription_language": 7},
        {"noise_reduction": "all"},
        {"speed": 2.0},
        {"max_output_tokens": 0},
        {"base_url": "nowhere"},
        {"connect_timeout": 0},
        {"api_key": "ключ"},
    ],
)
def test_what_cannot_be_right_is_refused_when_it_is_written_down(wrong: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        OpenAIRealtime(**{"api_key": "k", **wrong})


# --- sessions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("invalid_api_key", AuthenticationError),
        ("model_not_found", PatterConfigError),
        ("unknown_parameter", PatterConfigError),
        ("insufficient_quota", RateLimitError),
        ("session_expired", PatterConnectionError),
    ],
)
async def test_a_session_that_is_refused_says_why(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock, code: str, error: type[Exception]
) -> None:
    endpoint.refuses = code
    with pytest.raises(error, match=code):
        async with opened():
            pass


async def test_a_far_end_that_never_greets_is_given_up(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realtime_endpoint.Session, "run", _hangs)
    with pytest.raises(PatterConnectionError, match="2 s"):
        async with opened(OpenAIRealtime(api_key="k", connect_timeout=2)):
            pass
    assert trio.current_time() == pytest.approx(2.0)


async def test_the_caller_is_heard_and_answered(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    endpoint.answers = ["We open at eight."]
    async with opened() as session:
        await say(session, "When do you open?")
        assert session.commit()
        text, sound, chunks = await answer(session)
        assert (await anext(session)).text == "When do you open?"
    assert text == "We open at eight."
    assert join_words(WordReader().feed(sound)) == text
    (usage,) = [chunk for chunk in chunks if chunk.type == "usage"]
    assert (usage.input_tokens, usage.output_tokens) == (20, 10)
    assert chunks[-1].type == "done"


async def test_silence_is_not_sent(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    async with opened() as session:
        for number in range(100):
            await session.hear(SpeechAudio(b"\xff" * 480, number * 0.06))
        assert not session.commit()
        await trio.sleep(1.0)
        assert endpoint.sessions[0].sound_bytes == 0
        await say(session, "Hello?")
        session.commit()
        await trio.sleep(1.0)
    # The word, and half a second of the silence before it, for the consonant that no detector hears.
    assert len(speak_words("Hello?")) < endpoint.sessions[0].sound_bytes <= len(speak_words("Hello?")) + 4480


async def test_words_come_in_the_order_of_what_was_said(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    async with opened() as session:
        endpoint.words_after = 2.0
        await say(session, "First.")
        session.commit()
        await trio.sleep(0.1)
        endpoint.words_after = 0.1
        await say(session, "Second.")
        session.commit()
        session.finish()
        assert [transcript.text async for transcript in session] == ["First.", "Second."]


async def test_a_noise_is_forgotten(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    async with opened() as session:
        await say(session, "Hm.")
        session.forget()
        assert not session.commit()
        await say(session, "Hello?")
        session.commit()
        assert (await anext(session)).text == "Hello?"


async def test_leaving_a_response_stops_it_and_the_next_one_waits_for_that(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    endpoint.answers = ["one two three four five six seven", "Next."]
    async with opened() as session:
        async with session.respond(EngineRequest()) as pieces:
            async for piece in pieces:
                if isinstance(piece, EngineSound):
                    break
        text, sound, _ = await answer(session)
    assert text == "Next."
    assert join_words(WordReader().feed(sound)) == "Next.", "nothing of the first one is late"
    assert len(endpoint.of("response.cancel")) == 1


async def test_a_response_left_before_it_began_is_stopped_too(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    endpoint.answers = ["Old.", "New."]
    async with opened() as session:
        async with session.respond(EngineRequest()):
            pass
        text, _, _ = await answer(session)
    assert text == "New."


async def test_a_response_is_asked_for_again_where_another_one_still_runs(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    endpoint.answers = ["Later."]
    async with opened() as session:
        far = endpoint.sessions[0]
        far._active = trio.CancelScope()

        async def free() -> None:
            await trio.sleep(0.5)
            far._active = None
            await far.send("response.done", response=realtime_endpoint._response("resp_x", "completed"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(free)
            text, _, _ = await answer(session)
    assert text == "Later."
    assert len(endpoint.of("response.create")) == 2


async def test_a_failed_response_is_an_error_of_the_model(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    endpoint.answers = [Fails("insufficient_quota"), "Better."]
    async with opened() as session:
        with pytest.raises(LanguageModelError, match="insufficient_quota"):
            await answer(session)
        assert (await answer(session))[0] == "Better."


async def test_a_lost_session_is_an_error_for_all_who_wait(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    endpoint.answers = [Dies("one two three", 2)]
    async with opened() as session:
        with pytest.raises(VoiceError, match="lost"):
            await answer(session)
        with pytest.raises(PatterConnectionError):
            await anext(session)
        with pytest.raises(VoiceError):
            await answer(session)


async def test_tools_are_told_and_answered(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    endpoint.answers = [Calls((("a", {"x": 1}), ("b", {})), "Wait."), "Done."]
    tools: list[dict[str, Any]] = [
        {"type": "function", "function": {"name": "a", "description": "d", "parameters": {"type": "object"}}}
    ]
    async with opened() as session:
        session.update("Be brief.", tools)
        session.update("Be brief.", tools)
        _, _, chunks = await answer(session)
        calls = [chunk for chunk in chunks if chunk.type == "tool_call"]
        assert [(call.name, call.arguments) for call in calls] == [("a", '{"x": 1}'), ("b", "{}")]
        session.give_result(calls[0].id, "one")
        assert (await answer(session))[0] == "Done."
        session.give_result(calls[1].id, "two")
        await trio.sleep(0.1)
    (far,) = endpoint.sessions
    outputs = [item.text for item in far.items if item.kind == "function_call_output"]
    assert outputs == ["one", '{"error":"cancelled"}']
    assert "two" in far.items[-1].text, "what was finished after all is news"
    told = [event["session"] for event in endpoint.of("session.update")[1:]]
    assert [each["instructions"] for each in told] == ["Be brief."]
    assert told[0]["tools"] == [{"type": "function", **tools[0]["function"]}]


async def test_what_was_said_before_is_told_to_a_new_session(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    memory = [{"role": "user", "content": "A loaf?"}, {"role": "assistant", "content": "Four."}]
    async with opened(memory=memory):
        await trio.sleep(0.1)
    assert [(item.role, item.text) for item in endpoint.sessions[0].items] == [
        ("user", "A loaf?"),
        ("assistant", "Four."),
    ]


async def test_a_session_is_left_before_its_hour_is_over_and_between_turns(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock
) -> None:
    async with opened() as session:
        await trio.sleep(55 * 60 - 1)
        endpoint.delay = 5.0
        assert (await answer(session))[0] == "Yes, of course."
        with pytest.raises(PatterConnectionError, match="hour"):
            await anext(session)
    assert 55 * 60 < trio.current_time() < 55 * 60 + 10


@pytest.mark.parametrize("audio", [AudioFormat("linear16", 16000), AudioFormat("linear16", 8000)])
async def test_other_lines_get_pcm_both_ways(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock, audio: AudioFormat
) -> None:
    async with opened(audio=audio) as session:
        await session.hear(SpeechStarted(0.0))
        await session.hear(SpeechAudio(b"\1\0" * audio.sample_rate, 0.0, True))
        await session.hear(SpeechEnded(1.0))
        session.commit()
        _, sound, _ = await answer(session)
    (far,) = endpoint.sessions
    assert far.config["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert far.sound_bytes == pytest.approx(48_000, abs=500)
    spoken = sum(len(word) for _, word in speak_evenly("Yes, of course.", 1)) / 8000
    assert audio.seconds_in(len(sound)) == pytest.approx(spoken, abs=0.02)


async def test_a_far_end_that_reads_nothing_is_lost(
    endpoint: RealtimeEndpoint, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as session:
        stuck = trio.Event()
        monkeypatch.setattr(WebSocket, "send", lambda self, message: stuck.wait())
        await session.hear(SpeechStarted(0.0))
        for number in range(2000):
            await session.hear(SpeechAudio(b"\0" * 480, number * 0.06, True))
        with pytest.raises(PatterConnectionError, match="takes no more"):
            await anext(session)


# --- the vendor's own client judges the far end -------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used:DeprecationWarning")
async def test_the_vendors_client_gets_along_with_the_far_end() -> None:
    openai = pytest.importorskip("openai")
    endpoint = RealtimeEndpoint(["We open at eight."], delay=0.0, pace=0.0, words_after=0.0)

    def talk(port: int) -> tuple[str, bytes, str]:
        said, sound, heard = "", b"", ""
        client = openai.OpenAI(api_key="sk-test", websocket_base_url=f"ws://127.0.0.1:{port}/v1")
        with client.realtime.connect(model="gpt-realtime") as connection:
            format = {"type": "audio/pcmu"}
            audio = {"input": {"format": format, "turn_detection": None}, "output": {"format": format}}
            connection.session.update(session={"type": "realtime", "audio": audio})
            question = base64.b64encode(speak_words("When do you open?")).decode()
            connection.input_audio_buffer.append(audio=question)
            connection.input_audio_buffer.commit()
            connection.response.create()
            for event in connection:
                if event.type == "response.output_audio_transcript.delta":
                    said += event.delta
                elif event.type == "response.output_audio.delta":
                    sound += base64.b64decode(event.delta)
                elif event.type == "conversation.item.input_audio_transcription.completed":
                    heard = event.transcript
                elif event.type == "response.done":
                    break
        return said, sound, heard

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, endpoint.serve, [listener])
        with trio.fail_after(20):
            said, sound, heard = await trio.to_thread.run_sync(talk, port)
        nursery.cancel_scope.cancel()
    assert said == "We open at eight."
    assert join_words(WordReader().feed(sound)) == said
    assert heard == "When do you open?"
