"""Sound that carries its own words: ground truth for calls that are simulated without models.

Each 20 ms frame (160 µ-law samples at 8 kHz) of a spoken word repeats the whole word, with the number of the
utterance, the place of the word in it and the place of the frame in the word. The data is written as the
loudest µ-law codes (0x00-0x0F and 0x80-0x8F, four bits a sample, above half of full scale), so a detector of
speech energy hears speech, and a passage through linear16 and back leaves every bit as it was. A frame that
is torn, mixed with other sound or resampled fails its checksum and is not read.

    >>> reader = WordReader()
    >>> [word.text for word in reader.feed(speak_words("good morning"))]
    ['good', 'morning']
"""

from __future__ import annotations

import random
import struct
from binascii import crc_hqx
from collections.abc import Iterable

import attrs

from .._audio import g711
from ..events import MULAW_8K, AudioFormat, Word

__all__ = [
    "FRAME_BYTES",
    "HeardWord",
    "WordFrame",
    "WordReader",
    "join_words",
    "noise",
    "speak_words",
    "word_times",
]

FRAME_BYTES = 160
FRAME_SECONDS = 0.02
SAMPLE_RATE = 8000

_MAGIC = b"\xc3\x96wS"
_TEXT_BYTES = 64
_LAYOUT = struct.Struct(f">4sIHBBBB{_TEXT_BYTES}s")
_CHECKSUM = struct.Struct(">H")

