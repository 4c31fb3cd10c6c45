from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._wire.rest import RestAnswer
from patter_trio._wire.twilio_rest import call_path, read_status, refusal_error
from patter_trio.errors import (
    AuthenticationError,
    PatterConfigError,
    PatterError,
    ProviderError,
    RateLimitError,
    RemoteProtocolError,
)

CALL = "CA00000000000000000000000000000001"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
FIELDS = st.dictionaries(st.sampled_from(["code", "message", "title", "detail", "sid", "status"]), JSON)


@given(text=st.text() | st.from_regex(r"CA[0-9a-f]{32}\n?"))
def test_only_ids_of_calls_get_into_a_path(text: str) -> None:
    try:
        path = call_path("AC1", text)
    except PatterConfigError:
        return
    assert path == f"/2010-04-01/Accounts/AC1/Calls/{text}.json"
    assert len(text) == 34
    assert text.isalnum()


@given(
    status=st.integers(300, 599), body=st.binary() | FIELDS.map(lambda fields: json.dumps(fields).encode())
)
def test_every_refusal_is_one_of_three_errors_and_one_line(status: int, body: bytes) -> None:
    error = refusal_error(RestAnswer(status, body))
    assert isinstance(error, (AuthenticationError, RateLimitError, ProviderError))
    assert str(status) in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 600


@given(body=st.binary() | FIELDS.map(lambda fields: json.dumps(fields).encode()))
def test_a_state_is_read_from_a_call_only(body: bytes) -> None:
    try:
        status = read_status(body, CALL)
    except RemoteProtocolError:
        return
    decoded: dict[str, Any] = json.loads(body)
    assert (decoded["sid"], decoded["status"]) == (CALL, status)


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (RestAnswer(401, b'{"code": 20003, "message": "Authenticate"}'), AuthenticationError, "401, 20003"),
        (RestAnswer(429, b"", 12), RateLimitError, "try again in 12 s"),
        (RestAnswer(429), RateLimitError, "try again later"),
        (
            RestAnswer(400, b'{"code": 21220, "message": "Not\\n in-progress"}'),
            ProviderError,
            "Not in-progress",
        ),
        (RestAnswer(502, b"<html>a page of something in between</html>"), ProviderError, "an error (502)"),
        (RestAnswer(400, json.dumps({"message": "x" * 9999}).encode()), ProviderError, "x" * 300 + " (400)"),
    ],
)
def test_what_a_refusal_says(answer: RestAnswer, error: type[PatterError], said: str) -> None:
    raised = refusal_error(answer)
    assert type(raised) is error
    assert said in str(raised)
    assert "html" not in str(raised)


def test_secrets_are_struck_from_what_is_said() -> None:
    body = json.dumps({"message": "Basic abc= of hush is wrong", "code": 21200}).encode()
    assert str(refusal_error(RestAnswer(400, body), secrets=("abc=", "hush"))) == (
        "Twilio refused: Basic *** of *** is wrong (400, 21200)"
    )
