"""The wires of the vendors' far ends, and what the tests of all recognisers need to know of each."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import attrs

from patter_trio.events import AudioFormat
from patter_trio.stt._settings import SocketSTT
from patter_trio.stt.assemblyai import AssemblyAISTT
from patter_trio.stt.cartesia import CartesiaSTT, CartesiaTurnsSTT
from patter_trio.stt.deepgram import DeepgramSTT
from patter_trio.stt.deepgram_flux import DeepgramFluxSTT
from patter_trio.stt.elevenlabs import ElevenLabsSTT
from patter_trio.stt.soniox import SonioxSTT
from patter_trio.stt.speechmatics import SpeechmaticsSTT
from patter_trio.stt.telnyx import TelnyxSTT
from patter_trio.testing.wordsound import HeardWord

from .stt_endpoint import FarEnd, Talk

KEY = "key-that-nobody-may-see"


class DeepgramTalk(Talk):
    """``/v1/listen``."""

    async def on_sound(self, audio: bytes) -> None:
        assert audio, "an empty message ends the stream"
        if self.hear(audio) and self.query["interim_results"] == ["true"]:
            await self.results(is_final=False)

    async def on_text(self, message: str) -> None:
        kind = json.loads(message)["type"]
        if kind == "Finalize" and self.words:
            await self.results(is_final=True, speech_final=True, from_finalize=True)
        elif kind == "CloseStream":
            await self.results(is_final=True)
            await self.say(
                {
                    "type": "Metadata",
                    "transaction_key": "deprecated",
                    "request_id": "r-1",
                    "sha256": "0",
                    "created": "2026-11-21T10:00:00.000Z",
                    "duration": self.seconds,
                    "channels": 1,
                }
            )
            await self.close()

    async def results(self, *, is_final: bool, **flags: bool) -> None:
        words = [
            {"word": word.text, "start": word.start, "end": word.end, "confidence": 0.9}
            for word in self.words
        ]
        await self.say(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "duration": 1.0,
                "start": 0.0,
                "is_final": is_final,
                "speech_final": False,
                "from_finalize": False,
                "channel": {"alternatives": [{"transcript": self.text(), "confidence": 0.9, "words": words}]},
                "metadata": {
                    "request_id": "r-1",
                    "model_info": {"name": "general-nova-3", "version": "1", "arch": "nova-3"},
                    "model_uuid": "m-1",
                },
                **flags,
            }
        )
        if is_final:
            self.words = []


class FluxTalk(Talk):
    """``/v2/listen``."""

    async def greet(self) -> None:
        self.turn = 0
        await self.say({"type": "Connected", "request_id": "r-1", "sequence_id": 0})

    async def on_sound(self, audio: bytes) -> None:
        begun = bool(self.words)
        if self.hear(audio):
            await self.tell("Update" if begun else "StartOfTurn")

    async def on_text(self, message: str) -> None:
        kind = json.loads(message)["type"]
        if kind == "ForceEndTurn" and self.words:
            await self.tell("EndOfTurn", trigger="manual")
            self.words = []
            self.turn += 1
        elif kind == "CloseStream":
            await self.close()

    async def tell(self, event: str, **fields: str) -> None:
        words = [
            {"word": word.text, "start": word.start, "end": word.end, "confidence": 0.9}
            for word in self.words
        ]
        await self.say(
            {
                "type": "TurnInfo",
                "request_id": "r-1",
                "sequence_id": 1,
                "event": event,
                "turn_index": self.turn,
                "audio_window_start": 0.0,
                "audio_window_end": self.seconds,
                "transcript": self.text(),
                "words": words,
                "end_of_turn_confidence": 0.5,
                **fields,
            }
        )


class AssemblyAITalk(Talk):
    """``/v3/ws``."""

    async def greet(self) -> None:
        self.turn = 0
        await self.say({"type": "Begin", "id": "s-1", "expires_at": 1795003600})

    async def on_sound(self, audio: bytes) -> None:
        if not 400 <= len(audio) <= 8000:
            await self.say({"type": "Error", "error_code": 3007, "error": f"{len(audio)} bytes are no chunk"})
            await self.close(3007, "Input Duration Error")
        if self.hear(audio):
            await self.tell(ended=False)

    async def on_text(self, message: str) -> None:
        kind = json.loads(message)["type"]
        if kind in ("ForceEndpoint", "Terminate") and self.words:
            await self.tell(ended=True)
            if self.query.get("format_turns") == ["true"]:
                await self.tell(ended=True, formatted=True)
            self.words = []
            self.turn += 1
        if kind == "Terminate":
            seconds = round(self.seconds)
            await self.say(
                {
                    "type": "Termination",
                    "audio_duration_seconds": seconds,
                    "session_duration_seconds": seconds,
                }
            )
            await self.close()

    async def tell(self, *, ended: bool, formatted: bool = False) -> None:
        # The last word may still change until the turn ends.
        final = self.words if ended else self.words[:-1]
        await self.say(
            {
                "type": "Turn",
                "turn_order": self.turn,
                "turn_is_formatted": formatted,
                "end_of_turn": ended,
                "transcript": " ".join(word.text for word in final) + ("." if formatted else ""),
                "end_of_turn_confidence": 0.5,
                "words": [
                    {
                        "text": word.text,
                        "start": round(word.start * 1000),
                        "end": round(word.end * 1000),
                        "confidence": 0.9,
                        "word_is_final": word in final,
                    }
                    for word in self.words
                ],
            }
        )


class SonioxTalk(Talk):
    """``/transcribe-websocket``; every word is two tokens."""

    async def greet(self) -> None:
        self.told = 0
        self.config = json.loads(await self._socket.get_message())
        assert self.config["audio_format"] == "mulaw"

    async def on_sound(self, audio: bytes) -> None:
        if not audio:
            await self.finish()
        if self.hear(audio):
            # What is known is final word by word; the latest may still change.
            await self.tell(final=False)

    async def finish(self) -> None:
        await self.tell(final=True)
        await self.say({"tokens": [], "final_audio_proc_ms": 0, "total_audio_proc_ms": 0, "finished": True})
        await self.close()

    async def on_text(self, message: str) -> None:
        # An empty message ends the stream, whichever kind it is of.
        if not message:
            await self.finish()
        if json.loads(message)["type"] == "finalize":
            await self.tell(final=True, special="<fin>")
            self.words, self.told = [], 0

    async def tell(self, *, final: bool, special: str = "") -> None:
        tokens: list[dict[str, Any]] = []
        known = len(self.words) if final else len(self.words) - 1
        for place, word in enumerate(self.words[self.told :], self.told):
            middle = (word.start + word.end) / 2
            for text, start, end in (
                (f" {word.text[:2]}", word.start, middle),
                (word.text[2:], middle, word.end),
            ):
                tokens.append(
                    {
                        "text": text,
                        "start_ms": round(start * 1000),
                        "end_ms": round(end * 1000),
                        "confidence": 0.9,
                        "is_final": place < known,
                    }
                )
        self.told = known
        if special:
            tokens.append({"text": special, "is_final": True, "confidence": 1.0})
        await self.say({"tokens": tokens, "final_audio_proc_ms": 0, "total_audio_proc_ms": 0})


class CartesiaTalk(Talk):
    """``/stt/websocket``."""

    async def on_sound(self, audio: bytes) -> None:
        if self.hear(audio):
            await self.tell(is_final=False)

    async def on_text(self, message: str) -> None:
        assert message in ("finalize", "close")
        if self.words:
            await self.tell(is_final=True)
            self.words = []
        await self.say({"type": "flush_done" if message == "finalize" else "done", "request_id": "r-1"})
        if message == "close":
            await self.close()

    async def tell(self, *, is_final: bool) -> None:
        await self.say(
            {
                "type": "transcript",
                "text": " " + self.text(),
                "is_final": is_final,
                "request_id": "r-1",
                "duration": 1.0,
                "language": "en",
                "words": [{"word": word.text, "start": word.start, "end": word.end} for word in self.words],
            }
        )


class CartesiaTurnsTalk(Talk):
    """``/stt/turns/websocket``: a turn ends after a pause."""

    async def greet(self) -> None:
        self.last_word = 0.0
        await self.say({"type": "connected", "request_id": "r-1"})

    async def on_sound(self, audio: bytes) -> None:
        begun = bool(self.words)
        if self.hear(audio):
            self.last_word = self.seconds
            if not begun:
                await self.say({"type": "turn.start", "request_id": "r-1"})
            await self.say({"type": "turn.update", "request_id": "r-1", "transcript": self.text()})
        elif self.words and self.seconds - self.last_word > 0.45:
            await self.say({"type": "turn.end", "request_id": "r-1", "transcript": self.text()})
            self.words = []

    async def on_text(self, message: str) -> None:
        if json.loads(message)["type"] == "close":
            await self.close()


class SpeechmaticsTalk(Talk):
    """``/v2``: every word is a final of its own, with the last one outstanding."""

    async def greet(self) -> None:
        self.count = self.told = 0
        self.start = json.loads(await self._socket.get_message())
        assert self.start["message"] == "StartRecognition"
        assert self.start["audio_format"] == {"type": "raw", "encoding": "mulaw", "sample_rate": 8000}
        await self.say({"message": "RecognitionStarted", "id": "s-1"})

    async def on_sound(self, audio: bytes) -> None:
        self.count += 1
        await self.say({"message": "AudioAdded", "seq_no": self.count})
        if self.hear(audio):
            await self.tell(len(self.words) - 1)
            await self.add("AddPartialTranscript", self.words[self.told :])

    async def on_text(self, message: str) -> None:
        said = json.loads(message)
        await self.tell(len(self.words))
        if said["message"] == "ForceEndOfUtterance" and self.words:
            now = {"start_time": self.seconds, "end_time": self.seconds}
            await self.say({"message": "EndOfUtterance", "metadata": now})
            self.words, self.told = [], 0
        elif said["message"] == "EndOfStream":
            assert said["last_seq_no"] == self.count
            await self.say({"message": "EndOfTranscript"})
            await self.close()

    async def tell(self, until: int) -> None:
        for word in self.words[self.told : until]:
            await self.add("AddTranscript", [word])
        self.told = max(self.told, until)

    async def add(self, message: str, words: list[HeardWord]) -> None:
        results = [
            {
                "type": "word",
                "start_time": word.start,
                "end_time": word.end,
                "alternatives": [{"content": word.text, "confidence": 0.9, "language": "en"}],
            }
            for word in words
        ]
        text = " ".join(word.text for word in words)
        metadata = {"start_time": words[0].start, "end_time": words[-1].end, "transcript": text}
        await self.say({"message": message, "metadata": metadata, "results": results})


class ScribeTalk(Talk):
    """``/v1/speech-to-text/realtime``."""

    async def greet(self) -> None:
        await self.say({"message_type": "session_started", "session_id": "s-1", "config": {}})

    async def on_sound(self, audio: bytes) -> None:
        raise AssertionError("sound comes in JSON")

    async def on_text(self, message: str) -> None:
        chunk = json.loads(message)
        assert chunk["message_type"] == "input_audio_chunk"
        assert chunk["sample_rate"] == 8000
        audio = base64.b64decode(chunk["audio_base_64"])
        if audio:
            self.received[-1] = len(audio)
            await self.on_audio(audio)
        if chunk["commit"]:
            await self.commit()

    async def on_audio(self, audio: bytes) -> None:
        if self.hear(audio):
            await self.say({"message_type": "partial_transcript", "text": self.text()})

    async def commit(self) -> None:
        if not self.words:
            await self.say({"message_type": "commit_throttled", "error": "nothing was said"})
            return
        await self.say({"message_type": "committed_transcript", "text": self.text()})
        if self.query["include_timestamps"] == ["true"]:
            words: list[dict[str, Any]] = []
            for word in self.words:
                words.append(
                    {"text": word.text, "start": word.start, "end": word.end, "type": "word", "logprob": -0.1}
                )
                words.append(
                    {"text": " ", "start": word.end, "end": word.end, "type": "spacing", "logprob": 0}
                )
            await self.say(
                {
                    "message_type": "committed_transcript_with_timestamps",
                    "text": self.text(),
                    "language_code": "en",
                    "words": words,
                }
            )
        self.words = []


class TelnyxTalk(Talk):
    """``/v2/speech-to-text/transcription``: final after a pause."""

    audio = AudioFormat("linear16", 8000)

    async def greet(self) -> None:
        self.last_word = 0.0

    async def on_sound(self, audio: bytes) -> None:
        if self.hear(audio):
            self.last_word = self.seconds
            await self.tell(is_final=False)
        elif self.words and self.seconds - self.last_word > 0.45:
            await self.tell(is_final=True)
            self.words = []

    async def on_text(self, message: str) -> None:
        raise AssertionError("there is nothing to say")

    async def tell(self, *, is_final: bool) -> None:
        await self.say(
            {
                "type": "transcript",
                "transcript": self.text(),
                "is_final": is_final,
                "confidence": None if is_final else 0.9,
            }
        )


@attrs.frozen
class Vendor:
    """A recogniser behind a WebSocket, for the tests that all of them must pass."""

    settings: type[SocketSTT]
    talk: type[Talk]
    # What it takes to have word sound arrive as it was sent.
    given: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    # What is sent on a call that ends.
    goodbye: str | None = None
    word_times: bool = True
    interim: bool = True

    def make(self, far: FarEnd, **settings: Any) -> SocketSTT:
        return self.settings(api_key=KEY, base_url=far.url, **{**self.given, **settings})


VENDORS: dict[str, Vendor] = {
    "deepgram": Vendor(DeepgramSTT, DeepgramTalk, goodbye='{"type":"CloseStream"}'),
    "deepgram_flux": Vendor(DeepgramFluxSTT, FluxTalk, goodbye='{"type":"CloseStream"}'),
    "assemblyai": Vendor(AssemblyAISTT, AssemblyAITalk, goodbye='{"type":"Terminate"}'),
    "soniox": Vendor(SonioxSTT, SonioxTalk, goodbye="''"),
    "cartesia": Vendor(CartesiaSTT, CartesiaTalk, goodbye="close"),
    "cartesia_turns": Vendor(
        CartesiaTurnsSTT, CartesiaTurnsTalk, goodbye='{"type":"close"}', word_times=False
    ),
    "speechmatics": Vendor(SpeechmaticsSTT, SpeechmaticsTalk, goodbye='"message":"EndOfStream"'),
    "elevenlabs": Vendor(ElevenLabsSTT, ScribeTalk, goodbye='"commit":true'),
    "telnyx": Vendor(TelnyxSTT, TelnyxTalk, given={"sample_rate": 8000}, word_times=False),
}