_NIBBLE_TO_CODE = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))
_CODE_TO_NIBBLE = bytes(
    b"0123456789abcdef"[code & 0x0F] if code & 0x70 == 0 else ord("?") for code in range(256)
)
# Sixteen samples a period: a 500 Hz buzz for whoever listens to the recording, and no direct current.
_SIGNS = int.from_bytes((b"\x80" * 8 + b"\x00" * 8) * (FRAME_BYTES // 16), "big")


@attrs.frozen
class WordFrame:
    """What one 20 ms frame of word sound says; ``at`` is its first sample, counted over all sound read."""

    text: str
    serial: int
    word: int
    joins: bool
    number: int
    total: int
    at: int


@attrs.frozen
class HeardWord:
    """A word that was read from sound.

    ``complete`` says that its last frame arrived. ``start`` and ``end`` are seconds since the reader's first
    sample. ``joins`` marks the continuation of a word that was too long for one frame's 64 bytes.
    """

    text: str
    complete: bool
    serial: int
    index: int
    start: float
    end: float
    joins: bool = False


def _encode(serial: int, word: int, joins: bool, number: int, total: int, text: bytes) -> bytes:
    head = _LAYOUT.pack(_MAGIC, serial, word, joins, number, total, len(text), text)
    data = head + _CHECKSUM.pack(crc_hqx(head, 0))
    codes = data.hex().encode().translate(_NIBBLE_TO_CODE)
    return (int.from_bytes(codes, "big") ^ _SIGNS).to_bytes(FRAME_BYTES, "big")


def _decode(frame: bytes, at: int) -> WordFrame | None:
    nibbles = frame.translate(_CODE_TO_NIBBLE)
    if b"?" in nibbles:
        return None
    data = bytes.fromhex(nibbles.decode())
    head, checksum = data[: _LAYOUT.size], data[_LAYOUT.size :]
    if _CHECKSUM.unpack(checksum)[0] != crc_hqx(head, 0):
        return None
    _, serial, word, joins, number, total, size, text = _LAYOUT.unpack(head)
    return WordFrame(text[:size].decode("utf-8", "replace"), serial, word, bool(joins), number, total, at)


_PREFIX = _encode(0, 0, False, 0, 0, b"")[: 2 * len(_MAGIC)]


def _pieces(text: str) -> Iterable[tuple[bytes, bool]]:
    """The words of ``text`` in UTF-8, each cut between characters where it is longer than a frame can say."""
    for word in text.split():
        joins, piece = False, b""
        for character in word:
            encoded = character.encode("utf-8", "replace")
            if len(piece) + len(encoded) > _TEXT_BYTES:
                yield piece, joins
                joins, piece = True, b""
            piece += encoded
        yield piece, joins


def _frames_per_word(words_per_second: float) -> int:
    frames = round(1 / (words_per_second * FRAME_SECONDS))
    if not 1 <= frames <= 255:
        raise ValueError(f"words_per_second must be between 0.2 and 50, not {words_per_second}")
    return frames


def speak_words(text: str, *, serial: int = 1, words_per_second: float = 3.0, first_word: int = 0) -> bytes:
    """The word sound of ``text``: whole 20 ms frames of 8 kHz µ-law, every word equally long.

    Args:
        text: words between white space; punctuation belongs to its word.
        serial: the number of the utterance, below 2**32; tells two turns apart on the wire.
        words_per_second: the pace, rounded to whole frames per word (3.0 gives 340 ms a word).
        first_word: the index of the first word, for an utterance that is spoken sentence by sentence.

    Raises:
        ValueError: a pace below 0.2 or above 50 words a second.
    """
    total = _frames_per_word(words_per_second)
    return b"".join(
        _encode(serial, (first_word + place) & 0xFFFF, joins, number, total, piece)
        for place, (piece, joins) in enumerate(_pieces(text))
        for number in range(total)
    )


def word_times(text: str, *, words_per_second: float = 3.0) -> tuple[Word, ...]:
    """When each word of ``speak_words(text)`` sounds, in seconds from its start."""
    length = _frames_per_word(words_per_second) * FRAME_SECONDS
    times: list[Word] = []
    for place, (piece, joins) in enumerate(_pieces(text)):
        start, end = round(place * length, 6), round((place + 1) * length, 6)
        spoken = piece.decode("utf-8")
        if joins:
            before = times.pop()
            start, spoken = before.start, before.text + spoken
        times.append(Word(spoken, start, end))
    return tuple(times)


def noise(seconds: float, *, seed: int = 0) -> bytes:
    """Loud 8 kHz µ-law noise without words (a cough, a door), the same for the same seed; whole frames."""
    frames = max(1, round(seconds / FRAME_SECONDS))
    random_codes = random.Random(seed)
    return bytes(
        0x10 | random_codes.randrange(16) | random_codes.choice((0, 0x80))
        for _ in range(frames * FRAME_BYTES)
    )


def join_words(words: Iterable[HeardWord]) -> str:
    """The words as text, with the pieces of a long word put together."""
    text = ""
    for word in words:
        text += word.text if word.joins or not text else f" {word.text}"
    return text


class WordReader:
    """Reads words from 8 kHz sound that comes in blocks of any size, between silence and noise.

    Args:
        audio: the format of the sound: µ-law or linear16 at 8 kHz.

    Raises:
        ValueError: another format, in which word sound does not survive.
    """

    def __init__(self, audio: AudioFormat | None = None) -> None:
        if audio is not None and (audio.sample_rate != SAMPLE_RATE or audio.encoding == "alaw"):
            raise ValueError(f"word sound is read from 8 kHz mulaw or linear16, not from {audio}")
        self._linear = audio is not None and audio.encoding == "linear16"
        self._half_sample = b""
        self._rest = b""
        self._rest_at = 0
        self._unfinished: tuple[WordFrame, WordFrame] | None = None

    @property
    def samples_fed(self) -> int:
        """Samples received so far."""
        return self._rest_at + len(self._rest)

    def read_frames(self, audio: bytes) -> list[WordFrame]:
        """The intact frames of word sound that ``audio`` completes: the level below :meth:`feed`."""
        if self._linear:
            audio = self._half_sample + audio
            even = len(audio) & ~1
            self._half_sample = audio[even:]
            audio = g711.encode(audio[:even], MULAW_8K)
        rest, found_frames, done = self._rest + audio, [], 0
        while (found := rest.find(_PREFIX, done)) >= 0 and len(rest) - found >= FRAME_BYTES:
            frame = _decode(rest[found : found + FRAME_BYTES], self._rest_at + found)
            if frame is not None:
                found_frames.append(frame)
            done = found + (FRAME_BYTES if frame is not None else 1)
        keep = found if found >= 0 else max(done, len(rest) - len(_PREFIX) + 1)
        self._rest, self._rest_at = rest[keep:], self._rest_at + keep
        return found_frames

    def feed(self, audio: bytes) -> list[HeardWord]:
        """The words that ``audio`` ends.

        A word ends with its last frame, or, incomplete, when another one begins before that. A word that was
        held up by silence in its middle and then went on is complete.
        """
        heard: list[HeardWord] = []
        for frame in self.read_frames(audio):
            heard += self._take(frame)
        return heard

    def unfinished(self) -> HeardWord | None:
        """The word that has begun and not ended, as far as it was heard."""
        return None if self._unfinished is None else _heard(*self._unfinished, complete=False)

    def _take(self, frame: WordFrame) -> list[HeardWord]:
        heard: list[HeardWord] = []
        first = frame
        if self._unfinished is not None:
            begun, last = self._unfinished
            if (begun.serial, begun.word, begun.text) == (frame.serial, frame.word, frame.text) and (
                last.number < frame.number
            ):
                first = begun
            else:
                heard.append(_heard(begun, last, complete=False))
        if frame.number == frame.total - 1:
            self._unfinished = None
            return [*heard, _heard(first, frame, complete=True)]
        self._unfinished = (first, frame)
        return heard


def _heard(first: WordFrame, last: WordFrame, *, complete: bool) -> HeardWord:
    start, end = first.at / SAMPLE_RATE, (last.at + FRAME_BYTES) / SAMPLE_RATE
    return HeardWord(first.text, complete, first.serial, first.word, start, end, first.joins)
