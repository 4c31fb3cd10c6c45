"""Telnyx's settings and webhooks."""

from __future__ import annotations

import builtins
import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from patter_trio import abc
from patter_trio._wire.signatures_telnyx import sign_telnyx
from patter_trio._wire.telnyx_state import LegState, write_state
from patter_trio.abc import WebhookRequest
from patter_trio.carriers import Telnyx
from patter_trio.carriers.telnyx import Carrier
from patter_trio.errors import MissingExtraError, PatterConfigError, RemoteProtocolError, SignatureError
from patter_trio.events import LINEAR_16K, MULAW_8K, AudioFormat, CallInfo
from patter_trio.telephony import (
    CallAnswered,
    CallOffered,
    CallOver,
    GreetingEnded,
    MachineVerdict,
    RecordingSaved,
    TransferEnded,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "telnyx.json").read_text(encoding="utf-8"))
WEBHOOKS = {webhook["name"]: webhook for webhook in VECTORS["webhooks"]}
SEED = bytes.fromhex(VECTORS["ed25519_seed_hex"])
PUBLIC = VECTORS["public_key_b64"]
NOW = 1767225600
CALL = "v3:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
CALLER = "v3:caller"
URL = "https://voice.example.test/webhooks/telnyx/status?call=t"
GIVEN: dict[str, Any] = {"api_key": "KEYsecret", "connection_id": "1000000000000000001", "public_key": PUBLIC}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TELNYX_API_KEY", "TELNYX_CONNECTION_ID", "TELNYX_PUBLIC_KEY"):
        monkeypatch.delenv(name, raising=False)


def telnyx(**changes: Any) -> Telnyx:
    return Telnyx(**{**GIVEN, "clock": lambda: float(NOW), **changes})


def request(body: bytes | str, **headers: str) -> WebhookRequest:
    return WebhookRequest("POST", URL, headers, body if isinstance(body, bytes) else body.encode())


def event(kind: str, **payload: Any) -> WebhookRequest:
    said = {"call_control_id": CALL, "connection_id": "1000000000000000001", **payload}
    return request(json.dumps({"data": {"event_type": kind, "id": "e1", "payload": said}}))


def read(kind: str, **payload: Any) -> Any:
    return telnyx().read_notice("status", event(kind, **payload))


# --- settings -----------------------------------------------------------------------------------------------


def test_settings_are_a_carrier() -> None:
    carrier: abc.Carrier = telnyx()
    assert isinstance(carrier, abc.Carrier)
    assert (carrier.kind, carrier.calls_per_second, Carrier) == ("telnyx", 30.0, Telnyx)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELNYX_API_KEY", "KEYenv")
    monkeypatch.setenv("TELNYX_CONNECTION_ID", "42")
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", PUBLIC)
    settings = Telnyx()
    assert (settings.api_key, settings.connection_id, settings.public_key) == ("KEYenv", "42", PUBLIC)
    assert Telnyx(connection_id="43").connection_id == "43"


@pytest.mark.parametrize("missing", GIVEN)
def test_what_is_missing_is_said_when_it_is_built(missing: str) -> None:
    with pytest.raises(PatterConfigError, match=f"{missing}= or set TELNYX_{missing.upper()}"):
        Telnyx(**{name: value for name, value in GIVEN.items() if name != missing})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"connection_id": "app"}, "a number"),
        ({"public_key": "MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="}, "32 bytes"),
        ({"retired_public_keys": PUBLIC}, "tuple"),
        ({"retired_public_keys": ("x",)}, "32 bytes"),
        ({"codec": "G722"}, "codec="),
        ({"codec": "PCMU", "sample_rate": 16000}, "sample_rate="),
        ({"codec": "L16", "sample_rate": 24000}, "sample_rate="),
        ({"l16_byte_order": "middle"}, "l16_byte_order="),
        ({"machine_detection": "on"}, "machine_detection="),
        ({"voice": " "}, "voice="),
        ({"base_url": "https://api.telnyx.com/v2"}, "without /v2"),
        ({"base_url": "http://api.telnyx.com"}, "https://"),
        ({"base_url": "https://user:pass@api.telnyx.com"}, "no more"),
        ({"timeout": 0}, "timeout="),
        ({"calls_per_second": True}, "calls_per_second="),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(PatterConfigError, match=said):
        telnyx(**wrong)


