"""ElevenLabs over HTTP: bare sound, or lines of JSON that hold it with the times of its characters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from ..errors import AuthenticationError, PatterError, RateLimitError
from ..events import AudioFormat, SpokenAudio
from .elevenlabs_voice import refused, symbols
from .http_voice import Lines, refusal
from .placing import Spelt, from_base64
from .rate_limits import seconds_to_wait
from .recognizer import read

__all__ = ["ElevenLabsReader", "read_refusal"]

_WHO = "elevenlabs"


class _Alignment(msgspec.Struct):
    characters: list[str] = []
    character_start_times_seconds: list[float] = []
    character_end_times_seconds: list[float] = []


class _Line(msgspec.Struct):
    audio_base64: str | None = None
    alignment: _Alignment | None = None


class _Detail(msgspec.Struct):
    status: str = ""
    message: str = ""


class _Refusal(msgspec.Struct):
    detail: _Detail


_line = msgspec.json.Decoder(_Line)
_refusal = msgspec.json.Decoder(_Refusal)


class ElevenLabsReader:
    """The body for one sentence.

    Args:
        audio: what the sound is.
        text: the sentence.
        timed: whether the times of characters were asked for; else the body is sound alone.
    """

    def __init__(self, audio: AudioFormat, text: str, *, timed: bool) -> None:
        self._audio = audio
        self._spelt = Spelt(audio)
        self._spelt.add(text)
        self._lines = Lines(_WHO) if timed else None
        self._given = 0

    def feed(self, data: bytes) -> Iterator[SpokenAudio]:
        """Takes bytes as they come."""
        if self._lines is None:
            yield from self._spelt.sound(data)
            return
        for line in self._lines.feed(data):
            yield from self._read(line)

    def finish(self) -> Iterator[SpokenAudio]:
        """The body has ended."""
        if self._lines is not None:
            for line in self._lines.finish():
                yield from self._read(line)
        yield from self._spelt.end()

    def _read(self, line: bytes) -> Iterator[SpokenAudio]:
        received = read(_line, line, _WHO)
        data = from_base64(received.audio_base64 or "", _WHO)
        said = received.alignment or _Alignment()
        # Here times count from the start of the sentence, not of the piece.
        before = self._audio.seconds_in(self._given)
        self._given += len(data)
        yield from self._spelt.sound(
            data,
            list(
                symbols(
                    said.characters,
                    [start - before for start in said.character_start_times_seconds],
                    [end - before for end in said.character_end_times_seconds],
                )
            ),
        )


def read_refusal(status: int, headers: Mapping[str, str], body: bytes, who: str) -> PatterError:
    """What a refusal means: its own status says more than that of HTTP."""
    try:
        detail = _refusal.decode(body).detail
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return refusal(status, headers, body, who)
    error = refused(detail.status, detail.message)
    if isinstance(error, RateLimitError):
        error.retry_after = seconds_to_wait(headers)
    if isinstance(error, AuthenticationError | RateLimitError):
        return error
    return refusal(status, headers, f"{detail.message} ({detail.status})".encode(), who)
