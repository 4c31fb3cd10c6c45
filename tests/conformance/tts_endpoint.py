"""Far ends of voices: what the vendors' WebSockets do, speaking word sound."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import trio
import trio_websocket

from patter_trio._audio import g711
from patter_trio.events import MULAW_8K, AudioFormat, Word
from patter_trio.testing import speak_words
from patter_trio.testing.wordsound import word_times

from .stt_endpoint import FarEnd, GoneError, Talk

VECTORS = Path(__file__).parents[1] / "vectors" / "tts.json"
STEP = 0.1
# A second of sound takes so long to be made.
EFFORT = 0.1
DELAY = 0.15


def vectors(protocol: str) -> dict[str, dict[str, Any]]:
    """The recorded sequences of a protocol, by the last part of their names."""
    entries = json.loads(VECTORS.read_text())
    return {entry["id"].split(".")[-1]: entry for entry in entries if entry["protocol"] == protocol}


def sound_of(text: str, audio: AudioFormat, serial: int = 1, first_word: int = 0) -> bytes:
    """Word sound in 8 kHz µ-law or linear16."""
    assert audio.sample_rate == 8000
    sound = speak_words(text, serial=serial, first_word=first_word)
    return sound if audio.encoding == "mulaw" else g711.decode(sound, MULAW_8K)


def chunks(
    text: str, audio: AudioFormat, serial: int, first_word: int
) -> Iterator[tuple[float, bytes, list[Word]]]:
    """Pieces of a text's sound: when each begins, and the words that begin in it."""
    sound, words = sound_of(text, audio, serial, first_word), list(word_times(text))
    size = audio.bytes_for(STEP)
    for place in range(0, len(sound), size):
        at = audio.seconds_in(place)
        end = audio.seconds_in(place + size)
        yield at, sound[place : place + size], [word for word in words if at <= word.start < end]


def spelt(words: list[Word], at: float) -> tuple[list[str], list[float], list[float]]:
    """The characters of words, a space behind each, with starts and lengths in seconds from ``at``."""
    signs, starts, lengths = [], [], []
    for word in words:
        each = (word.end - word.start) / (len(word.text) + 1)
        for place, sign in enumerate(f"{word.text} "):
            signs.append(sign)
            starts.append(word.start - at + place * each)
            lengths.append(each)
    return signs, starts, lengths


class VoiceTalk(Talk):
    """One connection; texts are spoken one after the other in each context.

    ``mute`` says nothing, and nothing comes any more after ``stalls_at`` seconds of sound. ``late`` pieces
    follow after a context was cancelled.
    """

    audio: ClassVar[AudioFormat] = MULAW_8K
    mute: ClassVar[bool] = False
    stalls_at: ClassVar[float] = float("inf")
    late: ClassVar[int] = 2

    def __init__(self, far: FarEnd, request: trio_websocket.WebSocketRequest) -> None:
        super().__init__(far, request)
        self.contexts: dict[str, Context] = {}
        self.nursery: trio.Nursery
        self.texts: list[str] = []

    def spoken_format(self) -> AudioFormat:
        return self.audio

    async def run(self, socket: trio_websocket.WebSocketConnection) -> None:
        async with trio.open_nursery() as self.nursery:
            await super().run(socket)
            self.nursery.cancel_scope.cancel()

    def open_context(self, name: str) -> None:
        assert name not in self.contexts, "a name is never used twice"
        self.contexts[name] = context = Context(
            self, name, len(self.far.talks) * 100 + len(self.contexts) + 1
        )
        self.nursery.start_soon(self.quietly, context)

    async def quietly(self, context: Context) -> None:
        try:
            await context.run()
        except (trio_websocket.ConnectionClosed, GoneError):
            return

    async def on_sound(self, audio: bytes) -> None:
        raise AssertionError("nobody sends sound to a voice")

    async def say_piece(self, context: Context, at: float, sound: bytes, words: list[Word]) -> None:
        raise NotImplementedError

    async def say_text_end(self, context: Context) -> None:
        """A text has been spoken."""

    async def say_end(self, context: Context) -> None:
        raise NotImplementedError


