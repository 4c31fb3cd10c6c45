"""Plivo's signatures, judged by vectors and by the vendor's own SDK in both directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plivo.utils import signature_v3

from patter_trio._wire.plivo_signatures import sign_plivo_v2, sign_plivo_v3, verify_plivo_v2, verify_plivo_v3

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "plivo.json").read_text())
# Taken here although the SDK refuses them: blanks around commas, and the form that the page describes.
TAKEN_BESIDES = {"multiple_signatures_with_space_not_trimmed", "post_form_dot_per_documentation_prose"}
TOKEN, NONCE = "a-token-that-is-a-test's", "12345678901234567890"


def fields(vector: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in vector["params"])


@pytest.mark.parametrize("vector", VECTORS["signature_v3"], ids=lambda vector: vector["name"])
def test_v3_vectors(vector: dict[str, Any]) -> None:
    taken = verify_plivo_v3(
        [vector["auth_token"]],
        vector["method"],
        vector["url"],
        vector["nonce"],
        [vector["signature_header"]],
        form=fields(vector),
    )
    assert taken is (vector["expect"] or vector["name"] in TAKEN_BESIDES)
    if vector["expect"]:
        signed = sign_plivo_v3(
            *(vector["auth_token"], vector["method"], vector["url"], vector["nonce"], fields(vector))
        )
        assert signed in vector["signature_header"].split(",")


def test_every_vector_is_here() -> None:
    assert (len(VECTORS["signature_v3"]), len(VECTORS["signature_v2"])) == (17, 3)


@pytest.mark.parametrize("vector", VECTORS["signature_v2"], ids=lambda vector: vector["name"])
def test_v2_vectors(vector: dict[str, Any]) -> None:
    signature = sign_plivo_v2(vector["auth_token"], vector["url"], vector["nonce"])
    assert (signature == vector["signature_header"]) is vector["expect"]
    given_tokens = ["", "another", vector["auth_token"]]
    header = [vector["signature_header"]]
    assert verify_plivo_v2(given_tokens, vector["url"], vector["nonce"], header) is vector["expect"]


words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
forms = st.lists(st.tuples(words.filter(bool), words), max_size=5)
paths = st.text("abcXYZ019/_-.", max_size=10).map(lambda path: f"/{path.strip('/')}")
methods = st.sampled_from(["POST", "GET"])


def url_of(path: str, query: list[tuple[str, str]]) -> str:
    joined = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    return f"https://voice.example.test{path}" + (f"?{joined}" if joined else "")


def params_of(form: list[tuple[str, str]]) -> dict[str, Any]:
    """As a web framework gives them to the SDK: a list where a name is repeated."""
    names = {name for name, _ in form}
    values = {name: [value for key, value in form if key == name] for name in names}
    return {name: found if len(found) > 1 else found[0] for name, found in values.items()}


@given(methods, paths, forms, forms)
def test_the_sdk_takes_what_is_signed_here(
    method: str, path: str, query: list[tuple[str, str]], form: list[tuple[str, str]]
) -> None:
    url = url_of(path, query)
    ours = sign_plivo_v3(TOKEN, method, url, NONCE, form)
    assert signature_v3.validate_v3_signature(method, url, NONCE, TOKEN, ours, params_of(form))


@given(methods, paths, forms, forms, st.booleans())
def test_what_the_sdk_signs_is_taken_here_and_nothing_else_is(
    method: str, path: str, query: list[tuple[str, str]], form: list[tuple[str, str]], is_tampered: bool
) -> None:
    url, params = url_of(path, query), params_of(form)
    text = (
        signature_v3.construct_get_url(url, params)
        if method == "GET"
        else signature_v3.construct_post_url(url, params)
    ).decode()
    theirs = signature_v3.get_signature_v3(TOKEN.encode(), text, NONCE).decode()
    if is_tampered:
        form = [*form, ("added", "1")]
    taken = verify_plivo_v3([TOKEN], method, url, NONCE, [theirs], form=form)
    hidden = method == "GET" and any(name == "added" for name, _ in query)
    assert taken is (not is_tampered or hidden)


@pytest.mark.parametrize("scheme", ["wss", "https", "http"])
def test_an_upgrade_may_be_signed_in_three_forms(scheme: str) -> None:
    rest = "://voice.example.test/ws/plivo/token?b=2&a=1"
    signature = sign_plivo_v3(TOKEN, "GET", scheme + rest, NONCE)
    assert verify_plivo_v3([TOKEN], "GET", "wss" + rest, NONCE, [signature])
    assert not verify_plivo_v3([TOKEN], "GET", f"wss{rest}x", NONCE, [signature])


def test_an_ordinary_request_is_not_signed_as_another_scheme() -> None:
    signature = sign_plivo_v3(TOKEN, "GET", "wss://voice.example.test/a", NONCE)
    assert not verify_plivo_v3([TOKEN], "GET", "https://voice.example.test/a", NONCE, [signature])


def test_several_values_and_tokens_and_what_never_matches() -> None:
    url, form = "https://voice.example.test/a?v=1", [("A", "1"), ("A", "2"), ("B", "")]
    right = sign_plivo_v3(TOKEN, "POST", url, NONCE, form)
    assert verify_plivo_v3(["old", TOKEN], "post", url, NONCE, ["", f"AAAA , {right}"], form=form)
    assert verify_plivo_v3([TOKEN], "POST", f"{url}#rt=1000", NONCE, [right], form=form)
    assert not verify_plivo_v3([TOKEN], "POST", url, NONCE, ["", ","], form=form)
    empty = sign_plivo_v3("", "POST", url, NONCE, form)
    assert not verify_plivo_v3(["", TOKEN], "POST", url, NONCE, [empty], form=form)


def test_a_body_that_no_signature_covers_is_refused() -> None:
    url = "https://voice.example.test/a?v=1"
    right = sign_plivo_v3(TOKEN, "POST", url, NONCE)
    assert verify_plivo_v3([TOKEN], "POST", url, NONCE, [right])
    assert not verify_plivo_v3([TOKEN], "POST", url, NONCE, [right], body=b'{"a":1}')


def test_strange_text_is_refused_and_raises_nothing() -> None:
    assert not verify_plivo_v3([TOKEN], "POST", "nonsense", "\ud800", ["\ud800"], form=[("\ud800", "é")])
