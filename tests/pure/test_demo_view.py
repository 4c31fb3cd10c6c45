from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest

from patter_trio._demo.view import View
from patter_trio.events import (
    AgentSpeechStarted,
    CallAccepted,
    CallEvent,
    CallInfo,
    FloorReleased,
    FloorTaken,
    LlmToken,
    TranscriptHeard,
    TurnFailed,
    UserSpeechEnded,
    UserSpeechEos,
)


def at(kind: type[CallEvent], time: float, **fields: Any) -> CallEvent:
    return kind(call_id="c1", time=time, timestamp_ms=0, **fields)


CALL = [
    at(CallAccepted, 50.0, info=CallInfo("c1", "+15550001", "+15550002")),
    at(UserSpeechEnded, 53.9, speech_duration_ms=1500),
    at(
        UserSpeechEos,
        54.0,
        trigger="vad_silence",
        transcript_so_far="when do you open",
        trailing_silence_ms=300,
    ),
    at(LlmToken, 54.05, turn_idx=1, llm_provider="desk", model="rules"),
    at(AgentSpeechStarted, 54.1, turn_idx=1),
    at(FloorReleased, 55.0, turn_idx=1, held_ms=240),
    at(
        FloorTaken,
        56.0,
        turn_idx=1,
        phase="speaking",
        onset_to_clear_ms=302.4,
        cancel_ms=1.0,
        frames_unsent=3,
        text_unheard="on Mondays.",
    ),
    at(TranscriptHeard, 56.0, role="assistant", text="We open at eight"),
    at(TurnFailed, 57.0, turn_idx=2, code="tts_failed", message="no voice"),
]


def shown(width: int = 100, *, colour: bool = False) -> str:
    out = StringIO()
    view = View(out, colour, width)
    for event in CALL:
        view.show(event)
    view.step("hears the price", done=False)
    return out.getvalue()


@pytest.mark.parametrize(
    "line",
    [
        "0.00  -- call from +15550001 to +15550002 is up",
        "4.00  caller  when do you open",
        "answers after 400 ms",
        "5.00  -- only a noise: agent goes on after 240 ms",
        "6.00  -- barge-in while speaking: clear sent 302 ms after onset",
        "unheard [on Mondays.]",
        "agent   We open at eight",
        "7.00  -- turn 2 failed (tts_failed): no voice",
        "MISSED hears the price",
    ],
)
def test_tells_the_call_in_plain_lines(line: str) -> None:
    assert line in shown()


def test_no_escape_codes_where_there_is_no_terminal() -> None:
    out = StringIO()
    assert not View(out).colour
    assert "\x1b" not in shown()


def test_colours_change_nothing_but_the_colour() -> None:
    assert re.sub(r"\x1b\[[\d;]*m", "", shown(colour=True)) == shown()
    assert shown(colour=True) != shown()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_lines_fit_the_terminal(width: int) -> None:
    assert max(len(line) for line in shown(width).splitlines()) <= max(width, 33)
