"""Soniox' real-time recognition: sub-word tokens, final ones told once, the others anew in each message.

``<end>`` and ``<fin>`` are tokens too: the end of an utterance, and the answer to ``finalize``. An empty
message says that no more sound comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from ..events import Transcript, Word
from .recognizer import Cue, Message, RecognizerWire, Said, encode, read, spoken_word, status_error

__all__ = ["SonioxWire"]


class _Token(msgspec.Struct):
    text: str
    start_ms: float | None = None
    end_ms: float | None = None
    confidence: float | None = None
    is_final: bool = False


class _Message(msgspec.Struct):
    tokens: list[_Token] = []
    finished: bool = False
    error_code: int | None = None
    error_message: str | None = None


_message = msgspec.json.Decoder(_Message)

_FINALIZE = encode({"type": "finalize"})
_KEEP_ALIVE = encode({"type": "keepalive"})
_ENDPOINT, _FINALIZED = "<end>", "<fin>"


class SonioxWire(RecognizerWire):
    """One connection, which begins with its settings.

    Tokens are kept until their utterance ends: a word may be told in parts.
    """

    name: ClassVar[str] = "soniox"
    # The far end may give up after 20 s.
    keep_alive_every: ClassVar[float] = 10.0

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._tokens: list[_Token] = []

    def opening(self) -> Sequence[Message]:
        """The settings."""
        return (encode(self._config),)

    def finalise(self) -> Sequence[Message]:
        """``finalize``, which is always answered."""
        return (_FINALIZE,)

    def keep_alive(self) -> Sequence[Message]:
        """``keepalive``."""
        return (_KEEP_ALIVE,)

    def finish(self) -> Sequence[Message]:
        """The empty message; a text, as the vendor's own SDK sends it."""
        return ("",)

    def receive(self, message: Message) -> Iterator[Said]:
        """Words as far as they are known, and ends of utterances."""
        received = read(_message, message, self.name)
        if received.error_code is not None:
            said = received.error_message or "no message"
            raise status_error(received.error_code, f"soniox: {said} ({received.error_code})")
        passing: list[_Token] = []
        for token in received.tokens:
            if token.text == _FINALIZED:
                yield from self._end()
                yield Cue.FINALISED
            elif token.text == _ENDPOINT:
                yield from self._end()
            elif token.is_final:
                self._tokens.append(token)
            else:
                passing.append(token)
        if received.finished:
            yield from self._end()
            yield Cue.CLOSED
        elif received.tokens and (self._tokens or passing):
            yield _transcript([*self._tokens, *passing], is_final=False)

    def _end(self) -> Iterator[Said]:
        if self._tokens:
            yield _transcript(self._tokens, is_final=True)
            self._tokens = []


def _transcript(tokens: Sequence[_Token], *, is_final: bool) -> Transcript:
    known = [token.confidence for token in tokens if token.confidence is not None]
    return Transcript(
        "".join(token.text for token in tokens).strip(),
        is_final=is_final,
        confidence=sum(known) / len(known) if known else None,
        speech_final=is_final,
        words=tuple(_words(tokens)),
    )


def _words(tokens: Sequence[_Token]) -> Iterator[Word]:
    """A word begins at a space; punctuation belongs to the word before it."""
    parts: list[_Token] = []
    for token in tokens:
        if token.start_ms is None or token.end_ms is None or not token.text:
            continue
        if parts and token.text[0].isspace():
            yield _word(parts)
            parts = []
        parts.append(token)
    if parts:
        yield _word(parts)


def _word(parts: Sequence[_Token]) -> Word:
    known = [token.confidence for token in parts if token.confidence is not None]
    return spoken_word(
        "".join(token.text for token in parts).strip(),
        (parts[0].start_ms or 0) / 1000,
        (parts[-1].end_ms or 0) / 1000,
        min(known) if known else None,
    )
