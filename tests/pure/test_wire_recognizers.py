"""The recognisers' wires against messages that nobody should send."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._wire.deepgram import DeepgramWire
from patter_trio._wire.recognizer import Cue, RecognizerWire
from patter_trio.errors import (
    AuthenticationError,
    PatterConfigError,
    RateLimitError,
    RecognizerError,
    RemoteProtocolError,
)
from patter_trio.events import Transcript

from ..conformance.stt_endpoint import vectors

WIRES: dict[str, tuple[Callable[[], RecognizerWire], str]] = {
    "deepgram": (DeepgramWire, "deepgram_listen_v1"),
}
THEIRS = (RemoteProtocolError, RecognizerError, AuthenticationError, RateLimitError, PatterConfigError)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


def said(protocol: str) -> list[dict[str, Any]]:
    return [
        frame["data"]
        for entry in vectors(protocol).values()
        for frame in entry["frames"]
        if frame["dir"] == "recv" and frame["kind"] == "json"
    ]


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def spoiled(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = json.loads(json.dumps(data))
    target = copy
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return copy


@pytest.mark.parametrize("name", WIRES)
@given(st.data())
def test_no_message_raises_anything_but_our_errors(name: str, data: st.DataObject) -> None:
    make, protocol = WIRES[name]
    wire = make()
    known = said(protocol)
    near = st.builds(
        lambda message, pick, value: json.dumps(
            spoiled(message, places(message)[pick % len(places(message))], value)
        ),
        st.sampled_from(known),
        st.integers(0, 1000),
        anything,
    )
    whole = st.sampled_from(known).map(json.dumps)
    for message in data.draw(
        st.lists(near | whole | st.text() | st.binary() | anything.map(json.dumps), max_size=6)
    ):
        try:
            for heard in wire.receive(message):
                assert isinstance(heard, Transcript | Cue)
                if isinstance(heard, Transcript):
                    assert all(word.start <= word.end for word in heard.words)
        except THEIRS:
            continue


@pytest.mark.parametrize("name", WIRES)
def test_what_is_new_is_passed_over(name: str) -> None:
    wire = WIRES[name][0]()
    for message in ('{"type":"NewThing","message":"NewThing","message_type":"new_thing"}',):
        assert [heard for heard in wire.receive(message) if isinstance(heard, Transcript)] == []


@pytest.mark.parametrize("name", WIRES)
@given(st.none() | st.integers(0, 5000), st.text(max_size=20))
def test_every_close_code_can_be_told(name: str, code: int | None, reason: str) -> None:
    error = WIRES[name][0]().closed(code, reason)
    assert error is None or str(error)
