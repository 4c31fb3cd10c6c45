"""record: writes both sides of a call to a file while it goes on."""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from .._audio.tape import Tape
from .._audio.wav import WavWriter
from .._foreign import foreign
from ..abc import MediaWire
from ..errors import ProviderError
from ..events import AudioFormat, AudioReceived, CallInfo, CarrierEvent, MarkPlayed

__all__ = ["Recording", "RecordingPlace", "TapedWire", "open_recording"]

_log = logging.getLogger("patter_trio.recording")

RecordingPlace = bool | str | os.PathLike[str] | Callable[[CallInfo], str | os.PathLike[str] | None]

_BATCH_SECONDS = 1.0

# A disk that is five minutes behind has failed; that is 10 MB at 8 kHz.
_BATCHES = 300

# How long the end of a call waits for its file, by the real clock: a disk knows no other.
_CLOSE_SECONDS = 10.0
_SLICES, _SLICE_SECONDS = 50, 0.002

_FOLDER = "recordings"


class TapedWire:
    """A media wire of which everything that passes is taped too."""

    def __init__(self, wire: MediaWire, tape: Tape) -> None:
        self._wire = wire
        self.tape: Tape | None = tape

    @property
    def audio(self) -> AudioFormat:
        """The format of the stream, both ways."""
        return self._wire.audio

    def decode(self, message: str | bytes) -> CarrierEvent | None:
        """Reads a message."""
        event = self._wire.decode(message)
        if self.tape is not None:
            if isinstance(event, AudioReceived):
                self.tape.caller(event.audio, event.at, trio.current_time())
            elif isinstance(event, MarkPlayed):
                self.tape.echoed(event.name, trio.current_time())
        return event

    def encode_audio(self, audio: bytes) -> str:
        """The message that plays ``audio``."""
        if self.tape is not None:
            self.tape.sent(audio, trio.current_time())
        return self._wire.encode_audio(audio)

    def encode_mark(self, name: str) -> str:
        """The message that asks for a mark."""
        if self.tape is not None:
            self.tape.marked(name)
        return self._wire.encode_mark(name)

    def encode_clear(self) -> str:
        """The message that drops what was not played."""
        if self.tape is not None:
            self.tape.cleared(trio.current_time())
        return self._wire.encode_clear()

    def __getattr__(self, name: str) -> Any:
        # A wire may have messages of its own, such as those of WritesDigits.
        return getattr(self._wire, name)


class Recording:
    """A call's file, written by a thread of its own; what goes wrong with it is one warning, and no more.

    Args:
        path: the file; if it exists already, another name beside it is taken.
        wire: the wire of the call.
        call_id: for the warning.
    """

    def __init__(self, path: Path, wire: MediaWire, call_id: str) -> None:
        self._tape = Tape(wire.audio, trio.current_time())
        self._disk = _Disk(path, wire.audio.sample_rate)
        self._call_id = call_id
        self._scope = trio.CancelScope()
        self._warned = False
        self.wire = TapedWire(wire, self._tape)

    async def run(self) -> None:
        """Hands a batch a second to the disk until :meth:`finish`."""
        with self._scope:
            while not self._warned:
                await trio.sleep(_BATCH_SECONDS)
                self._write(self._tape.take(trio.current_time()))

    async def finish(self) -> Path | None:
        """Writes what is left and closes the file; returns it, or ``None`` if it is not complete."""
        self._scope.cancel()
        if not self._warned:
            self._write(self._tape.take(trio.current_time(), everything=True))
        if not self._warned:
            with trio.CancelScope(shield=True):
                await self._disk.close()
            self._judge()
        return None if self._warned else self._disk.path

    def _write(self, sound: bytes) -> None:
        self._disk.put(sound)
        self._judge()

    def _judge(self) -> None:
        if self._disk.failure and not self._warned:
            self._warned = True
            self.wire.tape = None
            _log.warning("call %s goes on without its recording: %s", self._call_id, self._disk.failure)


class _Disk:
    """A thread that writes a stereo file; nobody ever waits for it, except at the end."""

    def __init__(self, path: Path, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._batches: queue.Queue[bytes | None] = queue.Queue(_BATCHES)
        self._closed = threading.Event()
        self.path = path
        self.failure = ""
        threading.Thread(target=self._run, name=f"recording {path.name}", daemon=True).start()

    def put(self, sound: bytes | None) -> None:
        try:
            self._batches.put_nowait(sound)
        except queue.Full:
            self.failure = self.failure or f"the disk of {self.path} is too slow"

    async def close(self) -> None:
        self.put(None)
        # A disk in order is done within the first of these slices. They are short enough for the other calls,
        # and a clock that jumps when nothing is left to do does not jump meanwhile.
        for _ in range(_SLICES):
            if self._closed.wait(_SLICE_SECONDS):
                return
            await trio.lowlevel.checkpoint()
        if not await trio.to_thread.run_sync(self._closed.wait, _CLOSE_SECONDS):
            self.failure = self.failure or f"the disk of {self.path} does not answer"

    def _run(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._create() as file:
                writer = WavWriter(file, channels=2, sample_rate=self._sample_rate)
                # Nobody waits any more for one that was too slow.
                while (sound := self._batches.get()) is not None and not self.failure:
                    writer.append(sound)
        except OSError as error:
            self.failure = f"{self.path}: {error.strerror or error}"
        finally:
            self._closed.set()

    def _create(self) -> Any:
        """A new file: a call that is taken back after a transfer has the same name as before."""
        first, number = self.path, 1
        while True:
            try:
                return self.path.open("xb")
            except FileExistsError:
                number += 1
                self.path = first.with_stem(f"{first.stem}-{number}")


def open_recording(place: RecordingPlace, info: CallInfo, wire: MediaWire) -> Recording | None:
    """The recording of a call where one is wanted; ``None`` where not, or where its place cannot be told."""
    if callable(place):
        try:
            with foreign(ProviderError, "local_recording"):
                chosen = place(info)
                path = None if chosen is None else Path(chosen)
        except ProviderError as error:
            _log.warning("call %s goes on without its recording: %s", info.call_id, error)
            return None
    elif isinstance(place, bool):
        path = Path(_FOLDER) / _file_name(info) if place else None
    else:
        path = Path(place) / _file_name(info)
    return None if path is None else Recording(path, wire, info.call_id)


def _file_name(info: CallInfo) -> str:
    """A name that cannot lead out of its folder, whatever a carrier calls a call."""
    return (re.sub(r"[^A-Za-z0-9._-]", "_", info.call_id).lstrip(".") or "call") + ".wav"
