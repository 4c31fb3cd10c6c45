"""OpenAI's transcription route, which many servers imitate: a form with a sound file in, words out.

Models that hear silence still say something: what they then say is known, and is not given.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from ..errors import LanguageModelError, PatterError, RateLimitError, RecognizerError, RemoteProtocolError
from ..events import Transcript, Word
from .event_stream import EventStream
from .rate_limits import seconds_to_wait
from .recognizer import read, spoken_word, status_error
from .said import one_line

__all__ = ["TranscriptionStream", "encode_form", "is_hallucination", "read_transcription", "refusal"]

_NAME = "the transcription"

# What these models say of silence, noise and music.
_SAID_OF_SILENCE = frozenset(
    {
        *("you", "thank you for watching", "thanks for watching", "thank you so much for watching"),
        *("please subscribe", "subtitles by the amara org community"),
    }
)
# Whisper's own measure: probably no speech, and not sure of the words either.
_NO_SPEECH = 0.6
_UNSURE = -1.0
# Callers do say "no no no no".
_REPEATED = 6


class _Word(msgspec.Struct):
    word: str = ""
    start: float = 0.0
    end: float = 0.0


class _Segment(msgspec.Struct):
    avg_logprob: float | None = None
    no_speech_prob: float | None = None


class _Answer(msgspec.Struct):
    text: str
    words: list[_Word] | None = None
    segments: list[_Segment] | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: str = ""
    text: str | None = None
    error: msgspec.Raw | None = None


_answer = msgspec.json.Decoder(_Answer)
_event = msgspec.json.Decoder(_Event)


def encode_form(fields: Iterable[tuple[str, str]], wav: bytes) -> tuple[str, bytes]:
    """A form with the sound as a file: its content type and its bytes."""
    boundary = hashlib.sha256(wav).hexdigest()
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields
    ]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="speech.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    )
    return f"multipart/form-data; boundary={boundary}", b"".join(
        [*parts, head.encode(), wav, f"\r\n--{boundary}--\r\n".encode()]
    )


def read_transcription(body: bytes) -> Transcript:
    """An answer in ``json`` or ``verbose_json``; word times count from the beginning of the file.

    Raises:
        RemoteProtocolError: it is neither.
    """
    answer = read(_answer, body, _NAME)
    segments = answer.segments or []
    if segments and all(_is_silence(segment) for segment in segments):
        return Transcript("", is_final=True)
    known = [math.exp(min(0.0, s.avg_logprob)) for s in segments if s.avg_logprob is not None]
    words: tuple[Word, ...] = tuple(
        spoken_word(word.word.strip(), word.start, word.end) for word in answer.words or ()
    )
    if is_hallucination(answer.text):
        return Transcript("", is_final=True)
    return Transcript(
        answer.text.strip(),
        is_final=True,
        confidence=sum(known) / len(known) if known else None,
        words=words,
    )


def _is_silence(segment: _Segment) -> bool:
    return (segment.no_speech_prob or 0.0) > _NO_SPEECH and (segment.avg_logprob or 0.0) < _UNSURE


def is_hallucination(text: str) -> bool:
    """Whether models say this of silence: a known phrase, no word at all, one word on and on."""
    words = re.sub(r"[^\w ]", " ", text).lower().split()
    if not words or " ".join(words) in _SAID_OF_SILENCE:
        return True
    return len(words) >= _REPEATED and len(set(words)) == 1


class TranscriptionStream:
    """An answer as it is streamed: interim transcripts, and the final one.

    Attributes:
        final: the final transcript, once it came.
    """

    def __init__(self) -> None:
        self._events = EventStream()
        self._text = ""
        self.final: Transcript | None = None

    def feed(self, data: bytes) -> Iterator[Transcript]:
        """The interim transcripts that these bytes complete.

        Raises:
            RecognizerError: the far end says that it failed.
            RemoteProtocolError: it says something that cannot be read.
        """
        try:
            events = list(self._events.feed(data))
        except LanguageModelError as error:
            raise RemoteProtocolError(f"{_NAME} is an event without an end") from error
        for raw in events:
            if raw.strip() == b"[DONE]":
                continue
            event = read(_event, raw, _NAME)
            if event.error is not None:
                said = one_line(bytes(event.error).decode("utf-8", "replace"))
                raise RecognizerError(f"{_NAME} failed: {said}")
            if event.type == "transcript.text.delta" and event.delta:
                self._text += event.delta
                yield Transcript(self._text.strip())
            elif event.type == "transcript.text.done":
                text = (event.text if event.text is not None else self._text).strip()
                self.final = Transcript("" if is_hallucination(text) else text, is_final=True)


def refusal(status: int, headers: Mapping[str, str], body: bytes, where: str) -> PatterError:
    """What a refused request means."""
    said = one_line(body[:2000].decode("utf-8", "replace")) or "no reason given"
    message = f"{where} refused the sound with {status}: {said}"
    if status == 429:
        return RateLimitError(message, retry_after=seconds_to_wait(headers))
    return status_error(status, message)
