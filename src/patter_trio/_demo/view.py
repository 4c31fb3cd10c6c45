"""The call in the terminal while it happens: who speaks, who has the floor, how long answers took.

One line (or a wrapped few) per thing that happened, the caller on the left, the agent indented to the right
half; colours on a terminal, the same lines plain elsewhere. Nothing is ever redrawn.
"""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Callable
from typing import TextIO

import attrs

from ..events import (
    AgentSpeechEnded,
    AgentSpeechStarted,
    CallAccepted,
    CallEnded,
    CallEvent,
    FloorHeld,
    FloorReleased,
    FloorTaken,
    TranscriptHeard,
    TurnFailed,
    UserSpeechEnded,
    UserSpeechEos,
    UtteranceOvertaken,
)

__all__ = ["View"]

_PLAIN, _BOLD, _DIM = "", "1", "2"
_CALLER, _AGENT, _FLOOR, _RESUMED, _BAD = "36", "32", "1;33", "35", "1;31"
_NARROWEST, _WIDEST, _TIME = 48, 110, 9


@attrs.define
class View:
    """Writes a call's events to ``out`` as lines for people.

    Args:
        out: where to, usually ``sys.stdout``.
        colour: ANSI colours; by default when ``out`` is a terminal and ``NO_COLOR`` is not set.
        width: columns; by default those of the terminal, or 100 where there is none.
    """

    out: TextIO
    colour: bool = attrs.Factory(lambda view: _wants_colour(view.out), takes_self=True)
    width: int = attrs.Factory(lambda view: _columns(view.out), takes_self=True)
    _began: float | None = attrs.field(init=False, default=None)
    _user_ended: float | None = attrs.field(init=False, default=None)

    def show(self, event: CallEvent) -> None:
        """Shows one event; kinds that say nothing to a reader are passed over."""
        if self._began is None:
            self._began = event.time
        match event:
            case CallAccepted():
                who = event.info.caller or "somebody"
                self._note(event, f"call from {who} to {event.info.callee or 'us'} is up", _BOLD)
            case UserSpeechEnded():
                self._user_ended = event.time
            case UserSpeechEos():
                self._user_finished(event)
            case UtteranceOvertaken():
                self._note(event, "the caller goes on: both sentences get one answer", _DIM)
            case AgentSpeechStarted():
                self._agent_begins(event)
            case TranscriptHeard(role="assistant"):
                self._agent(event, event.text)
            case FloorHeld():
                self._note(event, "agent pauses: the caller makes a sound", _DIM)
            case FloorReleased():
                self._note(event, f"only a noise: agent goes on after {event.held_ms} ms", _RESUMED)
            case FloorTaken():
                self._taken(event)
            case AgentSpeechEnded():
                self._user_ended = None
            case TurnFailed():
                self._note(event, f"turn {event.turn_idx} failed ({event.code}): {event.message}", _BAD)
            case CallEnded():
                why = f" ({event.error_code})" if event.error_code else ""
                self._note(
                    event,
                    f"call ended: {event.reason}, {event.outcome}{why}",
                    _BAD if event.error_code else _BOLD,
                )
            case _:
                pass

    def step(self, text: str, *, done: bool | None = None) -> None:
        """Shows a step of the caller's script: as it begins, or (with ``done``) whether it happened."""
        mark, style = {None: ("·", _DIM), True: ("ok", _DIM), False: ("MISSED", _BAD)}[done]
        self._lines("", f"{mark} {text}", style, indent=0)

    def line(self, text: str) -> None:
        """Shows a line of its own, such as the name of a file that was written."""
        self.out.write(f"{text}\n")
        self.out.flush()

    # --- one speaker each -----------------------------------------------------------------------------------

    def _user_finished(self, event: UserSpeechEos) -> None:
        # The detector's edge comes some silence after the last sound; where that is known it counts.
        if event.trailing_silence_ms is not None:
            self._user_ended = event.time - event.trailing_silence_ms / 1000
        if event.transcript_so_far:
            self._lines(self._time(event), f"caller  {event.transcript_so_far}", _CALLER, indent=0, hang=8)

    def _agent_begins(self, event: CallEvent) -> None:
        if self._user_ended is not None:
            gap = (event.time - self._user_ended) * 1000
            self._lines(self._time(event), f"answers after {gap:.0f} ms", _DIM, indent=self._indent())

    def _agent(self, event: CallEvent, text: str) -> None:
        self._lines(self._time(event), f"agent   {text}", _AGENT, indent=self._indent(), hang=8)

    def _taken(self, event: FloorTaken) -> None:
        doing = "speaking" if event.phase == "speaking" else "thinking"
        self._note(
            event, f"barge-in while {doing}: clear sent {event.onset_to_clear_ms:.0f} ms after onset", _FLOOR
        )
        if event.text_unheard:
            self._lines("", f"unheard [{event.text_unheard}]", _DIM, indent=self._indent(), hang=8)

    def _note(self, event: CallEvent, text: str, style: str) -> None:
        self._lines(self._time(event), f"-- {text}", style, indent=0, hang=3)

    # --- lines ----------------------------------------------------------------------------------------------

    def _indent(self) -> int:
        return min(24, max(0, (self._room() - _NARROWEST) // 2))

    def _room(self) -> int:
        return max(24, min(self.width, _WIDEST) - _TIME)

    def _time(self, event: CallEvent) -> str:
        return f"{event.time - (self._began or 0.0):7.2f}"

    def _lines(self, time: str, text: str, style: str, *, indent: int, hang: int = 0) -> None:
        pad = " " * indent
        wrapped = textwrap.wrap(
            text, self._room(), initial_indent=pad, subsequent_indent=pad + " " * hang, break_long_words=True
        )
        paint: Callable[[str, str], str] = self._painted
        for n, line in enumerate(wrapped):
            stamp = paint(f"{time if n == 0 else '':>7}", _DIM)
            self.out.write(f"{stamp}  {paint(line, style)}".rstrip() + "\n")
        self.out.flush()

    def _painted(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.colour and style and text.strip() else text


def _wants_colour(out: TextIO) -> bool:
    return out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _columns(out: TextIO) -> int:
    return shutil.get_terminal_size((100, 24)).columns if out.isatty() else 100
