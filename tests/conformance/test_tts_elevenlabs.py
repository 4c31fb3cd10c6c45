"""ElevenLabs: recorded sequences, its own SDK at our far end, requests over HTTP, and a whole call."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from patter_trio.errors import (
    AuthenticationError,
    PatterConfigError,
    PatterConnectionError,
    PatterError,
    RateLimitError,
    VoiceError,
)
from patter_trio.events import LINEAR_8K, MULAW_8K, AudioFormat
from patter_trio.testing import Caller
from patter_trio.testing.checks import check_tts
from patter_trio.testing.wordsound import word_times
from patter_trio.tts.elevenlabs import ElevenLabsRestTTS, ElevenLabsTTS

from ..calls.ring import LONG, agent, ring_async
from .chat_endpoint import Exchange, open_endpoint, refuses
from .stt_endpoint import open_far_end, open_port, replaying
from .stt_hearing import CALL
from .test_tts_providers import SENTENCES, fail, leave_early, speak, words_in
from .tts_endpoint import ElevenLabsTalk, Listed, asked, sound_of, spelt, vectors
from .tts_vendors import KEY

# --- what was recorded --------------------------------------------------------------------------------------


def renamed(frames: Any) -> list[dict[str, Any]]:
    """Recorded contexts with the names that ours have."""
    text = json.dumps(frames).replace('"t1"', '"turn-1"').replace('"t2"', '"turn-2"')
    return list(json.loads(text))


async def test_a_recorded_interruption_is_never_played(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = vectors("elevenlabs_tts_ws_multi")["multi_context_barge_in"]
    async with (
        open_far_end(monkeypatch, replaying(renamed(recorded["frames"]))) as far,
        ElevenLabsTTS(api_key=KEY, base_url=far.url).open_voice(MULAW_8K, CALL) as voice,
    ):
        outlet, inlet = trio.open_memory_channel[str](1)
        played = b""
        async with outlet, voice.speak(inlet) as sound:
            await outlet.send("We are open from eight to six.")
            async for piece in sound:
                played += piece.audio
                assert piece.text == "We are open from eight to six."
                assert [word.text for word in piece.words] == ["We", "are", "open"]
                break
        pieces = await speak(voice, ["Sure."])
        assert [word.text for piece in pieces for word in piece.words] == ["Sure."]
        played += b"".join(piece.audio for piece in pieces)
    assert set(played) == set(recorded["expect"]["played_values"])


async def test_too_many_contexts_fail_the_turn_and_the_next_one_reconnects(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = vectors("elevenlabs_tts_ws_multi")["too_many_contexts"]["frames"]
    later = [{**frame, "t": frame["t"] + 1000} for frame in recorded]
    async with (
        open_far_end(monkeypatch, replaying(later)) as far,
        ElevenLabsTTS(api_key=KEY, base_url=far.url).open_voice(MULAW_8K, CALL) as voice,
    ):
        assert isinstance(await fail(voice), RateLimitError)
        far.kind = ElevenLabsTalk
        assert words_in(await speak(voice), MULAW_8K) == " ".join(SENTENCES).split()


async def test_their_sdk_speaks_to_our_far_end() -> None:
    elevenlabs = pytest.importorskip("elevenlabs")
    from elevenlabs.types import (
        CloseContext,
        FlushContext,
        InitializeConnectionMulti,
        SendTextMulti,
    )

    assert elevenlabs
    from websockets.sync.client import connect

    def talk(url: str) -> list[Any]:
        sent: list[Any] = [
            InitializeConnectionMulti(text=" ", context_id="t1"),
            SendTextMulti(text="Good morning. ", context_id="t1"),
            FlushContext(context_id="t1", flush=True),
            CloseContext(context_id="t1", close_context=True),
        ]
        heard = []
        with connect(f"{url}/v/multi-stream-input?output_format=ulaw_8000") as socket:
            for message in sent:
                socket.send(message.json(exclude_none=True, by_alias=True))
            for received in socket:
                heard.append(json.loads(received))
                if heard[-1].get("isFinal"):
                    return heard
        return heard

    async with open_port(ElevenLabsTalk) as far:
        heard = await trio.to_thread.run_sync(talk, far.url)
    sound = b"".join(base64.b64decode(item["audio"]) for item in heard if item.get("audio"))
    assert len(sound) == len(sound_of("Good morning.", MULAW_8K))


async def test_what_we_send_is_what_their_sdk_allows(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("elevenlabs")
    from elevenlabs.types import (
        CloseContext,
        FlushContext,
        InitializeConnectionMulti,
        SendTextMulti,
    )

    async with open_far_end(monkeypatch, ElevenLabsTalk) as far:
        provider = ElevenLabsTTS(api_key=KEY, base_url=far.url, stability=0.4, speed=1.1)
        async with provider.open_voice(MULAW_8K, CALL) as voice:
            await speak(voice)
    first, *rest = [said for said in far.talks[0].json_received() if "context_id" in said]
    opening: Any = InitializeConnectionMulti(**first)
    assert opening.voice_settings.dict()["stability"] == 0.4
    kinds = [
        CloseContext if "close_context" in said else FlushContext if "flush" in said else SendTextMulti
        for said in rest
    ]
    assert kinds == [SendTextMulti] * 3 + [FlushContext, CloseContext]
    for kind, said in zip(kinds, rest, strict=True):
        assert kind(**said).context_id == "turn-1"


async def test_a_whole_call(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_far_end(monkeypatch, ElevenLabsTalk) as far:
        voice = ElevenLabsTTS(api_key=KEY, base_url=far.url)
        who = agent(tts=voice, first_message="Hello, this is the desk. What can I do for you?")
        rung = await ring_async(who, Caller().waits(8.0).hangs_up())
    assert rung.said("assistant") == ["Hello, this is the desk. What can I do for you?"]
    assert far.talks[0].query["output_format"] == ["ulaw_8000"]
    assert rung.tasks_left == 0
    assert far.open_connections == 0


async def test_what_a_caller_who_interrupts_has_heard_is_known(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, ElevenLabsTalk) as far:
        who = agent(tts=ElevenLabsTTS(api_key=KEY, base_url=far.url), first_message=LONG)
        caller = Caller().barges_in("stop that please", after=2.5).waits(6.0).hangs_up()
        rung = await ring_async(who, caller)
    heard, answer = rung.said("assistant")
    assert LONG.startswith(heard)
    assert 4 <= len(heard.split()) <= 12
    assert answer == "Yes, of course."
    assert len(far.talks) == 1
    assert rung.tasks_left == 0


async def test_a_context_that_is_closing_is_not_closed_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        open_far_end(monkeypatch, ElevenLabsTalk) as far,
        ElevenLabsTTS(api_key=KEY, base_url=far.url).open_voice(MULAW_8K, CALL) as voice,
    ):
        async with voice.speak(Listed(SENTENCES)) as sound:
            async for _ in sound:
                break
        assert words_in(await speak(voice, ["Sure."]), MULAW_8K) == ["Sure."]
        for name in ("turn-1", "turn-2"):
            assert len(asked(far.talks[0], context_id=name, close_context=True)) == 1


# --- settings -----------------------------------------------------------------------------------------------

QUERY: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({}, {"model_id": ["eleven_flash_v2_5"], "auto_mode": ["true"], "inactivity_timeout": ["60"]}),
    ({}, {"sync_alignment": ["true"], "output_format": ["ulaw_8000"]}),
    ({"model_id": "eleven_turbo_v2_5"}, {"model_id": ["eleven_turbo_v2_5"]}),
    ({"output_format": "pcm_8000"}, {"output_format": ["pcm_8000"]}),
    ({"language_code": "de"}, {"language_code": ["de"]}),
    ({"auto_mode": False}, {"auto_mode": ["false"]}),
    ({"inactivity_timeout": 120}, {"inactivity_timeout": ["120"]}),
    ({"apply_text_normalization": "off"}, {"apply_text_normalization": ["off"]}),
    ({"seed": 7}, {"seed": ["7"]}),
    ({"enable_logging": False}, {"enable_logging": ["false"]}),
    ({"enable_ssml_parsing": True}, {"enable_ssml_parsing": ["true"]}),
]
CONTEXT: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    *(
        ({name: value}, {"voice_settings": {name: value}})
        for name, value in {
            "stability": 0.3,
            "similarity_boost": 0.6,
            "style": 0.1,
            "use_speaker_boost": True,
            "speed": 0.9,
        }.items()
    ),
    (
        {"voice_settings": {"stability": 0.2}, "speed": 1.1},
        {"voice_settings": {"stability": 0.2, "speed": 1.1}},
    ),
    (
        {"auto_mode": False, "chunk_length_schedule": [50, 90]},
        {"generation_config": {"chunk_length_schedule": [50, 90]}},
    ),
    (
        {"pronunciation_dictionary_locators": [{"pronunciation_dictionary_id": "d", "version_id": "v"}]},
        {"pronunciation_dictionary_locators": [{"pronunciation_dictionary_id": "d", "version_id": "v"}]},
    ),
]


@pytest.mark.parametrize(("settings", "query"), QUERY)
async def test_a_setting_stands_in_the_address(
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    settings: Mapping[str, Any],
    query: Mapping[str, Any],
) -> None:
    async with open_far_end(monkeypatch, ElevenLabsTalk) as far:
        provider = ElevenLabsTTS(api_key=KEY, base_url=far.url, voice="Rachel", **settings)
        async with provider.open_voice(MULAW_8K, CALL) as voice:
            await speak(voice)
        (talk,) = far.talks
        assert query.items() <= talk.query.items()
        assert talk.headers["xi-api-key"] == KEY
        assert talk.path.startswith("/21m00Tcm4TlvDq8ikWAM/multi-stream-input?")


@pytest.mark.parametrize(("settings", "fields"), CONTEXT)
async def test_a_setting_stands_in_the_first_message(
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    settings: Mapping[str, Any],
    fields: Mapping[str, Any],
) -> None:
    async with open_far_end(monkeypatch, ElevenLabsTalk) as far:
        async with ElevenLabsTTS(api_key=KEY, base_url=far.url, **settings).open_voice(
            MULAW_8K, CALL
        ) as voice:
            await speak(voice)
        assert far.talks[0].json_received()[0] == {"text": " ", "context_id": "turn-1", **fields}


@pytest.mark.parametrize(
    "wrong",
    [
        {"model_id": "eleven_v3"},
        {"chunk_length_schedule": [50]},
        {"auto_mode": False, "chunk_length_schedule": [3]},
        {"inactivity_timeout": 4},
        {"stability": 1.5},
        {"speed": 2},
        {"apply_text_normalization": "maybe"},
        {"connect_timeout": 0},
        {"first_audio_timeout": -1},
        {"frame_timeout": float("nan")},
        {"voice": ""},
    ],
)
def test_a_wrong_setting_is_refused(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        ElevenLabsTTS(api_key=KEY, **wrong)


def test_the_carriers_helpers_name_their_formats() -> None:
    assert ElevenLabsTTS.for_twilio(KEY).output_format == "ulaw_8000"
    assert ElevenLabsTTS.for_telnyx(KEY, speed=1.1).output_format == "pcm_16000"
    assert ElevenLabsRestTTS.for_twilio(KEY).output_format == "ulaw_8000"
    assert ElevenLabsTTS(api_key=KEY).format_for(AudioFormat("linear16", 16000))[0] == "pcm_16000"


# --- over HTTP ----------------------------------------------------------------------------------------------


async def speaks(exchange: Exchange) -> None:
    """``stream`` and ``stream/with-timestamps``."""
    audio = LINEAR_8K if "pcm_8000" in exchange.target else MULAW_8K
    text = exchange.body["text"]
    sound, words = sound_of(text, audio), list(word_times(text))
    await exchange.begin(headers={"x-kind": "sound"})
    if "with-timestamps" in exchange.target:
        signs, starts, lengths = spelt(words, 0.0)
        half = len(sound) // 4 * 2
        for piece, first, last in ((sound[:half], 0, 1), (sound[half:], 1, None)):
            alignment = {
                "characters": signs[first:last],
                "character_start_times_seconds": starts[first:last],
                "character_end_times_seconds": [a + b for a, b in zip(starts, lengths, strict=True)][
                    first:last
                ],
            }
            said = {"audio_base64": base64.b64encode(piece).decode(), "alignment": alignment}
            line = json.dumps(said).encode() + b"\n"
            await exchange.send(line[:100])
            await exchange.send(line[100:])
    else:
        for place in range(0, len(sound), 333):  # odd on purpose
            await exchange.send(sound[place : place + 333])
    await exchange.end()


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("audio", [MULAW_8K, LINEAR_8K])
async def test_over_http_it_conforms(timed: bool, audio: AudioFormat) -> None:
    async with open_endpoint(speaks) as endpoint:
        provider = ElevenLabsRestTTS(api_key=KEY, base_url=endpoint.url, with_timestamps=timed)
        await check_tts(provider, audio=audio)
        async with provider.open_voice(audio, CALL) as voice:
            pieces = await speak(voice)
            assert voice.audio == audio
    assert [piece.text for piece in pieces if piece.text] == list(SENTENCES)
    told = [word.text for piece in pieces for word in piece.words]
    assert told == (" ".join(SENTENCES).split() if timed else [])
    last = endpoint.requests[-1]
    assert last.body["previous_text"] == " ".join(SENTENCES[:2])
    assert last.headers["xi-api-key"] == KEY
    assert endpoint.requests[-1].connection == endpoint.requests[-2].connection


REST: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({}, {"model_id": "eleven_flash_v2_5", "text": SENTENCES[0]}),
    ({"model_id": "eleven_v3"}, {"model_id": "eleven_v3"}),
    ({"language_code": "de"}, {"language_code": "de"}),
    ({"seed": 3}, {"seed": 3}),
    ({"apply_text_normalization": "on"}, {"apply_text_normalization": "on"}),
    ({"stability": 0.5, "speed": 1.1}, {"voice_settings": {"stability": 0.5, "speed": 1.1}}),
]


@pytest.mark.parametrize(("settings", "fields"), REST)
async def test_a_setting_stands_in_the_body(settings: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    async with open_endpoint(speaks) as endpoint:
        provider = ElevenLabsRestTTS(api_key=KEY, base_url=endpoint.url, enable_logging=False, **settings)
        async with provider.open_voice(MULAW_8K, CALL) as voice:
            await speak(voice, SENTENCES[:1])
    (request,) = endpoint.requests
    assert fields.items() <= request.body.items()
    assert (
        request.target
        == "/v1/EXAVITQu4vr4xnSDxMaL/stream/with-timestamps?output_format=ulaw_8000&enable_logging=false"
    )


async def test_previous_sentences_may_be_kept_back() -> None:
    async with open_endpoint(speaks) as endpoint:
        provider = ElevenLabsRestTTS(api_key=KEY, base_url=endpoint.url, with_previous_text=False)
        async with provider.open_voice(MULAW_8K, CALL) as voice:
            await speak(voice)
    assert not any("previous_text" in request.body for request in endpoint.requests)


@pytest.mark.parametrize(
    ("status", "detail", "kind"),
    [
        (401, {"status": "quota_exceeded", "message": f"no {KEY}"}, AuthenticationError),
        (429, {"status": "too_many_concurrent_requests", "message": "m"}, RateLimitError),
        (404, {"status": "voice_not_found", "message": "m"}, VoiceError),
        (422, [{"loc": ["body"], "msg": "m"}], VoiceError),
        (500, "m", VoiceError),
    ],
)
async def test_a_refusal_over_http_is_told_as_what_it_is(
    status: int, detail: Any, kind: type[PatterError]
) -> None:
    body = json.dumps({"detail": detail}).encode()
    async with (
        open_endpoint(refuses(status, body, {"retry-after": "2"})) as endpoint,
        ElevenLabsRestTTS(api_key=KEY, base_url=endpoint.url).open_voice(MULAW_8K, CALL) as voice,
    ):
        error = await fail(voice)
    assert type(error) is kind
    assert KEY not in str(error)
    if isinstance(error, RateLimitError):
        assert error.retry_after == 2.0


async def test_a_request_that_breaks_off_fails_the_turn_with_what_was_spoken() -> None:
    async def breaks(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(sound_of("Good", MULAW_8K))
        await exchange.cut()

    async with open_endpoint(breaks, speaks) as endpoint:
        provider = ElevenLabsRestTTS(api_key=KEY, base_url=endpoint.url, with_timestamps=False)
        async with provider.open_voice(MULAW_8K, CALL) as voice:
            error = await fail(voice)
            assert type(error) is VoiceError
            assert "after 0.3 s of sound: 'Good morning" in str(error)
            assert words_in(await speak(voice), MULAW_8K) == " ".join(SENTENCES).split()


async def test_leaving_a_turn_hangs_up_its_request() -> None:
    gone = trio.Event()

    async def never_ends(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.send(sound_of("Good", MULAW_8K))
        await exchange.wait_gone()
        gone.set()

    async with open_endpoint(never_ends, speaks) as endpoint:
        provider = ElevenLabsRestTTS(api_key=KEY, base_url=endpoint.url, with_timestamps=False)
        async with provider.open_voice(MULAW_8K, CALL) as voice:
            await leave_early(voice)
            with trio.fail_after(5):
                await gone.wait()


async def test_nobody_at_the_address_is_told() -> None:
    provider = ElevenLabsRestTTS(api_key=KEY, base_url="http://127.0.0.1:9/v1")
    async with provider.open_voice(MULAW_8K, CALL) as voice:
        assert type(await fail(voice)) is PatterConnectionError
