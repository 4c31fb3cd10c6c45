"""Recorded sequences of every vendor, said by the far end at their times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from trio.testing import MockClock

from patter_trio.errors import (
    AuthenticationError,
    PatterConfigError,
    PatterConnectionError,
    PatterError,
    RateLimitError,
    RecognizerError,
)
from patter_trio.events import HearingItem, SpeechEnded, SpeechStarted
from patter_trio.stt._settings import SocketSTT
from patter_trio.stt.assemblyai import AssemblyAISTT
from patter_trio.stt.cartesia import CartesiaSTT, CartesiaTurnsSTT
from patter_trio.stt.deepgram_flux import DeepgramFluxSTT
from patter_trio.stt.elevenlabs import ElevenLabsSTT
from patter_trio.stt.soniox import SonioxSTT
from patter_trio.stt.speechmatics import SpeechmaticsSTT
from patter_trio.stt.telnyx import TelnyxSTT

from .answers import only
from .stt_endpoint import open_far_end, replaying, vectors
from .stt_hearing import Heard, hear, silence
from .stt_vendors import KEY

# Class, protocol, name, settings, when the detector hears the end of speech, how it fails in the end.
Replayed = tuple[type[SocketSTT], str, str, Mapping[str, Any], Sequence[float], type[PatterError] | None]
REPLAYED: list[Replayed] = [
    (DeepgramFluxSTT, "deepgram_listen_v2", "eager_resume_end", {}, [], None),
    (DeepgramFluxSTT, "deepgram_listen_v2", "manual_and_fatal", {}, [0.04], RecognizerError),
    (AssemblyAISTT, "assemblyai_v3", "formatted_turn", {"format_turns": True}, [], None),
    (AssemblyAISTT, "assemblyai_v3", "chunk_too_short", {}, [], PatterConfigError),
    (SonioxSTT, "soniox_rt", "endpoint_and_finalize", {}, [2.48], None),
    (SonioxSTT, "soniox_rt", "restart", {}, [], PatterConnectionError),
    (CartesiaSTT, "cartesia_stt_manual", "finalize", {}, [0.88], None),
    (CartesiaSTT, "cartesia_stt_manual", "error", {}, [], RateLimitError),
    (CartesiaTurnsSTT, "cartesia_stt_turns", "resume", {}, [], None),
    (SpeechmaticsSTT, "speechmatics_rt", "utterance", {}, [], None),
    (SpeechmaticsSTT, "speechmatics_rt", "errors", {}, [], RateLimitError),
    (ElevenLabsSTT, "elevenlabs_scribe_rt", "commit", {}, [2.48], RateLimitError),
    (ElevenLabsSTT, "elevenlabs_scribe_rt", "commit", {"include_timestamps": False}, [2.48], RateLimitError),
    (TelnyxSTT, "telnyx_stt", "transcript", {}, [], None),
]
# Codes of errors and of closing.
Told = tuple[type[SocketSTT], Sequence[Mapping[str, Any]], type[PatterError]]
TOLD: list[Told] = [
    (AssemblyAISTT, [{"type": "Begin"}, {"close": 1008}], AuthenticationError),
    (AssemblyAISTT, [{"type": "Begin"}, {"close": 4001}], AuthenticationError),
    (AssemblyAISTT, [{"type": "Begin"}, {"close": 3006}], PatterConfigError),
    (AssemblyAISTT, [{"type": "Begin"}, {"close": 3009}], RateLimitError),
    (AssemblyAISTT, [{"type": "Begin"}, {"close": 3005}], PatterConnectionError),
    (AssemblyAISTT, [{"type": "Begin"}, {"close": 3008}], PatterConnectionError),
    (AssemblyAISTT, [{"type": "Error", "error_code": 3009, "error": "too many"}], RateLimitError),
    (AssemblyAISTT, [{"error": "Not authorized"}, {"close": 4001}], PatterConnectionError),
    (DeepgramFluxSTT, [{"type": "Connected"}, {"close": 1011}], PatterConnectionError),
    (DeepgramFluxSTT, [{"type": "Connected"}, {"close": 1008}], PatterConfigError),
    *[
        (SonioxSTT, [{"tokens": [], "error_code": code, "error_message": "so"}], kind)
        for code, kind in {
            400: PatterConfigError,
            401: AuthenticationError,
            402: RecognizerError,
            408: PatterConnectionError,
            429: RateLimitError,
            500: PatterConnectionError,
        }.items()
    ],
    (CartesiaSTT, [{"type": "error", "title": "no", "status_code": 401}], AuthenticationError),
    (CartesiaSTT, [{"type": "error", "title": "no"}], RecognizerError),
    (CartesiaTurnsSTT, [{"type": "connected"}, {"type": "error", "status_code": 429}], RateLimitError),
    *[
        (SpeechmaticsSTT, [{"message": "Error", "type": said, "reason": "so"}], kind)
        for said, kind in {
            "not_authorised": AuthenticationError,
            "invalid_config": PatterConfigError,
            "quota_exceeded": RateLimitError,
            "session_timeout": PatterConnectionError,
            "job_error": RecognizerError,
        }.items()
    ],
    *[
        (ElevenLabsSTT, [{"message_type": said, "error": "so"}], kind)
        for said, kind in {
            "auth_error": AuthenticationError,
            "input_error": PatterConfigError,
            "quota_exceeded": RateLimitError,
            "session_time_limit_exceeded": PatterConnectionError,
            "transcriber_error": RecognizerError,
        }.items()
    ],
    (TelnyxSTT, [{"type": "error", "error": "no engine"}], RecognizerError),
]


def greeted(kind: type[SocketSTT], frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The sequence with the greeting without which nothing else is ever said."""
    greetings: dict[type[SocketSTT], dict[str, str]] = {
        DeepgramFluxSTT: {"type": "Connected"},
        AssemblyAISTT: {"type": "Begin"},
        CartesiaTurnsSTT: {"type": "connected"},
        SpeechmaticsSTT: {"message": "RecognitionStarted"},
        ElevenLabsSTT: {"message_type": "session_started"},
    }
    greeting = greetings.get(kind)
    if greeting is None or any(greeting.items() <= frame.get("data", {}).items() for frame in frames):
        return frames
    return [{"t": 0, "dir": "recv", "kind": "json", "data": greeting}, *frames]