def test_no_key_is_shown() -> None:
    assert "KEYsecret" not in repr(telnyx())


def test_without_the_package_for_signatures_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "cryptography" else find(name, *more)
    )
    with pytest.raises(MissingExtraError, match=r"patter-trio\[telnyx\]"):
        telnyx()


def test_building_it_does_not_import_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def refuse(name: str, *more: Any, **named: Any) -> Any:
        assert not name.startswith(("cryptography", "telnyx"))
        return load(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    telnyx()


@pytest.mark.parametrize(
    ("settings", "audio"),
    [
        ({}, MULAW_8K),
        ({"codec": "PCMA"}, AudioFormat("alaw", 8000)),
        ({"codec": "L16", "sample_rate": 16000}, LINEAR_16K),
    ],
)
def test_the_wire_speaks_the_codec_that_is_set(settings: dict[str, Any], audio: AudioFormat) -> None:
    assert telnyx(**settings).open_wire().audio == audio


# --- signatures ---------------------------------------------------------------------------------------------


def signed(body: bytes, *, seed: bytes = SEED, at: int = NOW) -> WebhookRequest:
    return request(
        body, **{"Telnyx-Signature-Ed25519": sign_telnyx(seed, at, body), "Telnyx-Timestamp": str(at)}
    )


@pytest.mark.parametrize("webhook", WEBHOOKS.values(), ids=WEBHOOKS.keys())
def test_the_webhooks_of_the_vectors_are_verified(webhook: dict[str, Any]) -> None:
    telnyx(clock=lambda: webhook["now"]).verify(request(webhook["body"], **webhook["headers"]))


def test_what_is_not_signed_is_refused_with_a_reason() -> None:
    settings = telnyx()
    settings.verify(signed(b"{}"))
    with pytest.raises(SignatureError, match="without its signature"):
        settings.verify(request(b"{}"))
    with pytest.raises(SignatureError, match="does not match"):
        settings.verify(signed(b"{}", seed=bytes(32)))
    with pytest.raises(SignatureError, match="timestamp differs"):
        settings.verify(signed(b"{}", at=NOW - 301))


def test_a_retired_key_may_sign() -> None:
    other = telnyx(public_key="ebVWLo/mVPlAeLES6KmLp5AfhTrmlb7X4OORC60ElmQ=")
    with pytest.raises(SignatureError):
        other.verify(signed(b"{}"))
    telnyx(public_key=other.public_key, retired_public_keys=(PUBLIC,)).verify(signed(b"{}"))


def test_the_upgrade_of_a_media_socket_is_not_signed() -> None:
    settings = telnyx()
    settings.verify(WebhookRequest("GET", "wss://voice.example.test/ws/telnyx/token", {}))
    for method, url in (("GET", URL), ("POST", "wss://voice.example.test/ws/telnyx/token")):
        with pytest.raises(SignatureError):
            settings.verify(WebhookRequest(method, url, {}))


def test_the_clock_is_wall_time() -> None:
    with pytest.raises(SignatureError, match="timestamp differs"):
        Telnyx(**GIVEN).verify(signed(b"{}", at=NOW - 10**6))


# --- notices ------------------------------------------------------------------------------------------------

MAIN = {
    "call.initiated": CallOffered(CallInfo(CALL, "+15550100001", "+15550100002", "inbound", "telnyx")),
    "call.answered": None,
    "streaming.started": None,
    "call.dtmf.received": None,
    "call.machine.detection.ended": MachineVerdict(CALL, "machine", raw="machine"),
    "call.machine.greeting.ended": GreetingEnded(CALL, True, "beep_detected"),
    "call.machine.premium.detection.ended": MachineVerdict(CALL, "human", raw="human_residence"),
    "call.machine.premium.greeting.ended": GreetingEnded(CALL, True, "beep_detected"),
    "call.recording.saved": RecordingSaved(
        CALL, "", "https://storage.example.test/r.wav?X-Amz-Expires=600", 12.0
    ),
    "streaming.failed": None,
    "streaming.stopped": None,
    "call.bridged": None,
    "call.hangup": CallOver(CALL, "busy", detail="user_busy (486)"),
    "duplicate of call.hangup (attempt 2)": CallOver(CALL, "busy", detail="user_busy (486)"),
}


@pytest.mark.parametrize("what", ["voice", "status", "anything"])
@pytest.mark.parametrize("name", WEBHOOKS)
def test_what_each_webhook_tells(name: str, what: str) -> None:
    assert telnyx().read_notice(what, request(WEBHOOKS[name]["body"])) == MAIN[name]


def test_a_stream_that_failed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        telnyx().read_notice("status", request(WEBHOOKS["streaming.failed"]["body"]))
    assert "the stream failed: connection_failed" in caplog.text


@pytest.mark.parametrize(("cause", "ended_as"), VECTORS["hangup_cause_to_outcome"].items())
def test_causes_are_outcomes(cause: str, ended_as: str) -> None:
    assert read("call.hangup", hangup_cause=cause).ended_as == ended_as.replace("-", "_")


@pytest.mark.parametrize("cause", ["destination_out_of_order", "", None, "x" * 200])
def test_an_unknown_cause_is_a_failure(cause: str | None) -> None:
    over = read("call.hangup", hangup_cause=cause, sip_hangup_cause="unspecified")
    assert over == CallOver(CALL, "failed", detail=cause if cause and len(cause) < 99 else "")


def test_only_calls_of_ours_are_picked_up() -> None:
    assert read("call.answered", client_state=write_state(LegState("out"))) == CallAnswered(CALL)
    assert read("call.answered", direction="outgoing") == CallAnswered(CALL)
    assert read("call.answered", client_state=write_state(LegState("in"))) is None
    assert (
        read("call.answered", client_state=write_state(LegState("briefing", CALLER)), direction="outgoing")
        is None
    )
    assert read("call.initiated", direction="outgoing") is None


@pytest.mark.parametrize(
    ("word", "verdict"),
    [
        ("human", "human"),
        ("human_business", "human"),
        ("silence", "unknown"),
        ("not_sure", "unknown"),
        ("fax_detected", "fax"),
        ("of tomorrow", "unknown"),
    ],
)
def test_verdicts(word: str, verdict: Any) -> None:
    notice = read("call.machine.premium.detection.ended", result=word)
    assert notice == MachineVerdict(CALL, verdict, raw=word)


@pytest.mark.parametrize(
    ("word", "beep"), [("ended", False), ("no_beep_detected", False), ("not_sure", False)]
)
def test_greetings_without_a_beep(word: str, beep: bool) -> None:
    assert read("call.machine.greeting.ended", result=word) == GreetingEnded(CALL, beep, word)


def test_a_prompt_is_no_greeting() -> None:
    assert read("call.machine.premium.greeting.ended", result="prompt_ended") is None


@pytest.mark.parametrize(
    ("role", "cause", "answered"),
    [
        ("cold", "user_busy", False),
        ("cold", "normal_clearing", False),
        ("briefing", "normal_clearing", False),
        ("briefing", "timeout", False),
        ("joined", "normal_clearing", True),
    ],
)
def test_the_humans_leg_of_a_transfer_tells_how_that_went(role: Any, cause: str, answered: bool) -> None:
    state = write_state(LegState(role, caller=CALLER))
    assert read("call.hangup", hangup_cause=cause, client_state=state) == TransferEnded(
        CALLER, answered, cause
    )
    assert read("call.machine.detection.ended", result="machine", client_state=state) is None


def test_recordings_that_failed_or_name_no_call() -> None:
    failed = read("call.recording.error", reason="no space", recording_id="r1")
    assert failed == RecordingSaved(CALL, "r1", error="no space")
    saved = read(
        "call.recording.saved", call_control_id=None, recording_urls={"mp3": "https://x.test/a", "wav": None}
    )
    assert saved == RecordingSaved("", "", "https://x.test/a")
    assert read("call.recording.saved").error == "no address"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"event_type":"call_initiated","payload":{}}',
        b'{"data":{"event_type":"call.initiated","payload":{}}}',
        b'{"data":{"event_type":"call.initiated","id":"e","payload":{"call_control_id":"x"}}}',
        b'{"data":{"event_type":"call.hangup","id":"e","payload":{"call_control_id":"v3:../.."}}}'.replace(
            b"..", b"?"
        ),
        b'{"data":{"event_type":"call.hangup","id":"e","payload":7}}',
        b'{"data":{"event_type":"A B","id":"e"}}',
        b'{"data":' + b"[" * 5000,
    ],
)
def test_what_is_no_webhook_of_version_2_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        telnyx().read_notice("status", request(body))
    assert len(str(refused.value)) < 200
