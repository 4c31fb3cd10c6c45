"""A carrier with Twilio's wire whose API is a list of what it was asked; and an ear for the tones of keys."""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import numpy as np
import trio

from patter_trio import Twilio
from patter_trio._audio.dtmf import DTMF_KEYS
from patter_trio._audio.g711 import mulaw_to_linear
from patter_trio.abc import MediaWire, WebhookRequest
from patter_trio.errors import ProviderError
from patter_trio.telephony import Links, Notice, TransferOrder
from patter_trio.testing import Ear

from .ring import ACCOUNT, TOKEN


@attrs.define(eq=False)
class Exchange:
    """Connects, records and presses keys, or refuses; ``asked`` holds what it was asked, with the times.

    Args:
        refuses: everything is refused.
        takes: seconds that it takes to answer.
        sends_digits: it presses keys by a command.
        writes_digits: its wire has a message for keys; here a mark with a name that tells.
    """

    refuses: bool = False
    takes: float = 0.0
    sends_digits: bool = False
    writes_digits: bool = False
    asked: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]])
    at: list[float] = attrs.field(factory=list[float])
    links: list[Links] = attrs.field(factory=list[Links])
    kind: str = "twilio"
    calls_per_second: float = 1.0
    _twilio: Twilio = attrs.field(factory=lambda: Twilio(account_sid=ACCOUNT, auth_token=TOKEN))

    def verify(self, request: WebhookRequest) -> None:
        self._twilio.verify(request)

    def read_notice(self, what: str, request: WebhookRequest) -> Notice | None:
        return self._twilio.read_notice(what, request)

    def open_wire(self) -> MediaWire:
        wire: Any = self._twilio.open_wire()
        if self.writes_digits:
            wire.encode_digits = lambda digits: wire.encode_mark(f"keys {digits}")
        made: MediaWire = wire
        return made

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        async with self._twilio.open() as live:
            yield (KeyedSwitchboard if self.sends_digits else Switchboard)(self, live)

    @property
    def order(self) -> TransferOrder:
        """The only order of a transfer."""
        ((_, _, order),) = [asked for asked in self.asked if asked[0] == "transfer"]
        assert isinstance(order, TransferOrder)
        return order


class Switchboard:
    """The exchange at work."""

    def __init__(self, exchange: Exchange, live: Any) -> None:
        self._exchange = exchange
        self.answer = live.answer

    async def _ask(self, *what: Any) -> None:
        self._exchange.asked.append(what)
        self._exchange.at.append(trio.current_time())
        await trio.sleep(self._exchange.takes)
        if self._exchange.refuses:
            raise ProviderError("Twilio: 21220, the call is not in progress")

    async def transfer(self, call_id: str, order: TransferOrder) -> None:
        await self._ask("transfer", call_id, order)

    async def start_recording(self, call_id: str, links: Links) -> str:
        self._exchange.links.append(links)
        await self._ask("record", call_id)
        return f"RE{len(self._exchange.asked)}"

    async def stop_recording(self, call_id: str, recording_id: str) -> None:
        await self._ask("stop", call_id, recording_id)


class KeyedSwitchboard(Switchboard):
    """One that presses keys, too."""

    async def send_digits(self, call_id: str, digits: str) -> None:
        await self._ask("press", call_id, digits)


def keys_heard(ear: Ear) -> list[tuple[str, float]]:
    """The keys whose tones the caller heard for 40 ms or more, and when each began (Goertzel filters)."""
    samples = np.frombuffer(mulaw_to_linear(ear.agent_mulaw), "<i2").tolist()
    size, step = 104, 40
    seen = [(_key_in(samples[at : at + size]), at / 8000) for at in range(0, len(samples) - size, step)]
    runs = [list(run) for _, run in itertools.groupby(seen, key=lambda one: one[0])]
    return [(run[0][0], run[0][1]) for run in runs if run[0][0] and len(run) >= 8]


def _key_in(block: list[int]) -> str:
    total = sum(sample * sample for sample in block) / len(block)
    if total < 100**2:
        return ""
    for key, (low, high) in DTMF_KEYS.items():
        powers = _power(block, low), _power(block, high)
        if sum(powers) / 2 > 0.7 * total and 1 / 6 < powers[0] / powers[1] < 6:
            return key
    return ""


def _power(block: list[int], frequency: float) -> float:
    factor = 2 * math.cos(2 * math.pi * frequency / 8000)
    before = last = 0.0
    for sample in block:
        before, last = last, sample + factor * last - before
    return (last**2 + before**2 - factor * last * before) / (len(block) / 2) ** 2 + 1e-9