class Context:
    """A turn at the far end."""

    def __init__(self, talk: VoiceTalk, name: str, serial: int) -> None:
        self.talk, self.name, self.serial = talk, name, serial
        self.inlet, self.outlet = trio.open_memory_channel[str](100)
        self.cancelled = False
        self.late_left = talk.late
        self.spoken = 0.0
        self.words = 0
        self.began_at = 0.0

    @property
    def is_open(self) -> bool:
        return self.inlet.statistics().open_send_channels > 0

    def add(self, text: str) -> None:
        self.talk.texts.append(text)
        self.inlet.send_nowait(text)

    async def run(self) -> None:
        talk = self.talk
        with self.outlet:
            async for text in self.outlet:
                if not self.words:
                    await trio.sleep(DELAY)
                await self.speak(text)
                if self.cancelled:
                    break
                await talk.say_text_end(self)
        await talk.say_end(self)

    async def speak(self, text: str) -> None:
        talk, before = self.talk, self.spoken
        self.began_at = before
        for at, sound, words in chunks(text, talk.spoken_format(), self.serial, self.words):
            await trio.sleep(STEP * EFFORT)
            if talk.seconds >= talk.stalls_at:
                await trio.sleep_forever()
            if talk.mute or (self.cancelled and not self.late_left):
                return
            self.late_left -= self.cancelled
            self.spoken = before + at + talk.spoken_format().seconds_in(len(sound))
            talk.seconds += talk.spoken_format().seconds_in(len(sound))
            await talk.say_piece(self, at, sound, words)
        self.words += len(text.split())


class ElevenLabsTalk(VoiceTalk):
    """``multi-stream-input``."""

    def spoken_format(self) -> AudioFormat:
        return {"ulaw_8000": MULAW_8K, "pcm_8000": AudioFormat("linear16", 8000)}[
            self.query["output_format"][0]
        ]

    async def on_text(self, message: str) -> None:
        said = json.loads(message)
        if said.get("close_socket"):
            await self.close()
        name = said["context_id"]
        if name not in self.contexts:
            open_now = [context for context in self.contexts.values() if context.is_open]
            assert said["text"] == " ", "a context begins with a space"
            if len(open_now) >= 5:
                await self.say({"message": "too many", "error": "max_active_conversations", "code": 1008})
                await self.close(1008, "Maximum simultaneous contexts exceeded")
            self.open_context(name)
        elif said.get("close_context"):
            context = self.contexts[name]
            if not any(item.get("flush") and item.get("context_id") == name for item in self.json_received()):
                context.cancelled = True
            context.inlet.close()
        elif said.get("text", "").strip():
            assert said["text"].endswith(" ")
            self.contexts[name].add(said["text"])

    async def say_piece(self, context: Context, at: float, sound: bytes, words: list[Word]) -> None:
        signs, starts, lengths = spelt(words, at)
        alignment = {
            "chars": signs,
            "charStartTimesMs": [round(start * 1000) for start in starts],
            "charDurationsMs": [round(length * 1000) for length in lengths],
        }
        await self.say(
            {
                "audio": base64.b64encode(sound).decode(),
                "isFinal": None,
                "contextId": context.name,
                "alignment": alignment if signs else None,
                "normalizedAlignment": alignment if signs else None,
            }
        )

    async def say_end(self, context: Context) -> None:
        await self.say({"isFinal": True, "contextId": context.name})


