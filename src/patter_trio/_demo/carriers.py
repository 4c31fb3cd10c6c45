"""The carriers of the demo, both sides of each: accounts that exist on this machine only."""

from __future__ import annotations

import socket
from collections.abc import Callable

import attrs

from ..abc import Carrier
from ..carriers import Plivo, Telnyx, Twilio
from ..testing import SimulatedPlivo, SimulatedTelnyx, SimulatedTwilio
from ..testing.exchange import Vendor

__all__ = ["ACCOUNT", "CARRIERS", "NUMBER", "TOKEN", "DemoCarrier", "free_port"]

# The simulated carrier signs with these and the session verifies, exactly as with real ones.
ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "0" * 32
NUMBER = "+15550001234"


@attrs.frozen
class DemoCarrier:
    """A carrier that is simulated, and what the session says to it by REST at an address."""

    simulated: Callable[[], Vendor]
    carrier: Callable[[str], Carrier]


def _telnyx(url: str) -> Carrier:
    far = SimulatedTelnyx()
    return Telnyx(far.api_key, far.connection_id, far.public_key, base_url=url)


def _plivo(url: str) -> Carrier:
    far = SimulatedPlivo()
    return Plivo(far.auth_id, far.auth_token, base_url=url)


CARRIERS = {
    "twilio": DemoCarrier(
        lambda: SimulatedTwilio(ACCOUNT, TOKEN, number=NUMBER),
        lambda url: Twilio(account_sid=ACCOUNT, auth_token=TOKEN, base_url=url),
    ),
    "telnyx": DemoCarrier(lambda: SimulatedTelnyx(number=NUMBER), _telnyx),
    "plivo": DemoCarrier(lambda: SimulatedPlivo(number=NUMBER), _plivo),
}


def free_port() -> int:
    """A port of loopback that nobody has; the exchange must know it before the session binds it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
