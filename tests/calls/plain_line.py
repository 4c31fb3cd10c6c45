"""A call in any format of sound: a media wire in plain words, and a carrier that speaks it to one call."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any

import attrs
import trio

from patter_trio import Agent, Call, CallResult
from patter_trio._actors.observe import WallClock
from patter_trio._actors.ticker import Ticker
from patter_trio._audio import g711
from patter_trio.errors import RemoteProtocolError
from patter_trio.events import (
    AudioFormat,
    AudioReceived,
    CallEvent,
    CallInfo,
    CarrierEvent,
    HearingItem,
    MarkPlayed,
    SpeechAudio,
    SpeechEnded,
    SpokenAudio,
    StreamStopped,
    Transcript,
)
from patter_trio.testing import run_virtual

FORMATS = [
    AudioFormat("mulaw", 8000),
    AudioFormat("alaw", 8000),
    AudioFormat("linear16", 8000),
    AudioFormat("linear16", 16000),
    AudioFormat("mulaw", 16000),
    AudioFormat("alaw", 16000),
]


def name_of(audio: AudioFormat) -> str:
    return f"{audio.encoding}-{audio.sample_rate}"


class PlainWire:
    """Messages like ``media 0.02 d5d5``, in both directions."""

    def __init__(self, audio: AudioFormat) -> None:
        self.audio = audio

    def decode(self, message: str | bytes) -> CarrierEvent | None:
        match str(message).split():
            case ["media", at, sound]:
                return AudioReceived(bytes.fromhex(sound), float(at))
            case ["mark", name]:
                return MarkPlayed(name)
            case ["stop"]:
                return StreamStopped()
        raise RemoteProtocolError("no such message")

    def encode_audio(self, audio: bytes) -> str:
        return f"media {audio.hex()}"

    def encode_mark(self, name: str) -> str:
        return f"mark {name}"

    def encode_clear(self) -> str:
        return "clear"


class Exchange:
    """The carrier and the telephone behind it, as the media socket of a call.

    ``heard`` is what was played to the caller and ``spoken`` what the caller's telephone sent, both in the
    format of the line; ``sent`` all that the call sent.
    """

    def __init__(self, audio: AudioFormat) -> None:
        self.audio = audio
        self.frame = audio.bytes_for(0.02)
        self.silence = audio.silence * (self.frame // audio.bytes_per_sample)
        self.heard, self.spoken, self.sent = bytearray(), bytearray(), bytearray()
        self.clears: list[int] = []
        self.lead = 0.0
        self.hung_up = False
        self._mouth = bytearray()
        self._buffer = bytearray()
        self._received = self._played = 0
        self._marks: deque[tuple[int, str]] = deque()
        self._out, self._in = trio.open_memory_channel[str](1000)

    # --- the socket -----------------------------------------------------------------------------------------

    async def receive(self) -> str:
        return await self._in.receive()

    def send_nowait(self, message: str) -> bool:
        what, _, rest = message.partition(" ")
        if what == "media":
            sound = bytes.fromhex(rest)
            self.sent += sound
            self._buffer += sound
            self._received += len(sound)
            self.lead = max(self.lead, self.audio.seconds_in(len(self._buffer)))
        elif what == "mark":
            self._marks.append((self._received, rest))
        else:
            self.clears.append(len(self.heard))
            self._buffer.clear()
            self._played = self._received
        self._return_marks()
        return True

    async def send(self, message: str) -> None:
        await trio.lowlevel.checkpoint()
        self.send_nowait(message)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
        self.hung_up = True

    # --- the carrier ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        began = trio.current_time()
        number = 0
        while not self.hung_up:
            await trio.sleep_until(began + number * 0.02)
            frame = bytes(self._mouth[: self.frame]) or self.silence
            del self._mouth[: self.frame]
            frame += self.silence[len(frame) :]
            self.spoken += frame
            self._out.send_nowait(f"media {number * 0.02:.2f} {frame.hex()}")
            self._played = self._received - len(self._buffer)
            self._return_marks()
            played = bytes(self._buffer[: self.frame])
            del self._buffer[: self.frame]
            self.heard += played + self.silence[len(played) :]
            number += 1

    def _return_marks(self) -> None:
        while self._marks and self._marks[0][0] <= self._played:
            self._out.send_nowait(f"mark {self._marks.popleft()[1]}")

    # --- the caller -----------------------------------------------------------------------------------------

    def says(self, seconds: float, *, seed: int = 1) -> bytes:
        """Speaks loud noise; returns it as linear16."""
        pcm = noise_pcm(seconds, self.audio.sample_rate, seed=seed)
        self._mouth += g711.encode(pcm, self.audio)
        return pcm

    def hangs_up(self) -> None:
        self._out.send_nowait("stop")


def noise_pcm(seconds: float, rate: int, *, seed: int = 1, loud: int = 12000) -> bytes:
    """Noise of the loudness of a voice, the same for the same seed."""
    random = Random(seed)
    samples = (random.randint(-loud, loud) for _ in range(round(seconds * rate)))
    return b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples)


@attrs.frozen
class NoiseTTS:
    """Each letter is 50 ms of noise that is its own, in a format of the test's choice."""

    audio: AudioFormat
    name: str = "noise"

    @asynccontextmanager
    async def open_voice(self, audio: AudioFormat, call: CallInfo) -> AsyncIterator[NoiseTTS]:
        await trio.lowlevel.checkpoint()
        yield self

    @trio.as_safe_channel
    async def speak(self, sentences: AsyncIterable[str]) -> AsyncGenerator[SpokenAudio, None]:
        async for sentence in sentences:
            sound = self.sound(sentence)
            for start in range(0, len(sound), 1234):
                yield SpokenAudio(sound[start : start + 1234], None if start else sentence)

    def sound(self, sentence: str) -> bytes:
        """What is spoken of a sentence."""
        rate = self.audio.sample_rate
        pcm = b"".join(noise_pcm(0.05, rate, seed=ord(letter)) for letter in sentence)
        return g711.encode(pcm, self.audio)


@attrs.define
class KnowingSTT:
    """Knows what was said without listening, and keeps what it was given."""

    words: list[str]
    audio: AudioFormat | None = None
    heard: bytearray = attrs.field(factory=bytearray)
    name: str = "knowing"

    def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AbstractAsyncContextManager[AsyncIterable[Transcript]]:
        self.audio = audio
        return self._listen(hearing)

    @trio.as_safe_channel
    async def _listen(self, hearing: AsyncIterable[HearingItem]) -> AsyncGenerator[Transcript, None]:
        async for item in hearing:
            if isinstance(item, SpeechAudio):
                self.heard += item.audio
            elif isinstance(item, SpeechEnded):
                yield Transcript(self.words.pop(0), is_final=True, from_finalize=True)


@attrs.define
class PlainCall:
    """What became of a call."""

    line: Exchange
    result: CallResult
    events: list[CallEvent]


def plain_call(
    who: Agent, audio: AudioFormat, script: Callable[[Exchange], Awaitable[Any]], call_id: str = "call-1"
) -> PlainCall:
    """One call in virtual time, from its first frame to its end."""

    async def main() -> PlainCall:
        ticker, line, events = Ticker(), Exchange(audio), list[CallEvent]()
        call = Call(CallInfo(call_id), who, ticker=ticker, clock=WallClock(0, trio.current_time()))
        call.listen(events.append)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ticker.run)
            nursery.start_soon(line.run)
            nursery.start_soon(script, line)
            result = await call.run(line, PlainWire(audio))
            nursery.cancel_scope.cancel()
        return PlainCall(line, result, events)

    return run_virtual(main, seed=1)
