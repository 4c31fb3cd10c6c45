"""What we give Telnyx to keep for a leg (``client_state``) and get back with everything it says of that leg.

So what a webhook means can be told from the webhook alone, after a restart and out of order too.
"""

from __future__ import annotations

import binascii
from base64 import b64encode
from typing import Literal

import attrs
import msgspec

__all__ = ["LegState", "read_state", "write_state"]

Role = Literal["in", "out", "refused", "farewell", "cold", "briefing", "joined", ""]


@attrs.frozen
class LegState:
    """What a leg is for.

    Args:
        role: ``in`` and ``out`` for calls with an agent; ``refused`` for one that hears ``text`` once it is
            answered, ``farewell`` while it hears it, before it is ended; ``cold``, ``briefing`` (hears
            ``text`` first) and ``joined`` for the human of a transfer.
        caller: the call that is transferred.
        text: what is said.
        language: in which language.
        parameters: those of the stream.
    """

    role: Role = ""
    caller: str = ""
    text: str = ""
    language: str = ""
    parameters: dict[str, str] = attrs.field(factory=dict[str, str])

    @property
    def is_transfer(self) -> bool:
        """Whether the leg is the human's of a transfer."""
        return self.role in ("cold", "briefing", "joined")


_STATE: msgspec.json.Decoder[LegState] = msgspec.json.Decoder(LegState)


def write_state(state: LegState) -> str:
    """The state as the API takes it: base64."""
    said = {name: value for name, value in attrs.asdict(state).items() if value}
    return b64encode(msgspec.json.encode(said)).decode("ascii")


def read_state(text: str | None) -> LegState:
    """The state that came back; an empty one, where it is none of ours."""
    if not text:
        return LegState()
    try:
        return _STATE.decode(binascii.a2b_base64(text.encode("ascii"), strict_mode=True))
    except (UnicodeError, binascii.Error, msgspec.MsgspecError, RecursionError):
        return LegState()
