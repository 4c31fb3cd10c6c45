"""The webhooks of a simulated carrier on their way to the server, and what may go wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import attrs
import trio

from ..errors import PatterConnectionError
from .line import Line, WebhookAnswer

__all__ = ["Delivery", "Post", "Webhook", "WebhookFault"]

_BETWEEN_ATTEMPTS = 1.0


@attrs.frozen
class Webhook:
    """One webhook, signed already.

    Args:
        kind: what it is about, as faults name it: ``voice``, ``status``, ``machine``, ``recording``, …
        url: where it goes.
        body: what it says.
        headers: the vendor's, with the signature.
        retries: how often it is sent again when the server cannot be reached.
        retries_refusals: whether also when the server answers 5xx.
        seconds: how long the carrier waits for the answer.
    """

    kind: str
    url: str
    body: bytes = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    retries: int = 0
    retries_refusals: bool = False
    seconds: float = 15.0


@attrs.frozen
class WebhookFault:
    """What goes wrong with webhooks of a kind.

    Args:
        kind: which, or ``""`` for all.
        number: only the n-th of them, from 1; 0 for each.
        lost: it never arrives, and the carrier believes it did.
        gateway_errors: so many first attempts are answered 503 by something in front of the server.
        copies: how often it arrives.
        delay: by how many seconds it is late, so that others overtake it.
    """

    kind: str = ""
    number: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    lost: bool = False
    gateway_errors: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    copies: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    delay: float = attrs.field(default=0.0, validator=attrs.validators.ge(0))


@attrs.frozen
class Delivery:
    """What became of one attempt; ``status`` is 0 when the server was not reached or did not answer."""

    at: float
    webhook: Webhook
    status: int
    note: str = ""


class Post:
    """Delivers webhooks over a line, each in a task of its own, so that a slow server delays no call."""

    def __init__(self, line: Line, nursery: trio.Nursery) -> None:
        self.deliveries: list[Delivery] = []
        self.outstanding = 0
        self.quiet = trio.Event()
        self.quiet.set()
        self._line = line
        self._nursery = nursery
        self._faults: list[WebhookFault] = []
        self._sent: Counter[str] = Counter()

    def fail(self, *faults: WebhookFault) -> None:
        """What goes wrong from now on; the numbers count webhooks from the beginning."""
        self._faults.extend(faults)

    def of(self, kind: str) -> list[Delivery]:
        """What became of the webhooks of a kind."""
        return [each for each in self.deliveries if each.webhook.kind == kind]

    def send(self, webhook: Webhook) -> None:
        """Delivers it some time, and tells nobody how."""
        self.outstanding += 1
        self.quiet = trio.Event() if self.quiet.is_set() else self.quiet
        self._nursery.start_soon(self._send, webhook, self._fault_of(webhook))

    async def ask(self, webhook: Webhook) -> WebhookAnswer | None:
        """Delivers it and waits for the answer; ``None`` when there is none."""
        return await self._deliver(webhook, self._fault_of(webhook))

    async def _send(self, webhook: Webhook, fault: WebhookFault) -> None:
        try:
            await self._deliver(webhook, fault)
        finally:
            self.outstanding -= 1
            if not self.outstanding:
                self.quiet.set()

    def _fault_of(self, webhook: Webhook) -> WebhookFault:
        self._sent.update((webhook.kind, ""))
        for fault in self._faults:
            if fault.kind in ("", webhook.kind) and fault.number in (0, self._sent[fault.kind]):
                return fault
        return WebhookFault()

    async def _deliver(self, webhook: Webhook, fault: WebhookFault) -> WebhookAnswer | None:
        await trio.sleep(fault.delay)
        if fault.lost:
            self._note(webhook, 0, "lost")
            return None
        answer = None
        for attempt in range(webhook.retries + 1):
            if attempt:
                await trio.sleep(_BETWEEN_ATTEMPTS)
            answer = await self._attempt(webhook, fails=attempt < fault.gateway_errors)
            refused = answer is not None and answer.status >= 500
            if answer is not None and not (refused and webhook.retries_refusals):
                break
        for _ in range(fault.copies - 1):
            await self._attempt(webhook, fails=False)
        return answer

    async def _attempt(self, webhook: Webhook, *, fails: bool) -> WebhookAnswer | None:
        if fails:
            self._note(webhook, 503, "answered by a gateway")
            return WebhookAnswer(503)
        answer, note = None, f"not answered within {webhook.seconds:g} s"
        with trio.move_on_after(webhook.seconds):
            try:
                answer = await self._line.post(webhook.url, webhook.headers, webhook.body)
            except PatterConnectionError as error:
                note = str(error)
        self._note(webhook, answer.status if answer else 0, "" if answer else note)
        return answer

    def _note(self, webhook: Webhook, status: int, note: str) -> None:
        self.deliveries.append(Delivery(trio.current_time(), webhook, status, note))
