"""What one turn wrote, synthesised, sent and had heard, to the word."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence

import attrs

from .._text.words import split_words
from ..events import Word

__all__ = ["Ledger"]

# Speech runs at about 14 characters a second (the embedded voice on the demo's sentences); used only for
# the sentence that was cut while it was still being synthesised, whose length nobody knows.
_CHARACTERS_PER_SECOND = 14.0

# Seconds by which an echo may seem too early because of jitter, and still be believed.
_PLAUSIBLE = 0.03

# An echo that has not come so long after its sound must have been played will not come.
_ECHO_SECONDS = 2.0


@attrs.define
class _Span:
    """A sentence and where its sound begins; ``text`` is None when the voice does not say which it is, and
    empty for sound without words.

    A ``passing`` one fills a pause and is no part of the answer: what was not heard of it is not owed, and
    the next one may take its place in the middle. ``whole`` is the length of its sound, once it is all there.
    """

    text: str | None
    start: int
    words: list[Word] = attrs.field(factory=list[Word])
    passing: bool = False
    whole: int | None = None

    def goes_on(self, text: str | None, *, passing: bool) -> bool:
        """Whether sound that is said to speak ``text`` is a part of this."""
        if self.passing != passing:
            return False
        return text == "" if self.text == "" else text is None


@attrs.define
class _Mark:
    """A mark that is out; ``due`` is when, by our clock, all before it will have been played."""

    name: str
    position: int
    due: float


class Ledger:
    """Positions are samples of the carrier's format from the start of the turn.

    ``serial`` is unique within the call and begins the names of this turn's marks.

    ``heard`` is what the carrier proved: the last mark it echoed, and from there as much as time allows,
    but never past a mark that is still outstanding, and never more than can have been played by our clock.
    An echo may come twice, late or in another turn: only the first echo of an outstanding mark counts. One
    that is 2 s overdue is given up as lost; a turn that lost one and had no other is believed by the clock.

    ``echoing`` is what is known of the carrier from earlier turns of the call. From one that has echoed
    before, no echo at all in a turn is a stall, and nothing of it was heard unless all of it must have been
    played long ago; from one that never has, none is waited for, and the clock decides.

    A ``clear`` makes the carrier return every outstanding mark at once, and nothing in them tells played from
    cleared. So a barrier mark follows the clear. Echoes take the same way back as the barrier's, so the ear
    had got, when the clear arrived, as far beyond the last proved mark as the time between the two echoes;
    an echo that comes before its sound can have been played is one of the clear's own. A carrier that returns
    nothing at a clear (Plivo) is asked no differently: the barrier's echo, or else our clock, decides.
    """

    def __init__(self, serial: int, sample_rate: int, echoing: bool | None = None) -> None:
        self._echoing = echoing
        self._prefix = f"{serial}."
        self._rate = sample_rate
        self._written: list[str] = []
        self._spans: list[_Span] = []
        self._outstanding: deque[_Mark] = deque()
        self._marks = 0
        self._proved = 0
        self._proved_at: float | None = None
        self._echoes = False
        self._out = 0
        self._plays_until = 0.0
        self._before: list[tuple[int, float]] = []
        self._cut_at: int | None = None
        self._barrier = ""
        self._cleared_at = 0.0
        self.synthesised = 0
        self.sent = 0
        self.complete = False

    # --- what happens ---------------------------------------------------------------------------------------

    def write(self, sentence: str) -> None:
        """A sentence was given to the voice."""
        self._written.append(sentence)

    def synthesise(
        self, samples: int, text: str | None = None, words: tuple[Word, ...] = (), *, passing: bool = False
    ) -> None:
        """Sound was synthesised; ``text`` if it begins a sentence, ``words`` timed from that beginning.

        Sound without words has an empty text in each piece.
        """
        if not self._spans or not self._spans[-1].goes_on(text, passing=passing):
            self._spans.append(_Span(text, self.synthesised, passing=passing))
        self._spans[-1].words.extend(words)
        self.synthesised += samples

    def filled(self) -> None:
        """All of what fills the pause was synthesised."""
        for number, span in enumerate(self._spans):
            after = self._spans[number + 1].start if number + 1 < len(self._spans) else self.synthesised
            span.whole = after - span.start

    def forget_unsent(self) -> None:
        """What fills a pause is not needed any more: the part of it that was not sent never will be."""
        # What was sent beyond the sound was silence that filled up a frame.
        self.synthesised = self._out = self.sent
        self._spans = [span for span in self._spans if span.start < self.sent]

    def send(self, samples: int, now: float, busy_until: float = 0.0) -> None:
        """Sound went out to the carrier, which plays it after what it already holds.

        Until ``busy_until`` it plays what is none of this turn's.
        """
        begins = max(self._plays_until, now, busy_until)
        if begins > self._plays_until:
            self._break_off(now, everything=begins <= now)
        self._out += samples
        # The last frame is filled up with silence that nobody synthesised.
        self.sent = min(self._out, self.synthesised)
        self._plays_until = begins + samples / self._rate

    def _break_off(self, now: float, *, everything: bool) -> None:
        """Another sound lies between what was sent and what will be; ``everything`` was played by now."""
        self._before.append((self._out, self._plays_until))
        while self._before and (everything or (len(self._before) > 1 and self._before[1][1] <= now)):
            self._before.pop(0)

    def mark(self) -> str:
        """A mark goes out behind all that was sent; returns its name."""
        self._marks += 1
        mark = _Mark(f"{self._prefix}{self._marks}", self.sent, self._plays_until)
        self._outstanding.append(mark)
        return mark.name

    def mark_played(self, name: str, now: float) -> bool:
        """The carrier echoed a mark; ``False`` if it is not one of this turn's outstanding marks."""
        if self._cut_at is not None:
            return False
        # What was heard by the clock while no echo came stays heard.
        known = self.heard(now)
        if all(mark.name != name for mark in self._outstanding):
            return False
        # A mark that was lost on the way back is covered by the next one.
        while (mark := self._outstanding.popleft()).name != name:
            pass
        if name == self._barrier:
            self._cut_at = max(known, self._reached(now))
        elif not self._barrier or mark.position <= self._reached(now) + _PLAUSIBLE * self._rate:
            self._echoes = True
            self._proved, self._proved_at = max(known, mark.position), now
        return True

    def clear(self, now: float) -> str:
        """A clear goes out; returns the name of the barrier mark that must follow it."""
        self._cleared_at = now
        self._barrier = self.mark()
        if self._echoing is False:
            self.cut(now)
        return self._barrier

    @property
    def settled(self) -> bool:
        """Whether what was heard can no longer change."""
        return self._cut_at is not None

    def cut(self, now: float) -> None:
        """The turn ends here: what was not heard by ``now`` (or by the clear) never will be."""
        if self._cut_at is None:
            self._cut_at = self._heard(now)

    # --- what is known --------------------------------------------------------------------------------------

    @property
    def plays_until(self) -> float:
        """When the carrier will have played everything sent, by our clock."""
        return self._plays_until

    @property
    def echo_seconds(self) -> float:
        """How long after its sound the last echo is waited for."""
        return 0.0 if self._echoing is False else _ECHO_SECONDS

    @property
    def echoing(self) -> bool | None:
        """Whether the carrier echoes marks, as far as this turn and those before it tell."""
        if self._echoes or self._echoing is not None:
            return self._echoes or self._echoing
        return False if self._proved_at is not None else None

    @property
    def all_marks_played(self) -> bool:
        """Whether no mark is outstanding."""
        return not self._outstanding

    def heard(self, now: float) -> int:
        """Samples that the caller has heard."""
        return self._heard(now) if self._cut_at is None else self._cut_at

    def _heard(self, now: float) -> int:
        if self._barrier:
            now = min(now, self._cleared_at)
        if self._echoing is False and not self._echoes:
            return self._played(now)
        if self._echoes or not self._echoing or now >= self._plays_until + _ECHO_SECONDS:
            self._give_up(now)
        if self._proved_at is None and self._outstanding:
            return 0
        if not self._echoes and self._proved_at is not None:
            return max(self._proved, self._played(now))
        bound = self._outstanding[0].position if self._outstanding else self.sent
        return max(self._proved, min(bound, self._reached(now)))

    def _give_up(self, now: float) -> None:
        """Believes the clock where an echo should have come long ago."""
        while self._outstanding and now >= self._outstanding[0].due + _ECHO_SECONDS:
            mark = self._outstanding.popleft()
            self._proved, self._proved_at = mark.position, mark.due + _ECHO_SECONDS

    def _reached(self, now: float) -> int:
        """How far the ear can have got by an echo that arrives at ``now``."""
        elapsed = 0.0 if self._proved_at is None else now - self._proved_at
        # What is said to be played after a clear was played before it got there.
        until = min(now, self._cleared_at + _PLAUSIBLE) if self._barrier else now
        return min(self._played(until), self._proved + round(elapsed * self._rate))

    def _played(self, now: float) -> int:
        """How far the carrier can have got if it plays what it gets without delay."""
        runs = [*self._before, (self._out, self._plays_until)]
        return min(self.sent, max(out - max(0, round((until - now) * self._rate)) for out, until in runs))

    @property
    def written(self) -> int:
        """How many sentences were given to the voice."""
        return len(self._written)

    def heard_text(self, now: float) -> str:
        """The words that the caller has heard."""
        filler, told, _ = self._split(now)
        return " ".join([*filler, *told])

    def heard_parts(self, now: float, breaks: Sequence[int]) -> list[str]:
        """The words heard, cut behind the first so many sentences; one part more than there are breaks."""
        filler, told, _ = self._split(now)
        ends = [sum(len(split_words(sentence)) for sentence in self._written[:count]) for count in breaks]
        parts = [told[start:end] for start, end in itertools.pairwise([0, *ends, len(told)])]
        return [" ".join([*filler, *parts[0]]), *map(" ".join, parts[1:])]

    def heard_within(self, first: int, count: int, now: float) -> int:
        """Samples heard of ``count`` sentences from number ``first`` on.

        The voice must have said where each sentence begins.
        """
        heard = self.heard(now)
        ends = [*(span.start for span in self._spans[1:]), self.synthesised]
        own = [
            (span.start, end)
            for span, end in zip(self._spans, ends, strict=False)
            if not span.passing and span.text != ""
        ]
        return sum(max(0, min(heard, end) - start) for start, end in own[first : first + count])

    def unheard_text(self, now: float) -> str:
        """The words written for this turn that the caller has not heard."""
        return " ".join(self._split(now)[2])

    def _split(self, now: float) -> tuple[list[str], list[str], list[str]]:
        """The words heard of what filled a pause, those heard of the answer, and the answer's others."""
        heard = self.heard(now)
        passing = [span for span in self._spans if span.passing]
        own = [span for span in self._spans if not span.passing and span.text != ""]
        everything = " ".join(self._written)
        if any(span.text is None for span in own):
            own = [_Span(everything, own[0].start, [w for span in own for w in span.words])]
            known = len(self._written)
            spans = [*passing, *own]
        else:
            known = len(own)
            # Sound without words ends the sentence before it, and is nobody's words.
            spans = self._spans
        filler: list[str] = []
        told: list[str] = []
        rest: list[str] = []
        for number, span in enumerate(spans):
            last = number == len(spans) - 1
            end = self.synthesised if last else spans[number + 1].start
            before, after = self._split_span(span, end, heard, finished=self.complete or not last)
            if span.passing:
                filler += before
            else:
                told += before
                rest += after
        starts = [*(span.start for span in own), self.synthesised]
        silenced = any(start == end for start, end in itertools.pairwise(starts))
        if self.complete and self.synthesised and heard >= self.synthesised and not silenced:
            return filler, split_words(everything), []
        rest += [word for sentence in self._written[known:] for word in split_words(sentence)]
        return filler, told, rest

    def _split_span(
        self, span: _Span, end: int, heard: int, *, finished: bool
    ) -> tuple[list[str], list[str]]:
        words = split_words(span.text or "")
        cut_short = span.passing and span.whole != end - span.start
        if finished and end == span.start:
            # Its sound was discarded on the way.
            return [], words
        if finished and heard >= end and not cut_short:
            return words, []
        # Of a filler that was cut short, the next sentence has taken the place.
        played = min(heard, end) - span.start
        if played <= 0:
            return [], words
        if len(span.words) == len(words):
            count = sum(1 for word in span.words if word.end * self._rate <= played)
        else:
            letters = len(" ".join(words))
            expected = letters / _CHARACTERS_PER_SECOND * self._rate
            known = finished and not cut_short
            length = span.whole or (end - span.start if known else max(end - span.start, expected))
            budget = letters * min(1.0, played / max(length, 1))
            count = _words_within(words, budget)
        return words[:count], words[count:]


def _words_within(words: list[str], letters: float) -> int:
    """How many whole words fit into so many letters, the spaces between them counted."""
    used, count = 0.0, 0
    for word in words:
        used += len(word)
        if used > letters + 1e-9:
            break
        used += 1
        count += 1
    return count
