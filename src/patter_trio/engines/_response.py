"""A response of OpenAI Realtime as it comes, and what its refusals mean."""

from __future__ import annotations

from contextlib import suppress

import trio

from .._audio.convert import Converter
from .._wire.openai_realtime import Refused
from ..abc import EngineSound
from ..errors import (
    AuthenticationError,
    LanguageModelError,
    PatterConfigError,
    PatterConnectionError,
    PatterError,
    ProviderError,
    RateLimitError,
)
from ..events import AudioFormat, LLMChunk

__all__ = ["Pieces", "Response", "meaning"]

# Nothing of a response for so long: a caller has given up by then.
_SILENT_SECONDS = 15.0

_SETTINGS = ("unknown_parameter", "invalid_value", "missing_required_parameter", "unsupported_parameter")


class Response:
    """A response as it comes; what is not read yet waits here, at most what the model may say at once."""

    def __init__(self, event_id: str, say: str) -> None:
        self.event_id = event_id
        self.say = say
        self.deferred = False
        self.id = ""
        self.left = False
        self.over = trio.Event()
        # Ten minutes of speech in pieces of 20 ms: a model that says more at once is cut off by the vendor.
        self.outlet, self.inlet = trio.open_memory_channel[EngineSound | LLMChunk | PatterError](30_000)
        self._converters: dict[str, Converter] = {}

    def give(self, piece: EngineSound | LLMChunk | PatterError) -> None:
        """Something came of it."""
        if not self.left:
            with suppress(trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
                self.outlet.send_nowait(piece)

    def sound(self, item: str, audio: bytes, source: AudioFormat, target: AudioFormat) -> None:
        """Sound came of it."""
        converter = self._converters.setdefault(item, Converter(source, target))
        if converted := converter.feed(audio):
            self.give(EngineSound(converted, item))

    def end(self) -> None:
        """Nothing more will come."""
        for item, converter in self._converters.items():
            if tail := converter.flush():
                self.give(EngineSound(tail, item))
        self.give(LLMChunk("done"))
        self.outlet.close()
        self.over.set()


class Pieces:
    """A response as it is read."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> EngineSound | LLMChunk:
        with trio.move_on_after(_SILENT_SECONDS):
            try:
                piece = await self._response.inlet.receive()
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
            if isinstance(piece, PatterError):
                raise piece
            return piece
        raise LanguageModelError(f"OpenAI Realtime said nothing for {_SILENT_SECONDS:g} s")


def meaning(refused: Refused) -> PatterError:
    """A refusal that ends a session, as our own error."""
    said = f"OpenAI Realtime: {refused.code or refused.kind}: {refused.message}"
    if refused.code in ("invalid_api_key", "account_deactivated"):
        return AuthenticationError(said)
    if refused.code in ("model_not_found", "beta_api_shape_disabled", *_SETTINGS):
        return PatterConfigError(said, hint=f"look at {refused.param or 'model'} in the engine's settings")
    if refused.code in ("rate_limit_exceeded", "insufficient_quota"):
        return RateLimitError(said)
    if refused.code == "session_expired":
        return PatterConnectionError(said)
    return ProviderError(said)
