"""Plivo's documents, beside those of the vendor's own builders."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element, fromstring

import pytest
from plivo import plivoxml

from patter_trio._wire.plivo_xml import dial, hang_up, join_room, open_stream, say_and_hang_up, wait_in_room
from patter_trio.errors import PatterConfigError
from patter_trio.events import LINEAR_16K, MULAW_8K

URL = "wss://voice.example.test/ws/plivo/token?a=1&b=2"
STATUS = "https://voice.example.test/webhooks/plivo/stream?call=t&x=1"


def shape(element: Element) -> object:
    children = [shape(child) for child in element]
    return (element.tag, dict(element.attrib), (element.text or "").strip(), children)


def same(ours: str, theirs: plivoxml.ResponseElement) -> None:
    assert shape(fromstring(ours)) == shape(fromstring(theirs.to_string()))


def test_a_stream_is_opened_as_the_vendor_writes_it() -> None:
    theirs = plivoxml.ResponseElement().add(
        plivoxml.StreamElement(
            URL,
            bidirectional=True,
            audioTrack="inbound",
            contentType="audio/x-mulaw;rate=8000",
            keepCallAlive=True,
            statusCallbackUrl=STATUS,
            statusCallbackMethod="POST",
            extraHeaders="tenant=t1,token=abc",
        )
    )
    ours = open_stream(URL, {"tenant": "t1", "token": "abc"}, MULAW_8K, status_url=STATUS)
    same(ours, theirs)


def test_a_call_is_recorded_from_before_its_stream() -> None:
    theirs = plivoxml.ResponseElement()
    theirs.add(
        plivoxml.RecordElement(
            record_session=True,
            redirect=False,
            max_length=14400,
            file_format="wav",
            callback_url=STATUS,
            callback_method="POST",
        )
    )
    ours = fromstring(open_stream(URL, {}, LINEAR_16K, status_url=STATUS, recording_url=STATUS))
    record, stream = list(ours)
    assert record.attrib.pop("recordChannelType") == "stereo"
    (expected,) = list(fromstring(theirs.to_string()))
    assert record.attrib == {name: expected.attrib[name] for name in record.attrib}
    assert (record.tag, stream.tag) == ("Record", "Stream")
    assert stream.get("contentType") == "audio/x-l16;rate=16000"
    assert "extraHeaders" not in stream.attrib


@pytest.mark.parametrize("reason", ["busy", "rejected"])
def test_a_call_is_declined_as_the_vendor_writes_it(reason: str) -> None:
    same(hang_up(reason), plivoxml.ResponseElement().add(plivoxml.HangupElement(reason=reason)))


def test_a_sentence_is_said_as_the_vendor_writes_it() -> None:
    theirs = plivoxml.ResponseElement()
    theirs.add(plivoxml.SpeakElement("Grüße & <Küsse>", language="de-DE"))
    theirs.add(plivoxml.HangupElement())
    ours = fromstring(say_and_hang_up("Grüße & <Küsse>", language="de-DE"))
    speak, over = list(ours)
    expected = list(fromstring(theirs.to_string()))
    assert (speak.text, speak.get("language")) == (expected[0].text, expected[0].get("language"))
    assert (over.tag, over.attrib) == ("Hangup", {})


@pytest.mark.parametrize("number", ["+15550100003", "sip:desk@phone.plivo.com"])
def test_a_number_is_dialled_as_the_vendor_writes_it(number: str) -> None:
    call = plivoxml.DialElement(
        action=STATUS, method="POST", redirect=True, timeout=25, caller_id="15550100002"
    )
    if number.startswith("sip:"):
        call.add_user(number)
    else:
        call.add_number("15550100003")
    ours = fromstring(dial(number, action=STATUS, caller_id="+15550100002", ring_seconds=25))
    theirs = fromstring(plivoxml.ResponseElement().add(call).to_string())
    (left,), (right,) = list(ours), list(theirs)
    assert left.attrib == {name: right.attrib[name] for name in left.attrib}
    assert [(each.tag, each.text) for each in left] == [(each.tag, each.text) for each in right]


@pytest.mark.parametrize("role", ["customer", "agent"])
def test_a_room_is_what_the_vendor_writes(role: str) -> None:
    ours = wait_in_room("r1", action=STATUS) if role == "customer" else join_room("r1", "about a bill")
    theirs = plivoxml.MultiPartyCallElement(
        "r1",
        role=role,
        max_participants=2,
        start_mpc_on_enter=role == "agent",
        end_mpc_on_exit=True,
        stay_alone=True,
        enter_sound="none",
        exit_sound="none",
        on_exit_action_url=STATUS if role == "customer" else None,
    )
    room = fromstring(ours).find("MultiPartyCall")
    (expected,) = list(fromstring(plivoxml.ResponseElement().add(theirs).to_string()))
    assert room is not None
    assert room.text == "r1"
    assert room.attrib == {name: expected.attrib[name] for name in room.attrib}
    assert fromstring(ours)[0].text == ("r1" if role == "customer" else "about a bill")
    assert ("onExitActionUrl" in room.attrib) is (role == "customer")


def test_a_room_without_a_summary_is_joined_at_once() -> None:
    assert [each.tag for each in fromstring(join_room("r1", " "))] == ["MultiPartyCall"]


@pytest.mark.parametrize(
    "write",
    [
        lambda: open_stream("ws://voice.example.test/a", {}, MULAW_8K, status_url=STATUS),
        lambda: open_stream("wss:///a", {}, MULAW_8K, status_url=STATUS),
        lambda: open_stream("wss://[a", {}, MULAW_8K, status_url=STATUS),
        lambda: open_stream("wss://a#b", {}, MULAW_8K, status_url=STATUS),
        lambda: open_stream("wss://a/" + "x" * 2048, {}, MULAW_8K, status_url=STATUS),
        lambda: open_stream(URL, {"a": "b;c=d"}, MULAW_8K, status_url=STATUS),
        lambda: open_stream(URL, {"": "b"}, MULAW_8K, status_url=STATUS),
        lambda: open_stream(URL, {"a": "x" * 511}, MULAW_8K, status_url=STATUS),
        lambda: hang_up("later"),
        lambda: say_and_hang_up(" "),
        lambda: say_and_hang_up("a\0b"),
        lambda: say_and_hang_up("é" * 60_000),
        lambda: say_and_hang_up("hello", language="english please"),
        lambda: dial("911", action=STATUS),
        lambda: dial("+15550100003</Number>", action=STATUS),
        lambda: dial("+15550100003", action=STATUS, caller_id="anonymous"),
        lambda: dial("+15550100003", action=STATUS, ring_seconds=4),
    ],
)
def test_what_the_carrier_would_refuse_is_refused(write: Callable[[], str]) -> None:
    with pytest.raises(PatterConfigError):
        write()


def test_a_stream_on_this_machine_needs_no_certificate_and_secrets_are_not_shown() -> None:
    assert "ws://127.0.0.1:1/a" in open_stream("ws://127.0.0.1:1/a", {}, MULAW_8K, status_url=STATUS)
    with pytest.raises(PatterConfigError) as refused:
        open_stream(URL, {"token": "sec;ret"}, MULAW_8K, status_url=STATUS)
    assert "sec;ret" not in str(refused.value)
