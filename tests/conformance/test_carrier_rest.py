"""The REST client that all carriers share: what it sends, how often, and what goes wrong."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import trio
import trio.testing

from patter_trio.carriers._rest import open_rest_client
from patter_trio.errors import PatterConnectionError, RemoteProtocolError


class Far:
    """Gives prepared answers in order, and keeps what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if self.answers else httpx2.Response(200, content=b"{}")
        if isinstance(answer, Exception):
            raise answer
        if answer == "hangs":
            await trio.sleep_forever()
        return answer


def opened(far: Far, **given: Any) -> Any:
    settings = {"timeout": 10.0, "bearer": "hush", "transport": httpx2.MockTransport(far), **given}
    return open_rest_client("Acme", "https://api.acme.test/v1/", **settings)


async def test_a_form_keeps_its_order_and_its_repeated_fields() -> None:
    far = Far()
    async with opened(far) as rest:
        await rest.ask("POST", "/calls", form=[("a", "1 &"), ("b", ""), ("a", "+")], query={"q": "ü"})
    (asked,) = far.asked
    assert str(asked.url) == "https://api.acme.test/v1/calls?q=%C3%BC"
    assert asked.content == b"a=1+%26&b=&a=%2B"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["authorization"] == "Bearer hush"


async def test_json_and_a_password_are_the_other_way() -> None:
    far = Far()
    async with opened(far, bearer="", basic=("me", "hush")) as rest:
        await rest.ask("POST", "/calls", json={"a": [1]})
    assert far.asked[0].content.replace(b" ", b"") == b'{"a":[1]}'
    assert far.asked[0].headers["authorization"] == "Basic " + b64encode(b"me:hush").decode()
    assert rest.secrets == ("hush", b64encode(b"me:hush").decode())
    assert "hush" not in repr(rest)


async def test_an_answer_is_given_as_it_is() -> None:
    async with opened(Far(httpx2.Response(429, content=b"slow", headers={"Retry-After": "7"}))) as rest:
        answer = await rest.ask("GET", "/")
    assert (answer.status, answer.body, answer.retry_after, answer.is_success) == (429, b"slow", 7, False)


@pytest.mark.parametrize("after", ["Wed, 21 Oct 2015 07:28:00 GMT", "-1", "x", ""])
async def test_a_retry_after_that_is_no_number_is_none(after: str) -> None:
    async with opened(Far(httpx2.Response(429, headers={"Retry-After": after}))) as rest:
        assert (await rest.ask("GET", "/")).retry_after is None


@pytest.mark.parametrize("answer", [httpx2.Response(503), httpx2.ReadError("x"), httpx2.ConnectError("x")])
async def test_it_is_asked_again_only_where_that_was_said(
    answer: Any, autojump_clock: trio.testing.MockClock
) -> None:
    far = Far(answer, answer, httpx2.Response(200))
    async with opened(far) as rest:
        began = trio.current_time()
        assert (await rest.ask("GET", "/", attempts=3)).status == 200
        assert trio.current_time() - began == pytest.approx(0.25 + 0.5)
    once = Far(answer)
    async with opened(once) as rest:
        if isinstance(answer, Exception):
            with pytest.raises(PatterConnectionError):
                await rest.ask("POST", "/")
        else:
            assert (await rest.ask("POST", "/")).status == 503
    assert (len(far.asked), len(once.asked)) == (3, 1)


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 429])
async def test_a_decided_answer_is_not_asked_for_again(status: int) -> None:
    far = Far(httpx2.Response(status, headers={"Location": "https://elsewhere.test/"}))
    async with opened(far) as rest:
        assert (await rest.ask("GET", "/", attempts=3)).status == status
    assert len(far.asked) == 1


async def test_all_attempts_share_one_deadline(autojump_clock: trio.testing.MockClock) -> None:
    far = Far(httpx2.Response(500), "hangs")
    async with opened(far, timeout=3.0) as rest:
        began = trio.current_time()
        with pytest.raises(
            PatterConnectionError, match=r"Acme did not answer within 3 s.*may have been done"
        ):
            await rest.ask("GET", "/", attempts=3)
        assert trio.current_time() - began == pytest.approx(3.0)
    assert len(far.asked) == 2


async def test_a_cancelled_request_is_just_cancelled(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(Far("hangs")) as rest:
        with trio.move_on_after(1) as scope:
            await rest.ask("GET", "/")
    assert scope.cancelled_caught


async def test_an_answer_that_is_far_too_long_is_cut() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    async with opened(Far(httpx2.Response(200, content=endless()))) as rest:
        assert len((await rest.ask("GET", "/")).body) == 1024 * 1024


@pytest.mark.parametrize("with_credentials", [True, False])
@pytest.mark.parametrize("given", [{}, {"bearer": "", "basic": ("me", "hush")}])
async def test_a_file_is_fetched_with_credentials_or_without(given: Any, with_credentials: bool) -> None:
    far = Far(httpx2.Response(206, content=b"RIFF"))
    async with (
        opened(far, **given) as rest,
        rest.fetch("https://files.test/x", with_credentials=with_credentials) as (status, pieces),
    ):
        assert (status, b"".join([piece async for piece in pieces])) == (206, b"RIFF")
    assert ("authorization" in far.asked[0].headers) is with_credentials


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://files.test/x", PatterConnectionError),
        ("https://[::1/x", RemoteProtocolError),
        ("https://files.test/\x00", RemoteProtocolError),
    ],
)
async def test_a_file_that_cannot_be_fetched(url: str, error: type[Exception]) -> None:
    async with opened(Far(httpx2.ConnectError("no"))) as rest:
        with pytest.raises(error):
            async with rest.fetch(url):
                raise AssertionError("nothing was to be fetched")
