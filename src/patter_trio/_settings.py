"""The settings of a session, checked when they are written down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import attrs
from attrs import Attribute

from ._actors.observe import Listener
from ._call.checks import function_or_none, number, text
from ._server.limits import PortLimits
from ._turns.prices import Price
from .abc import Carrier
from .errors import PatterConfigError
from .events import CallInfo
from .observability import EventBus
from .observability.call_log import CallLog, check_call_log
from .observability.tracing import check_tracing
from .telephony import RecordingSaved
from .tunnels import Tunnel
from .tunnels._tunnel import as_tunnel

__all__ = [
    "LOOPBACK",
    "Callback",
    "SessionCounts",
    "SessionSettings",
    "check_one_way",
    "normalise_webhook_url",
]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names of this machine that no other one can reach."""

Callback = Callable[[dict[str, Any]], Awaitable[Any] | Any]


def _port(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 65536
    ):
        raise PatterConfigError(f"port={value!r} is no port", hint="0 to 65535, or None to bind none")


def _flag(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise PatterConfigError(f"{attribute.name}={value!r} must be True or False")


def _limits(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, PortLimits):
        raise PatterConfigError(f"limits={value!r} must be PortLimits(…)")


def _tuple(given: Any) -> Any:
    return tuple(given) if isinstance(given, list | tuple) else given


def _prices(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, tuple) or not all(isinstance(price, Price) for price in value):
        raise PatterConfigError(f"pricing={value!r} is no list of prices", hint="pricing=[Price(…)]")


def _bus(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if not isinstance(value, EventBus):
        raise PatterConfigError(f"events={value!r} is no EventBus", hint="leave it out, or pass EventBus()")


@attrs.frozen(kw_only=True)
class SessionSettings:
    """Where a session listens and what it may carry.

    Args:
        carrier: whose webhooks are answered; ``None`` for a session that takes no inbound calls.
        phone_number: our number, E.164.
        webhook_url: our public base URL, ``https://…``; without it the address that is bound. A port 0 in
            it stands for the port that is bound.
        tunnel: what leads from the internet to our port, in place of a ``webhook_url``: ``True`` for
            ``CloudflareTunnel()``, or a tunnel of :mod:`patter_trio.tunnels`; it begins and ends with the
            session.
        configure_number: have the carrier send the number's calls here, once the public address is known;
            where they went before is logged. Nothing at the carrier is changed otherwise.
        host: the interface to bind.
        port: the port to bind, 0 for any free one, ``None`` to bind none (mount ``session.app``).
        max_calls: calls at once; the next one hears the busy tone. Measured on two shared cores: without
            models one core carries more than a hundred; with the embedded voice 24 calls went well and 48 did
            not.
        drain_seconds: how long running calls may go on when the session ends.
        limits: what a single connection may cost.
        on_call: chooses who takes an incoming call: gets its :class:`CallInfo`, gives an agent, a
            :class:`~patter_trio.telephony.Refusal`, or ``None`` for the session's own agent.
        recording: whether the carrier records every call, from the moment its stream is up.
        on_recording: called with a :class:`~patter_trio.telephony.RecordingSaved` when a recording is ready.
        on_machine_detection: called with a :class:`MachineDetectionResult` when it is known who picked up.
        on_call_start: called when a call connects; a dict that it returns within a second overrides settings
            of the agent for this call, such as ``first_message`` or ``variables``.
        on_call_end: called after a call, with its transcript and result.
        on_transcript: called with each utterance of either side.
        on_metrics: called with the record of each turn, interrupted ones included.
        on_event: called with every :class:`patter_trio.events.CallEvent` of every call.
        on_user_speech_started: called when the detector begins to hear a caller.
        on_user_speech_ended: called when it stops hearing them; they may go on.
        on_user_speech_eos: called when they have finished, as far as the call is concerned.
        on_agent_speech_started: called when the first frame of a turn goes out.
        on_agent_speech_ended: called when the last one was heard, or the turn was cut.
        on_llm_token: called at the first token of a turn.
        on_audio_out: called when the first synthesised sound of a turn exists.
        metrics: whether the port answers ``GET /metrics`` for Prometheus; nobody's name or number is on that
            page, and whoever reaches the port can read it.
        call_log: where a record of each call is written when it is over.
        call_log_numbers: whether records hold the numbers of people whole; they are masked otherwise.
        tracing: ``True`` traces calls with the tracer provider of the process, a provider with that one;
            ``None`` does where the variable ``PATTER_OTEL_ENABLED`` is 1.
        pricing: prices that go before those of the list that comes with the package.
        events: whose subscribers are told of the calls; the number's own bus where it is left out.

    Raises:
        PatterConfigError: a value is of the wrong kind or out of range.
    """

    carrier: Carrier | None = None
    phone_number: str = ""
    webhook_url: str = ""
    tunnel: Tunnel | None = attrs.field(default=None, converter=as_tunnel)
    configure_number: bool = attrs.field(default=False, validator=_flag)
    host: str = attrs.field(default="127.0.0.1", validator=text)
    port: int | None = attrs.field(default=8000, validator=_port)
    max_calls: int = attrs.field(default=100, validator=number(1, whole=True))
    drain_seconds: float = attrs.field(default=10.0, validator=number(0))
    limits: PortLimits = attrs.field(factory=PortLimits, validator=_limits)
    on_call: Callable[[CallInfo], Any] | None = attrs.field(default=None, validator=function_or_none)
    recording: bool = False
    on_recording: Callable[[RecordingSaved], Any] | None = attrs.field(
        default=None, validator=function_or_none
    )
    on_machine_detection: Callable[[Any], Any] | None = attrs.field(default=None, validator=function_or_none)
    on_call_start: Callback | None = attrs.field(default=None, validator=function_or_none)
    on_call_end: Callback | None = attrs.field(default=None, validator=function_or_none)
    on_transcript: Callback | None = attrs.field(default=None, validator=function_or_none)
    on_metrics: Callback | None = attrs.field(default=None, validator=function_or_none)
    on_event: Listener | None = attrs.field(default=None, validator=function_or_none)
    on_user_speech_started: Callback | None = attrs.field(default=None, validator=function_or_none)
    on_user_speech_ended: Callback | None = attrs.field(default=None, validator=function_or_none)
    on_user_speech_eos: Callback | None = attrs.field(default=None, validator=function_or_none)
    on_agent_speech_started: Callback | None = attrs.field(default=None, validator=function_or_none)
    on_agent_speech_ended: Callback | None = attrs.field(default=None, validator=function_or_none)
    on_llm_token: Callback | None = attrs.field(default=None, validator=function_or_none)
    on_audio_out: Callback | None = attrs.field(default=None, validator=function_or_none)
    metrics: bool = attrs.field(default=False, validator=_flag)
    call_log: CallLog | None = attrs.field(default=None, validator=check_call_log)
    call_log_numbers: bool = attrs.field(default=False, validator=_flag)
    tracing: Any = attrs.field(default=None, validator=check_tracing)
    pricing: tuple[Price, ...] = attrs.field(default=(), converter=_tuple, validator=_prices)
    events: EventBus = attrs.field(factory=EventBus, validator=_bus)

    def __attrs_post_init__(self) -> None:
        check_one_way(self.webhook_url, self.tunnel)
        if self.tunnel is not None and self.port is None:
            raise PatterConfigError(
                "a tunnel leads to a port, and this session has none", hint="pass webhook_url= instead"
            )
        if self.configure_number and (self.carrier is None or not (self.webhook_url or self.tunnel)):
            raise PatterConfigError(
                "configure_number needs a carrier and a public address", hint="pass webhook_url= or tunnel="
            )


def check_one_way(webhook_url: str, tunnel: Tunnel | None) -> None:
    """A session has one public address.

    Raises:
        PatterConfigError: it is given two.
    """
    if webhook_url and tunnel is not None:
        raise PatterConfigError(
            "webhook_url and tunnel both say how the carrier reaches us",
            hint="leave one out: a tunnel brings its own address",
        )


@attrs.define
class SessionCounts:
    """What became of the calls of a session."""

    answered: int = 0
    refused_busy: int = 0
    refused_signature: int = 0
    refused_malformed: int = 0
    refused_stream: int = 0
    streams_without_start: int = 0
    placed: int = 0
    not_taken: int = 0
    prewarmed_in_vain: int = 0
    completed: int = 0
    failed: int = 0


def normalise_webhook_url(url: str) -> str:
    """The base URL with its scheme and without a trailing slash; a bare host means ``https``.

    Raises:
        PatterConfigError: it is not a URL that a carrier could call.
    """
    if not url:
        return ""
    full = url if "://" in url else f"https://{url}"
    parts = urlsplit(full)
    loopback = parts.hostname in LOOPBACK
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
        raise PatterConfigError(
            f"webhook_url={url!r} is not a web address", hint="for example https://example.com"
        )
    if parts.scheme == "http" and not loopback:
        raise PatterConfigError(
            f"webhook_url={url!r} is not encrypted", hint="carriers stream to wss:// only; use https://…"
        )
    return full.rstrip("/")
