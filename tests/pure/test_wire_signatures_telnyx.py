from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import nacl.signing
import pytest
import telnyx
from hypothesis import given, settings
from hypothesis import strategies as st

from patter_trio._wire.signatures_telnyx import (
    fault_in_telnyx,
    read_telnyx_key,
    sign_telnyx,
    telnyx_public_key,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "telnyx.json").read_text(encoding="utf-8"))
SIGNATURES: list[dict[str, Any]] = VECTORS["signature"]
SEED = bytes.fromhex(VECTORS["ed25519_seed_hex"])
KEY = read_telnyx_key(VECTORS["public_key_b64"])
NOW = 1767225600
BODY = b'{"data":{}}'


def judge(vector: dict[str, Any], **changes: Any) -> bool:
    try:
        key = read_telnyx_key(vector["public_key_b64"])
    except ValueError:
        return False
    headers = vector["headers"]
    given_now = changes.pop("now", vector["now"])
    body = changes.pop("body", vector["body"].encode())
    signature = headers.get("telnyx-signature-ed25519", "")
    return not fault_in_telnyx([key], signature, headers.get("telnyx-timestamp", ""), body, now=given_now)


@pytest.mark.parametrize("vector", SIGNATURES, ids=[vector["name"] for vector in SIGNATURES])
def test_signatures_are_judged_as_the_carriers_own_library_judges_them(vector: dict[str, Any]) -> None:
    assert judge(vector) is vector["expect"]


def test_there_are_sixteen_of_them() -> None:
    assert len(SIGNATURES) == 16


@pytest.mark.parametrize("vector", [v for v in SIGNATURES if v["expect"]], ids=lambda v: v["name"])
def test_one_flipped_bit_is_refused(vector: dict[str, Any]) -> None:
    body = bytearray(vector["body"].encode())
    body[len(body) // 2] ^= 1
    assert not judge(vector, body=bytes(body))


@pytest.mark.parametrize("webhook", VECTORS["webhooks"], ids=[w["name"] for w in VECTORS["webhooks"]])
def test_every_webhook_of_the_vectors_is_accepted(webhook: dict[str, Any]) -> None:
    assert judge(webhook)


@pytest.mark.parametrize(("now", "accepted"), [(300.9, True), (301.0, False), (-300, True), (-301, False)])
def test_the_window_is_300_seconds_to_either_side(now: float, accepted: bool) -> None:
    fault = fault_in_telnyx([KEY], sign_telnyx(SEED, NOW, BODY), str(NOW), BODY, now=NOW + now)
    assert ("timestamp differs" not in fault) is accepted
    assert (fault == "") is accepted


def test_one_of_several_signatures_and_keys_may_match() -> None:
    good, bad = sign_telnyx(SEED, NOW, BODY), sign_telnyx(bytes(32), NOW, BODY)
    other = read_telnyx_key(telnyx_public_key(bytes(31) + b"\1"))
    assert fault_in_telnyx([other, KEY], f"{bad}, {good}", str(NOW), BODY, now=NOW) == ""
    assert fault_in_telnyx([other], f"{bad}, {good}", str(NOW), BODY, now=NOW)
    assert fault_in_telnyx([], good, str(NOW), BODY, now=NOW)


@pytest.mark.parametrize(
    "timestamp", ["+1767225600", " 1767225600", "1_767_225_600", "-1", "1767225600.0", "9" * 99]
)
def test_a_timestamp_is_digits_only(timestamp: str) -> None:
    assert "timestamp" in fault_in_telnyx([KEY], sign_telnyx(SEED, NOW, BODY), timestamp, BODY, now=NOW)


@pytest.mark.parametrize(
    "text", ["", "x", b64encode(bytes(31)).decode(), b64encode(bytes(33)).decode(), "é" * 44]
)
def test_a_key_is_32_bytes(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        read_telnyx_key(text)


def test_what_is_no_base64_is_refused() -> None:
    good = sign_telnyx(SEED, NOW, BODY)
    for bad in (good[:-2], good + "=", good.replace("=", "\n="), "\udcff" + good[1:], good[:-3] + "h=="):
        assert fault_in_telnyx([KEY], bad, str(NOW), BODY, now=NOW)


@given(st.binary(min_size=32, max_size=32), st.text(max_size=60))
@settings(max_examples=30, deadline=None)
def test_what_we_sign_others_accept(seed: bytes, text: str) -> None:
    now = int(time.time())  # noqa: TID251 (the vendor's library reads the same clock)
    body = json.dumps({"data": {"event_type": "call.answered", "payload": {"x": text}}})
    signature, public = sign_telnyx(seed, now, body.encode()), telnyx_public_key(seed)
    nacl.signing.VerifyKey(b64decode(public)).verify(f"{now}|{body}".encode(), b64decode(signature))
    headers = {"telnyx-signature-ed25519": signature, "telnyx-timestamp": str(now)}
    telnyx.Telnyx(api_key="KEY").webhooks.unwrap(body, headers=headers, key=public)
    assert fault_in_telnyx([read_telnyx_key(public)], signature, str(now), body.encode(), now=now) == ""


@given(st.binary(max_size=80), st.text(max_size=100), st.text(max_size=12))
def test_what_nobody_signed_is_refused_without_an_error(body: bytes, signature: str, timestamp: str) -> None:
    assert fault_in_telnyx([KEY], signature, timestamp, body, now=NOW)
