"""The wires of the vendors' far ends, and what the tests of all recognisers need to know of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from patter_trio.stt._settings import SocketSTT
from patter_trio.stt.deepgram import DeepgramSTT

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
}
