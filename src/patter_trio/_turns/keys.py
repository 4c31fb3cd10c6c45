"""Keys of the telephone: those the caller presses, collected to one input, and those that we press."""

from __future__ import annotations

import attrs

from .._audio.dtmf import DTMF_KEYS, DTMF_PAUSES
from ..errors import PatterConfigError

__all__ = ["KeyCollector", "KeyInput", "KeyPresses", "Stroke", "read_strokes"]

# The longest things that people dial, a calling card and a number behind it, stay below this.
_MOST_KEYS = 64


@attrs.frozen
class KeyPresses:
    """How often the caller has pressed a key, and when the last time: a level."""

    count: int = 0
    at: float = float("-inf")


# --- keys that come in --------------------------------------------------------------------------------------


@attrs.frozen
class KeyInput:
    """Keys that belong together; ``began`` is when the first one was pressed."""

    keys: str
    began: float

    @property
    def text(self) -> str:
        """The keys as a model, a callback and the history are told of them."""
        return f"[DTMF: {self.keys}]"


class KeyCollector:
    """Joins the caller's keys to inputs, which end at ``terminator`` or when none follows for ``timeout``.

    Feed it every key, ask :attr:`deadline` how long to wait for the next one, and :meth:`poll` after each. No
    key is ever lost: each is in exactly one input, in order.

    Args:
        timeout: seconds after a key in which the next one belongs to it.
        terminator: the key that ends an input, and is the last one of it; empty for none.
    """

    def __init__(self, timeout: float, terminator: str = "#") -> None:
        self._timeout = timeout
        self._terminator = terminator
        self._keys = ""
        self._began = 0.0
        self._last = 0.0
        self._complete: list[KeyInput] = []

    def press(self, key: str, now: float) -> None:
        """The caller presses a key; one that comes after the deadline begins another input."""
        if self._keys and now >= self._last + self._timeout:
            self._close()
        if not self._keys:
            self._began = now
        self._keys += key
        self._last = now
        if key == self._terminator or len(self._keys) >= _MOST_KEYS:
            self._close()

    def _close(self) -> None:
        self._complete.append(KeyInput(self._keys, self._began))
        self._keys = ""

    @property
    def began(self) -> float:
        """When the first key of what :meth:`poll` or :meth:`take` gives next was pressed."""
        if self._complete:
            return self._complete[0].began
        return self._began if self._keys else float("inf")

    @property
    def deadline(self) -> float:
        """When :meth:`poll` has something without another key; infinite for never."""
        if self._complete:
            return float("-inf")
        return self._last + self._timeout if self._keys else float("inf")

    def poll(self, now: float) -> KeyInput | None:
        """The next input that is complete by ``now``."""
        return self.take() if now >= self.deadline else None

    def take(self) -> KeyInput | None:
        """The next input as it stands, complete or not."""
        if not self._complete and self._keys:
            self._close()
        return self._complete.pop(0) if self._complete else None


# --- keys that go out ---------------------------------------------------------------------------------------


@attrs.frozen
class Stroke:
    """A key to press, or none for a pause, and the seconds from its beginning to the next one's."""

    key: str
    seconds: float


def read_strokes(digits: object, delay: float) -> tuple[Stroke, ...]:
    """The strokes of a string of keys, ``delay`` seconds apart; ``w`` waits for 0.5 s, ``W`` for 1 s.

    Raises:
        PatterConfigError: something in it is no key, or there are too many.
    """
    if not isinstance(digits, str) or not digits or set(digits) - DTMF_KEYS.keys() - DTMF_PAUSES.keys():
        raise PatterConfigError(
            f"these are no keys of a telephone: {str(digits)[:40]!r}",
            hint="0-9 * # A-D, and w or W for a pause of 0.5 s or 1 s",
        )
    if len(digits) > _MOST_KEYS:
        raise PatterConfigError(f"{len(digits)} keys are more than the {_MOST_KEYS} that can be sent at once")
    return tuple(Stroke("", DTMF_PAUSES[key]) if key in DTMF_PAUSES else Stroke(key, delay) for key in digits)
