"""A sentence's sound in the body of a response: bytes of it in, pieces of speech out; no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from ..errors import AuthenticationError, PatterError, RateLimitError, RemoteProtocolError, VoiceError
from ..events import AudioFormat, SpokenAudio
from .placing import Marked
from .rate_limits import seconds_to_wait

__all__ = ["BodyReader", "Lines", "PlainReader", "Refusal", "refusal"]

_LONGEST_LINE = 8 * 1024 * 1024

Refusal = Callable[[int, Mapping[str, str], bytes, str], PatterError]
"""What a status, headers and a body's beginning mean; the last is who sent them."""


class BodyReader(Protocol):
    """Reads the body for one sentence."""

    def feed(self, data: bytes) -> Iterator[SpokenAudio]:
        """Takes bytes as they come.

        Raises:
            RemoteProtocolError: they are not what the protocol allows.
            PatterError: the far end says in them that it failed.
        """
        ...

    def finish(self) -> Iterator[SpokenAudio]:
        """The body has ended."""
        ...


class PlainReader:
    """A body that is sound and nothing else."""

    def __init__(self, audio: AudioFormat, text: str) -> None:
        self._place = Marked(audio)
        self._place.add(text)

    def feed(self, data: bytes) -> Iterator[SpokenAudio]:
        """See :class:`BodyReader`."""
        return self._place.sound(data)

    def finish(self) -> Iterator[SpokenAudio]:
        """See :class:`BodyReader`."""
        return self._place.end()


class Lines:
    """Lines of a body, put together; blank ones are passed over."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that ``data`` completes.

        Raises:
            RemoteProtocolError: a line does not end.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise RemoteProtocolError(f"{self._who} sent a line without an end")
        for line in lines:
            if line.strip():
                yield line

    def finish(self) -> Iterator[bytes]:
        """A last line without an end."""
        rest, self._rest = self._rest, b""
        if rest.strip():
            yield rest


def refusal(status: int, headers: Mapping[str, str], body: bytes, who: str) -> PatterError:
    """What a response means that is not the sound which was asked for."""
    said = body.decode("utf-8", "replace").strip() or "no reason given"
    if status in (401, 403):
        return AuthenticationError(f"{who} refused the key with {status}: {said}")
    if status == 429:
        return RateLimitError(f"{who} refused with 429: {said}", retry_after=seconds_to_wait(headers))
    return VoiceError(f"{who} answered with {status}: {said}")
