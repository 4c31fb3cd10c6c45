"""Deepgram's Aura: recorded sequences, its own SDK, and flushes that are kept within their limit."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from patter_trio._wire.deepgram_voice import DeepgramVoiceWire
from patter_trio._wire.voice import Failed, Reply, Spoken
from patter_trio.errors import PatterConfigError, RateLimitError, VoiceError
from patter_trio.events import MULAW_8K
from patter_trio.tts.deepgram import DeepgramTTS

from .stt_endpoint import open_far_end, open_port
from .stt_hearing import CALL
from .test_tts_providers import SENTENCES, speak, words_in
from .tts_endpoint import DeepgramTalk, asked, sound_of, vectors
from .tts_vendors import KEY

RECORDED = vectors("deepgram_speak_v1")


def played(frames: Any) -> Iterator[int]:
    """What the wire plays of a recorded sequence, with its sendings made where they were recorded."""
    wire = DeepgramVoiceWire(MULAW_8K, lambda: 0.0)
    turn, open_now = 0, False
    for frame in frames:
        kind = frame.get("data", {}).get("type")
        if frame["dir"] == "send" and kind == "Speak":
            if not open_now:
                turn, open_now = turn + 1, True
                wire.begin(f"turn-{turn}")
            wire.say(f"turn-{turn}", frame["data"]["text"])
        elif kind == "Clear":
            assert list(wire.cancel(f"turn-{turn}")) == ['{"type":"Clear"}']
        elif frame["dir"] == "recv" and frame["kind"] != "close":
            binary = frame["kind"] == "binary"
            message = base64.b64decode(frame["b64"]) if binary else json.dumps(frame["data"])
            for said in wire.receive(message):
                if isinstance(said, Spoken):
                    yield from {value for piece in said.pieces for value in piece.audio}
            if kind == "Flushed":
                open_now = False


def test_a_recorded_clearing_is_never_played() -> None:
    entry = RECORDED["flush_then_clear"]
    assert list(played(entry["frames"])) == entry["expect"]["played_values"]


def test_a_flush_that_did_not_happen_fails_the_turn() -> None:
    wire = DeepgramVoiceWire(MULAW_8K, lambda: 0.0)
    wire.begin("turn-1")
    wire.say("turn-1", "Hello.")
    (said,) = wire.receive(json.dumps(RECORDED["warning"]["frames"][0]["data"]))
    assert isinstance(said, Failed)
    assert said.turn == "turn-1"
    assert isinstance(said.error, RateLimitError)
    assert said.error.retry_after == 60.0


def test_an_error_ends_the_connection() -> None:
    wire = DeepgramVoiceWire(MULAW_8K, lambda: 0.0)
    (said,) = wire.receive('{"type":"Error","code":"DATA-0000","description":"bad"}')
    assert isinstance(said, Failed)
    assert said.turn is None
    assert type(said.error) is VoiceError


def test_sentences_that_come_while_one_is_made_are_flushed_together() -> None:
    wire = DeepgramVoiceWire(MULAW_8K, lambda: 0.0)
    wire.begin("turn-1")
    assert [json.loads(item)["type"] for item in wire.say("turn-1", "One.")] == ["Speak", "Flush"]
    assert not wire.say("turn-1", "Two.")
    assert not wire.say("turn-1", "Three.")
    replies = [said for said in wire.receive('{"type":"Flushed"}') if isinstance(said, Reply)]
    assert [json.loads(item) for item in replies[0].messages] == [
        {"type": "Speak", "text": "Two. Three."},
        {"type": "Flush"},
    ]


def test_flushes_are_kept_within_their_limit_and_the_end_of_a_turn_comes_first() -> None:
    now = [0.0]
    wire = DeepgramVoiceWire(MULAW_8K, lambda: now[0])
    wire.begin("turn-1")
    for number in range(14):
        assert wire.say("turn-1", f"{number}.")
        list(wire.receive('{"type":"Flushed"}'))
    assert not wire.say("turn-1", "Held back.")
    assert not wire.keep_alive()
    assert wire.finish("turn-1")  # an end takes what is reserved
    list(wire.receive('{"type":"Flushed"}'))
    for number in range(2, 7):
        wire.begin(f"turn-{number}")
        assert wire.say(f"turn-{number}", "Hello.")
        list(wire.receive('{"type":"Flushed"}'))
    wire.begin("turn-7")
    assert not wire.say("turn-7", "Hello.")
    now[0] = 60.0
    assert wire.keep_alive()


def test_a_text_that_is_too_long_goes_in_parts() -> None:
    wire = DeepgramVoiceWire(MULAW_8K, lambda: 0.0)
    wire.begin("turn-1")
    *parts, flush = (json.loads(item) for item in wire.say("turn-1", "word " * 1000))
    assert [len(part["text"]) <= 2000 for part in parts] == [True] * 3
    assert " ".join(part["text"] for part in parts) == ("word " * 1000).strip()
    assert flush == {"type": "Flush"}


async def test_a_turn_whose_sentences_end_late_ends_all_the_same(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        open_far_end(monkeypatch, DeepgramTalk) as far,
        DeepgramTTS(api_key=KEY, base_url=far.url).open_voice(MULAW_8K, CALL) as voice,
    ):
        pieces = await speak(voice, gap=5.0)
        assert [piece.text for piece in pieces if piece.text] == list(SENTENCES)
        assert len(asked(far.talks[0], type="Flush")) == 3
        assert words_in(await speak(voice), MULAW_8K) == " ".join(SENTENCES).split()
        assert len(asked(far.talks[0], type="Flush")) == 5  # the second and third sentence together


QUERY: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({}, {"model": ["aura-2-thalia-en"], "encoding": ["mulaw"], "sample_rate": ["8000"]}),
    ({"model": "aura-2-orion-en"}, {"model": ["aura-2-orion-en"]}),
    ({"speed": 1.2}, {"speed": ["1.2"]}),
    ({"mip_opt_out": True}, {"mip_opt_out": ["true"]}),
    ({"output_format": "linear16_8000"}, {"encoding": ["linear16"], "sample_rate": ["8000"]}),
]


@pytest.mark.parametrize(("settings", "query"), QUERY)
async def test_a_setting_stands_in_the_address(
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    settings: Mapping[str, Any],
    query: Mapping[str, Any],
) -> None:
    async with (
        open_far_end(monkeypatch, DeepgramTalk) as far,
        DeepgramTTS(api_key=KEY, base_url=far.url, **settings).open_voice(MULAW_8K, CALL) as voice,
    ):
        await speak(voice)
        (talk,) = far.talks
    assert query.items() <= talk.query.items()
    assert talk.headers["authorization"] == f"Token {KEY}"
    assert set(talk.query) == {"model", "encoding", "sample_rate"} | set(query)


@pytest.mark.parametrize(
    "wrong", [{"speed": 3}, {"model": ""}, {"output_format": "opus"}, {"mip_opt_out": 1}]
)
def test_a_wrong_setting_is_refused(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        DeepgramTTS(api_key=KEY, **wrong)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_their_sdk_speaks_to_our_far_end() -> None:
    deepgram = pytest.importorskip("deepgram")
    from deepgram.environment import DeepgramClientEnvironment
    from deepgram.speak.v1.types import SpeakV1Close, SpeakV1Flush, SpeakV1Text

    def talk(url: str) -> list[Any]:
        there = DeepgramClientEnvironment(base=url, production=url, agent=url, agent_rest=url)
        client = deepgram.DeepgramClient(api_key=KEY, environment=there)
        heard: list[Any] = []
        with client.speak.v1.connect(
            model="aura-2-thalia-en", encoding="mulaw", sample_rate="8000"
        ) as socket:
            socket.send_text(SpeakV1Text(type="Speak", text="Good morning."))
            socket.send_flush(SpeakV1Flush(type="Flush"))
            for item in socket:
                heard.append(item)
                if getattr(item, "type", "") == "Flushed":
                    break
            socket.send_close(SpeakV1Close(type="Close"))
        return heard

    async with open_port(DeepgramTalk) as far:
        with trio.fail_after(10):
            heard = await trio.to_thread.run_sync(talk, far.url)
    sound = b"".join(item for item in heard if isinstance(item, bytes))
    assert sound.startswith(sound_of("Good morning.", MULAW_8K)[:1])
    assert len(sound) == len(sound_of("Good morning.", MULAW_8K))
