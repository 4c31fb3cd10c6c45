"""The wires of voices take anything: what is wrong is told as such, what is unknown is passed over."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._wire.cartesia_voice import CartesiaWire
from patter_trio._wire.deepgram_voice import DeepgramVoiceWire
from patter_trio._wire.elevenlabs_rest import ElevenLabsReader
from patter_trio._wire.elevenlabs_voice import ElevenLabsWire
from patter_trio._wire.inworld_voice import InworldWire
from patter_trio._wire.lmnt_voice import LMNTWire
from patter_trio._wire.openai_voice import SpeechEvents
from patter_trio._wire.placing import Samples, Spelt
from patter_trio._wire.voice import Failed, Spoken, VoiceWire
from patter_trio.errors import ProviderError, RemoteProtocolError
from patter_trio.events import LINEAR_8K, MULAW_8K, SpokenAudio

WIRES: dict[str, Callable[[], VoiceWire]] = {
    "cartesia": lambda: CartesiaWire(MULAW_8K, {}),
    "deepgram": lambda: DeepgramVoiceWire(MULAW_8K, lambda: 0.0),
    "elevenlabs": lambda: ElevenLabsWire(MULAW_8K, {}),
    "inworld": lambda: InworldWire(LINEAR_8K, {}),
    "lmnt": lambda: LMNTWire(MULAW_8K, {}),
}
# Fields of all vendors' messages.
NAMES = st.sampled_from(
    [
        "type",
        "audio",
        "isFinal",
        "contextId",
        "context_id",
        "alignment",
        "chars",
        "charStartTimesMs",
        "charDurationsMs",
        "error",
        "message",
        "code",
        "data",
        "done",
        "flush_id",
        "word_timestamps",
        "words",
        "start",
        "end",
        "title",
        "status_code",
        "description",
        "sequence_id",
        "result",
        "audioChunk",
        "audioContent",
        "timestampInfo",
        "wordAlignment",
        "nonce",
        "timestamps",
        "text",
        "duration",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["turn-1", "AQEB", "chunk", "done", "error", "flush_done", "timestamps", "Flushed"])
    | st.sampled_from(["Cleared", "Warning", "Metadata", "Error", "audio_chunk", "final", "x", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=20,
)
MESSAGES = st.dictionaries(NAMES, VALUES, max_size=8).map(json.dumps) | st.text() | st.binary()


@pytest.mark.parametrize("name", WIRES)
@given(messages=st.lists(MESSAGES, max_size=6))
def test_anything_may_be_received(name: str, messages: list[Any]) -> None:
    wire = WIRES[name]()
    wire.opening()
    wire.begin("turn-1")
    wire.say("turn-1", "Good morning.")
    wire.finish("turn-1")
    for message in messages:
        with suppress(RemoteProtocolError, ProviderError):
            for said in wire.receive(message):
                if isinstance(said, Spoken):
                    assert said.turn == "turn-1"
                    assert all(0 <= word.start <= word.end for piece in said.pieces for word in piece.words)
                if isinstance(said, Failed):
                    assert str(said.error)


@given(body=st.lists(MESSAGES, max_size=4))
def test_any_body_may_be_received(body: list[Any]) -> None:
    lines = [line if isinstance(line, bytes) else line.encode("utf-8", "replace") + b"\n" for line in body]
    timed, events = ElevenLabsReader(LINEAR_8K, "Hi.", timed=True), SpeechEvents(LINEAR_8K, "Hi.")
    for reader, before in ((timed, b""), (events, b"data: ")):
        with suppress(RemoteProtocolError, ProviderError):
            for line in lines:
                list(reader.feed(before + line))
            list(reader.finish())


@given(sound=st.binary(max_size=400), cuts=st.lists(st.integers(0, 460), max_size=6), header=st.booleans())
def test_samples_are_the_same_however_they_are_cut(sound: bytes, cuts: list[int], header: bool) -> None:
    stream = (
        b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + bytes(16) + b"data\xff\xff\xff\xff"
        if header
        else b""
    )
    stream += sound
    samples, given_back, before = Samples(LINEAR_8K), b"", 0
    for cut in [*sorted(cuts), len(stream)]:
        piece = samples.feed(stream[before:cut])
        assert len(piece) % 2 == 0
        given_back, before = given_back + piece, max(before, cut)
    if header or not sound.startswith(b"R"):
        assert given_back == sound[: len(sound) // 2 * 2]


def test_a_header_without_an_end_is_told() -> None:
    with pytest.raises(RemoteProtocolError):
        Samples(MULAW_8K).feed(b"RIFF" + bytes(5000))


WORDS = st.text("abc.", min_size=1, max_size=4)
TEXTS = st.lists(st.lists(WORDS, min_size=1, max_size=4).map(" ".join), min_size=1, max_size=4)


@given(texts=TEXTS, cuts=st.sets(st.integers(1, 60)))
def test_sentences_and_words_are_found_however_the_sound_is_cut(texts: list[str], cuts: set[int]) -> None:
    # Ten milliseconds for each character, one of them a space behind every sentence.
    signs = "".join(f"{text} " for text in texts)
    spelt = Spelt(MULAW_8K)
    for text in texts:
        spelt.add(text)
    pieces: list[SpokenAudio] = []
    before = 0
    for cut in [*sorted(cut for cut in cuts if cut < len(signs)), len(signs)]:
        symbols = [(sign, place * 0.01, place * 0.01 + 0.01) for place, sign in enumerate(signs[before:cut])]
        pieces += spelt.sound(bytes(80 * (cut - before)), symbols)
        before = cut
    pieces += spelt.end()
    found: list[tuple[str, int, list[str]]] = []
    for piece in pieces:
        if piece.text is not None:
            found.append((piece.text, 0, []))
        text, size, words = found[-1]
        found[-1] = (text, size + len(piece.audio), words + [word.text for word in piece.words])
        for word in piece.words:
            place = round(word.start / 0.01)
            assert text[place : place + len(word.text)] == word.text
    assert found == [(text, 80 * (len(text) + 1), text.split()) for text in texts]


def test_sound_without_characters_speaks_all_sentences() -> None:
    spelt = Spelt(MULAW_8K)
    spelt.add("One.")
    spelt.add("Two.")
    pieces = [*spelt.sound(bytes(80)), *spelt.sound(bytes(80)), *spelt.end()]
    assert [piece.text for piece in pieces] == ["One.", None, "Two."]
