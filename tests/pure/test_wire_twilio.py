from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from patter_trio._wire import twilio_far
from patter_trio._wire.twilio import TwilioWire
from patter_trio.errors import RemoteProtocolError
from patter_trio.events import (
    MULAW_8K,
    AudioFormat,
    AudioReceived,
    CarrierEvent,
    DigitPressed,
    MarkPlayed,
    StreamStarted,
    StreamStopped,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "twilio.json").read_text(encoding="utf-8"))
CONVERSATION: list[dict[str, Any]] = VECTORS["ws_from_carrier"]
STREAM = "MZ00000000000000000000000000000001"
CALL = "CA00000000000000000000000000000001"
SECRET = "c2VjcmV0IHNvdW5k"  # what must not be found in a reason


def started_wire() -> TwilioWire:
    wire = TwilioWire()
    wire.decode(json.dumps(CONVERSATION[1]))
    return wire


def start_with(**changes: Any) -> str:
    body = {**CONVERSATION[1]["start"], **changes}
    return json.dumps({**CONVERSATION[1], "start": body})


def media(payload: Any = "//8=", *, stream: str = STREAM, **changes: Any) -> str:
    body = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": payload, **changes}
    return json.dumps({"event": "media", "sequenceNumber": "3", "media": body, "streamSid": stream})


def test_a_conversation_becomes_events() -> None:
    wire = TwilioWire()
    events = [wire.decode(json.dumps(message)) for message in CONVERSATION]
    sounds = [base64.b64decode(message["media"]["payload"]) for message in CONVERSATION[2:4]]
    expected: list[CarrierEvent | None] = [
        None,
        StreamStarted(STREAM, CALL, {"token": "abc", "tenant": "t1"}, MULAW_8K),
        AudioReceived(sounds[0], 0.005),
        AudioReceived(sounds[1], 0.025),
        DigitPressed("1"),
        MarkPlayed("utt-1:end"),
        StreamStopped(),
    ]
    assert events == expected
    assert [len(sound) for sound in sounds] == [160, 160]


def test_what_we_send_is_what_the_carrier_expects() -> None:
    wire = started_wire()
    play, mark, clear = (vector["send"] for vector in VECTORS["ws_to_carrier"])
    assert json.loads(wire.encode_audio(base64.b64decode(play["media"]["payload"]))) == play
    assert json.loads(wire.encode_mark(mark["mark"]["name"])) == mark
    assert json.loads(wire.encode_clear()) == clear


