"""One call's session with OpenAI Realtime: the sound goes out, and what comes back finds who waits for it.

The session takes no turns of its own: the call commits the caller's sound and asks for each response. One
task sends and one receives; whoever wants something sent puts it into a queue and does not wait, so that a
response can be stopped in the middle of a cancellation.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import trio

from .._audio.convert import Converter
from .._foreign import unwrapped
from .._net.websocket import WebSocket, open_websocket
from .._wire import openai_realtime as wire
from ..abc import EngineRequest, EngineSound
from ..errors import (
    LanguageModelError,
    PatterConnectionError,
    PatterError,
    VoiceError,
)
from ..events import (
    AudioFormat,
    HearingItem,
    LLMChunk,
    Message,
    SpeechAudio,
    SpeechEnded,
    SpeechStarted,
    Transcript,
)
from ._response import Pieces, Response, meaning

__all__ = ["Connection", "Learned", "RealtimeSession", "open_realtime"]

_log = logging.getLogger("patter_trio.engines")

_WIRE_FORMATS = {
    "audio/pcmu": AudioFormat("mulaw", 8000),
    "audio/pcma": AudioFormat("alaw", 8000),
    "audio/pcm": AudioFormat("linear16", 24000),
}

# A consonant before the detector's edge: what was heard of the silence before a speech goes along with it.
_BEFORE_SPEECH = 0.5

# The far end takes no less sound than this for something that was said.
_SHORTEST_SPEECH = 0.1

# Half a minute of sound in blocks of 60 ms: whoever does not read for so long is gone.
_OUTBOX = 512

# The far end may still be busy with a response that was stopped; it says so within this time or never.
_STOPPING_SECONDS = 3.0

# An hour is all a session has; it is left before that, and between two turns.
_RENEWED_SECONDS = 55 * 60.0
_LOOK_AGAIN_SECONDS = 0.5

# What a race of ours with the far end brings about, and means nothing.
_BENIGN = ("response_cancel_not_active", "input_audio_buffer_commit_empty")
_HOPELESS = ("invalid_api_key", "account_deactivated", "model_not_found", "beta_api_shape_disabled")


@attrs.define
class Learned:
    """What a session has taught about the far end, for those after it: that it takes G.711 in name only."""

    pcm_only: bool = False


@attrs.frozen
class Connection:
    """Where and how to connect, and the session's fixed settings; ``configure`` adds formats to those."""

    url: str
    api_key: str = attrs.field(repr=False)
    timeout: float
    configure: Callable[[str], dict[str, Any]]
    learned: Learned


@asynccontextmanager
async def open_realtime(
    connection: Connection, audio: AudioFormat, memory: Sequence[Message]
) -> AsyncIterator[RealtimeSession]:
    """Connects, agrees on the formats, and tells what was said before, for the length of the block.

    Raises:
        PatterConfigError: the far end refuses a setting.
        AuthenticationError: it refuses the key.
        PatterConnectionError: it cannot be reached, or not in time.
        ProviderError: it refuses for another reason.
    """
    headers = {"Authorization": f"Bearer {connection.api_key}"}
    opened = open_websocket(
        connection.url, headers=headers, connect_timeout=connection.timeout, max_size=64 * 1024 * 1024
    )
    async with opened as socket:
        session = RealtimeSession(socket, connection, audio)
        with trio.move_on_after(connection.timeout) as patience:
            await session.agree()
        if patience.cancelled_caught:
            raise PatterConnectionError(f"OpenAI Realtime did not open a session in {connection.timeout:g} s")
        for message in wire.restore_items(memory):
            await socket.send(message)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(session.run)
                yield session
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise unwrapped(group) from None


