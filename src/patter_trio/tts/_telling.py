"""How long a voice is waited for, and what is said when it fails."""

from __future__ import annotations

import attrs

from ..errors import PatterError

__all__ = ["Patience", "so_far", "without"]

_QUOTED = 120


@attrs.frozen
class Patience:
    """How long is waited for what, in seconds.

    Args:
        connect: for a connection.
        first_audio: for a turn's first sound.
        frame: for the next piece, once all sentences have been given.
    """

    connect: float
    first_audio: float
    frame: float


def without(error: PatterError, secret: str) -> PatterError:
    """Takes out of an error the key, which a vendor's answer may repeat."""
    if secret:
        error.args = tuple(
            part.replace(secret, "…") if isinstance(part, str) else part for part in error.args
        )
    return error


def so_far(seconds: float, said: str) -> str:
    """What was spoken before something failed."""
    return f"after {seconds:.1f} s of sound: {said[-_QUOTED:]!r}" if said else "before it spoke"
