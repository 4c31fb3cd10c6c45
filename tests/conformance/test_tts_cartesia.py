"""Cartesia: recorded contexts, and every setting in the messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from patter_trio.errors import PatterConfigError, RateLimitError
from patter_trio.events import MULAW_8K
from patter_trio.tts.cartesia import CartesiaTTS

from .stt_endpoint import open_far_end, replaying
from .stt_hearing import CALL
from .test_tts_providers import SENTENCES, fail, speak
from .tts_endpoint import CartesiaTalk, vectors
from .tts_vendors import KEY


def recorded(name: str, context: str = "t1") -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
    """A sequence with our names of contexts, and what is expected of it."""
    entry = vectors("cartesia_tts_ws")[name]
    text = json.dumps(entry["frames"]).replace(f'"{context}"', '"turn-1"').replace('"t2"', '"turn-2"')
    return list(json.loads(text)), entry["expect"]


async def test_a_recorded_context_is_spoken(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, expected = recorded("context")
    async with (
        open_far_end(monkeypatch, replaying(frames)) as far,
        CartesiaTTS(api_key=KEY, base_url=far.url).open_voice(MULAW_8K, CALL) as voice,
    ):
        pieces = await speak(voice, ["Your slot is Tuesday."])
    assert sorted(set(b"".join(piece.audio for piece in pieces))) == expected["played_values"]
    words = [word for piece in pieces for word in piece.words]
    assert [word.text for word in words] == expected["words"]
    assert " ".join(word.text for word in words if word.start <= 0.5) == expected["heard_at_ms"]["500"]


async def test_a_recorded_cancellation_is_never_played(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, expected = recorded("cancel")
    async with (
        open_far_end(monkeypatch, replaying(frames)) as far,
        CartesiaTTS(api_key=KEY, base_url=far.url).open_voice(MULAW_8K, CALL) as voice,
    ):
        outlet, inlet = trio.open_memory_channel[str](1)
        played = b""
        async with outlet, voice.speak(inlet) as sound:
            await outlet.send("We are open from eight to six.")
            async for piece in sound:
                played += piece.audio
                break
        played += b"".join(piece.audio for piece in await speak(voice, ["Sure."]))
    assert sorted(set(played)) == expected["played_values"]


async def test_a_recorded_error_of_a_context_leaves_the_connection(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, expected = recorded("flush_and_error", "t3")
    later, _ = recorded("cancel")
    frames += [{**frame, "t": frame["t"] + 1000} for frame in later]
    assert expected["socket_usable"]
    async with (
        open_far_end(monkeypatch, replaying(frames)) as far,
        CartesiaTTS(api_key=KEY, base_url=far.url).open_voice(MULAW_8K, CALL) as voice,
    ):
        assert isinstance(await fail(voice, ["Part one."]), RateLimitError)
        assert await speak(voice, ["Sure."])
        assert len(far.talks) == 1


REQUESTS: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({}, {"model_id": "sonic-3", "language": "en", "add_timestamps": True, "max_buffer_delay_ms": 0}),
    (
        {"output_format": "pcm_s16le_8000"},
        {"output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 8000}},
    ),
    ({"model": "sonic-3.5"}, {"model_id": "sonic-3.5"}),
    ({"voice": "v-1"}, {"voice": {"mode": "id", "id": "v-1"}}),
    ({"language": "de"}, {"language": "de"}),
    ({"language": None, "locale": "en-GB"}, {"locale": "en-GB"}),
    ({"speed": 1.2}, {"generation_config": {"speed": 1.2}}),
    ({"volume": 0.8}, {"generation_config": {"volume": 0.8}}),
    ({"emotion": "calm"}, {"generation_config": {"emotion": "calm"}}),
    ({"normalization": "off"}, {"normalization": "off"}),
    ({"pronunciation_dict_id": "d"}, {"pronunciation_dict_id": "d"}),
    ({"max_buffer_delay_ms": 200}, {"max_buffer_delay_ms": 200}),
    ({"add_timestamps": False}, {"add_timestamps": False}),
]


@pytest.mark.parametrize(("settings", "fields"), REQUESTS)
async def test_a_setting_stands_in_every_message(
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    settings: Mapping[str, Any],
    fields: Mapping[str, Any],
) -> None:
    async with (
        open_far_end(monkeypatch, CartesiaTalk) as far,
        CartesiaTTS(api_key=KEY, base_url=far.url, cartesia_version="2026-01-01", **settings).open_voice(
            MULAW_8K, CALL
        ) as voice,
    ):
        await speak(voice)
        (talk,) = far.talks
    assert all(fields.items() <= said.items() for said in talk.json_received())
    said = [(item["transcript"], item["continue"], item.get("flush")) for item in talk.json_received()]
    assert said == [*((f"{text} ", True, True) for text in SENTENCES), ("", False, None)]
    assert talk.headers["x-api-key"] == KEY
    assert talk.headers["cartesia-version"] == "2026-01-01"


@pytest.mark.parametrize(
    "wrong",
    [
        {"locale": "en-GB"},
        {"language": None},
        {"speed": 2},
        {"volume": 0.1},
        {"max_buffer_delay_ms": 6000},
        {"output_format": "mp3"},
        {"voice": ""},
    ],
)
def test_a_wrong_setting_is_refused(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        CartesiaTTS(api_key=KEY, **wrong)


def test_the_carriers_helpers_name_their_formats() -> None:
    assert CartesiaTTS.for_twilio(KEY).output_format == "pcm_mulaw_8000"
    assert CartesiaTTS.for_telnyx(KEY).output_format == "pcm_s16le_16000"
