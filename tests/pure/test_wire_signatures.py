from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twilio.request_validator import RequestValidator

from patter_trio._wire.signatures import (
    HMAC_SHA256,
    SignatureSettings,
    read_signature_settings,
    sign_twilio,
    verify_twilio,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "twilio.json").read_text(encoding="utf-8"))
SIGNATURES: list[dict[str, Any]] = VECTORS["signature"]
TOKEN = "0123456789abcdef0123456789abcdef"
URL = "https://voice.example.test/webhooks/twilio/voice"
FORM = (("To", "+15550100002"), ("From", "+15550100001"))


def form_of(vector: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in vector.get("params", ()))


@pytest.mark.parametrize("vector", SIGNATURES, ids=[vector["name"] for vector in SIGNATURES])
def test_signatures_are_judged_as_the_carriers_own_libraries_judge_them(vector: dict[str, Any]) -> None:
    verdict = verify_twilio(
        [vector["secret"]],
        vector["url"],
        vector["signature"],
        form=form_of(vector),
        body=vector.get("json_body", "").encode(),
        algorithm=vector["algorithm"],
    )
    assert verdict is vector["expect"]


@pytest.mark.parametrize("vector", VECTORS["signature_settings_header"], ids=lambda vector: vector["header"])
def test_the_settings_header_names_the_algorithm(vector: dict[str, str]) -> None:
    assert read_signature_settings(vector["header"]).algorithm == vector["algorithm"]


def test_the_settings_header_names_the_key() -> None:
    settings = read_signature_settings("key=webhooks_sharedkey_01abc,algorithm=HMAC_SHA256")
    assert settings == SignatureSettings(HMAC_SHA256, "webhooks_sharedkey_01abc")


def test_each_of_several_secrets_may_sign_during_a_rotation() -> None:
    signature = sign_twilio("old", URL, FORM)
    assert verify_twilio(["new", "old"], URL, signature, form=FORM)
    assert not verify_twilio(["new"], URL, signature, form=FORM)


def test_an_empty_secret_never_matches() -> None:
    assert not verify_twilio([""], URL, sign_twilio("", URL, FORM), form=FORM)
    assert not verify_twilio([], URL, sign_twilio("", URL, FORM), form=FORM)


def test_the_algorithm_is_the_one_we_choose() -> None:
    signature = sign_twilio(TOKEN, URL, FORM, algorithm=HMAC_SHA256)
    assert verify_twilio([TOKEN], URL, signature, form=FORM, algorithm=HMAC_SHA256)
    assert not verify_twilio([TOKEN], URL, signature, form=FORM)


def test_a_body_that_nothing_vouches_for_is_refused() -> None:
    signature = sign_twilio(TOKEN, URL)
    assert verify_twilio([TOKEN], URL, signature)
    assert not verify_twilio([TOKEN], URL, signature, body=b'{"CallSid":"forged"}')


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_media_socket_may_be_signed_with_a_slash_added(scheme: str) -> None:
    url = f"{scheme}://voice.example.test/ws/twilio/1"
    assert verify_twilio([TOKEN], url, sign_twilio(TOKEN, url + "/"))
    assert not verify_twilio([TOKEN], url + "/", sign_twilio(TOKEN, url))


def test_a_webhook_may_not_be_signed_with_a_slash_added() -> None:
    assert not verify_twilio([TOKEN], URL, sign_twilio(TOKEN, URL + "/"))


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("https://[2001:db8::1]/v", "https://[2001:db8::1]:443/v"),
        ("https://[2001:db8::1]:8443/v", "https://[2001:db8::1]/v"),
        ("https://user:pw@h.example.test:8443/v", "https://user:pw@h.example.test/v"),
        ("wss://h.example.test/v", "wss://h.example.test:80/v"),
        ("https://h.example.test/v#rc=2", "https://h.example.test/v"),
        ("https://h.example.test?x=1", "https://h.example.test:443?x=1"),
    ],
)
def test_ports_and_fragments(url: str, signed: str) -> None:
    assert verify_twilio([TOKEN], url, sign_twilio(TOKEN, signed))


@pytest.mark.parametrize("url", ["", "voice.example.test/path", "//voice.example.test"])
def test_what_is_no_absolute_url_is_refused(url: str) -> None:
    assert not verify_twilio([TOKEN], url, sign_twilio(TOKEN, url))


def test_what_is_no_unicode_is_refused() -> None:
    assert not verify_twilio([TOKEN], URL + "?\ud800", "\udcff", form=(("\ud800", "\udfff"),))


@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
@pytest.mark.parametrize(
    "url", [URL, URL + "?a=%20b", "http://h.example.test:81/x", "wss://h.example.test/x"]
)
def test_the_carriers_own_validator_accepts_what_we_sign(url: str, algorithm: Any) -> None:
    signature = sign_twilio(TOKEN, url, FORM, algorithm=algorithm)
    assert RequestValidator(TOKEN).validate(url, dict(FORM), signature, algorithm)
