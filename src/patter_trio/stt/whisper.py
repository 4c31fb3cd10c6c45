"""Whisper behind OpenAI's transcription route: OpenAI, Groq, or a server of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs

from ._batch import BatchSTT
from ._checks import one_of, texts

__all__ = ["STT", "WhisperSTT"]


@attrs.frozen(kw_only=True)
class WhisperSTT(BatchSTT):
    """Whisper: each stretch of speech is a request; its words come after its end.

    Args:
        response_format: ``json`` for words alone; ``verbose_json`` for their times too, how sure the model
            is, and whether it thinks that nobody spoke.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "whisper"

    model: str = attrs.field(default="whisper-1", validator=texts)
    response_format: str = attrs.field(default="json", validator=one_of("json", "verbose_json"))

    @classmethod
    def for_twilio(cls, api_key: str | None = None, **settings: Any) -> WhisperSTT:
        """The same: the sound of a call is sent at its own rate, whatever carrier it comes from."""
        return cls(api_key=api_key, **settings)

    def form_fields(self) -> Sequence[tuple[str, str]]:
        """The fields of a request's form."""
        fields = [*super().form_fields(), ("response_format", self.response_format)]
        if self.response_format == "verbose_json":
            fields += [("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")]
        return fields


STT = WhisperSTT
