"""One turn of a voice behind a WebSocket: sentences in, sound out, with deadlines."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable
from contextlib import suppress

import trio

from .._wire.voice import Spoken
from ..errors import AuthenticationError, PatterConfigError, PatterError, RateLimitError, VoiceError
from ..events import AudioFormat, SpokenAudio
from ._link import Link
from ._telling import Patience, so_far

__all__ = ["FINAL", "LEAVING_SECONDS", "Turn"]

# Stopping a turn, and saying goodbye, are courtesies: the caller does not wait for them.
LEAVING_SECONDS = 0.5
# Another try would fail in the same way.
FINAL = (AuthenticationError, PatterConfigError)
# What keeps its own type; everything else that ends a turn is a failure of the voice.
_TYPED = (*FINAL, RateLimitError)


class Turn:
    """A turn as the call reads it: an iterator of sound."""

    def __init__(self, name: str, link: Link, audio: AudioFormat, patience: Patience) -> None:
        self._name = name
        self._link = link
        self._audio = audio
        self._patience = patience
        # As much as a turn's text makes is read at once: pings must not wait behind sound that nobody takes.
        self._inlet, self._outlet = trio.open_memory_channel[SpokenAudio](math.inf)
        self._wait = trio.CancelScope()
        self._due = math.inf
        self._failure: PatterError | None = None
        self._begun = self._finished = self._ended = False
        self._spoken: list[str] = []
        self._seconds = 0.0

    def __aiter__(self) -> Turn:
        return self

    async def __anext__(self) -> SpokenAudio:
        try:
            with suppress(trio.WouldBlock):
                return self._outlet.receive_nowait()
            with trio.CancelScope(deadline=self._due) as self._wait:
                return await self._outlet.receive()
        except trio.EndOfChannel:
            if self._failure is not None:
                raise self._failure from self._failure.__cause__
            raise StopAsyncIteration from None
        limit = self._patience.frame if self._spoken else self._patience.first_audio
        raise VoiceError(f"{self._link.wire.name} was silent for {limit:g} s {self._so_far()}")

    # --- to the far end -------------------------------------------------------------------------------------

    async def feed(self, sentences: AsyncIterable[str]) -> None:
        """Gives the sentences to the far end as they come."""
        link, wire = self._link, self._link.wire
        async for sentence in sentences:
            if self._ended:
                return
            if not sentence.strip():
                continue
            if not self._begun:
                self._begun = True
                link.add(self._name, self)
                await link.send(wire.begin(self._name))
                self._set_due(self._patience.first_audio)
            await link.send(wire.say(self._name, sentence))
        if not self._begun:
            self._end()
        elif not self._ended:
            self._finished = True
            self._set_due(self._patience.frame if self._spoken else self._patience.first_audio)
            await link.send(wire.finish(self._name))
            if wire.is_done(self._name):
                self.give(Spoken(self._name, ended=True))

    async def leave(self) -> None:
        """Stops the turn where it has not ended."""
        unfinished = self._begun and not self._ended
        self._end()
        self._link.remove(self._name)
        self._outlet.close()
        if unfinished and self._link.is_open:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + LEAVING_SECONDS):
                await self._link.send(self._link.wire.cancel(self._name))

    # --- from the far end -----------------------------------------------------------------------------------

    def give(self, said: Spoken) -> None:
        """Takes sound of the turn."""
        if self._ended:
            return
        for piece in said.pieces:
            if piece.text:
                self._spoken.append(piece.text)
            self._seconds += self._audio.seconds_in(len(piece.audio))
            self._inlet.send_nowait(piece)
        if said.ended and not self._seconds:
            self.fail(VoiceError(f"{self._link.wire.name} ended the turn"))
        elif said.ended:
            self._end()
        elif self._finished:
            self._set_due(self._patience.frame)
        elif self._spoken:
            self._set_due(math.inf)

    def fail(self, error: PatterError) -> None:
        """Ends the turn with what broke it."""
        if self._ended:
            return
        self._failure = error
        if not isinstance(error, _TYPED):
            self._failure = VoiceError(f"{error} {self._so_far()}")
            self._failure.__cause__ = error
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._set_due(math.inf)
        self._inlet.close()

    def _set_due(self, seconds: float) -> None:
        self._due = self._wait.deadline = trio.current_time() + seconds

    def _so_far(self) -> str:
        return so_far(self._seconds, " ".join(self._spoken))
