"""Which sentence of a turn a piece of sound speaks, and when each of its words sounds.

:class:`Samples` makes whole samples of what a vendor sends. :class:`Marked` places sentences by the vendor's
word that one has ended; :class:`Spelt` by the times of their characters.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from ..errors import RemoteProtocolError
from ..events import AudioFormat, SpokenAudio, Word
from .recognizer import spoken_word

__all__ = ["Marked", "Samples", "Spelt", "Symbol", "from_base64"]

Symbol = tuple[str, float, float]
"""A character, and its start and end in seconds from the start of the sound that it came with."""

# A header of a WAV file is 44 bytes, more where a vendor adds to it; longer than this is no header.
_LARGEST_HEADER = 4096


def from_base64(text: str, who: str) -> bytes:
    """Sound that ``who`` wrote as text.

    Raises:
        RemoteProtocolError: it is no base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RemoteProtocolError(f"{who} sent sound that is no base64: {error}") from error


class Samples:
    """Whole samples of a stream of sound that may be cut anywhere; a WAV header before it is taken away."""

    def __init__(self, audio: AudioFormat) -> None:
        self._size = audio.bytes_per_sample
        self._kept = b""
        self._at_start = True

    def feed(self, data: bytes) -> bytes:
        """The samples that ``data`` completes.

        Raises:
            RemoteProtocolError: a header does not end.
        """
        data = self._kept + data
        if self._at_start:
            start = _sound_in(data)
            if start is None:
                self._kept = data
                return b""
            self._at_start, data = False, data[start:]
        whole = len(data) - len(data) % self._size
        self._kept = data[whole:]
        return data[:whole]

    def restart(self) -> None:
        """What follows is a new stream: half a sample is forgotten, and a header may come."""
        self._kept, self._at_start = b"", True


def _sound_in(data: bytes) -> int | None:
    """Where the sound begins; None while that cannot be told."""
    if not data.startswith(b"RIFF"[: len(data)]):
        return 0
    place = data.find(b"data", 12)
    if place >= 0 and len(data) >= place + 8:
        return place + 8
    if len(data) > _LARGEST_HEADER:
        raise RemoteProtocolError("a WAV header does not end")
    return None


class Marked:
    """A turn of which the far end says where each text ends."""

    def __init__(self, audio: AudioFormat) -> None:
        self._audio = audio
        self._samples = Samples(audio)
        self._texts: deque[str] = deque()
        self._named = False
        self._early: tuple[Word, ...] = ()
        self._given = 0
        self._began = 0

    @property
    def began(self) -> float:
        """Seconds of the turn's sound before that of the current text."""
        return self._audio.seconds_in(self._began)

    def add(self, text: str) -> None:
        """A text that will be spoken after those before it."""
        self._texts.append(text)

    def sound(self, data: bytes) -> Iterator[SpokenAudio]:
        """Sound of the current text."""
        samples = self._samples.feed(data)
        if samples:
            text = None if self._named or not self._texts else self._texts[0]
            words, self._early, self._named = self._early, (), True
            self._given += len(samples)
            yield SpokenAudio(samples, text, words)

    def words(self, words: Iterable[Word]) -> Iterator[SpokenAudio]:
        """Words of the current text, their times counted from the start of its sound."""
        self._early += tuple(words)
        if self._named and self._early:
            words, self._early = self._early, ()
            yield SpokenAudio(b"", None, tuple(words))

    def mark(self) -> Iterator[SpokenAudio]:
        """The current text has ended; one without any sound is given all the same."""
        if self._texts:
            text = self._texts.popleft()
            if not self._named:
                yield SpokenAudio(b"", text)
        self._named, self._early, self._began = False, (), self._given
        self._samples.restart()

    def end(self) -> Iterator[SpokenAudio]:
        """The turn has ended: texts that the far end did not tell apart are given without sound."""
        while self._texts:
            yield from self.mark()


class Spelt:
    """A turn whose sound comes with the characters it speaks.

    Characters are counted, white space left out: a sentence begins with the first one behind those of the
    sentences before it.
    """

    def __init__(self, audio: AudioFormat) -> None:
        self._audio = audio
        self._samples = Samples(audio)
        # Sentences that have not begun, each with the number of characters before it.
        self._coming: deque[tuple[int, str]] = deque()
        self._told = 0
        self._spoken = 0
        self._begun = False
        # Bytes of sound: of the turn so far, and of it before the current sentence.
        self._given = 0
        self._began = 0
        self._word = ""
        self._word_start = self._word_end = 0.0

    def add(self, text: str) -> None:
        """A sentence that will be spoken after those before it."""
        self._coming.append((self._told, text))
        self._told += sum(not sign.isspace() for sign in text)

    def sound(self, data: bytes, symbols: Sequence[Symbol] = ()) -> Iterator[SpokenAudio]:
        """A piece of sound, cut where a sentence begins in it."""
        samples = self._samples.feed(data)
        base, size, cut = self._given, len(samples), 0
        text = None
        if samples and not self._begun:
            self._begun, text = True, self._next_text()
        words: list[Word] = []
        for sign, start, end in symbols:
            if sign.isspace():
                words += self._word_done()
                continue
            if self._spoken and self._coming and self._coming[0][0] <= self._spoken:
                place = min(max(self._audio.bytes_for(start), cut), size)
                words += self._word_done()
                if place > cut or words or text is not None:
                    yield SpokenAudio(samples[cut:place], text, tuple(words))
                cut, text, words = place, self._next_text(), []
                self._began = base + place
            offset = self._audio.seconds_in(base - self._began)
            if not self._word:
                self._word_start = max(0.0, start + offset)
            self._word += sign
            self._word_end = max(self._word_start, end + offset)
            self._spoken += len(sign)
        self._given += size
        if cut < size or words or text is not None:
            yield SpokenAudio(samples[cut:], text, tuple(words))

    def end(self) -> Iterator[SpokenAudio]:
        """The turn has ended: the last word, and sentences whose characters never came."""
        words = self._word_done()
        if words:
            yield SpokenAudio(b"", None, tuple(words))
        while self._coming:
            yield SpokenAudio(b"", self._next_text())

    def _next_text(self) -> str | None:
        return self._coming.popleft()[1] if self._coming else None

    def _word_done(self) -> list[Word]:
        word, self._word = self._word, ""
        return [spoken_word(word, self._word_start, self._word_end)] if word else []
