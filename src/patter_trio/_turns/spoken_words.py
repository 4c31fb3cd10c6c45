"""Which word a piece of sound speaks, where a voice gives sound and words apart.

An engine sends what it says twice, as sound and as text, and not when which word sounds. Speech is taken to
run at an even pace of letters: at first the usual one, and once all is there, the pace that all of it had.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..events import AudioFormat, SpokenAudio

__all__ = ["SpokenWords"]

# Letters a second, the spaces between words counted: what the ledger takes for the pace of any voice.
_PACE = 14.0

# A word without any sound would count as unheard: this much is kept for those that come with the last text.
_HELD_SECONDS = 0.06

# Sound that runs ahead of its text waits for it, unless it is so far ahead.
_PATIENCE_SECONDS = 0.5


class SpokenWords:
    """One item of an engine's speech: sound and text go in, and pieces come out that each speak one word.

    Every byte of the sound and every word come out once, in their order. Sound that is ahead of the text goes
    to the last word there is; before the first one it waits.
    """

    def __init__(self, audio: AudioFormat) -> None:
        self._audio = audio
        self._sound = bytearray()
        self._given = 0
        self._received = 0
        self._text = ""
        self._words: list[str] = []
        self._next = 0
        self._letters_given = 0
        self._began = 0
        self._complete = False

    def feed_sound(self, sound: bytes) -> None:
        """More sound."""
        self._sound += sound
        self._received += len(sound)

    def feed_text(self, text: str) -> None:
        """More text; its last word may go on in the next piece."""
        self._text += text

    def finish(self) -> None:
        """All sound and all text are there."""
        self._complete = True

    def take(self) -> Iterator[SpokenAudio]:
        """The pieces that are ready, one at a time; a word's first piece carries it."""
        self._split_text()
        while self._ready > 0:
            if self._next < len(self._words) and self._given >= self._starts_at():
                word = self._words[self._next]
                self._next += 1
                self._began = self._given
                self._letters_given += len(word) + 1
                yield SpokenAudio(self._cut(), word)
            elif self._next:
                more = self._cut()
                if not more:
                    return
                yield SpokenAudio(more)
            elif self._complete:
                # Sound without any word at all is nobody's words.
                yield SpokenAudio(self._cut(), "")
            else:
                return

    @property
    def _ready(self) -> int:
        """Bytes of sound that may come out: a little is kept for words that are still to come."""
        return len(self._sound) - (0 if self._complete else self._audio.bytes_for(_HELD_SECONDS))

    @property
    def rest(self) -> list[str]:
        """The words whose sound did not come out."""
        return [*self._words[self._next :], *self._text.split()]

    def _split_text(self) -> None:
        words = self._text.split()
        self._text = "" if self._complete or self._text[-1:].isspace() or not words else words.pop()
        self._words += words

    def _starts_at(self) -> int:
        """Where the next word begins, in bytes of sound; each word has at least a sample."""
        if not self._next:
            return 0
        size = self._audio.bytes_per_sample
        if not self._complete:
            starts = self._letters_given * self._audio.bytes_for(1.0) / _PACE
            return max(int(starts) // size * size, self._began + size)
        letters = sum(len(word) + 1 for word in self._words) - 1
        starts = self._letters_given * self._received / letters
        latest = self._received - (len(self._words) - self._next) * size
        return max(min(int(starts) // size * size, latest), self._began + size)

    def _cut(self) -> bytes:
        """The sound up to where the next word begins, as far as it may come out."""
        upto = self._ready
        if self._next < len(self._words):
            upto = min(upto, max(0, self._starts_at() - self._given))
        elif not self._complete:
            # The word that this runs into is not known yet; it is, as a rule, in a moment.
            known = self._starts_at() - self._given
            upto = min(upto, max(0, known, upto - self._audio.bytes_for(_PATIENCE_SECONDS)))
        sound = bytes(self._sound[:upto])
        del self._sound[:upto]
        self._given += upto
        return sound
