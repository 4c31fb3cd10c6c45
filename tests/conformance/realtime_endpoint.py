"""A far end that speaks OpenAI's Realtime wire: it hears word sound, and answers in word sound.

What it is sent is checked by the vendor's own types, and so is what it sends. It speaks at an even pace of
letters, as a voice does of which nobody says when which word sounds.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from typing import Any
from unittest import mock

import attrs
import trio
import trio.testing
import trio_websocket

from patter_trio._audio.convert import Converter
from patter_trio._net.websocket import open_websocket
from patter_trio.engines import _realtime
from patter_trio.events import AudioFormat
from patter_trio.testing.wordsound import WordReader, join_words, speak_words

MULAW = AudioFormat("mulaw", 8000)
PCM24 = AudioFormat("linear16", 24000)
LETTERS_PER_SECOND = 14
FRAME = 160


@cache
def _adapters() -> tuple[Any, Any]:
    from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
    from pydantic import TypeAdapter

    return TypeAdapter(RealtimeClientEvent), TypeAdapter(RealtimeServerEvent)


def speak_evenly(text: str, serial: int) -> list[tuple[str, bytes]]:
    """Words, each with its sound, which is as long as its letters are many."""
    spoken: list[tuple[str, bytes]] = []
    letters = frames = 0
    for place, word in enumerate(text.split()):
        letters += len(word) + 1
        until = round(letters * 50 / LETTERS_PER_SECOND)
        pace = 1 / (0.02 * (until - frames))
        spoken.append((word, speak_words(word, serial=serial, words_per_second=pace, first_word=place)))
        frames = until
    return spoken


@attrs.frozen
class Calls:
    """An answer that calls tools, after some words or none."""

    tools: tuple[tuple[str, dict[str, Any]], ...]
    said: str = ""


@attrs.frozen
class Fails:
    """An answer that is none."""

    code: str = "insufficient_quota"


@attrs.frozen
class Dies:
    """The connection breaks after so many words of an answer."""

    said: str
    words: int


Answer = str | Calls | Fails | Dies


@attrs.define(eq=False)
class Item:
    """Something in the conversation, as the far end remembers it."""

    id: str
    role: str
    kind: str
    text: str
    audio_ms: float = 0.0
    heard_ms: float | None = None


@attrs.define(eq=False)
class RealtimeEndpoint:
    """Answers in turn; all sessions share the answers, and each has a conversation of its own."""

    answers: list[Answer] = attrs.field(factory=list[Answer])
    formats: tuple[str, ...] = ("audio/pcmu", "audio/pcm")
    delay: float = 0.2
    pace: float = 0.02
    words_after: float = 0.3
    refuses: str = ""
    deaf: bool = False
    sessions: list[Session] = attrs.field(factory=list["Session"])
    addresses: list[str] = attrs.field(factory=list[str])
    serials: Iterator[int] = attrs.field(factory=lambda: itertools.count(1000))

    async def serve(self, stream: trio.abc.Stream) -> None:
        """One connection."""
        with suppress(trio_websocket.ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            async with trio.open_nursery() as nursery:
                request = await trio_websocket.wrap_server_stream(nursery, stream)
                socket = await request.accept()
                session = Session(self, socket, nursery, request.path, dict(request.headers), stream)
                self.sessions.append(session)
                with suppress(trio_websocket.ConnectionClosed):
                    await session.run()
                nursery.cancel_scope.cancel()

    @contextmanager
    def reached(self) -> Iterator[RealtimeEndpoint]:
        """Connections of engines lead here, without any network."""

        @asynccontextmanager
        async def connect(url: str, **options: Any) -> AsyncIterator[Any]:
            client, server = trio.testing.memory_stream_pair()
            done, scope = trio.Event(), trio.CancelScope()
            self.addresses.append(url)

            async def serve() -> None:
                try:
                    with suppress(*_ENDS), scope:
                        await self.serve(server)
                except BaseExceptionGroup as group:
                    if group.split(_ENDS)[1] is not None:
                        raise
                finally:
                    done.set()

            trio.lowlevel.spawn_system_task(serve)
            try:
                async with open_websocket(url, stream=client, **options) as socket:
                    yield socket
            finally:
                with trio.CancelScope(shield=True):
                    await trio.aclose_forcefully(client)
                    scope.cancel()
                    await done.wait()

        with mock.patch.object(_realtime, "open_websocket", connect):
            yield self

    @property
    def received(self) -> list[dict[str, Any]]:
        """All events that clients sent, sound left out."""
        return [event for session in self.sessions for event in session.received]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind that clients sent."""
        return [event for event in self.received if event["type"] == kind]


