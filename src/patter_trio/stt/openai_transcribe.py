"""OpenAI's transcription models over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs

from ..errors import PatterConfigError
from ._batch import BatchSTT
from ._checks import as_tuple, flag, listed_texts, texts

__all__ = ["STT", "OpenAITranscribeSTT"]


@attrs.frozen(kw_only=True)
class OpenAITranscribeSTT(BatchSTT):
    """OpenAI's transcription: each stretch of speech is a request; its words come after its end.

    Args:
        languages: languages to expect in place of ``language``, as a text or several.
        keywords: terms to expect, as a text or several.
        stream: whether words come as they are found.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = "openai_transcribe"

    model: str = attrs.field(default="gpt-transcribe", validator=texts)
    languages: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    keywords: tuple[str, ...] = attrs.field(default=(), converter=as_tuple, validator=listed_texts)
    stream: bool = attrs.field(default=True, validator=flag)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.model.startswith("whisper"):
            raise PatterConfigError(f"{self.model} is no model of this class", hint="use WhisperSTT")

    @property
    def streams(self) -> bool:
        """Whether words are asked for as they are found."""
        return self.stream

    def form_fields(self) -> Sequence[tuple[str, str]]:
        """The fields of a request's form."""
        fields = [
            (name, value)
            for name, value in super().form_fields()
            if not (name == "language" and self.languages)
        ]
        fields += [("languages[]", language) for language in self.languages]
        fields += [("keywords[]", keyword) for keyword in self.keywords]
        return [*fields, ("response_format", "json"), ("stream", str(self.stream).lower())]


STT = OpenAITranscribeSTT