class CartesiaTalk(VoiceTalk):
    """``/tts/websocket``."""

    def spoken_format(self) -> AudioFormat:
        encoding = self.json_received()[0]["output_format"]["encoding"]
        return {"pcm_mulaw": MULAW_8K, "pcm_s16le": AudioFormat("linear16", 8000)}[encoding]

    async def on_text(self, message: str) -> None:
        said = json.loads(message)
        name = said["context_id"]
        if said.get("cancel"):
            self.contexts[name].cancelled = True
            self.contexts[name].inlet.close()
            return
        assert said["output_format"]["sample_rate"] == 8000
        if name not in self.contexts:
            self.open_context(name)
        if said["transcript"]:
            assert said["transcript"].endswith(" ")
            self.contexts[name].add(said["transcript"])
        if not said["continue"]:
            self.contexts[name].inlet.close()

    async def tell(self, context: Context, kind: str, **fields: Any) -> None:
        head = {"type": kind, "context_id": context.name, "done": kind == "done", "status_code": 206}
        await self.say({**head, **fields})

    async def say_piece(self, context: Context, at: float, sound: bytes, words: list[Word]) -> None:
        await self.tell(context, "chunk", data=base64.b64encode(sound).decode(), step_time=12.5)
        if words:
            times = {
                "words": [word.text for word in words],
                "start": [context.began_at + word.start for word in words],
                "end": [context.began_at + word.end for word in words],
            }
            await self.tell(context, "timestamps", word_timestamps=times)

    async def say_text_end(self, context: Context) -> None:
        await self.tell(context, "flush_done", flush_done=True, flush_id=1)

    async def say_end(self, context: Context) -> None:
        await self.tell(context, "done")


class DeepgramTalk(VoiceTalk):
    """``/v1/speak``: text waits for a flush, and sound has no name."""

    def __init__(self, far: FarEnd, request: trio_websocket.WebSocketRequest) -> None:
        super().__init__(far, request)
        self.buffer = ""
        self.current: Context | None = None

    def spoken_format(self) -> AudioFormat:
        return {"mulaw": MULAW_8K, "linear16": AudioFormat("linear16", 8000)}[self.query["encoding"][0]]

    async def greet(self) -> None:
        await self.say({"type": "Metadata", "request_id": "r-9", "model_name": self.query["model"][0]})

    async def on_text(self, message: str) -> None:
        said = json.loads(message)
        if said["type"] == "Speak":
            assert len(said["text"]) <= 2000
            self.buffer += f"{said['text']} "
        elif said["type"] == "Flush":
            if self.current is None:
                name = f"c{len(self.contexts)}"
                self.open_context(name)
                self.current = self.contexts[name]
            self.current.add(self.buffer.strip())
            self.buffer = ""
        elif said["type"] == "Clear":
            stopped, self.current, self.buffer = self.current, None, ""
            if stopped is None:
                await self.say({"type": "Cleared", "sequence_id": 0})
            else:
                stopped.cancelled = True
                stopped.inlet.close()
        elif said["type"] == "Close":
            await self.close()

    async def say_piece(self, context: Context, at: float, sound: bytes, words: list[Word]) -> None:
        await self._socket.send_message(sound)

    async def say_text_end(self, context: Context) -> None:
        await self.say({"type": "Flushed", "sequence_id": 0})

    async def say_end(self, context: Context) -> None:
        await self.say({"type": "Cleared", "sequence_id": 0})


