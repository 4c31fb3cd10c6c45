"""Telnyx's media stream as the exchange has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._audio.convert import Converter
from .._audio.swap import swap_bytes
from .._wire import telnyx_far
from ..errors import RemoteProtocolError
from ..events import AudioFormat
from .conditions import MarksAtClear
from .farwire import FarClear, FarMark, FarMedia, FarSaid
from .wordsound import FRAME_SECONDS

__all__ = ["TelnyxFarWire"]

_LONGEST_SECONDS = 30.0


class TelnyxFarWire:
    """The carrier's side of one stream.

    Args:
        stream_id: its id.
        start: what ``start`` says of the call.
        audio: the format of the caller's sound, as ``start`` says.
        hears: the format that the server was told to send in.
        swaps: whether linear sound is big-endian.
        samples: whether ``timestamp`` counts samples and not milliseconds.
    """

    marks_at_clear: MarksAtClear = "returned"

    def __init__(
        self,
        stream_id: str,
        start: Mapping[str, Any],
        audio: AudioFormat,
        hears: AudioFormat,
        *,
        swaps: bool = False,
        samples: bool = False,
    ) -> None:
        self.audio = audio
        self._hears = hears
        self._swaps = swaps
        self._start = dict(start)
        self._converter = Converter(hears, audio)
        self._stamp = round(audio.sample_rate * FRAME_SECONDS) if samples else round(FRAME_SECONDS * 1000)
        self._stream_id = stream_id
        self._far: telnyx_far.FarStream | None = None

    def opening(self, parameters: Mapping[str, str]) -> Sequence[str]:
        """``connected`` and ``start``."""
        start = {**self._start, **({"custom_parameters": dict(parameters)} if parameters else {})}
        self._far = telnyx_far.FarStream(self._stream_id, start, self.audio, stamp=self._stamp)
        return self._far.opening()

    def media(self, audio: bytes, number: int) -> str:
        """``media``."""
        swapped = self._swaps and self.audio.encoding == "linear16"
        return self._open().media(swap_bytes(audio) if swapped else audio, number)

    def digit(self, digit: str) -> str:
        """``dtmf``."""
        return self._open().digit(digit)

    def mark_played(self, name: str) -> str:
        """``mark``."""
        return self._open().mark(name)

    def cleared(self) -> None:
        """Nothing: every mark that is out comes back instead."""

    def stop(self) -> str:
        """``stop``."""
        return self._open().stop()

    def decode(self, message: str | bytes) -> FarSaid:
        """Reads ``media``, ``mark`` and ``clear``.

        Raises:
            RemoteProtocolError: anything else; sound of less than 20 ms, more than 30 s or half a sample.
        """
        said = telnyx_far.decode(message)
        if isinstance(said, telnyx_far.FarMark):
            return FarMark(said.name)
        if isinstance(said, telnyx_far.FarClear):
            self._converter = Converter(self._hears, self.audio)
            return FarClear()
        seconds = self._hears.seconds_in(len(said.audio))
        if not FRAME_SECONDS - 1e-9 <= seconds <= _LONGEST_SECONDS:
            raise RemoteProtocolError(f"{seconds:g} s of sound in one message")
        if len(said.audio) % self._hears.bytes_per_sample:
            raise RemoteProtocolError("half a sample of sound")
        swapped = self._swaps and self._hears.encoding == "linear16"
        return FarMedia(self._converter.feed(swap_bytes(said.audio) if swapped else said.audio))

    def _open(self) -> telnyx_far.FarStream:
        assert self._far is not None
        return self._far