_ENDS = (trio_websocket.ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError)


class Session:
    """One connection and its conversation."""

    def __init__(
        self,
        endpoint: RealtimeEndpoint,
        socket: Any,
        nursery: trio.Nursery,
        path: str,
        headers: dict[Any, Any],
        stream: trio.abc.Stream,
    ) -> None:
        self.endpoint = endpoint
        self.path = path
        self.headers = {_str(name).lower(): _str(value) for name, value in headers.items()}
        self.config: dict[str, Any] = {
            "type": "realtime",
            "audio": {
                "input": {"format": {"type": "audio/pcm", "rate": 24000}},
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"},
            },
        }
        self.received: list[dict[str, Any]] = []
        self.items: list[Item] = []
        self.sound_bytes = 0
        self._socket = socket
        self._nursery = nursery
        self._stream = stream
        self._buffer = b""
        self._numbers = itertools.count(1)
        self._active: trio.CancelScope | None = None
        self._active_id = ""
        self._lock = trio.Lock()

    async def kill(self) -> None:
        """Breaks the connection without a goodbye."""
        await trio.aclose_forcefully(self._stream)

    async def run(self) -> None:
        if self.endpoint.refuses:
            await self._error(self.endpoint.refuses, "no")
            return
        await self.send("session.created", session=self.config)
        while True:
            message = await self._socket.get_message()
            event = json.loads(message)
            _adapters()[0].validate_python(event)
            await self._take(event)

    async def send(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "event_id": f"event_{next(self._numbers)}", **fields}
        _adapters()[1].validate_python(event)
        await self._socket.send_message(json.dumps(event))

    async def _error(self, code: str, message: str, event_id: str | None = None) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "event_id": event_id}
        await self.send("error", error={**error, "param": None})

    async def _take(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "input_audio_buffer.append":
            self._buffer += base64.b64decode(event["audio"])
            return
        self.received.append(event)
        match kind:
            case "session.update":
                _merge(self.config, event["session"])
                for side in ("input", "output"):
                    format = self.config["audio"][side]["format"]
                    if format["type"] not in self.endpoint.formats:
                        self.config["audio"][side]["format"] = {"type": "audio/pcm", "rate": 24000}
                await self.send("session.updated", session=self.config)
            case "input_audio_buffer.commit":
                await self._commit(event)
            case "input_audio_buffer.clear":
                self._buffer = b""
                await self.send("input_audio_buffer.cleared")
            case "conversation.item.create":
                await self._create(event["item"])
            case "conversation.item.truncate":
                await self._truncate(event)
            case "response.create":
                if self._active is not None:
                    code = "conversation_already_has_active_response"
                    await self._error(code, "wait", event.get("event_id"))
                    return
                self._active, self._active_id = trio.CancelScope(), f"resp_{next(self._numbers)}"
                self._nursery.start_soon(self._respond, event.get("response") or {}, self._active)
            case "response.cancel":
                if self._active is None:
                    await self._error("response_cancel_not_active", "none", event.get("event_id"))
                else:
                    self._active.cancel()

    @property
    def _audio(self) -> AudioFormat:
        return MULAW if self.config["audio"]["input"]["format"]["type"] == "audio/pcmu" else PCM24

    async def _commit(self, event: dict[str, Any]) -> None:
        sound, self._buffer = self._buffer, b""
        self.sound_bytes += len(sound)
        if self._audio.seconds_in(len(sound)) < 0.1 or (self.endpoint.deaf and self._audio == MULAW):
            await self._error("input_audio_buffer_commit_empty", "0.00ms of audio", event.get("event_id"))
            return
        text = ""
        if self._audio == MULAW:
            text = join_words(WordReader().feed(sound))
        item = Item(f"item_{next(self._numbers)}", "user", "message", text)
        self.items.append(item)
        await self.send("input_audio_buffer.committed", item_id=item.id, previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        await self.send("conversation.item.added", item=_message(item, content), previous_item_id=None)
        self._nursery.start_soon(self._understand, item)

    async def _understand(self, item: Item) -> None:
        await trio.sleep(self.endpoint.words_after)
        with suppress(trio_websocket.ConnectionClosed):
            await self.send(
                "conversation.item.input_audio_transcription.completed",
                item_id=item.id,
                content_index=0,
                transcript=item.text,
                usage={"type": "duration", "seconds": 1},
            )

    async def _create(self, item: dict[str, Any]) -> None:
        kind = item["type"]
        text = item.get("output", "") or item.get("arguments", "")
        if kind == "message":
            text = item["content"][0]["text"]
        made = Item(f"item_{next(self._numbers)}", item.get("role", ""), kind, text)
        self.items.append(made)
        await self.send("conversation.item.added", item={**item, "id": made.id}, previous_item_id=None)

    async def _truncate(self, event: dict[str, Any]) -> None:
        (item,) = [item for item in self.items if item.id == event["item_id"]]
        assert item.role == "assistant", "only what the engine said can be cut"
        assert event["audio_end_ms"] <= item.audio_ms, "more was heard than was said"
        item.heard_ms = event["audio_end_ms"]
        fields = {name: event[name] for name in ("item_id", "content_index", "audio_end_ms")}
        await self.send("conversation.item.truncated", **fields)

    async def _respond(self, asked: dict[str, Any], scope: trio.CancelScope) -> None:
        response = self._active_id
        say = asked.get("instructions", "").partition("nothing else: ")[2]
        answers = self.endpoint.answers
        answer: Answer = say or (answers.pop(0) if answers else "Yes, of course.")
        await self.send("response.created", response=_response(response, "in_progress"))
        status, details = "completed", None
        with suppress(trio_websocket.ConnectionClosed):
            with scope:
                await trio.sleep(self.endpoint.delay)
                match answer:
                    case str():
                        await self._speak(response, answer)
                    case Dies():
                        await self._speak(response, answer.said, answer.words)
                        await self.kill()
                        return
                    case Calls():
                        if answer.said:
                            await self._speak(response, answer.said)
                        for name, arguments in answer.tools:
                            await self._call(response, name, arguments)
                    case Fails():
                        status = "failed"
                        error = {"type": "server_error", "code": answer.code, "message": "no"}
                        details = {"type": "failed", "error": {"type": error["type"], "code": error["code"]}}
            if scope.cancelled_caught:
                status, details = "cancelled", {"type": "cancelled", "reason": "client_cancelled"}
            self._active = None
            await self.send("response.done", response=_response(response, status, details))

    async def _speak(self, response: str, text: str, words: int | None = None) -> None:
        item = Item(f"item_{next(self._numbers)}", "assistant", "message", "")
        self.items.append(item)
        ids = {"response_id": response, "item_id": item.id, "output_index": 0, "content_index": 0}
        added = _message(item, [], "in_progress")
        await self.send("response.output_item.added", response_id=response, output_index=0, item=added)
        converter = Converter(MULAW, self._audio)
        spoken = speak_evenly(text, next(self.endpoint.serials))
        for word, sound in spoken if words is None else spoken[:words]:
            space = " " if item.text else ""
            item.text += space + word
            await self.send("response.output_audio_transcript.delta", **ids, delta=space + word)
            for start in range(0, len(sound), 10 * FRAME):
                piece = sound[start : start + 10 * FRAME]
                item.audio_ms += len(piece) / 8
                delta = base64.b64encode(converter.feed(piece)).decode()
                await self.send("response.output_audio.delta", **ids, delta=delta)
                await trio.sleep(self.endpoint.pace)
        await self.send("response.output_audio.done", **ids)
        await self.send("response.output_audio_transcript.done", **ids, transcript=item.text)
        done = _message(item, [{"type": "output_audio", "transcript": item.text}])
        await self.send("response.output_item.done", response_id=response, output_index=0, item=done)

    async def _call(self, response: str, name: str, arguments: dict[str, Any]) -> None:
        number = next(self._numbers)
        item = {
            "id": f"item_{number}",
            "type": "function_call",
            "call_id": f"call_{number}",
            "name": name,
            "arguments": json.dumps(arguments),
        }
        self.items.append(Item(item["id"], "assistant", "function_call", item["arguments"]))
        begun = {**item, "arguments": "", "status": "in_progress"}
        await self.send("response.output_item.added", response_id=response, output_index=1, item=begun)
        ids = {"response_id": response, "item_id": item["id"], "output_index": 1, "call_id": item["call_id"]}
        await self.send(
            "response.function_call_arguments.done", **ids, name=name, arguments=item["arguments"]
        )
        done = {**item, "status": "completed"}
        await self.send("response.output_item.done", response_id=response, output_index=1, item=done)


def _str(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _merge(into: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict) and name != "format":
            _merge(into[name], value)
        else:
            into[name] = value


def _message(item: Item, content: list[Any], status: str = "completed") -> dict[str, Any]:
    return {"id": item.id, "type": "message", "role": item.role, "status": status, "content": content}


def _response(name: str, status: str, details: Any = None) -> dict[str, Any]:
    usage = None
    if status != "in_progress":
        usage = {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10}
    return {
        "id": name,
        "object": "realtime.response",
        "status": status,
        "status_details": details,
        "output": [],
        "usage": usage,
    }
