"""LMNT: a recorded session, its own types, and every setting in the first message."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from trio.testing import MockClock

from patter_trio._wire.lmnt_voice import LMNTWire
from patter_trio._wire.voice import Cue, Failed, Spoken
from patter_trio.errors import PatterConfigError, RateLimitError
from patter_trio.events import LINEAR_8K, MULAW_8K, Word
from patter_trio.tts.lmnt import LMNTTTS

from .stt_endpoint import open_far_end
from .stt_hearing import CALL
from .test_tts_providers import SENTENCES, speak
from .tts_endpoint import LMNTTalk, vectors
from .tts_vendors import KEY

RECORDED = vectors("lmnt_ws")


def test_a_recorded_session_is_spoken_and_what_was_reset_is_not() -> None:
    entry = RECORDED["flush_reset"]
    wire, played, words, turn, ended = LMNTWire(LINEAR_8K, {}), set(), list[Word](), 0, 0
    for frame in entry["frames"]:
        kind = frame.get("data", {}).get("type")
        if kind == "text":
            turn += 1
            wire.begin(f"turn-{turn}")
            wire.say(f"turn-{turn}", frame["data"]["text"])
            if turn == 1:
                wire.finish("turn-1")
        elif kind == "reset":
            # The second text was not flushed yet when this was recorded: our nonces are one ahead.
            assert [json.loads(item) for item in wire.cancel("turn-2")] == [{"type": "reset", "nonce": 3}]
        elif frame["dir"] == "recv" and frame["kind"] != "close":
            data = frame.get("data")
            message = base64.b64decode(frame["b64"]) if data is None else json.dumps(data)
            for said in wire.receive(message):
                if isinstance(said, Spoken):
                    ended += said.ended
                    for piece in said.pieces:
                        words += piece.words
                        played |= set(piece.audio[::2])
                else:
                    assert said is Cue.READY
    assert sorted(played) == entry["expect"]["played_sample_values"]
    assert [(word.text, word.start) for word in words] == [("We", 0.0), ("are", 0.1)]
    assert ended == 1


def test_a_recorded_error_is_told_as_what_it_is() -> None:
    (said,) = LMNTWire(MULAW_8K, {}).receive(json.dumps(RECORDED["error"]["frames"][0]["data"]))
    assert isinstance(said, Failed)
    assert isinstance(said.error, RateLimitError)


INIT: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({}, {"voice": "leah", "format": "ulaw", "sample_rate": 8000, "return_timestamps": True}),
    ({"voice": "morgan"}, {"voice": "morgan"}),
    ({"language": "de"}, {"language": "de"}),
    ({"return_timestamps": False}, {"return_timestamps": False}),
    ({"output_format": "pcm_s16le_8000"}, {"format": "pcm_s16le", "sample_rate": 8000}),
]


@pytest.mark.parametrize(("settings", "fields"), INIT)
async def test_a_setting_stands_in_the_first_message(
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    settings: Mapping[str, Any],
    fields: Mapping[str, Any],
) -> None:
    async with (
        open_far_end(monkeypatch, LMNTTalk) as far,
        LMNTTTS(api_key=KEY, base_url=far.url, **settings).open_voice(MULAW_8K, CALL) as voice,
    ):
        await speak(voice)
        first = far.talks[0].json_received()[0]
    assert fields.items() <= first.items()
    assert first["type"] == "init"
    assert first["X-API-Key"] == KEY
    assert ("language" in first) == ("language" in settings)


async def test_what_we_send_is_what_their_sdk_allows(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = pytest.importorskip("lmnt.types")
    async with (
        open_far_end(monkeypatch, LMNTTalk) as far,
        LMNTTTS(api_key=KEY, base_url=far.url, language="en").open_voice(MULAW_8K, CALL) as voice,
    ):
        await speak(voice)
        sent = far.talks[0].json_received()
    kinds = {
        "init": types.SpeechSessionInit,
        "text": types.SpeechSessionText,
        "flush": types.SpeechSessionFlush,
    }
    assert [said["type"] for said in sent] == ["init", *["text", "flush"] * len(SENTENCES)]
    for said in sent:
        kinds[said["type"]].model_validate(said, strict=True)


@pytest.mark.parametrize("wrong", [{"voice": ""}, {"return_timestamps": 1}, {"output_format": "mp3_24000"}])
def test_a_wrong_setting_is_refused(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        LMNTTTS(api_key=KEY, **wrong)
