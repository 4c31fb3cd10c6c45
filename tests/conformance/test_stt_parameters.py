"""Every setting of every recogniser reaches its wire, and wrong ones are refused at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import attrs
import pytest

from patter_trio.errors import PatterConfigError
from patter_trio.events import LINEAR_16K, MULAW_8K, AudioFormat
from patter_trio.stt._settings import SocketSTT, query
from patter_trio.stt.deepgram import DeepgramSTT

from .stt_hearing import CALL
from .stt_vendors import KEY

# What each setting adds to the query, or to the first message: class, settings, what then stands there.
SENT: list[tuple[type[SocketSTT], Mapping[str, Any], Mapping[str, Any]]] = [
    (DeepgramSTT, {"model": "nova-2"}, {"model": "nova-2"}),
    (DeepgramSTT, {"version": "2025-07-31"}, {"version": "2025-07-31"}),
    (DeepgramSTT, {"language": "multi"}, {"language": "multi"}),
    (DeepgramSTT, {"language_hint": ["en", "de"]}, {"language_hint": ["en", "de"]}),
    (DeepgramSTT, {"interim_results": False, "utterance_end_ms": None}, {"interim_results": "false"}),
    (DeepgramSTT, {"endpointing_ms": 300}, {"endpointing": "300"}),
    (DeepgramSTT, {"endpointing_ms": False}, {"endpointing": "false"}),
    (DeepgramSTT, {"utterance_end_ms": 1500}, {"utterance_end_ms": "1500"}),
    (DeepgramSTT, {"vad_events": False}, {"vad_events": "false"}),
    (DeepgramSTT, {"smart_format": True}, {"smart_format": "true"}),
    (DeepgramSTT, {"punctuate": False}, {"punctuate": "false"}),
    (DeepgramSTT, {"numerals": True}, {"numerals": "true"}),
    (DeepgramSTT, {"profanity_filter": True}, {"profanity_filter": "true"}),
    (DeepgramSTT, {"redact": "pci"}, {"redact": "pci"}),
    (DeepgramSTT, {"replace": ["a:b", "c:d"]}, {"replace": ["a:b", "c:d"]}),
    (DeepgramSTT, {"keyterm": ["Lin Dental", "crème"]}, {"keyterm": ["Lin Dental", "crème"]}),
    (DeepgramSTT, {"keywords": "Lin:2", "model": "nova-2"}, {"keywords": "Lin:2"}),
    (DeepgramSTT, {"diarize": True}, {"diarize": "true"}),
    (DeepgramSTT, {"diarize_model": "v2"}, {"diarize_model": "v2"}),
    (DeepgramSTT, {"dictation": True}, {"dictation": "true"}),
    (DeepgramSTT, {"detect_entities": True}, {"detect_entities": "true"}),
    (DeepgramSTT, {"search": ("x", "y")}, {"search": ["x", "y"]}),
    (DeepgramSTT, {"tag": "bakery"}, {"tag": "bakery"}),
    (DeepgramSTT, {"extra": "a:b"}, {"extra": "a:b"}),
    (DeepgramSTT, {"mip_opt_out": True}, {"mip_opt_out": "true"}),
    (DeepgramSTT, {"callback": "https://x.example"}, {"callback": "https://x.example"}),
    (DeepgramSTT, {"callback_method": "PUT"}, {"callback_method": "PUT"}),
    (DeepgramSTT, {"no_delay": None}, {"no_delay": None}),
    (DeepgramSTT, {"encoding": "linear16"}, {"encoding": "linear16", "sample_rate": "8000"}),
    (DeepgramSTT, {"encoding": "linear16", "sample_rate": 16000}, {"sample_rate": "16000"}),
]
REFUSED: list[tuple[type[SocketSTT], Mapping[str, Any]]] = [
    (DeepgramSTT, {"utterance_end_ms": 999}),
    (DeepgramSTT, {"interim_results": False}),
    (DeepgramSTT, {"endpointing_ms": -1}),
    (DeepgramSTT, {"endpointing_ms": True}),
    (DeepgramSTT, {"keyterm": "x", "model": "nova-2"}),
    (DeepgramSTT, {"keywords": "x"}),
    (DeepgramSTT, {"model": ""}),
    (DeepgramSTT, {"smart_format": "yes"}),
    (DeepgramSTT, {"tag": [1]}),
]
# What is sent when nothing is set, on a call of Twilio.
DEFAULTS: list[tuple[type[SocketSTT], str]] = [
    (
        DeepgramSTT,
        "wss://api.deepgram.com/v1/listen?model=nova-3&language=en&interim_results=true&utterance_end_ms=1000"
        "&vad_events=true&smart_format=false&punctuate=true&no_delay=true&endpointing=150&encoding=mulaw"
        "&sample_rate=8000&channels=1",
    ),
]
SHARED = {"api_key", "key", "base_url", "encoding", "sample_rate"} | {
    "connect_timeout", "finalize_timeout", "close_timeout",
}  # fmt: skip


def request(settings: SocketSTT, audio: AudioFormat = MULAW_8K) -> dict[str, Any]:
    """The query and the fields of the first message, by name."""
    encoding, target = settings._sent_format(audio)
    fields = query(settings.query_fields(encoding, target, CALL))
    found: dict[str, Any] = {
        name: values[0] if len(values) == 1 else values for name, values in parse_qs(fields).items()
    }
    for message in settings.make_wire(encoding, target, CALL).opening():
        found |= json.loads(message)
    return found


@pytest.mark.parametrize(("kind", "settings", "expected"), SENT)
def test_a_setting_reaches_the_wire(
    kind: type[SocketSTT], settings: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    plain = request(kind(api_key=KEY))
    sent = request(kind(api_key=KEY, **settings))
    for name, value in expected.items():
        assert sent.get(name) == value
        assert plain.get(name) != value or name == "sample_rate"


@pytest.mark.parametrize("kind", {kind for kind, _, _ in SENT}, ids=lambda kind: kind.__name__)
def test_no_setting_is_forgotten_here(kind: type[SocketSTT]) -> None:
    tried = {name for other, settings, _ in SENT for name in settings if other is kind}
    assert {field.name for field in attrs.fields(kind)} - SHARED <= tried


@pytest.mark.parametrize(("kind", "settings"), REFUSED)
def test_a_wrong_setting_is_refused_at_once(kind: type[SocketSTT], settings: Mapping[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        kind(api_key=KEY, **settings)


@pytest.mark.parametrize(("kind", "url"), DEFAULTS)
def test_nothing_set_is_a_call_of_twilio_as_it_comes(kind: type[SocketSTT], url: str) -> None:
    settings = kind.for_twilio(KEY)
    encoding, target = settings._sent_format(MULAW_8K)
    assert f"{settings.base_url}?{query(settings.query_fields(encoding, target, CALL))}".rstrip("?") == url
    assert settings._sent_format(LINEAR_16K)[1] == target


@pytest.mark.parametrize("kind", {kind for kind, _, _ in SENT}, ids=lambda kind: kind.__name__)
def test_the_calls_own_sound_is_sent_where_the_vendor_takes_it(kind: type[SocketSTT]) -> None:
    settings = kind(api_key=KEY)
    for audio in (MULAW_8K, LINEAR_16K, AudioFormat("alaw", 8000)):
        _, target = settings._sent_format(audio)
        assert target == audio or audio.encoding not in kind.encodings.values() or target.sample_rate == 16000
