"""A media stream as a carrier speaks it: every simulated carrier has one, so that the rest is shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from .._audio.convert import Converter
from ..errors import RemoteProtocolError
from ..events import MULAW_8K, AudioFormat
from .conditions import MarksAtClear
from .wordsound import FRAME_SECONDS

__all__ = [
    "FarClear",
    "FarDigits",
    "FarMark",
    "FarMedia",
    "FarSaid",
    "FarWire",
    "FrameConverter",
    "WrongStreamError",
]


class WrongStreamError(RemoteProtocolError):
    """A message names another stream than the one it came on; ``field`` is the vendor's word for its id."""

    def __init__(self, field: str, named: str) -> None:
        super().__init__(f"{field} is {named!r}")
        self.field = field
        self.named = named


@attrs.frozen
class FarMedia:
    """The server asks to play ``audio``, which is in the stream's format."""

    audio: bytes


@attrs.frozen
class FarMark:
    """The server asks to be told when all audio before this mark was played."""

    name: str


@attrs.frozen
class FarClear:
    """The server asks to drop what was not played yet."""


@attrs.frozen
class FarDigits:
    """The server presses keys, behind the audio before them."""

    digits: str


FarSaid = FarMedia | FarMark | FarClear | FarDigits


class FarWire(Protocol):
    """The carrier's side of one media stream, sans-IO; each vendor has its own."""

    @property
    def audio(self) -> AudioFormat:
        """The format of the stream, both ways. Telephones here speak 8 kHz µ-law; the rest is converted."""
        ...

    @property
    def marks_at_clear(self) -> MarksAtClear:
        """What this carrier does with the marks that are out when a clear comes."""
        ...

    def opening(self, parameters: Mapping[str, str]) -> Sequence[str]:
        """The messages before the first sound; ``parameters`` are those of whoever ordered the stream."""
        ...

    def media(self, audio: bytes, number: int) -> str:
        """20 ms of the caller's sound; ``number`` is their place from 0, with gaps where frames are lost."""
        ...

    def digit(self, digit: str) -> str:
        """The caller pressed a key."""
        ...

    def mark_played(self, name: str) -> str:
        """All audio before this mark was played, or cleared where the carrier says that so."""
        ...

    def cleared(self) -> str | None:
        """The confirmation of a clear; ``None`` where the carrier has none."""
        ...

    def stop(self) -> str | None:
        """The stream is over; ``None`` where the carrier just closes the socket."""
        ...

    def decode(self, message: str | bytes) -> FarSaid:
        """Reads what the server sent.

        Raises:
            WrongStreamError: it names another stream.
            RemoteProtocolError: the carrier would drop it with a warning.
        """
        ...


class FrameConverter:
    """A telephone's frames in the format of a stream: 20 ms in, 20 ms out, from the first one on."""

    def __init__(self, audio: AudioFormat) -> None:
        self._converter = Converter(MULAW_8K, audio)
        self._size = audio.bytes_for(FRAME_SECONDS)
        self._ready = bytearray()
        self._silence = audio.silence

    def feed(self, frame: bytes) -> bytes:
        """The next 20 ms. A change of rate looks ahead, so the first frame begins with 2 ms of silence."""
        self._ready += self._converter.feed(frame)
        missing = self._size - len(self._ready)
        if missing > 0:
            self._ready[:0] = self._silence * (missing // len(self._silence))
        out = bytes(self._ready[: self._size])
        del self._ready[: self._size]
        return out
