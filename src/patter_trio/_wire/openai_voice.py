"""OpenAI's speech as server-sent events: sound in base64, and how much of it there was."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..errors import VoiceError
from ..events import AudioFormat, SpokenAudio
from .http_voice import Lines
from .placing import Marked, from_base64
from .recognizer import read

__all__ = ["SpeechEvents"]

_WHO = "openai"


class _Error(msgspec.Struct):
    message: str = "no reason given"


class _Event(msgspec.Struct):
    type: str = ""
    audio: str | None = None
    error: _Error | None = None


_event = msgspec.json.Decoder(_Event)


class SpeechEvents:
    """The body for one sentence."""

    def __init__(self, audio: AudioFormat, text: str) -> None:
        self._place = Marked(audio)
        self._place.add(text)
        self._lines = Lines(_WHO)

    def feed(self, data: bytes) -> Iterator[SpokenAudio]:
        """Takes bytes as they come.

        Raises:
            RemoteProtocolError: they are not what the protocol allows.
            VoiceError: the vendor broke off.
        """
        for line in self._lines.feed(data):
            yield from self._read(line)

    def finish(self) -> Iterator[SpokenAudio]:
        """The body has ended."""
        for line in self._lines.finish():
            yield from self._read(line)
        yield from self._place.end()

    def _read(self, line: bytes) -> Iterator[SpokenAudio]:
        data = line.removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or data == b"[DONE]":
            return
        received = read(_event, data, _WHO)
        if received.error is not None:
            raise VoiceError(f"openai broke off: {received.error.message}")
        if received.type == "speech.audio.delta":
            yield from self._place.sound(from_base64(received.audio or "", _WHO))
