"""Inworld: a recorded context, and every setting in the message that opens one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from trio.testing import MockClock

from patter_trio._wire.inworld_voice import InworldWire
from patter_trio._wire.voice import Failed, Said, Spoken
from patter_trio.errors import PatterConfigError, RateLimitError, VoiceError
from patter_trio.events import LINEAR_8K, MULAW_8K
from patter_trio.tts.inworld import InworldTTS

from .stt_endpoint import open_far_end
from .stt_hearing import CALL
from .test_tts_providers import SENTENCES, speak
from .tts_endpoint import InworldTalk, vectors
from .tts_vendors import KEY


def test_a_recorded_context_is_spoken_and_its_errors_are_told() -> None:
    entry = vectors("inworld_ws")["context"]
    create = entry["frames"][0]["data"]["create"]
    wire, said = InworldWire(LINEAR_8K, create), list[Said]()
    sent = [
        *wire.begin("t1"),
        *wire.say("t1", "Your slot is Tuesday."),
        *wire.finish("t1"),
        *wire.begin("t2"),
    ]
    for frame in entry["frames"]:
        if frame["dir"] == "recv":
            said += wire.receive(json.dumps(frame["data"]))
    recorded = [frame["data"] for frame in entry["frames"] if frame["dir"] == "send"]
    recorded[1]["send_text"]["text"] += " "
    assert [json.loads(item) for item in sent[:4]] == recorded
    spoken = [item for item in said if isinstance(item, Spoken)]
    played = {value for item in spoken for piece in item.pieces for value in piece.audio[::2]}
    assert sorted(played) == entry["expect"]["played_sample_values"]
    words = [word.text for item in spoken for piece in item.pieces for word in piece.words]
    assert words == ["Your", "slot"]
    assert spoken[-1].ended
    wrong = [item for item in said if isinstance(item, Failed)]
    assert [(item.turn, type(item.error)) for item in wrong] == [("t2", VoiceError), (None, RateLimitError)]


def test_a_text_that_is_too_long_goes_in_parts() -> None:
    wire = InworldWire(LINEAR_8K, {})
    wire.begin("t1")
    *parts, flush = (json.loads(item) for item in wire.say("t1", "word " * 500))
    assert len(parts) == 3
    assert "".join(part["send_text"]["text"] for part in parts) == "word " * 500
    assert "flush_context" in flush


CREATE: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({}, {"voiceId": "Ashley", "modelId": "inworld-tts-2", "timestampType": "WORD", "autoMode": True}),
    ({}, {"audioConfig": {"audioEncoding": "PCM", "sampleRateHertz": 8000}}),
    ({"output_format": "PCM_8000"}, {"audioConfig": {"audioEncoding": "PCM", "sampleRateHertz": 8000}}),
    ({"voice": "Ronald"}, {"voiceId": "Ronald"}),
    ({"model": "inworld-tts-1.5-mini"}, {"modelId": "inworld-tts-1.5-mini"}),
    ({"language": "de"}, {"language": "de"}),
    (
        {"speaking_rate": 1.2},
        {"audioConfig": {"audioEncoding": "PCM", "sampleRateHertz": 8000, "speakingRate": 1.2}},
    ),
    ({"temperature": 0.7}, {"temperature": 0.7}),
    ({"delivery_mode": "BALANCED"}, {"deliveryMode": "BALANCED"}),
    ({"timestamp_type": "TIMESTAMP_TYPE_UNSPECIFIED"}, {"timestampType": "TIMESTAMP_TYPE_UNSPECIFIED"}),
    ({"max_buffer_delay_ms": 100}, {"maxBufferDelayMs": 100}),
    ({"buffer_char_threshold": 50}, {"bufferCharThreshold": 50}),
]


@pytest.mark.parametrize(("settings", "fields"), CREATE)
async def test_a_setting_stands_in_the_message_that_opens_a_context(
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    settings: Mapping[str, Any],
    fields: Mapping[str, Any],
) -> None:
    async with (
        open_far_end(monkeypatch, InworldTalk) as far,
        InworldTTS(api_key=KEY, base_url=far.url, **settings).open_voice(MULAW_8K, CALL) as voice,
    ):
        await speak(voice, SENTENCES[:1])
        (talk,) = far.talks
    assert fields.items() <= talk.json_received()[0]["create"].items()
    assert talk.headers["authorization"] == f"Basic {KEY}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"speaking_rate": 3},
        {"temperature": 3},
        {"timestamp_type": "LINE"},
        {"max_buffer_delay_ms": -1},
        {"buffer_char_threshold": 0},
        {"output_format": "LINEAR16_8000"},
    ],
)
def test_a_wrong_setting_is_refused(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        InworldTTS(api_key=KEY, **wrong)
