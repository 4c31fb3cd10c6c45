"""What the settings of every voice on the network share: a key, an address, patience."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import attrs

from .._net.http import is_web_address
from ..errors import PatterConfigError
from ..events import LINEAR_16K, MULAW_8K, AudioFormat
from ..llm._checks import optional, seconds, texts
from ..stt._checks import found_key, missing_key
from ._telling import Patience

__all__ = ["NetworkTTS", "given", "pick_format"]


Kind = TypeVar("Kind", bound="NetworkTTS")


def given(settings: Any, *names: str) -> dict[str, Any]:
    """The settings of these names that are not None."""
    return {name: value for name in names if (value := getattr(settings, name)) is not None}


@attrs.frozen(kw_only=True)
class NetworkTTS:
    """A voice behind a network; the settings are the provider, and each call has a connection of its own.

    A subclass names its vendor and says what is sent. It is decorated with ``attrs.frozen(kw_only=True)``.

    Args:
        api_key: the key; left out, it comes from the environment, and is ``key`` either way.
        base_url: the endpoint, without a query.
        output_format: what the vendor is asked for, by its own name; None for the carrier's own format where
            the vendor has it, else for samples that lose nothing.
        connect_timeout: seconds for a connection to be ready.
        first_audio_timeout: seconds from a turn's first sentence to its first sound.
        frame_timeout: seconds of silence of the far end that end a turn whose sentences have all been given.

    Raises:
        PatterConfigError: a setting is missing or cannot be right.
    """

    provider_name: ClassVar[str] = ""
    key_names: ClassVar[tuple[str, ...]] = ()
    schemes: ClassVar[tuple[str, ...]] = ("ws", "wss")
    # The vendor's names of the formats that can be asked for, the preferred one for anything else first.
    formats: ClassVar[Mapping[str, AudioFormat]] = {}

    api_key: str | None = attrs.field(default=None, repr=False)
    key: str = attrs.field(default=attrs.Factory(found_key, takes_self=True), init=False, repr=False)
    base_url: str = attrs.field(default="")
    output_format: str | None = attrs.field(default=None, validator=optional(texts))
    connect_timeout: float = attrs.field(default=5.0, validator=seconds)
    first_audio_timeout: float = attrs.field(default=10.0, validator=seconds)
    frame_timeout: float = attrs.field(default=30.0, validator=seconds)

    def __attrs_post_init__(self) -> None:
        if not self.key:
            raise missing_key(self)
        if not is_web_address(self.base_url, self.schemes):
            raise PatterConfigError(
                f"base_url={self.base_url!r} is not an address of {' or '.join(self.schemes)}",
                hint=f"like {self.schemes[-1]}://voices.example.org/v1",
            )
        if self.output_format is not None and self.output_format not in self.formats:
            raise PatterConfigError(
                f"output_format={self.output_format!r} cannot go on a phone line",
                hint=f"one of {', '.join(self.formats)}, or None",
            )

    @classmethod
    def for_twilio(cls: type[Kind], api_key: str | None = None, **settings: Any) -> Kind:
        """Settings for calls of Twilio: µ-law at 8 kHz goes on as it comes, where the vendor has it."""
        return cls(api_key=api_key, **{**cls._asking_for(MULAW_8K), **settings})

    @classmethod
    def for_telnyx(cls: type[Kind], api_key: str | None = None, **settings: Any) -> Kind:
        """Settings for calls of Telnyx: samples at 16 kHz, where the vendor has them."""
        return cls(api_key=api_key, **{**cls._asking_for(LINEAR_16K), **settings})

    @classmethod
    def _asking_for(cls, audio: AudioFormat) -> dict[str, Any]:
        names = [name for name, offered in cls.formats.items() if offered == audio]
        return {"output_format": names[0]} if names else {}

    @property
    def name(self) -> str:
        """The provider's name, for metrics and logs."""
        return self.provider_name

    @property
    def patience(self) -> Patience:
        """How long is waited for what."""
        return Patience(self.connect_timeout, self.first_audio_timeout, self.frame_timeout)

    @property
    def url(self) -> str:
        """The endpoint without a slash at its end."""
        return self.base_url.rstrip("/")

    def format_for(self, audio: AudioFormat) -> tuple[str, AudioFormat]:
        """What is asked for where the carrier takes ``audio``, with the vendor's name of it."""
        if self.output_format is not None:
            return self.output_format, self.formats[self.output_format]
        return pick_format(self.formats, audio)


def pick_format(formats: Mapping[str, AudioFormat], audio: AudioFormat) -> tuple[str, AudioFormat]:
    """The carrier's own format if there is one; else linear samples of its rate; else the first one."""
    for wanted in (audio, AudioFormat("linear16", audio.sample_rate)):
        for name, offered in formats.items():
            if offered == wanted:
                return name, offered
    return next(iter(formats.items()))
