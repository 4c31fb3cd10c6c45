"""Every setting of every recogniser reaches its wire, and wrong ones are refused at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import attrs
import pytest

from patter_trio._wire.scribe import ScribeWire
from patter_trio.errors import PatterConfigError
from patter_trio.events import LINEAR_16K, MULAW_8K, AudioFormat
from patter_trio.stt._settings import SocketSTT, query
from patter_trio.stt.assemblyai import AssemblyAISTT
from patter_trio.stt.cartesia import CartesiaSTT, CartesiaTurnsSTT
from patter_trio.stt.deepgram import DeepgramSTT
from patter_trio.stt.deepgram_flux import DeepgramFluxSTT
from patter_trio.stt.elevenlabs import ElevenLabsSTT
from patter_trio.stt.soniox import SonioxSTT
from patter_trio.stt.speechmatics import SpeechmaticsSTT
from patter_trio.stt.telnyx import TelnyxSTT

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
    (DeepgramFluxSTT, {"model": "flux-general-multi"}, {"model": "flux-general-multi"}),
    (DeepgramFluxSTT, {"eot_threshold": 1.0}, {"eot_threshold": "1.0"}),
    (DeepgramFluxSTT, {"eager_eot_threshold": 0.5}, {"eager_eot_threshold": "0.5"}),
    (DeepgramFluxSTT, {"eot_timeout_ms": 800}, {"eot_timeout_ms": "800"}),
    (DeepgramFluxSTT, {"keyterm": ["Lin", "Ann"]}, {"keyterm": ["Lin", "Ann"]}),
    (DeepgramFluxSTT, {"language_hint": "de", "model": "flux-general-multi"}, {"language_hint": "de"}),
    (DeepgramFluxSTT, {"numerals": True}, {"numerals": "true"}),
    (DeepgramFluxSTT, {"profanity_filter": True}, {"profanity_filter": "true"}),
    (DeepgramFluxSTT, {"redact": ["pci", "ssn"]}, {"redact": ["pci", "ssn"]}),
    (DeepgramFluxSTT, {"tag": "bakery"}, {"tag": "bakery"}),
    (DeepgramFluxSTT, {"mip_opt_out": True}, {"mip_opt_out": "true"}),
    (DeepgramFluxSTT, {"encoding": "linear16"}, {"encoding": "linear16"}),
    (
        AssemblyAISTT,
        {"model": "universal-3-6-pro"},
        {"speech_model": "universal-3-6-pro", "format_turns": None},
    ),
    (AssemblyAISTT, {"language": "de", "model": "u3-rt-pro"}, {"language_codes": '["de"]'}),
    (
        AssemblyAISTT,
        {"language_codes": ["en", "de"], "model": "u3-rt-pro"},
        {"language_codes": '["en", "de"]'},
    ),
    (AssemblyAISTT, {"language_detection": True}, {"language_detection": "true"}),
    (AssemblyAISTT, {"format_turns": True}, {"format_turns": "true"}),
    (AssemblyAISTT, {"mode": "min_latency"}, {"mode": "min_latency"}),
    (AssemblyAISTT, {"min_turn_silence": 160}, {"min_turn_silence": "160"}),
    (AssemblyAISTT, {"max_turn_silence": 1280}, {"max_turn_silence": "1280"}),
    (
        AssemblyAISTT,
        {"end_of_turn_confidence_threshold": 0.4},
        {"end_of_turn_confidence_threshold": "0.4"},
    ),
    (AssemblyAISTT, {"keyterms_prompt": "Lin"}, {"keyterms_prompt": '["Lin"]'}),
    (AssemblyAISTT, {"prompt": "A bakery."}, {"prompt": "A bakery."}),
    (AssemblyAISTT, {"agent_context": "Which day?"}, {"agent_context": "Which day?"}),
    (AssemblyAISTT, {"vad_threshold": 0.3}, {"vad_threshold": "0.3"}),
    (AssemblyAISTT, {"interruption_delay": 200}, {"interruption_delay": "200"}),
    (AssemblyAISTT, {"voice_focus": "far-field"}, {"voice_focus": "far-field"}),
    (AssemblyAISTT, {"filter_profanity": True}, {"filter_profanity": "true"}),
    (AssemblyAISTT, {"redact_pii": True}, {"redact_pii": "true"}),
    (AssemblyAISTT, {"redact_pii_policies": ["date"]}, {"redact_pii_policies": '["date"]'}),
    (AssemblyAISTT, {"redact_pii_sub": "hash"}, {"redact_pii_sub": "hash"}),
    (AssemblyAISTT, {"speaker_labels": True}, {"speaker_labels": "true"}),
    (AssemblyAISTT, {"max_speakers": 2}, {"max_speakers": "2"}),
    (AssemblyAISTT, {"inactivity_timeout": 30}, {"inactivity_timeout": "30"}),
    (AssemblyAISTT, {"include_partial_turns": True}, {"include_partial_turns": "true"}),
    (AssemblyAISTT, {"session_heartbeat": True}, {"session_heartbeat": "true"}),
    (AssemblyAISTT, {"acknowledge_silence": True}, {"acknowledge_silence": "true"}),
    (AssemblyAISTT, {"domain": "medical-v1"}, {"domain": "medical-v1"}),
    (AssemblyAISTT, {"encoding": "pcm_s16le"}, {"encoding": "pcm_s16le"}),
    (SonioxSTT, {"model": "stt-rt-v4"}, {"model": "stt-rt-v4"}),
    (SonioxSTT, {"language_hints": ["en", "de"]}, {"language_hints": ["en", "de"]}),
    (SonioxSTT, {"language_hints_strict": True, "language_hints": "en"}, {"language_hints_strict": True}),
    (SonioxSTT, {"enable_endpoint_detection": False}, {"enable_endpoint_detection": False}),
    (SonioxSTT, {"max_endpoint_delay_ms": 700}, {"max_endpoint_delay_ms": 700}),
    (SonioxSTT, {"endpoint_sensitivity": 0.5}, {"endpoint_sensitivity": 0.5}),
    (SonioxSTT, {"endpoint_latency_adjustment_level": 2}, {"endpoint_latency_adjustment_level": 2}),
    (SonioxSTT, {"enable_language_identification": False}, {"enable_language_identification": False}),
    (SonioxSTT, {"enable_speaker_diarization": True}, {"enable_speaker_diarization": True}),
    (SonioxSTT, {"context": {"terms": ["Lin"]}}, {"context": {"terms": ["Lin"]}}),
    (SonioxSTT, {"client_reference_id": "CA1"}, {"client_reference_id": "CA1"}),
    (SonioxSTT, {"encoding": "pcm_s16le", "sample_rate": 16000}, {"audio_format": "pcm_s16le"}),
    (CartesiaSTT, {"model": "ink-2"}, {"model": "ink-2"}),
    (CartesiaSTT, {"language": "de"}, {"language": "de"}),
    (CartesiaSTT, {"min_volume": 0.1}, {"min_volume": "0.1"}),
    (CartesiaSTT, {"max_silence_duration_secs": 0.6}, {"max_silence_duration_secs": "0.6"}),
    (CartesiaSTT, {"keyterm": ["Lin", "Ann"]}, {"keyterm": ["Lin", "Ann"]}),
    (CartesiaSTT, {"encoding": "pcm_s16le"}, {"encoding": "pcm_s16le"}),
    (CartesiaSTT, {"version": "2025-04-16"}, {"cartesia-version": "2025-04-16"}),
    (CartesiaTurnsSTT, {"model": "ink-3"}, {"model": "ink-3"}),
    (CartesiaTurnsSTT, {"turn_start_threshold": 0.6}, {"turn_start_threshold": "0.6"}),
    (CartesiaTurnsSTT, {"turn_eager_end_threshold": 0.6}, {"turn_eager_end_threshold": "0.6"}),
    (CartesiaTurnsSTT, {"turn_end_threshold": 0.3}, {"turn_end_threshold": "0.3"}),
    (CartesiaTurnsSTT, {"turn_end_timeout_ms": 900}, {"turn_end_timeout_ms": "900"}),
    (CartesiaTurnsSTT, {"keyterm": "Lin"}, {"keyterm": "Lin"}),
    (CartesiaTurnsSTT, {"version": "2025-04-16"}, {"cartesia-version": "2025-04-16"}),
    (SpeechmaticsSTT, {"language": "de"}, {"language": "de"}),
    (SpeechmaticsSTT, {"model": "standard"}, {"model": "standard"}),
    (
        SpeechmaticsSTT,
        {"turn_detection_mode": "external"},
        {"conversation_config": {"end_of_utterance_silence_trigger": 0}},
    ),
    (
        SpeechmaticsSTT,
        {"end_of_utterance_silence_trigger": 0.8},
        {"conversation_config": {"end_of_utterance_silence_trigger": 0.8}},
    ),
    (SpeechmaticsSTT, {"include_partials": False}, {"enable_partials": False}),
    (SpeechmaticsSTT, {"max_delay": 1.5}, {"max_delay": 1.5}),
    (SpeechmaticsSTT, {"max_delay_mode": "fixed"}, {"max_delay_mode": "fixed"}),
    (SpeechmaticsSTT, {"enable_entities": True}, {"enable_entities": True}),
    (SpeechmaticsSTT, {"enable_diarization": True}, {"diarization": "speaker"}),
    (
        SpeechmaticsSTT,
        {"additional_vocab": ["Ann", {"content": "Lin", "sounds_like": ["lynn"]}]},
        {"additional_vocab": [{"content": "Ann"}, {"content": "Lin", "sounds_like": ["lynn"]}]},
    ),
    (SpeechmaticsSTT, {"domain": "medical"}, {"domain": "medical"}),
    (SpeechmaticsSTT, {"output_locale": "en-GB"}, {"output_locale": "en-GB"}),
    (
        SpeechmaticsSTT,
        {"encoding": "pcm_s16le", "sample_rate": 16000},
        {"audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}},
    ),
    (ElevenLabsSTT, {"model": "scribe_v3_realtime"}, {"model_id": "scribe_v3_realtime"}),
    (ElevenLabsSTT, {"language_code": "de"}, {"language_code": "de"}),
    (ElevenLabsSTT, {"commit_strategy": "manual"}, {"commit_strategy": "manual"}),
    (ElevenLabsSTT, {"vad_silence_threshold_secs": 1.0}, {"vad_silence_threshold_secs": "1.0"}),
    (ElevenLabsSTT, {"vad_threshold": 0.4}, {"vad_threshold": "0.4"}),
    (ElevenLabsSTT, {"min_speech_duration_ms": 100}, {"min_speech_duration_ms": "100"}),
    (ElevenLabsSTT, {"min_silence_duration_ms": 100}, {"min_silence_duration_ms": "100"}),
    (ElevenLabsSTT, {"include_timestamps": False}, {"include_timestamps": "false"}),
    (ElevenLabsSTT, {"secondary_languages": ["de", "fr"]}, {"secondary_languages": ["de", "fr"]}),
    (ElevenLabsSTT, {"keyterms": ["Lin", "Ann"]}, {"keyterms": ["Lin", "Ann"]}),
    (ElevenLabsSTT, {"no_verbatim": True}, {"no_verbatim": "true"}),
    (ElevenLabsSTT, {"enable_logging": False}, {"enable_logging": "false"}),
    (ElevenLabsSTT, {"previous_text": "Which day?"}, {"previous_text": "Which day?"}),
    (ElevenLabsSTT, {"encoding": "pcm", "sample_rate": 16000}, {"audio_format": "pcm_16000"}),
    (TelnyxSTT, {"transcription_engine": "Deepgram"}, {"transcription_engine": "Deepgram"}),
    (TelnyxSTT, {"model": "nova-3"}, {"model": "nova-3"}),
    (TelnyxSTT, {"language": "de"}, {"language": "de"}),
    (TelnyxSTT, {"interim_results": False}, {"interim_results": "false"}),
    (TelnyxSTT, {"endpointing": 200}, {"endpointing": "200"}),
    (TelnyxSTT, {"keyterm": ["Lin", "Ann"]}, {"keyterm": ["Lin", "Ann"]}),
    (TelnyxSTT, {"redact": "pci"}, {"redact": "pci"}),
    (TelnyxSTT, {"sample_rate": 8000}, {"sample_rate": "8000"}),
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
    (DeepgramFluxSTT, {"eot_threshold": 0.4}),
    (DeepgramFluxSTT, {"eot_timeout_ms": 499}),
    (DeepgramFluxSTT, {"eot_timeout_ms": 60001}),
    (DeepgramFluxSTT, {"eager_eot_threshold": 0.8}),
    (DeepgramFluxSTT, {"language_hint": "de"}),
    (AssemblyAISTT, {"language": "de"}),
    (AssemblyAISTT, {"mode": "fast"}),
    (AssemblyAISTT, {"vad_threshold": 2}),
    (AssemblyAISTT, {"max_speakers": 0}),
    (SonioxSTT, {"max_endpoint_delay_ms": 499}),
    (SonioxSTT, {"endpoint_sensitivity": 1.1}),
    (SonioxSTT, {"endpoint_latency_adjustment_level": 4}),
    (SonioxSTT, {"language_hints_strict": True}),
    (SonioxSTT, {"context": "Lin"}),
    (CartesiaSTT, {"model": "ink-2", "min_volume": 0.1}),
    (CartesiaSTT, {"keyterm": ["x"] * 101}),
    (CartesiaSTT, {"keyterm": ["x" * 1201]}),
    (CartesiaTurnsSTT, {"turn_start_threshold": 0.4}),
    (CartesiaTurnsSTT, {"turn_end_threshold": 0.6}),
    (SpeechmaticsSTT, {"max_delay": 0.5}),
    (SpeechmaticsSTT, {"end_of_utterance_silence_trigger": 0}),
    (SpeechmaticsSTT, {"turn_detection_mode": "smart"}),
    (SpeechmaticsSTT, {"additional_vocab": [{"sounds_like": ["x"]}]}),
    (ElevenLabsSTT, {"commit_strategy": "never"}),
    (ElevenLabsSTT, {"vad_silence_threshold_secs": 0.2}),
    (ElevenLabsSTT, {"min_speech_duration_ms": 49}),
    (ElevenLabsSTT, {"keyterms": "x" * 21}),
    (ElevenLabsSTT, {"encoding": "ulaw", "sample_rate": 16000}),
    (ElevenLabsSTT, {"sample_rate": 12000}),
    (TelnyxSTT, {"transcription_engine": ""}),
    (TelnyxSTT, {"sample_rate": 4000}),
]
# What is sent when nothing is set, on a call of Twilio.
DEFAULTS: list[tuple[type[SocketSTT], str]] = [
    (
        DeepgramSTT,
        "wss://api.deepgram.com/v1/listen?model=nova-3&language=en&interim_results=true&utterance_end_ms=1000"
        "&vad_events=true&smart_format=false&punctuate=true&no_delay=true&endpointing=150&encoding=mulaw"
        "&sample_rate=8000&channels=1",
    ),
    (
        DeepgramFluxSTT,
        "wss://api.deepgram.com/v2/listen?model=flux-general-en&eot_threshold=0.7&eot_timeout_ms=5000"
        "&encoding=mulaw&sample_rate=8000",
    ),
    (
        AssemblyAISTT,
        "wss://streaming.assemblyai.com/v3/ws?sample_rate=8000&encoding=pcm_mulaw"
        "&speech_model=universal-streaming-english&format_turns=false",
    ),
    (SonioxSTT, "wss://stt-rt.soniox.com/transcribe-websocket"),
    (
        CartesiaSTT,
        "wss://api.cartesia.ai/stt/websocket?model=ink-whisper&language=en&encoding=pcm_mulaw&sample_rate=8000",
    ),
    (
        CartesiaTurnsSTT,
        "wss://api.cartesia.ai/stt/turns/websocket?model=ink-2&encoding=pcm_mulaw&sample_rate=8000"
        "&turn_start_threshold=0.8&turn_eager_end_threshold=0.4&turn_end_threshold=0.2"
        "&turn_end_timeout_ms=5600",
    ),
    (SpeechmaticsSTT, "wss://eu2.rt.speechmatics.com/v2"),
    (
        ElevenLabsSTT,
        "wss://api.elevenlabs.io/v1/speech-to-text/realtime?model_id=scribe_v2_realtime&audio_format=ulaw_8000"
        "&commit_strategy=vad&vad_silence_threshold_secs=0.6&language_code=en&include_timestamps=true",
    ),
    (
        TelnyxSTT,
        "wss://api.telnyx.com/v2/speech-to-text/transcription?transcription_engine=Telnyx&language=en"
        "&interim_results=true&input_format=linear16&sample_rate=16000",
    ),
]
SHARED = {"api_key", "key", "base_url", "encoding", "sample_rate"} | {
    "connect_timeout", "finalize_timeout", "close_timeout",
}  # fmt: skip


def request(settings: SocketSTT, audio: AudioFormat = MULAW_8K) -> dict[str, Any]:
    """The query, the headers and the fields of the first message, by name."""
    encoding, target = settings._sent_format(audio)
    fields = query(settings.query_fields(encoding, target))
    found: dict[str, Any] = {
        name: values[0] if len(values) == 1 else values for name, values in parse_qs(fields).items()
    }
    found |= {name.lower(): value for name, value in settings.request_headers().items()}
    wire = settings.make_wire(encoding, target)
    for message in (*wire.opening(), *((wire.sound(b"x"),) if isinstance(wire, ScribeWire) else ())):
        found |= json.loads(message)
    return {**found, **found.pop("transcription_config", {})}


@pytest.mark.parametrize(("kind", "settings", "expected"), SENT)
def test_a_setting_reaches_the_wire(
    kind: type[SocketSTT], settings: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    plain = request(kind(api_key=KEY))
    sent = request(kind(api_key=KEY, **settings))
    for name, value in expected.items():
        assert sent.get(name) == value
        assert plain.get(name) != value or name == "sample_rate"


@pytest.mark.parametrize("kind", dict.fromkeys(kind for kind, _, _ in SENT), ids=lambda kind: kind.__name__)
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
    assert f"{settings.base_url}?{query(settings.query_fields(encoding, target))}".rstrip("?") == url
    assert settings._sent_format(LINEAR_16K)[1] == target


@pytest.mark.parametrize("kind", dict.fromkeys(kind for kind, _, _ in SENT), ids=lambda kind: kind.__name__)
def test_the_calls_own_sound_is_sent_where_the_vendor_takes_it(kind: type[SocketSTT]) -> None:
    settings = kind(api_key=KEY)
    for audio in (MULAW_8K, LINEAR_16K, AudioFormat("alaw", 8000)):
        _, target = settings._sent_format(audio)
        assert target == audio or audio.encoding not in kind.encodings.values() or target.sample_rate == 16000


@pytest.mark.parametrize(("mode", "asks"), [("external", True), ("adaptive", True), ("fixed", False)])
def test_only_a_fixed_measure_of_silence_is_left_alone(mode: str, asks: bool) -> None:
    settings = SpeechmaticsSTT(api_key=KEY, turn_detection_mode=mode)
    assert bool(settings.make_wire("mulaw", MULAW_8K).finalise()) is asks
    trigger = request(settings)["conversation_config"]["end_of_utterance_silence_trigger"]
    assert bool(trigger) is (mode != "external")


def test_silence_needs_no_measure_where_the_calls_own_detector_says_it() -> None:
    settings = SpeechmaticsSTT(
        api_key=KEY, turn_detection_mode="external", end_of_utterance_silence_trigger=0
    )
    assert settings.make_wire("mulaw", MULAW_8K).finalise()