class LMNTTalk(VoiceTalk):
    """``/v1/ai/speech/stream``."""

    def __init__(self, far: FarEnd, request: trio_websocket.WebSocketRequest) -> None:
        super().__init__(far, request)
        self.buffer = ""
        self.current: Context | None = None
        self.nonces: list[int] = []
        self.resets: dict[str, int] = {}

    def spoken_format(self) -> AudioFormat:
        wanted = self.json_received()[0]["format"]
        return {"ulaw": MULAW_8K, "pcm_s16le": AudioFormat("linear16", 8000)}[wanted]

    async def on_text(self, message: str) -> None:
        said = json.loads(message)
        kind = said["type"]
        if kind == "init":
            assert said["X-API-Key"]
            await self.say({"type": "ready", "request_id": "r1"})
        elif kind == "text":
            self.buffer += said["text"]
        elif kind == "flush":
            if self.current is None:
                name = f"c{len(self.contexts)}"
                self.open_context(name)
                self.current = self.contexts[name]
            self.nonces.append(said["nonce"])
            self.current.add(self.buffer.strip())
            self.buffer = ""
        elif kind == "reset":
            stopped, self.current, self.buffer, self.nonces = self.current, None, "", []
            if stopped is None:
                await self.say({"type": "reset_complete", "nonce": said["nonce"]})
            else:
                self.resets[stopped.name] = said["nonce"]
                stopped.cancelled = True
                stopped.inlet.close()
        elif kind == "finish":
            await self.close()

    async def say_piece(self, context: Context, at: float, sound: bytes, words: list[Word]) -> None:
        header = b"RIFF\xff\xff\xff\xffWAVEfmt \x12\0\0\0" + bytes(18) + b"data\xff\xff\xff\xff"
        if at == 0 and self.spoken_format() == MULAW_8K:
            sound = header + sound
        await self._socket.send_message(sound[:77])
        await self._socket.send_message(sound[77:])
        tokens = [
            {
                "text": f" {word.text}" if word.start else word.text,
                "start": word.start,
                "duration": word.end - word.start,
            }
            for word in words
        ]
        if tokens:
            await self.say({"type": "timestamps", "timestamps": tokens})

    async def say_text_end(self, context: Context) -> None:
        await self.say({"type": "flush_complete", "nonce": self.nonces.pop(0)})

    async def say_end(self, context: Context) -> None:
        await self.say({"type": "reset_complete", "nonce": self.resets[context.name]})


class InworldTalk(VoiceTalk):
    """``voice:streamBidirectional``."""

    audio = AudioFormat("linear16", 8000)

    def __init__(self, far: FarEnd, request: trio_websocket.WebSocketRequest) -> None:
        super().__init__(far, request)
        self.buffers: dict[str, str] = {}

    async def tell(self, context: Context | str, **fields: Any) -> None:
        name = context if isinstance(context, str) else context.name
        await self.say({"result": {"contextId": name, **fields}})

    async def on_text(self, message: str) -> None:
        said = json.loads(message)
        name = said["contextId"]
        if "create" in said:
            config = said["create"]["audioConfig"]
            assert (config["audioEncoding"], config["sampleRateHertz"]) == ("PCM", 8000)
            assert sum(context.is_open for context in self.contexts.values()) < 5
            self.open_context(name)
            await self.tell(name, contextCreated={}, status={"code": 0, "message": ""})
        elif "send_text" in said:
            assert len(said["send_text"]["text"]) <= 1000
            self.buffers[name] = self.buffers.get(name, "") + said["send_text"]["text"]
        elif "flush_context" in said:
            self.contexts[name].add(self.buffers.pop(name).strip())
        elif "cancel_context" in said or "close_context" in said:
            self.contexts[name].cancelled = "cancel_context" in said
            self.contexts[name].inlet.close()

    async def say_piece(self, context: Context, at: float, sound: bytes, words: list[Word]) -> None:
        alignment = {
            "words": [word.text for word in words],
            "wordStartTimeSeconds": [word.start for word in words],
            "wordEndTimeSeconds": [word.end for word in words],
        }
        chunk = {"audioContent": base64.b64encode(sound).decode()}
        await self.tell(context, audioChunk={**chunk, "timestampInfo": {"wordAlignment": alignment}})

    async def say_text_end(self, context: Context) -> None:
        await self.tell(context, flushCompleted={})

    async def say_end(self, context: Context) -> None:
        await self.tell(context, contextClosed={})


async def feed(outlet: trio.MemorySendChannel[str], sentences: Any, gap: float = 0.0) -> None:
    async with outlet:
        for sentence in sentences:
            await outlet.send(sentence)
            await trio.sleep(gap)


class Listed:
    """Items as an iterator that is no generator: nobody has to close it."""

    def __init__(self, items: Any) -> None:
        self._items = iter(items)

    def __aiter__(self) -> Listed:
        return self

    async def __anext__(self) -> Any:
        for item in self._items:
            return item
        raise StopAsyncIteration


def asked(talk: Talk, **fields: Any) -> list[Mapping[str, Any]]:
    """What was sent that holds these fields."""
    return [said for said in talk.json_received() if fields.items() <= said.items()]