class RealtimeSession:
    """An open session, as :class:`patter_trio.abc.EngineSession` describes it."""

    def __init__(self, socket: WebSocket, connection: Connection, audio: AudioFormat) -> None:
        self._socket = socket
        self._connection = connection
        self._audio = audio
        self._reader = wire.RealtimeReader()
        self._to_send, self._outbox = trio.open_memory_channel[str](_OUTBOX)
        self._understood, self._transcripts = trio.open_memory_channel[Transcript](_OUTBOX)
        self._failure: PatterError | None = None
        self._wire_audio = audio
        self._inbound = Converter(audio, audio)
        self._serial = 0
        self._told: tuple[str, list[Mapping[str, Any]]] | None = None
        # Hearing: the silence before a speech, and how much sound the far end holds uncommitted.
        self._quiet: deque[bytes] = deque()
        self._speaking = False
        self._spoke = False
        self._buffered = 0.0
        self._at_rest = trio.Event()
        self._at_rest.set()
        # What was committed: items in their order, with their words once they are known.
        self._commits = 0
        self._items: dict[str, str | None] = {}
        self._finished = False
        # Speaking.
        self._response: Response | None = None
        self._open_calls: dict[str, bool] = {}

    # --- opening --------------------------------------------------------------------------------------------

    async def agree(self) -> None:
        """Waits for the far end's greeting and settles what the session is like."""
        named = {format: name for name, format in _WIRE_FORMATS.items()}
        chosen = "audio/pcm" if self._connection.learned.pcm_only else named.get(self._audio, "audio/pcm")
        await self._expect_state(updated=False)
        state = await self._configure(chosen)
        if {state.input_format, state.output_format} - {chosen, ""}:
            self._connection.learned.pcm_only = True
            chosen = "audio/pcm"
            await self._configure(chosen)
        self._wire_audio = _WIRE_FORMATS[chosen]
        self._inbound = Converter(self._audio, self._wire_audio)

    async def _configure(self, format: str) -> wire.SessionState:
        await self._socket.send(wire.update_session(self._connection.configure(format), "session"))
        return await self._expect_state(updated=True)

    async def _expect_state(self, *, updated: bool) -> wire.SessionState:
        while True:
            try:
                message = await self._socket.receive()
            except trio.EndOfChannel:
                raise PatterConnectionError("OpenAI Realtime closed the connection at once") from None
            for event in self._reader.read(message):
                if isinstance(event, wire.SessionState) and event.updated == updated:
                    return event
                if isinstance(event, wire.Refused):
                    raise meaning(event)

    # --- the two tasks --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Sends and receives until the far end is lost; whoever reads from the session learns of it."""
        with self._understood:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send_all)
                    nursery.start_soon(self._renew_in_time)
                    await self._receive_all()
            except BaseExceptionGroup as group:
                cancelled, failed = group.split(trio.Cancelled)
                failure = unwrapped(failed) if failed is not None else None
                if not isinstance(failure, PatterError):
                    raise
                self._fail(failure)
                if cancelled is not None:
                    raise cancelled from None

    def _fail(self, failure: PatterError) -> None:
        self._failure = failure
        if self._response is not None:
            self._response.give(VoiceError(f"OpenAI Realtime was lost: {failure}"))
            self._response.over.set()

    async def _send_all(self) -> None:
        async for message in self._outbox:
            await self._socket.send(message)

    async def _receive_all(self) -> None:
        while True:
            try:
                message = await self._socket.receive()
            except trio.EndOfChannel:
                raise PatterConnectionError("OpenAI Realtime ended the session") from None
            for event in self._reader.read(message):
                self._take(event)

    async def _renew_in_time(self) -> None:
        await trio.sleep(_RENEWED_SECONDS)
        while self._busy:  # noqa: ASYNC110 (it is over in a few looks, and this is once an hour)
            await trio.sleep(_LOOK_AGAIN_SECONDS)
        raise PatterConnectionError("an OpenAI Realtime session lasts an hour: the next one takes over")

    @property
    def _busy(self) -> bool:
        return self._response is not None or self._spoke or self._speaking or self._owes_words

    def _post(self, message: str) -> None:
        try:
            self._to_send.send_nowait(message)
        except trio.WouldBlock:
            self._fail(PatterConnectionError("OpenAI Realtime takes no more sound"))
            self._understood.close()
        except trio.BrokenResourceError:
            # It is lost; whoever reads is told so.
            return

    # --- hearing --------------------------------------------------------------------------------------------

    async def hear(self, item: HearingItem) -> None:
        """Takes sound and edges. Silence stays here: a model that hears it is paid for it."""
        match item:
            case SpeechAudio():
                self._quiet.append(item.audio)
                if self._speaking:
                    self._send_sound()
                while self._seconds(self._quiet) > _BEFORE_SPEECH:
                    self._quiet.popleft()
            case SpeechStarted():
                self._speaking = self._spoke = True
                self._at_rest = trio.Event()
                self._send_sound()
            case SpeechEnded():
                self._speaking = False
                self._at_rest.set()
        await trio.lowlevel.checkpoint()

    def _seconds(self, blocks: Iterable[bytes]) -> float:
        return sum(self._audio.seconds_in(len(block)) for block in blocks)

    def _send_sound(self) -> None:
        for block in self._quiet:
            sound = self._inbound.feed(block)
            if sound:
                self._buffered += self._wire_audio.seconds_in(len(sound))
                self._post(wire.append_sound(sound))
        self._quiet.clear()

    def finish(self) -> None:
        """No more sound will come."""
        self._speaking = False
        self._at_rest.set()
        self._finished = True
        self._end_if_known()

    def commit(self) -> bool:
        """What was heard is the caller's."""
        if not self._spoke:
            return False
        self._spoke = self._speaking
        if self._buffered < _SHORTEST_SPEECH:
            missing = self._wire_audio.bytes_for(_SHORTEST_SPEECH) // self._wire_audio.bytes_per_sample
            self._post(wire.append_sound(self._wire_audio.silence * missing))
        self._post(wire.commit_sound(self._name("commit")))
        self._buffered = 0.0
        self._commits += 1
        return True

    def forget(self) -> None:
        """It was a noise."""
        if self._spoke and not self._speaking:
            self._spoke, self._buffered = False, 0.0
            self._post(wire.clear_sound())

    def _name(self, what: str) -> str:
        self._serial += 1
        return f"{what}-{self._serial}"

    # --- what the caller said -------------------------------------------------------------------------------

    def __aiter__(self) -> RealtimeSession:
        return self

    async def __anext__(self) -> Transcript:
        try:
            return await self._transcripts.receive()
        except trio.EndOfChannel:
            if self._failure is not None and not self._finished:
                raise self._failure from None
            raise StopAsyncIteration from None

    @property
    def _owes_words(self) -> bool:
        return self._commits > 0 or bool(self._items)

    def _committed(self, item: str) -> None:
        self._commits = max(0, self._commits - 1)
        self._items.setdefault(item, None)
        self._tell_words()

    def _heard(self, event: wire.CallerUnderstood) -> None:
        if not event.final:
            if next(iter(self._items), event.item) == event.item:
                self._tell(Transcript(event.text))
            return
        self._items[event.item] = event.text
        self._tell_words()

    def _tell_words(self) -> None:
        """Words come in any order, and are told in that of what was said."""
        while self._items:
            item, text = next(iter(self._items.items()))
            if text is None:
                return
            del self._items[item]
            self._tell(Transcript(text, is_final=True))
        self._end_if_known()

    def _tell(self, transcript: Transcript) -> None:
        with suppress(trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            self._understood.send_nowait(transcript)

    def _end_if_known(self) -> None:
        if self._finished and not self._owes_words:
            self._understood.close()

    # --- speaking -------------------------------------------------------------------------------------------

    def update(self, instructions: str, tools: Sequence[Mapping[str, Any]]) -> None:
        """Tells the instructions and tools where they are others than before."""
        told = instructions, [*tools]
        if told != self._told:
            self._told = told
            flat = [{"type": "function", **tool["function"]} for tool in tools]
            session = {"instructions": instructions, "tools": flat, "tool_choice": "auto"}
            self._post(wire.update_session(session, self._name("update")))

    @asynccontextmanager
    async def respond(self, request: EngineRequest) -> AsyncIterator[AsyncIterator[EngineSound | LLMChunk]]:
        """Speaks; leaving early stops it at the far end."""
        await self._wait_free()
        self._settle_calls()
        if request.text:
            self._post(wire.user_text(request.text))
        response = self._response = Response(self._name("response"), request.say)
        self._post(wire.create_response(response.event_id, say=request.say))
        try:
            yield Pieces(response)
        finally:
            response.left = True
            if self._response is response and not response.over.is_set():
                self._post(wire.cancel_response(response.id))

    async def _wait_free(self) -> None:
        """Only one response at a time: one that was stopped must be over."""
        if self._failure is not None:
            raise VoiceError(f"OpenAI Realtime was lost: {self._failure}")
        before = self._response
        if before is not None:
            with trio.move_on_after(_STOPPING_SECONDS):
                await before.over.wait()
        self._response = None

    def _settle_calls(self) -> None:
        """A conversation with a call that nothing came of is not well formed."""
        for call_id in [call_id for call_id, settled in self._open_calls.items() if not settled]:
            self.give_result(call_id, '{"error":"cancelled"}')

    def give_result(self, call_id: str, result: str) -> None:
        """What came of a call; of one that counts as cancelled it is told as news."""
        if call_id not in self._open_calls:
            return
        if self._open_calls[call_id]:
            self._post(wire.user_text(f"(What came of the tool call {call_id} after all: {result})"))
            return
        self._open_calls[call_id] = True
        self._post(wire.tool_output(call_id, result))

    def truncate(self, item: str, heard_ms: int) -> None:
        """Takes out of the far end's memory what was not heard."""
        self._post(wire.truncate_item(item, heard_ms))

    # --- what came ------------------------------------------------------------------------------------------

    def _take(self, event: wire.RealtimeEvent) -> None:
        match event:
            case wire.Committed():
                self._committed(event.item)
            case wire.CallerUnderstood():
                self._heard(event)
            case wire.ResponseStarted():
                self._began(event.response)
            case wire.ResponseEnded():
                self._ended(event)
            case wire.Refused():
                self._refused(event)
            case wire.SoundDelta() | wire.TextDelta() | wire.ToolAsked():
                response = self._response
                if response is not None and response.id == event.response:
                    self._give(response, event)
                elif isinstance(event, wire.ToolAsked):
                    self._open_calls[event.call_id] = False
            case wire.SessionState():
                pass

    def _give(self, response: Response, event: wire.SoundDelta | wire.TextDelta | wire.ToolAsked) -> None:
        match event:
            case wire.SoundDelta():
                response.sound(event.item, event.audio, self._wire_audio, self._audio)
            case wire.TextDelta():
                response.give(LLMChunk("text", event.text, id=event.item))
            case wire.ToolAsked():
                self._open_calls[event.call_id] = False
                response.give(
                    LLMChunk(
                        "tool_call",
                        index=len(self._open_calls),
                        id=event.call_id,
                        name=event.name,
                        arguments=event.arguments,
                    )
                )

    def _began(self, response: str) -> None:
        current = self._response
        if current is not None and not current.id:
            current.id = response

    def _ended(self, event: wire.ResponseEnded) -> None:
        response = self._response
        if response is not None and response.deferred:
            response.deferred = False
            self._post(wire.create_response(response.event_id, say=response.say))
            return
        if response is None or response.id != event.response:
            return
        if event.usage is not None:
            response.give(event.usage)
        if event.status == "failed":
            said = event.message or "it gave no reason"
            response.give(
                LanguageModelError(f"OpenAI Realtime gave no answer: {event.code or 'failed'}: {said}")
            )
        elif event.status == "incomplete":
            _log.warning("OpenAI Realtime broke an answer off: %s", event.code)
        self._response = None
        response.end()

    def _refused(self, event: wire.Refused) -> None:
        response = self._response
        if event.code == "input_audio_buffer_commit_empty":
            # It took our sound and heard none of it: the next session speaks another format.
            if self._wire_audio.bytes_per_sample == 1:
                self._connection.learned.pcm_only = True
                raise PatterConnectionError("OpenAI Realtime heard nothing of G.711 sound")
            self._commits = max(0, self._commits - 1)
            self._tell(Transcript("", is_final=True))
        elif event.code in _HOPELESS or event.code == "session_expired":
            raise meaning(event)
        elif response is not None and event.event_id == response.event_id:
            if event.code == "conversation_already_has_active_response" and not response.left:
                # The one before it is not over yet; its end is waited for.
                response.deferred = True
                return
            response.give(LanguageModelError(f"OpenAI Realtime refused to answer: {event.message}"))
            self._response = None
            response.end()
        elif event.code not in _BENIGN:
            _log.warning("OpenAI Realtime: %s: %s", event.code or event.kind, event.message)
