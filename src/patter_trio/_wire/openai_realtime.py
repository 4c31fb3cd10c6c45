"""OpenAI's Realtime protocol, without a socket: its events as ours, and our wishes as its messages.

What the retired beta called by other names is understood as well: recordings and other vendors' copies of the
protocol still speak it. Unknown events and fields are passed over, and null stands wherever it likes to.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from ..errors import RemoteProtocolError
from ..events import LLMChunk

__all__ = [
    "CallerUnderstood",
    "Committed",
    "RealtimeEvent",
    "RealtimeReader",
    "Refused",
    "ResponseEnded",
    "ResponseStarted",
    "SessionState",
    "SoundDelta",
    "TextDelta",
    "ToolAsked",
    "append_sound",
    "cancel_response",
    "clear_sound",
    "commit_sound",
    "create_response",
    "restore_items",
    "tool_output",
    "truncate_item",
    "update_session",
    "user_text",
]


# --- what the far end says ----------------------------------------------------------------------------------


@attrs.frozen
class SessionState:
    """The session is open, or was changed; ``updated`` says which. The formats are MIME types."""

    updated: bool
    input_format: str
    output_format: str


@attrs.frozen
class Committed:
    """The caller's sound became an item of the conversation."""

    item: str


@attrs.frozen
class CallerUnderstood:
    """What the caller said in an item: a piece of it, or, ``final``, all of it; empty where that failed."""

    item: str
    text: str
    final: bool


@attrs.frozen
class ResponseStarted:
    """The engine begins to answer."""

    response: str


@attrs.frozen
class SoundDelta:
    """A piece of a response's sound, in the format of the session."""

    response: str
    item: str
    audio: bytes


@attrs.frozen
class TextDelta:
    """A piece of what a response says."""

    response: str
    item: str
    text: str


@attrs.frozen
class ToolAsked:
    """A whole tool call; told once for each call."""

    response: str
    call_id: str
    name: str
    arguments: str


@attrs.frozen
class ResponseEnded:
    """A response is over; ``status`` is completed, cancelled, incomplete or failed.

    ``code`` and ``message`` say why it failed or is incomplete; ``usage`` counts it, cancelled or not.
    """

    response: str
    status: str
    code: str
    message: str
    usage: LLMChunk | None


@attrs.frozen
class Refused:
    """An error of the far end; ``event_id`` is that of our message, if it was one of ours."""

    code: str
    message: str
    event_id: str
    param: str
    kind: str


RealtimeEvent = (
    SessionState
    | Committed
    | CallerUnderstood
    | ResponseStarted
    | SoundDelta
    | TextDelta
    | ToolAsked
    | ResponseEnded
    | Refused
)

_BETA = {
    "response.audio.delta": "response.output_audio.delta",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
}
_BETA_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}