def test_the_format_of_start_is_obeyed() -> None:
    wire = TwilioWire()
    assert wire.audio == MULAW_8K
    wire.decode(start_with(mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": "16000", "channels": "1"}))
    assert wire.audio == AudioFormat("mulaw", 16000)


def test_nothing_can_be_sent_before_start() -> None:
    wire = TwilioWire()
    with pytest.raises(RuntimeError, match="before the stream has started"):
        wire.encode_audio(b"\xff" * 160)
    with pytest.raises(RuntimeError):
        wire.encode_mark("m")
    with pytest.raises(RuntimeError):
        wire.encode_clear()


@pytest.mark.parametrize(
    "message",
    [
        json.dumps({"event": "speech-mode", "streamSid": STREAM, "whatever": [1, {"deep": None}]}),
        json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
        media(track="outbound"),
        media(track="outbound_track"),
        media(""),
        json.dumps({"event": "dtmf", "streamSid": STREAM, "dtmf": {"track": "outbound_track", "digit": "1"}}),
    ],
    ids=["unknown event", "connected", "outbound", "outbound_track", "no sound", "digit of the other track"],
)
def test_messages_that_carry_nothing_for_us(message: str) -> None:
    assert started_wire().decode(message) is None


@pytest.mark.parametrize("timestamp", ["25", 25])
def test_numbers_are_read_as_strings_and_as_numbers(timestamp: object) -> None:
    assert started_wire().decode(media(timestamp=timestamp)) == AudioReceived(b"\xff\xff", 0.025)


MALFORMED: dict[str, str | bytes] = {
    "empty": "",
    "not JSON": f"media {SECRET}",
    "torn": media(SECRET)[:-20],
    "two documents": media(SECRET) * 2,
    "not an object": f'["{SECRET}"]',
    "no event": json.dumps({"streamSid": STREAM}),
    "event is a number": json.dumps({"event": 5}),
    "event is null": json.dumps({"event": None}),
    "binary": media(SECRET).encode(),
    "lone surrogate": '{"event":"media","x":"\ud800"}',
    "escaped lone surrogate": '{"event":"mark","streamSid":"' + STREAM + '","mark":{"name":"\\ud800"}}',
    "nested too deeply": '{"event":"media","x":' + "[" * 50_000,
    "far too long": media("A" * 200_000),
    "media without a body": json.dumps({"event": "media", "streamSid": STREAM}),
    "media is null": json.dumps({"event": "media", "streamSid": STREAM, "media": None}),
    "payload is a number": media(5),
    "payload is missing": json.dumps({"event": "media", "streamSid": STREAM, "media": {"timestamp": "5"}}),
    "payload is not base64": media(SECRET + "*"),
    "payload lacks its padding": media("//8"),
    "payload is url-safe base64": media("__8="),
    "payload longer than a second": media(base64.b64encode(b"\xff" * 8001).decode()),
    "timestamp is words": media(SECRET, timestamp="soon"),
    "timestamp is negative": media(SECRET, timestamp="-1"),
    "timestamp is huge": media(SECRET, timestamp="9" * 5000),
    "timestamp is null": media(SECRET, timestamp=None),
    "track is a list": media(SECRET, track=["inbound"]),
    "another stream": media(SECRET, stream="MZ00000000000000000000000000000002"),
    "no stream": json.dumps({"event": "mark", "mark": {"name": "m"}}),
    "mark without a name": json.dumps({"event": "mark", "streamSid": STREAM, "mark": {}}),
    "digit of two": json.dumps({"event": "dtmf", "streamSid": STREAM, "dtmf": {"digit": "12"}}),
    "digit that is none": json.dumps({"event": "dtmf", "streamSid": STREAM, "dtmf": {"digit": "x"}}),
    "second start": json.dumps(CONVERSATION[1]),
    "stop of another stream": json.dumps({"event": "stop", "streamSid": "MZ1", "stop": {}}),
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_messages_are_named_without_their_payload(message: str | bytes) -> None:
    wire = started_wire()
    with pytest.raises(RemoteProtocolError) as caught:
        wire.decode(message)
    reason = str(caught.value)
    assert 0 < len(reason) < 120
    assert SECRET not in reason
    assert wire.decode(media()) == AudioReceived(b"\xff\xff", 0.005), "the stream must survive it"


def start_message(**changes: Any) -> str:
    return json.dumps({**CONVERSATION[1], **changes})


MALFORMED_STARTS = {
    "media": media(),
    "mark": json.dumps(CONVERSATION[5]),
    "stop": json.dumps(CONVERSATION[6]),
    "two stream ids": start_message(streamSid="MZ00000000000000000000000000000002"),
    "stream id with a quote": start_with(streamSid='MZ"}'),
    "call id of another kind": start_with(callSid="RE00000000000000000000000000000001"),
    "call id with a newline": start_with(callSid=CALL + "\n"),
    "call id that leaves its path": start_with(callSid="CA../../Accounts"),
    "parameters that are no text": start_with(customParameters={"token": 5}),
    "parameters that are a list": start_with(customParameters=["token"]),
    "unknown encoding": start_with(mediaFormat={"encoding": "audio/opus", "sampleRate": 8000}),
    "stereo": start_with(mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2}),
    "no rate": start_with(mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": 0}),
    "no format": start_with(mediaFormat=None),
}


@pytest.mark.parametrize("message", MALFORMED_STARTS.values(), ids=MALFORMED_STARTS.keys())
def test_a_stream_opens_with_a_valid_start_only(message: str) -> None:
    wire = TwilioWire()
    with pytest.raises(RemoteProtocolError):
        wire.decode(message)
    with pytest.raises(RemoteProtocolError, match="before start"):
        wire.decode(media())
    assert isinstance(wire.decode(json.dumps(CONVERSATION[1])), StreamStarted)


def test_a_start_may_come_without_parameters() -> None:
    body = {key: value for key, value in CONVERSATION[1]["start"].items() if key != "customParameters"}
    event = TwilioWire().decode(json.dumps({**CONVERSATION[1], "start": body}))
    assert isinstance(event, StreamStarted)
    assert event.parameters == {}


# --- the carrier's side -------------------------------------------------------------------------------------


def far_stream() -> twilio_far.FarStream:
    return twilio_far.FarStream(STREAM, call_sid=CALL, account_sid="AC00000000000000000000000000000001")


def test_the_far_side_writes_what_the_carrier_writes() -> None:
    far = far_stream()
    sounds = [base64.b64decode(message["media"]["payload"]) for message in CONVERSATION[2:4]]
    written = [
        *far.opening({"token": "abc", "tenant": "t1"}),
        far.media(sounds[0], 0),
        far.media(sounds[1], 1),
        far.digit("1"),
        far.mark("utt-1:end"),
        far.stop(),
    ]
    expected = json.loads(json.dumps(CONVERSATION))
    # The vector's first frame comes 5 ms into the stream; ours count from its start.
    expected[2]["media"]["timestamp"], expected[3]["media"]["timestamp"] = "0", "20"
    assert [json.loads(message) for message in written] == expected


def test_a_lost_frame_shows_as_a_gap() -> None:
    far = far_stream()
    frames = [json.loads(far.media(b"\xff" * 160, number))["media"] for number in (0, 2)]
    assert [(frame["chunk"], frame["timestamp"]) for frame in frames] == [("1", "0"), ("3", "40")]


def test_the_far_side_reads_what_a_server_sends() -> None:
    wire = started_wire()
    assert twilio_far.decode(wire.encode_audio(b"\x01\x02")) == twilio_far.FarMedia(STREAM, b"\x01\x02")
    assert twilio_far.decode(wire.encode_mark('a "b" é\n')) == twilio_far.FarMark(STREAM, 'a "b" é\n')
    assert twilio_far.decode(wire.encode_clear()) == twilio_far.FarClear(STREAM)


@pytest.mark.parametrize(
    "message",
    [
        b"\0\1",
        "{",
        json.dumps({"event": "clear"}),
        json.dumps({"event": "stop", "streamSid": STREAM}),
        json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": "A"}}),
    ],
    ids=["binary", "torn", "no stream", "not a server's message", "not base64"],
)
def test_the_far_side_drops_what_the_carrier_drops(message: str | bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        twilio_far.decode(message)
