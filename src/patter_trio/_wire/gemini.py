"""Gemini's ``streamGenerateContent?alt=sse``: server-sent events in, :class:`LLMChunk` out.

Each event is a response of its own with the next parts of the answer; thoughts are among them and are not
spoken, function calls come whole. The last one says why the answer ended; no terminator follows. Counts of
tokens are cumulative and come with every event. A prompt that was blocked has no candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from ..errors import AuthenticationError, LanguageModelError, PatterError, RateLimitError
from ..events import LLMChunk
from .event_stream import EventStream
from .gemini_request import Kept
from .rate_limits import parse_duration
from .said import one_line, said_by

__all__ = ["ContentStream", "refusal_error"]

# Ends of an answer as far as it goes; all others break it off.
_WHOLE = ("STOP", "MAX_TOKENS", "CONTINUATION")


class _FunctionCall(msgspec.Struct):
    id: str | None = None
    name: str | None = None
    args: dict[str, Any] | None = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    function_call: _FunctionCall | None = None
    thought_signature: str | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None


class _Response(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Response).decode


class ContentStream:
    """One answer: bytes of the body in, chunks out, ``usage`` and one ``done`` last.

    Args:
        new_id: makes an id for a function call that came without one.
        keep: told what must go back with a call, by the call's id.

    Attributes:
        ended: whether the event came that says why the answer ended; counts may still follow it.
    """

    def __init__(self, new_id: Callable[[], str], keep: Callable[[str, Kept], None]) -> None:
        self.ended = False
        self._new_id = new_id
        self._keep = keep
        self._events = EventStream()
        self._usage: _Usage | None = None
        self._call_count = 0
        self._ids: set[str] = set()
        self._broken_off = ""

    def feed(self, data: bytes) -> Iterator[LLMChunk]:
        """What these bytes complete, cut wherever they were. What stands before an error comes before it.

        Raises:
            LanguageModelError: the prompt is blocked, the far end reports an error, or this is no such
                stream.
            RateLimitError: it reports that there were too many requests or tokens.
            AuthenticationError: it reports that the key or the token does not do.
        """
        for event in self._events.feed(data):
            yield from self._read(event)

    def finish(self) -> Iterator[LLMChunk]:
        """The end of an answer whose body ended.

        Raises:
            LanguageModelError: the body ended and the answer did not, or was broken off.
        """
        for event in self._events.finish():
            yield from self._read(event)
        if self._usage is not None:
            yield self._counted(self._usage)
        if not self.ended:
            raise LanguageModelError("the model stopped in the middle of its answer", temporary=True)
        if self._broken_off:
            raise LanguageModelError(self._broken_off)
        yield LLMChunk("done")

    def _read(self, data: bytes) -> Iterator[LLMChunk]:
        try:
            response = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LanguageModelError(f"the model streamed something that is no event: {error}") from error
        if response.error:
            raise _told_error(response.error, "failed while streaming")
        self._usage = response.usage_metadata or self._usage
        # Only one candidate is ever asked for.
        for candidate in (response.candidates or [])[:1]:
            for part in (candidate.content and candidate.content.parts) or ():
                yield from self._read_part(part)
            if candidate.finish_reason and candidate.finish_reason != "FINISH_REASON_UNSPECIFIED":
                self._end(candidate.finish_reason, candidate.finish_message)
        blocked = response.prompt_feedback and response.prompt_feedback.block_reason
        if blocked and not response.candidates:
            self.ended = True
            self._broken_off = f"Gemini blocked the prompt: {one_line(blocked)}"

    def _read_part(self, part: _Part) -> Iterator[LLMChunk]:
        if part.text and not part.thought:
            yield LLMChunk("text", content=part.text)
        if part.function_call is not None:
            yield self._called(part.function_call, part.thought_signature or "")

    def _called(self, call: _FunctionCall, signature: str) -> LLMChunk:
        # Two calls of an answer must not share an id: their results would.
        given = call.id or ""
        own = given if given and given not in self._ids else self._new_id()
        self._ids.add(own)
        if given or signature:
            self._keep(own, Kept(given, signature))
        index, self._call_count = self._call_count, self._call_count + 1
        arguments = msgspec.json.encode(call.args or {}).decode()
        return LLMChunk("tool_call", index=index, id=own, name=call.name or "", arguments=arguments)

    def _end(self, reason: str, message: str | None) -> None:
        self.ended = True
        if reason not in _WHOLE:
            said = f"{reason}: {message}" if message else reason
            self._broken_off = f"Gemini broke off its answer: {one_line(said)}"

    def _counted(self, usage: _Usage) -> LLMChunk:
        return LLMChunk(
            "usage",
            input_tokens=(usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
            # Thoughts are billed as output.
            output_tokens=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            cache_read_tokens=usage.cached_content_token_count or 0,
        )


def refusal_error(status: int, body: bytes, model: str) -> PatterError:
    """The exception for a request that was answered with ``status`` instead of a stream."""
    error: Any = body.decode(errors="replace")
    with suppress(msgspec.MsgspecError, UnicodeError):
        decoded = msgspec.json.decode(body)
        # Some routes put it into a list.
        first = decoded[0] if isinstance(decoded, list) and decoded else decoded
        error = first.get("error", first) if isinstance(first, dict) else error
    if status == 404:
        return LanguageModelError(
            f"Gemini answered 404: {_said(error)}",
            hint=f"is model={model!r} still served, to you and in this location?",
        )
    return _told_error(error, f"answered {status}", status)


def _told_error(error: Any, what: str, status: int = 0) -> PatterError:
    known = error if isinstance(error, Mapping) else {}
    code, name = status or known.get("code"), known.get("status")
    if code in (401, 403) or name in ("UNAUTHENTICATED", "PERMISSION_DENIED") or _bad_key(known):
        # What it said may hold the key.
        return AuthenticationError(
            f"Gemini refused the key or token ({code})", hint="check api_key=, or access_token= and project="
        )
    if code == 429 or name == "RESOURCE_EXHAUSTED":
        return RateLimitError(
            f"Gemini asks for fewer requests: {_said(error)}", retry_after=_retry_delay(known)
        )
    temporary = isinstance(code, int) and (code in (408, 409) or code >= 500)
    return LanguageModelError(f"Gemini {what}: {_said(error)}", temporary=temporary)


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    details = error.get("details")
    return [detail for detail in details if isinstance(detail, Mapping)] if isinstance(details, list) else []


def _bad_key(error: Mapping[str, Any]) -> bool:
    """A wrong API key is an invalid argument (400) to Google; a detail says which."""
    return any(str(detail.get("reason", "")).startswith("API_KEY_") for detail in _details(error))


def _retry_delay(error: Mapping[str, Any]) -> float | None:
    delays = (parse_duration(str(detail.get("retryDelay") or "")) for detail in _details(error))
    return next((delay for delay in delays if delay is not None), None)


def _said(error: Any) -> str:
    return said_by(error, "status")