class RealtimeReader:
    """Reads the far end's messages; remembers what it has told, so that nothing is told twice."""

    def __init__(self) -> None:
        self._with_text: set[str] = set()
        self._called: set[str] = set()
        self._names: dict[str, str] = {}

    def read(self, message: str | bytes) -> Iterator[RealtimeEvent]:
        """What a message says.

        Raises:
            RemoteProtocolError: it is no JSON object, or its sound is no base64.
        """
        try:
            event = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RemoteProtocolError(f"OpenAI Realtime sent what is no JSON: {error}") from error
        if not isinstance(event, dict):
            raise RemoteProtocolError(f"OpenAI Realtime sent {type(event).__name__} where an event belongs")
        kind = _text(event, "type")
        kind = _BETA.get(kind, kind)
        reading = _READINGS.get(kind)
        if reading is not None:
            yield from reading(self, event)

    def _state(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        session = _object(event, "session")
        audio = _object(session, "audio")
        formats: list[str] = []
        for side in ("input", "output"):
            said = _text(_object(_object(audio, side), "format"), "type")
            formats.append(said or _BETA_FORMATS.get(_text(session, f"{side}_audio_format"), ""))
        yield SessionState(_text(event, "type") == "session.updated", *formats)

    def _committed(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        yield Committed(_text(event, "item_id"))

    def _understood_part(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        if _text(event, "delta"):
            yield CallerUnderstood(_text(event, "item_id"), _text(event, "delta"), final=False)

    def _understood(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        # One that failed has no transcript, and the conversation goes on.
        yield CallerUnderstood(_text(event, "item_id"), _text(event, "transcript").strip(), final=True)

    def _started(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        yield ResponseStarted(_text(_object(event, "response"), "id"))

    def _sound(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        try:
            audio = base64.b64decode(_text(event, "delta"), validate=True)
        except (binascii.Error, ValueError) as error:
            raise RemoteProtocolError(f"OpenAI Realtime sent sound that is no base64: {error}") from error
        if audio:
            yield SoundDelta(_text(event, "response_id"), _text(event, "item_id"), audio)

    def _text_part(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        if _text(event, "delta"):
            self._with_text.add(_text(event, "item_id"))
            yield TextDelta(_text(event, "response_id"), _text(event, "item_id"), _text(event, "delta"))

    def _text_whole(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        item, text = _text(event, "item_id"), _text(event, "transcript") or _text(event, "text")
        if text and item not in self._with_text:
            self._with_text.add(item)
            yield TextDelta(_text(event, "response_id"), item, text)

    def _item_added(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        item = _object(event, "item")
        if _text(item, "type") == "function_call":
            self._names[_text(item, "call_id")] = _text(item, "name")
        yield from ()

    def _arguments(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        yield from self._call(_text(event, "response_id"), event)

    def _item_done(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        item = _object(event, "item")
        # Of a call that was cancelled in its middle the arguments are cut off.
        if _text(item, "type") == "function_call" and _text(item, "status") != "incomplete":
            yield from self._call(_text(event, "response_id"), item)

    def _call(self, response: str, said: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        call_id = _text(said, "call_id")
        name = _text(said, "name") or self._names.get(call_id, "")
        if call_id and name and call_id not in self._called:
            self._called.add(call_id)
            yield ToolAsked(response, call_id, name, _text(said, "arguments"))

    def _ended(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        response = _object(event, "response")
        details = _object(response, "status_details")
        error = _object(details, "error")
        yield ResponseEnded(
            _text(response, "id"),
            _text(response, "status") or "completed",
            _text(error, "code") or _text(error, "type") or _text(details, "reason"),
            _text(error, "message"),
            _usage(response.get("usage")),
        )

    def _refused(self, event: Mapping[str, Any]) -> Iterator[RealtimeEvent]:
        error = _object(event, "error")
        yield Refused(*(_text(error, name) for name in ("code", "message", "event_id", "param", "type")))


_READINGS = {
    "session.created": RealtimeReader._state,
    "session.updated": RealtimeReader._state,
    "input_audio_buffer.committed": RealtimeReader._committed,
    "conversation.item.input_audio_transcription.delta": RealtimeReader._understood_part,
    "conversation.item.input_audio_transcription.completed": RealtimeReader._understood,
    "conversation.item.input_audio_transcription.failed": RealtimeReader._understood,
    "response.created": RealtimeReader._started,
    "response.output_audio.delta": RealtimeReader._sound,
    "response.output_audio_transcript.delta": RealtimeReader._text_part,
    "response.output_audio_transcript.done": RealtimeReader._text_whole,
    "response.output_text.delta": RealtimeReader._text_part,
    "response.output_text.done": RealtimeReader._text_whole,
    "response.output_item.added": RealtimeReader._item_added,
    "response.output_item.done": RealtimeReader._item_done,
    "response.function_call_arguments.done": RealtimeReader._arguments,
    "response.done": RealtimeReader._ended,
    "error": RealtimeReader._refused,
}


def _object(said: Any, name: str) -> Mapping[str, Any]:
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def _text(said: Any, name: str) -> str:
    found = said.get(name)
    return found if isinstance(found, str) else ""


def _usage(said: Any) -> LLMChunk | None:
    if not isinstance(said, dict):
        return None

    def count(where: Mapping[str, Any], name: str) -> int:
        found = where.get(name)
        return found if isinstance(found, int) else 0

    return LLMChunk(
        "usage",
        input_tokens=count(said, "input_tokens"),
        output_tokens=count(said, "output_tokens"),
        cache_read_tokens=count(_object(said, "input_token_details"), "cached_tokens"),
    )


# --- what we say --------------------------------------------------------------------------------------------


def _message(kind: str, event_id: str = "", **fields: Any) -> str:
    if event_id:
        fields["event_id"] = event_id
    return msgspec.json.encode({"type": kind, **fields}).decode()


def update_session(session: Mapping[str, Any], event_id: str = "") -> str:
    """Changes what ``session`` names, and nothing else."""
    return _message("session.update", event_id, session={"type": "realtime", **session})


def append_sound(audio: bytes) -> str:
    """The caller's sound."""
    return _message("input_audio_buffer.append", audio=base64.b64encode(audio).decode())


def commit_sound(event_id: str) -> str:
    """The sound so far is what the caller said."""
    return _message("input_audio_buffer.commit", event_id)


def clear_sound() -> str:
    """The sound so far was nothing."""
    return _message("input_audio_buffer.clear")


def create_response(event_id: str, *, say: str = "") -> str:
    """Asks for an answer, or for exactly these words."""
    if not say:
        return _message("response.create", event_id)
    # Without the conversation in view there is nothing that could be answered instead.
    response = {
        "instructions": f"Say exactly this and nothing else: {say}",
        "input": [],
        "tool_choice": "none",
    }
    return _message("response.create", event_id, response=response)


def cancel_response(response: str) -> str:
    """Stops a response; the one that runs, where its name is not known yet."""
    return _message("response.cancel", **({"response_id": response} if response else {}))


def truncate_item(item: str, heard_ms: int) -> str:
    """So much of a spoken item was heard."""
    return _message("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=heard_ms)


def user_text(text: str) -> str:
    """Words of the caller that were not spoken."""
    return _item(_said("user", text))


def tool_output(call_id: str, output: str) -> str:
    """What came of a tool call."""
    return _item({"type": "function_call_output", "call_id": call_id, "output": output})


def restore_items(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A conversation in the shape of Chat Completions as messages that put it into an empty session."""
    for message in messages:
        text = message.get("content")
        if message.get("role") == "tool":
            yield tool_output(str(message.get("tool_call_id")), str(text))
            continue
        if text:
            yield _item(_said(str(message.get("role")), str(text)))
        for call in message.get("tool_calls") or ():
            function = call["function"]
            yield _item(
                {
                    "type": "function_call",
                    "call_id": call["id"],
                    "name": function["name"],
                    "arguments": function["arguments"],
                }
            )


def _said(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _item(item: Mapping[str, Any]) -> str:
    return _message("conversation.item.create", item=item)