def hearing(seconds: float, ends: Sequence[float]) -> list[HearingItem]:
    items: list[HearingItem] = []
    for item in silence(seconds, 0):
        items.append(item)
        at = getattr(item, "at", 0.0)
        if any(abs(end - at) < 0.02 for end in ends):
            items += [SpeechStarted(at), SpeechEnded(at)]
    return items


async def replay(
    monkeypatch: pytest.MonkeyPatch,
    kind: type[SocketSTT],
    frames: list[dict[str, Any]],
    settings: Mapping[str, Any],
    ends: Sequence[float] = (),
) -> tuple[Heard, PatterError | None]:
    heard = Heard()
    seconds = max(frame["t"] for frame in frames) / 1000 + 0.2
    if frames[-1].get("code") == 1000:
        # The vendor's goodbye is the answer to ours.
        seconds -= 0.3
    async with open_far_end(monkeypatch, replaying(frames)) as far:
        try:
            provider = kind(api_key=KEY, base_url=far.url, **settings)
            await hear(provider, hearing(seconds, ends), heard=heard)
        except (PatterError, BaseExceptionGroup) as raised:
            return heard, only(raised)
    return heard, None


@pytest.mark.parametrize(("kind", "protocol", "name", "settings", "ends", "failure"), REPLAYED)
async def test_a_recorded_sequence_is_understood(
    kind: type[SocketSTT],
    protocol: str,
    name: str,
    settings: Mapping[str, Any],
    ends: Sequence[float],
    failure: type[PatterError] | None,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = vectors(protocol)[name]
    heard, raised = await replay(monkeypatch, kind, greeted(kind, entry["frames"]), settings, ends)
    expected = " ".join(entry["expect"].get("final_transcripts", []))
    assert " ".join(text for text in heard.finals if text) == expected
    shown = " ".join(transcript.text for transcript in heard.transcripts)
    assert not any(sign in shown for sign in entry["expect"].get("must_not_contain", []))
    assert type(raised) is (failure or type(None)), raised
    if failure is None and "turns" in entry["expect"]:
        assert len([text for text in heard.finals if text]) == entry["expect"]["turns"]


@pytest.mark.parametrize(("kind", "messages", "failure"), TOLD)
async def test_an_error_of_the_vendor_has_its_type(
    kind: type[SocketSTT],
    messages: Sequence[Mapping[str, Any]],
    failure: type[PatterError],
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = [
        {"t": 100, "dir": "recv", "kind": "close", "code": message["close"], "reason": "so"}
        if "close" in message
        else {"t": 50, "dir": "recv", "kind": "json", "data": message}
        for message in messages
    ]
    _, raised = await replay(monkeypatch, kind, frames, {})
    assert type(raised) is failure, raised
