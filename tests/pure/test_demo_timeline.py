from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patter_trio._demo.record import CallArtefacts, CallTurn, FloorChange
from patter_trio._demo.scene import Bars, Box, Scene, Text, text_width
from patter_trio._demo.timeline import layout, timeline_png, timeline_svg

SVG = "{http://www.w3.org/2000/svg}"
WORDS = [
    "thank",
    "you",
    "for",
    "calling",
    "we",
    "have",
    "an",
    "opening",
    "on",
    "thursday",
    "at",
    "ten",
    "shall",
    "i",
    "book",
    "it",
]


def sound(seconds: float) -> bytes:
    time = np.arange(int(seconds * 8000)) / 8000
    caller = 6000 * np.sin(2 * np.pi * 180 * time) * (np.sin(time) > 0)
    agent = 8000 * np.sin(2 * np.pi * 120 * time) * (np.sin(time) <= 0)
    return np.stack([caller, agent], axis=1).astype("<i2").tobytes()


def interrupted_call() -> CallArtefacts:
    return CallArtefacts(
        audio=sound(20),
        title="A & B <call>",
        conditions={"seed": 7},
        turns=(
            CallTurn(
                idx=0, kind="greeting", agent_text_heard="How can I help?", t_first_audio=0.5, t_end=2.0
            ),
            CallTurn(
                idx=1,
                user_text="When do you open?",
                agent_text_heard="We are open on Monday",
                agent_text_cut="from eight to six.",
                t_user_start=3.0,
                t_user_end=4.5,
                t_first_audio=4.912,
                t_end=6.1,
                interrupted=True,
            ),
            CallTurn(idx=2, user_text="Wait, where are you?", t_user_start=6.0, t_user_end=7.6),
        ),
        floor=(
            FloorChange(kind="held", at=1.1, turn_idx=0, onset=1.0),
            FloorChange(kind="released", at=1.3, turn_idx=0, onset=1.0),
            FloorChange(kind="held", at=6.08, turn_idx=1, onset=6.0),
            FloorChange(kind="taken", at=6.3, turn_idx=1, onset=6.0, silence=6.084),
        ),
    )


def said(scene: Scene) -> list[str]:
    return ["".join(run.text for run in shape.runs) for shape in scene.shapes if isinstance(shape, Text)]


def test_says_the_gap_and_the_interruptions_in_milliseconds() -> None:
    words = said(layout(interrupted_call()))
    assert "412 ms" in words
    assert "barge-in: silent after 84 ms" in words
    assert "a noise: held 200 ms, then went on" in words


def test_words_nobody_heard_are_struck_and_grey() -> None:
    runs = [
        run for shape in layout(interrupted_call()).shapes if isinstance(shape, Text) for run in shape.runs
    ]
    struck = [run for run in runs if run.struck and "struck" not in run.text]
    assert [run.text for run in struck] == ["from eight to six."]
    assert all(run.colour != "#222222" for run in struck)


def test_both_voices_are_drawn_in_their_own_place() -> None:
    caller, agent = (shape for shape in layout(interrupted_call()).shapes if isinstance(shape, Bars))
    assert max(bottom for _, _, bottom in caller.strokes) < min(top for _, top, _ in agent.strokes)
    assert caller.colour != agent.colour


def test_svg_is_well_formed_whatever_is_said() -> None:
    root = ET.fromstring(timeline_svg(interrupted_call()))
    assert root.findtext(f"{SVG}title") == "A & B <call>: timeline"
    assert root.get("width") == "1600"
    assert root.findall(f"{SVG}path")


def test_png_is_the_same_picture_at_twice_the_size() -> None:
    image = pytest.importorskip("PIL.Image")
    from io import BytesIO

    scene = layout(interrupted_call())
    with image.open(BytesIO(timeline_png(interrupted_call()))) as picture:
        assert picture.size == (scene.width * 2, scene.height * 2)
        assert len(picture.convert("P").getcolors()) > 5


def test_an_empty_call_is_still_a_picture() -> None:
    assert layout(CallArtefacts(audio=b"")).height > 100


def test_a_long_call_runs_on_over_rows_that_break_in_silence() -> None:
    turns = tuple(
        CallTurn(
            idx=n,
            user_text="hello",
            agent_text_heard="hi",
            t_user_start=t,
            t_user_end=t + 2,
            t_first_audio=t + 2.4,
            t_end=t + 6,
        )
        for n, t in enumerate(range(1, 85, 9))
    )
    scene = layout(CallArtefacts(audio=sound(90), turns=turns))
    bands = [shape for shape in scene.shapes if isinstance(shape, Box) and shape.height == 60]
    assert len(bands) == 2 * len(turns)
    assert scene.height > 4 * 150


@st.composite
def conversations(draw: st.DrawFn) -> tuple[float, list[CallTurn], list[FloorChange]]:
    turns, floor, now = [], [], 0.5
    for idx in range(draw(st.integers(1, 9))):
        words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=40))
        heard = draw(st.integers(1, len(words)))
        ask, gap, answer = (draw(st.floats(low, high)) for low, high in ((1.2, 5), (0.2, 1.5), (1.2, 7)))
        end = now + ask + gap + answer
        turns.append(
            CallTurn(
                idx=idx,
                user_text=" ".join(words[:12]),
                agent_text_heard=" ".join(words[:heard]),
                agent_text_cut=" ".join(words[heard:]),
                t_user_start=now,
                t_user_end=now + ask,
                t_first_audio=now + ask + gap,
                t_end=end,
            )
        )
        now = end + draw(st.floats(0.8, 3))
        if draw(st.booleans()):
            now = end
            floor.append(FloorChange(kind="taken", at=end + 0.3, turn_idx=idx, onset=end, silence=end + 0.08))
    return now + 0.5, turns, floor


@given(conversations())
@settings(max_examples=40, deadline=None)
def test_no_two_texts_ever_overlap(conversation: tuple[float, list[CallTurn], list[FloorChange]]) -> None:
    seconds, turns, floor = conversation
    call = CallArtefacts(audio=bytes(round(seconds * 8000) * 4), turns=tuple(turns), floor=tuple(floor))
    boxes = []
    for shape in layout(call).shapes:
        if isinstance(shape, Text):
            width = sum(text_width(run.text, shape.size) for run in shape.runs)
            left = shape.x - {"start": 0.0, "middle": width / 2, "end": width}[shape.anchor]
            boxes.append((left, left + width, shape.y - shape.size * 0.75, shape.y))
    for (l1, r1, t1, b1), (l2, r2, t2, b2) in combinations(boxes, 2):
        assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1
    assert all(right <= 1600 for _, right, _, _ in boxes)
