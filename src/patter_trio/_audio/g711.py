"""G.711: µ-law and A-law to linear16 and back, at the same rate.

CPython's own codec does it: 0.1 to 0.5 µs per 20 ms frame, against 1.4 µs with numpy lookup tables. It is in
the standard library up to 3.12 (importing it there warns that it will go) and in ``audioop-lts`` from 3.13.
"""

from __future__ import annotations

import warnings

from ..events import AudioFormat

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

__all__ = ["alaw_to_linear", "decode", "encode", "linear_to_alaw", "linear_to_mulaw", "mulaw_to_linear"]


def mulaw_to_linear(audio: bytes) -> bytes:
    """µ-law to linear16."""
    return audioop.ulaw2lin(audio, 2)


def linear_to_mulaw(pcm: bytes) -> bytes:
    """Linear16 to µ-law."""
    return audioop.lin2ulaw(pcm, 2)


def alaw_to_linear(audio: bytes) -> bytes:
    """A-law to linear16."""
    return audioop.alaw2lin(audio, 2)


def linear_to_alaw(pcm: bytes) -> bytes:
    """Linear16 to A-law."""
    return audioop.lin2alaw(pcm, 2)


def decode(audio: bytes, format: AudioFormat) -> bytes:
    """Sound in ``format`` as linear16 at the same rate."""
    if format.encoding == "mulaw":
        return mulaw_to_linear(audio)
    if format.encoding == "alaw":
        return alaw_to_linear(audio)
    return audio


def encode(pcm: bytes, format: AudioFormat) -> bytes:
    """Linear16 as sound in ``format`` at the same rate."""
    if format.encoding == "mulaw":
        return linear_to_mulaw(pcm)
    if format.encoding == "alaw":
        return linear_to_alaw(pcm)
    return pcm
