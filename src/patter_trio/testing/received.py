"""What a server sent on one media stream: obeyed as the carrier does, logged with its time, and judged."""

from __future__ import annotations

from .._audio.convert import Converter
from ..errors import RemoteProtocolError
from ..events import MULAW_8K
from .conditions import MarksAtClear
from .ear import is_loud
from .farwire import FarDigits, FarMark, FarMedia, FarWire, WrongStreamError
from .outcome import LogEntry, Violation
from .playback import PlaybackBuffer
from .wordsound import FRAME_BYTES, WordReader

__all__ = ["ReceivedStream"]

# Sound without words that arrives so soon after a clear cannot belong to an answer to what caused the clear.
_LATE_SECONDS = 0.06


class ReceivedStream:
    """Obeys sound, marks, clears and keys; pure, with the line's time passed in.

    A frame counts as sent after its clear when it speaks for an utterance that had spoken before the clear
    (word sound knows), or, without word sound, when it is loud and arrives within 60 ms after the clear and
    before a new mark.

    Args:
        far: reads the messages; the sound in them is converted to that of a telephone.
        lead_limit: seconds of audio that may wait in the buffer before the server counts as unpaced.
        marks_at_clear: what becomes of the marks that are out when a clear comes; as the carrier does it,
            if left out.
    """

    def __init__(
        self, far: FarWire, *, lead_limit: float = 1.0, marks_at_clear: MarksAtClear | None = None
    ) -> None:
        self.playback = PlaybackBuffer(marks_at_clear=marks_at_clear or far.marks_at_clear)
        self.log: list[LogEntry] = []
        self.violations: list[Violation] = []
        self.clears: list[float] = []
        self.marks: list[str] = []
        self.frames_after_clear = 0
        self.started = False
        self.digits = ""
        self._far = far
        self._converter = Converter(far.audio, MULAW_8K)
        self._lead_limit = lead_limit
        self._ahead = False
        self._discarding = False
        self._reader = WordReader()
        self._spoken: set[int] = set()
        self._cleared: set[int] = set()
        self._clear_is_fresh = False

    def take(self, message: str | bytes, now: float) -> tuple[str, ...]:
        """Obeys one message; returns the marks that come back because of it."""
        if isinstance(message, bytes):
            return self._violate(now, "binary message", f"{len(message)} bytes")
        if not self.started:
            self._violate(now, "message before start", message[:80])
        try:
            said = self._far.decode(message)
        except WrongStreamError as error:
            return self._violate(now, f"wrong {error.field}", error.named)
        except RemoteProtocolError as error:
            return self._violate(now, "malformed message", str(error))
        if isinstance(said, FarMedia):
            self._take_media(self._converter.feed(said.audio), now, is_empty=not said.audio)
            return ()
        if isinstance(said, FarDigits):
            self.digits += said.digits
            self._note(now, "digits", said.digits)
            return ()
        if isinstance(said, FarMark):
            self.marks.append(said.name)
            self._clear_is_fresh = False
            self._note(now, "mark", said.name)
            self.playback.put(self._converter.flush())
            return self.playback.mark(said.name)
        self._converter.flush()
        self.clears.append(now)
        self._cleared |= self._spoken
        self._clear_is_fresh = True
        self._ahead = False
        self._note(now, "clear", f"{self.playback.seconds:.3f} s unplayed")
        return self.playback.clear()

    def _take_media(self, audio: bytes, now: float, *, is_empty: bool) -> None:
        frames = self._reader.read_frames(audio)
        serials = [frame.serial for frame in frames]
        late = sum(serial in self._cleared for serial in serials)
        fresh = self._clear_is_fresh and now - self.clears[-1] <= _LATE_SECONDS
        if not frames and fresh and is_loud(audio):
            late = max(1, len(audio) // FRAME_BYTES)
        self.frames_after_clear += late
        self._spoken.update(serials)
        utterances = ",".join(str(serial) for serial in sorted(set(serials)))
        self._note(now, "media", f"{len(audio)} bytes" + (f" of utterance {utterances}" if serials else ""))
        if late:
            self._violate(now, "audio of a cleared turn", f"{late} frames")
        if is_empty:
            self._violate(now, "empty payload")
        self._buffer(audio, now)

    def _buffer(self, audio: bytes, now: float) -> None:
        discarded = not self.playback.put(audio)
        if discarded and not self._discarding:
            self._violate(now, "more than ten minutes buffered")
        self._discarding = discarded
        ahead = self.playback.seconds > self._lead_limit
        if ahead and not self._ahead:
            self._violate(now, "unpaced", f"more than {self._lead_limit:g} s ahead of the ear")
        self._ahead = ahead

    def _note(self, now: float, what: str, detail: str) -> None:
        self.log.append(LogEntry(now, what, detail))

    def _violate(self, now: float, kind: str, detail: str = "") -> tuple[str, ...]:
        self.violations.append(Violation(now, kind, detail))
        self._note(now, "violation", f"{kind}: {detail}" if detail else kind)
        return ()
