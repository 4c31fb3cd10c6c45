"""The unplayed sound of one turn and the pace at which it may leave."""

from __future__ import annotations

from collections.abc import Iterator

from .._audio.frame import FRAME_SECONDS
from ..events import AudioFormat, SpokenAudio
from .ledger import Ledger

__all__ = ["Playout"]

# Marks tell how much was heard. One behind the first frame of each run of sound anchors the estimate, one
# every half second keeps it honest, and one at the end of the turn ends it: about 2 a second.
_MARK_EVERY = 0.5


class Playout:
    """A queue of sound that belongs to the turn: when the turn is cancelled, so is the queue.

    Sound leaves in 20 ms frames and stays at most ``lead`` seconds ahead of the caller's ear. While the
    gate is closed nothing leaves; when it opens again the next sample is the one that follows the last.
    ``filling`` says that what is queued only fills the pause before the answer.
    """

    def __init__(self, audio: AudioFormat, ledger: Ledger, *, lead: float) -> None:
        self.audio = audio
        self._ledger = ledger
        self._lead = lead
        self._frame = audio.bytes_for(FRAME_SECONDS)
        self._samples = self._frame // audio.bytes_per_sample
        self._queue = bytearray()
        self._finished = False
        self._since_mark = 0.0
        self._marked = 0
        self.filling = False

    def push(self, sound: bytes) -> None:
        """Adds sound to the queue."""
        self._queue += sound

    def fill(self, piece: SpokenAudio) -> None:
        """Adds sound that fills the pause before the answer, until :meth:`drop`."""
        self.filling = True
        samples = len(piece.audio) // self.audio.bytes_per_sample
        self._ledger.synthesise(samples, piece.text, piece.words, passing=True)
        self._queue += piece.audio

    def filled(self) -> None:
        """No more of that will come; the last frame is filled up with silence."""
        self._ledger.filled()
        self._pad()

    def drop(self) -> None:
        """The pause is over: what was there to fill it and was not sent is forgotten."""
        self.filling = False
        self._queue.clear()
        self._ledger.forget_unsent()

    def finish(self) -> None:
        """No more sound will come; the last frame is filled up with silence."""
        self._finished = True
        self._pad()

    def _pad(self) -> None:
        short = -len(self._queue) % self._frame
        self._queue += self.audio.silence * (short // self.audio.bytes_per_sample)

    @property
    def queued(self) -> float:
        """Seconds of sound that have not been sent."""
        return self.audio.seconds_in(len(self._queue))

    @property
    def idle(self) -> bool:
        """Whether nothing can be sent: what is left, if anything, waits for the rest of its frame."""
        return len(self._queue) < self._frame

    @property
    def frames_queued(self) -> int:
        """Frames that have not been sent."""
        return -(-len(self._queue) // self._frame)

    @property
    def sent_all(self) -> bool:
        """Whether everything there will ever be has been sent."""
        return self._finished and self.idle

    def due(self, now: float, busy_until: float = 0.0) -> Iterator[tuple[bytes, str | None]]:
        """What to send at ``now``: frames, each with the name of a mark to send behind it or ``None``.

        Until ``busy_until`` the carrier plays what was not sent by this turn.
        """
        ledger = self._ledger
        # Half a frame of tolerance absorbs the jitter of the ticker, so that the pace is a frame a tick.
        room = self._lead - FRAME_SECONDS / 2
        while len(self._queue) >= self._frame and max(ledger.plays_until, busy_until) - now < room:
            fresh = ledger.plays_until <= now
            frame = bytes(self._queue[: self._frame])
            del self._queue[: self._frame]
            ledger.send(self._samples, now, busy_until)
            self._since_mark += FRAME_SECONDS
            mark = None
            if fresh or self._since_mark >= _MARK_EVERY or self.sent_all:
                mark = self._mark()
            yield frame, mark

    def closing_mark(self) -> str | None:
        """Sending stops for now: the mark that tells when the carrier has run dry, if one is due."""
        return self._mark() if self._ledger.sent > self._marked else None

    def _mark(self) -> str:
        self._since_mark = 0.0
        self._marked = self._ledger.sent
        return self._ledger.mark()
