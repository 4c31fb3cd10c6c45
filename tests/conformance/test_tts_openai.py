"""OpenAI's speech: its own SDK at our far end, recorded events, and every setting in the request."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
import trio

from patter_trio._audio.convert import Converter
from patter_trio.errors import AuthenticationError, PatterConfigError, RateLimitError, VoiceError
from patter_trio.events import LINEAR_8K, MULAW_8K, AudioFormat
from patter_trio.testing.checks import check_tts
from patter_trio.tts.openai import OpenAITTS

from .chat_endpoint import Answer, Exchange, open_endpoint, refuses, replays
from .stt_hearing import CALL
from .test_tts_providers import SENTENCES, fail, speak
from .tts_endpoint import sound_of, vectors
from .tts_vendors import KEY

PCM_24K = AudioFormat("linear16", 24000)


def pcm_of(text: str) -> bytes:
    converter = Converter(LINEAR_8K, PCM_24K)
    return converter.feed(sound_of(text, LINEAR_8K)) + converter.flush()


async def speaks(exchange: Exchange) -> None:
    sound = pcm_of(exchange.body["input"])
    await exchange.begin()
    if exchange.body.get("stream_format") == "sse":
        for place in range(0, len(sound), 4801):
            data = base64.b64encode(sound[place : place + 4801]).decode()
            said = json.dumps({"type": "speech.audio.delta", "audio": data})
            await exchange.send(f"data: {said}\n\n".encode())
        await exchange.send(b'data: {"type":"speech.audio.done","usage":{"total_tokens":52}}\n\n')
    else:
        for place in range(0, len(sound), 4801):  # odd on purpose
            await exchange.send(sound[place : place + 4801])
    await exchange.end()


def make(url: str, **settings: Any) -> OpenAITTS:
    return OpenAITTS(api_key=KEY, base_url=url, **settings)


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
async def test_it_conforms(stream_format: str) -> None:
    async with open_endpoint(speaks) as endpoint:
        await check_tts(make(endpoint.url, stream_format=stream_format))
        async with make(endpoint.url, stream_format=stream_format).open_voice(MULAW_8K, CALL) as voice:
            assert voice.audio == PCM_24K
            pieces = await speak(voice)
    assert [piece.text for piece in pieces if piece.text] == list(SENTENCES)
    assert b"".join(piece.audio for piece in pieces) == b"".join(map(pcm_of, SENTENCES))
    assert endpoint.requests[-1].headers["authorization"] == f"Bearer {KEY}"
    assert endpoint.requests[-1].connection == endpoint.requests[-3].connection


async def test_recorded_events_are_spoken() -> None:
    recorded = vectors("openai_speech")["sse"]
    async with (
        open_endpoint(replays(recorded["frames"])) as endpoint,
        make(endpoint.url, stream_format="sse").open_voice(MULAW_8K, CALL) as voice,
    ):
        pieces = await speak(voice, ["Hello."])
    assert sum(len(piece.audio) for piece in pieces) == recorded["expect"]["pcm_bytes"]


async def test_a_header_of_a_server_that_sends_wav_is_not_played() -> None:
    async def wav(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00" + bytes(16))
        await exchange.send(b"data\xff\xff\xff\xff" + b"\x01\x02" * 50)
        await exchange.end()

    async with (
        open_endpoint(wav) as endpoint,
        make(endpoint.url).open_voice(MULAW_8K, CALL) as voice,
    ):
        pieces = await speak(voice, ["Hello."])
    assert b"".join(piece.audio for piece in pieces) == b"\x01\x02" * 50


BODIES: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({}, {"model": "gpt-4o-mini-tts", "voice": "alloy", "response_format": "pcm"}),
    ({}, {"input": SENTENCES[0], "stream_format": "audio"}),
    ({"model": "next-tts"}, {"model": "next-tts"}),
    ({"voice": "marin"}, {"voice": "marin"}),
    ({"voice": {"id": "voice_1"}}, {"voice": {"id": "voice_1"}}),
    ({"instructions": "warm, brisk"}, {"instructions": "warm, brisk"}),
    ({"speed": 1.2}, {"speed": 1.2}),
    ({"stream_format": "sse"}, {"stream_format": "sse"}),
    ({"output_format": "pcm"}, {"response_format": "pcm"}),
]


@pytest.mark.parametrize(("settings", "fields"), BODIES)
async def test_a_setting_stands_in_the_request(
    settings: Mapping[str, Any], fields: Mapping[str, Any]
) -> None:
    async with (
        open_endpoint(speaks) as endpoint,
        make(endpoint.url, **settings).open_voice(MULAW_8K, CALL) as voice,
    ):
        await speak(voice, SENTENCES[:1])
    (request,) = endpoint.requests
    assert fields.items() <= request.body.items()
    assert request.target == "/v1/audio/speech"


async def test_an_older_model_is_not_told_what_it_does_not_know() -> None:
    async with (
        open_endpoint(speaks) as endpoint,
        make(endpoint.url, model="tts-1").open_voice(MULAW_8K, CALL) as voice,
    ):
        await speak(voice, SENTENCES[:1])
    assert "stream_format" not in endpoint.requests[0].body


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "tts-1", "instructions": "warm"},
        {"model": "tts-1-hd", "stream_format": "sse"},
        {"speed": 5},
        {"voice": ""},
        {"stream_format": "mp3"},
        {"output_format": "mp3"},
        {"base_url": "wss://api.openai.com/v1"},
    ],
)
def test_a_wrong_setting_is_refused(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        OpenAITTS(api_key=KEY, **wrong)


def test_the_key_comes_from_the_environment_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(PatterConfigError, match="OPENAI_API_KEY"):
        OpenAITTS()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert OpenAITTS().key == KEY
    assert KEY not in repr(OpenAITTS())


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refuses(401, f"bad {KEY}".encode()), AuthenticationError),
        (refuses(429, b"slow down", {"retry-after-ms": "1500"}), RateLimitError),
        (refuses(400, b"too long"), VoiceError),
        (refuses(200, b""), VoiceError),
        (refuses(200, b'{"error":"none"}', {"content-type": "application/json"}), VoiceError),
    ],
)
async def test_a_refusal_is_told_as_what_it_is(answer: Answer, kind: type[Exception]) -> None:
    async with (
        open_endpoint(answer) as endpoint,
        make(endpoint.url).open_voice(MULAW_8K, CALL) as voice,
    ):
        error = await fail(voice)
    assert type(error) is kind
    assert KEY not in str(error)
    if isinstance(error, RateLimitError):
        assert error.retry_after == 1.5


async def test_an_error_among_the_events_fails_the_turn() -> None:
    async def breaks(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(b'data: {"type":"error","error":{"message":"overloaded"}}\n\n')
        await exchange.end()

    async with (
        open_endpoint(breaks) as endpoint,
        make(endpoint.url, stream_format="sse").open_voice(MULAW_8K, CALL) as voice,
    ):
        error = await fail(voice)
    assert type(error) is VoiceError
    assert "overloaded" in str(error)


async def test_who_does_not_begin_is_not_waited_for() -> None:
    async def waits(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.wait_gone()

    async with (
        open_endpoint(waits) as endpoint,
        make(endpoint.url, first_audio_timeout=0.05).open_voice(MULAW_8K, CALL) as voice,
    ):
        error = await fail(voice)
    assert type(error) is VoiceError
    assert "no sound within 0.05 s" in str(error)


async def test_who_stops_in_the_middle_is_not_waited_for() -> None:
    async def stalls(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(pcm_of("Good"))
        await exchange.wait_gone()

    async with (
        open_endpoint(stalls) as endpoint,
        make(endpoint.url, frame_timeout=0.05).open_voice(MULAW_8K, CALL) as voice,
    ):
        error = await fail(voice)
    assert type(error) is VoiceError
    assert "silent for too long (frame_timeout=) after 0.3 s of sound" in str(error)


async def test_one_call_hanging_up_leaves_the_other_its_voice() -> None:
    async with open_endpoint(speaks) as endpoint:
        provider = make(endpoint.url)
        async with provider.open_voice(MULAW_8K, CALL) as stays:
            async with provider.open_voice(MULAW_8K, CALL) as leaves:
                await speak(leaves, SENTENCES[:1])
            assert await speak(stays, SENTENCES[:1])


async def test_their_sdk_asks_our_far_end_for_the_same() -> None:
    openai = pytest.importorskip("openai")

    def talk(url: str) -> bytes:
        client = openai.OpenAI(api_key=KEY, base_url=url, max_retries=0)
        with client.audio.speech.with_streaming_response.create(
            model="gpt-4o-mini-tts",
            voice="alloy",
            input=SENTENCES[0],
            response_format="pcm",
            stream_format="audio",
        ) as response:
            return b"".join(response.iter_bytes())

    async with open_endpoint(speaks) as endpoint:
        theirs = await trio.to_thread.run_sync(talk, endpoint.url)
        async with make(endpoint.url).open_voice(MULAW_8K, CALL) as voice:
            ours = b"".join(piece.audio for piece in await speak(voice, SENTENCES[:1]))
    assert ours == theirs == pcm_of(SENTENCES[0])
    first, second = endpoint.requests
    assert first.body == second.body
    assert first.target == second.target
    assert first.headers["authorization"] == second.headers["authorization"]
