"""Where the world can send webhooks, a carrier that could not tell who sent them is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from patter_trio import Patter, PatterConfigError, carriers
from patter_trio.abc import WebhookRequest
from patter_trio.errors import SignatureError

from .fake_carrier import ACCOUNT, NUMBER, FakeCarrier
from .test_tunnels import Scripted

# All that each carrier can be given but for what its webhooks are signed with.
WITHOUT_SECRET: Mapping[str, Mapping[str, Any]] = {
    "Twilio": {"account_sid": ACCOUNT, "api_key": "SK" + "0" * 32, "api_secret": "x" * 32},
    "Telnyx": {"api_key": "KEY" + "0" * 40, "connection_id": "1234567890"},
    "Plivo": {"auth_id": "MA" + "X" * 18},
}


@pytest.mark.parametrize("name", carriers.__all__)
def test_no_carrier_is_made_without_what_verifies_its_webhooks(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("TWILIO_AUTH_TOKEN", "TELNYX_PUBLIC_KEY", "PLIVO_AUTH_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(PatterConfigError, match=r"(?i)token|public.key"):
        getattr(carriers, name)(**WITHOUT_SECRET[name])


class Gullible(FakeCarrier):
    """Takes whatever comes."""

    def verify(self, request: WebhookRequest) -> None:
        pass


class Strict(FakeCarrier):
    """Says no in its own way, or by mistake."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure

    def verify(self, request: WebhookRequest) -> None:
        raise self.failure


PUBLIC: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"webhook_url": "https://phone.example.test"}, {"port": 0}),
    ({"webhook_url": "https://phone.example.test/voice"}, {"port": None}),
    ({"tunnel": Scripted("https://phone.example.test")}, {"port": 0}),
    ({}, {"host": "0.0.0.0", "port": 0}),
    ({}, {"host": "::", "port": 0}),
    ({}, {"host": "192.0.2.1", "port": 0}),
]


@pytest.mark.parametrize(("where", "options"), PUBLIC)
async def test_a_carrier_that_takes_unsigned_webhooks_is_refused_where_the_world_can_send_them(
    where: dict[str, Any], options: dict[str, Any]
) -> None:
    with pytest.raises(PatterConfigError, match="webhooks that nobody signed"):
        async with Patter(Gullible(), NUMBER, **where).session(**options):
            raise AssertionError


@pytest.mark.parametrize(
    "where", [{}, {"webhook_url": "http://127.0.0.1:0"}, {"webhook_url": "http://localhost:0"}]
)
async def test_on_this_machine_alone_it_may_be_tried(where: dict[str, Any]) -> None:
    async with Patter(Gullible(), NUMBER, **where).session(port=0) as session:
        assert session.url


@pytest.mark.parametrize("failure", [SignatureError("no signature"), KeyError("x-signature")])
async def test_a_carrier_that_refuses_them_is_taken(failure: Exception) -> None:
    async with Patter(Strict(failure), NUMBER, "https://phone.example.test").session(port=0) as session:
        assert session.url == "https://phone.example.test"


async def test_the_environment_that_binds_to_every_interface_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_BIND_HOST", "0.0.0.0")
    with pytest.raises(PatterConfigError, match=r"listen on 127\.0\.0\.1 only"):
        async with Patter(Gullible(), NUMBER).session(port=0):
            raise AssertionError
