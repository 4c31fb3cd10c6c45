"""LMNT's speech session: each sentence is flushed, and the answer to that says where its sound ends.

Sound has no name of what it belongs to; between ``reset`` and its answer it belongs to what was stopped. The
times of words begin anew with each flush. The key stands in the first message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from ..errors import AuthenticationError, PatterError, RateLimitError, VoiceError
from ..events import AudioFormat, SpokenAudio, Word
from .placing import Marked
from .recognizer import Message, encode, read, spoken_word
from .voice import Cue, Failed, Said, Spoken, VoiceWire

__all__ = ["LMNTWire"]


class _Error(msgspec.Struct):
    type: str = ""
    message: str = "no reason given"


class _Timed(msgspec.Struct):
    text: str = ""
    start: float = 0.0
    duration: float = 0.0


class _Message(msgspec.Struct):
    type: str = ""
    nonce: int | None = None
    timestamps: list[_Timed] | None = None
    error: _Error | None = None


_message = msgspec.json.Decoder(_Message)

_KINDS: Mapping[str, type[PatterError]] = {
    "authentication_error": AuthenticationError,
    "permission_error": AuthenticationError,
    "payment_required_error": AuthenticationError,
    "rate_limit_error": RateLimitError,
}


class LMNTWire(VoiceWire):
    """One connection.

    Args:
        audio: what the sound is.
        init: fields of the first message, the key among them.
    """

    name: ClassVar[str] = "lmnt"
    greets: ClassVar[bool] = True
    shares: ClassVar[bool] = False

    def __init__(self, audio: AudioFormat, init: Mapping[str, Any]) -> None:
        self._audio = audio
        self._init = init
        self._turn: str | None = None
        self._place = Marked(audio)
        self._nonce = 0
        # Nonces of flushes that are out, and of the reset that is.
        self._out: set[int] = set()
        self._reset: int | None = None
        self._finished = False
        self._word: Word | None = None

    def opening(self) -> Sequence[Message]:
        """Who we are, and what is wanted."""
        return (encode({"type": "init", **self._init}),)

    def begin(self, turn: str) -> Sequence[Message]:
        """Nothing is sent before the first sentence."""
        self._turn, self._place, self._word = turn, Marked(self._audio), None
        self._out, self._finished = set(), False
        return ()

    def say(self, turn: str, text: str) -> Sequence[Message]:
        """A sentence, made at once."""
        self._place.add(text)
        self._nonce += 1
        self._out.add(self._nonce)
        said = encode({"type": "text", "text": f"{text.strip()} "})
        return (said, encode({"type": "flush", "nonce": self._nonce}))

    def finish(self, turn: str) -> Sequence[Message]:
        """Every sentence was flushed already."""
        self._finished = True
        return ()

    def is_done(self, turn: str) -> bool:
        """Whether every flush was answered."""
        return self._finished and not self._out

    def cancel(self, turn: str) -> Sequence[Message]:
        """Discards what is out; sound is not listened to until that is answered."""
        self._turn = None
        self._nonce += 1
        self._reset = self._nonce
        return (encode({"type": "reset", "nonce": self._nonce}),)

    def goodbye(self) -> Sequence[Message]:
        """Ends the session."""
        return (encode({"type": "finish"}),)

    def receive(self, message: Message) -> Iterator[Said]:
        """Sound, words, the ends of sentences, and errors."""
        if isinstance(message, bytes):
            yield from self._given(self._place.sound(message))
            return
        received = read(_message, message, self.name)
        if received.type == "ready":
            yield Cue.READY
        elif received.type == "reset_complete" and received.nonce == self._reset:
            self._reset = None
        elif received.type == "timestamps" and self._reset is None:
            yield from self._given(self._place.words(list(self._words(received.timestamps or ()))))
        elif received.type == "flush_complete" and received.nonce in self._out:
            self._out.discard(received.nonce)
            yield from self._given([*self._place.words(self._word_done()), *self._place.mark()])
        elif received.type == "error":
            error = received.error or _Error()
            kind = _KINDS.get(error.type, VoiceError)
            yield Failed(None, kind(f"lmnt: {error.message} ({error.type})"))

    def _given(self, pieces: Sequence[SpokenAudio] | Iterator[SpokenAudio]) -> Iterator[Said]:
        if self._turn is None or self._reset is not None:
            return
        given = tuple(pieces)
        if given or self.is_done(self._turn):
            yield Spoken(self._turn, given, ended=self.is_done(self._turn))

    def _words(self, told: Sequence[_Timed]) -> Iterator[Word]:
        """Words of tokens; one that begins without a space goes on with the word before it."""
        for token in told:
            text, start = token.text.strip(), max(0.0, token.start)
            if text and self._word is not None and not token.text[:1].isspace():
                text, start = self._word.text + text, self._word.start
            elif token.text[:1].isspace():
                yield from self._word_done()
            if text:
                self._word = spoken_word(text, start, max(0.0, token.start) + max(0.0, token.duration))
            if token.text[-1:].isspace():
                yield from self._word_done()

    def _word_done(self) -> Iterator[Word]:
        word, self._word = self._word, None
        if word is not None:
            yield word
