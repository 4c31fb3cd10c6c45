"""The public face: three objects, as in ``Patter(…)``, ``.agent(…)``, ``.session(…)`` or ``.serve(…)``."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import attrs
import trio

from ._call.agent import Agent
from ._call.speech_edges import SPEECH_EDGES, SpeechEventCallback
from ._session import Session, open_session
from ._settings import SessionSettings, check_one_way, normalise_webhook_url
from .abc import Carrier
from .errors import MissingExtraError, PatterConfigError
from .llm import OpenAILLM
from .observability import EventBus
from .tools import MCPServer
from .tunnels import Tunnel
from .tunnels._tunnel import as_tunnel

__all__ = ["Patter", "serve", "session"]

_log = logging.getLogger("patter_trio")

_SESSION_OPTIONS = {field.name for field in attrs.fields(SessionSettings)}


# Settings of the agent that may be given along with it.
_AGENT_OPTIONS = ("on_message", "local_recording")


class Patter:
    """A phone number and the carrier behind it.

    Args:
        carrier: the telephone company's credentials, such as ``Twilio()``.
        phone_number: our number in E.164 form, such as ``+15550001234``.
        webhook_url: the public base URL under which the carrier reaches us.
        tunnel: what makes a public address of its own instead: ``True`` for ``CloudflareTunnel()``, or a
            tunnel of :mod:`patter_trio.tunnels`. A session may have another one.

    The seven speech-edge callbacks (``on_user_speech_started`` …) are attributes that may be assigned
    before a session begins; they are told of all its calls.

    Raises:
        PatterConfigError: the number or the URL cannot be right, or there are two ways to reach us.
    """

    def __init__(
        self,
        carrier: Carrier | None = None,
        phone_number: str = "",
        webhook_url: str = "",
        tunnel: Tunnel | bool | None = None,
    ) -> None:
        if carrier is not None and not isinstance(carrier, Carrier):
            raise PatterConfigError(f"carrier={carrier!r} is no carrier", hint="for example Twilio()")
        if carrier is not None and not phone_number:
            raise PatterConfigError("a carrier without a phone_number answers nothing")
        digits = phone_number.removeprefix("+")
        if phone_number and not (
            phone_number.startswith("+") and digits.isdigit() and 7 <= len(digits) <= 15
        ):
            raise PatterConfigError(f"phone_number={phone_number!r} is not E.164", hint="like +15550001234")
        self._carrier = carrier
        self._phone_number = phone_number
        self._webhook_url = normalise_webhook_url(webhook_url)
        self._tunnel = as_tunnel(tunnel)
        check_one_way(self._webhook_url, self._tunnel)
        self.events = EventBus()
        self.on_user_speech_started: SpeechEventCallback | None = None
        self.on_user_speech_ended: SpeechEventCallback | None = None
        self.on_user_speech_eos: SpeechEventCallback | None = None
        self.on_agent_speech_started: SpeechEventCallback | None = None
        self.on_agent_speech_ended: SpeechEventCallback | None = None
        self.on_llm_token: SpeechEventCallback | None = None
        self.on_audio_out: SpeechEventCallback | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        # A callback under a name that nothing calls would be silent for ever.
        if name.startswith("on_") and name not in SPEECH_EDGES:
            raise PatterConfigError(
                f"{name} is no speech-edge callback", hint=f"one of {', '.join(SPEECH_EDGES)}"
            )
        super().__setattr__(name, value)

    def agent(self, system_prompt: str = "", **settings: Any) -> Agent:
        """An :class:`Agent`; its settings are listed there. ``vad`` defaults to Silero where it is installed.

        Raises:
            PatterConfigError: a setting is unknown, out of range or contradicts another one.
        """
        unknown = settings.keys() - {field.name for field in attrs.fields(Agent)}
        if unknown:
            raise PatterConfigError(f"an agent has no setting {', '.join(sorted(unknown))}")
        if settings.get("vad") is None:
            settings["vad"] = _default_vad()
        if settings.get("mcp_servers"):
            settings["mcp_servers"] = [_mcp_server(server) for server in settings["mcp_servers"]]
        return Agent(system_prompt=system_prompt, **settings)

    def session(self, agent: Agent | None = None, **options: Any) -> AbstractAsyncContextManager[Session]:
        """A running session for the length of an ``async with`` block.

        Options are those of :class:`SessionSettings` (``port``, ``host``, ``tunnel``, ``max_calls``,
        ``drain_seconds``, ``on_call_start`` …) and, for the agent that is given, ``on_message``, which
        answers where it has no model, and ``local_recording``, where its calls are recorded.

        Raises:
            PatterConfigError: an option is unknown, or the agent cannot take calls.
            PatterConnectionError: the port cannot be bound.
        """
        ours = {name: options.pop(name, None) for name in _AGENT_OPTIONS}
        ours = {name: value for name, value in ours.items() if value is not None}
        unknown = options.keys() - (_SESSION_OPTIONS - {"carrier", "phone_number", "webhook_url"})
        if unknown:
            raise PatterConfigError(f"a session has no option {', '.join(sorted(unknown))}")
        if ours:
            if agent is None:
                raise PatterConfigError(f"{' and '.join(ours)} needs an agent to be used for")
            agent = attrs.evolve(agent, **ours)
        agent = _with_a_model(agent)
        options.setdefault("tunnel", self._tunnel)
        options.setdefault("events", self.events)
        for name in SPEECH_EDGES:
            options.setdefault(name, getattr(self, name))
        options.setdefault("host", os.environ.get("PATTER_BIND_HOST", "127.0.0.1"))
        settings = SessionSettings(
            carrier=self._carrier, phone_number=self._phone_number, webhook_url=self._webhook_url, **options
        )
        return open_session(settings, agent)

    async def serve(
        self,
        agent: Agent,
        *,
        task_status: trio.TaskStatus[Session] = trio.TASK_STATUS_IGNORED,
        **options: Any,
    ) -> None:
        """Answers the phone until SIGTERM or SIGINT, then lets running calls finish; see :meth:`session`.

        A second signal ends the calls at once. With ``nursery.start`` it gives the session once it listens.
        A public address that does not lead here is warned of some seconds later, and so is a number whose
        calls do not come to it.
        """
        async with self.session(agent, **options) as running, AsyncExitStack() as stack:
            # What exists by now stays as long as the session. Left to the collector, a full collection
            # walks all of it and stops every call for 50 to 100 ms (measured at 50 calls).
            gc.collect()
            gc.freeze()
            stack.callback(gc.unfreeze)
            task_status.started(running)
            async with _signals() as received:
                async with trio.open_nursery() as background:
                    background.start_soon(running.look_around)
                    await anext(received)
                    background.cancel_scope.cancel()
                _log.info("stopping; a second signal ends the calls at once")
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_end_calls_at_signal, received, running)
                    await running.drain()
                    nursery.cancel_scope.cancel()
        for result in running.results:
            _log.info("call %s: %s, %s", result.call_id, result.outcome, result.reason)


async def _end_calls_at_signal(received: AsyncIterator[int], running: Session) -> None:
    await anext(received)
    running.end_calls()


@asynccontextmanager
async def _signals() -> AsyncIterator[AsyncIterator[int]]:
    """SIGTERM and SIGINT as they come; in another thread than the main one, none ever come."""
    if threading.current_thread() is threading.main_thread():
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
            yield received
    else:
        yield _never()


async def _never() -> AsyncIterator[int]:
    await trio.sleep_forever()
    yield 0


def _with_a_model(agent: Agent | None) -> Agent | None:
    """An agent of which nobody said who thinks gets OpenAI's model, where its key is in the environment."""
    if agent is None or any((agent.llm, agent.on_message, agent.engine)):
        return agent
    return attrs.evolve(agent, llm=OpenAILLM()) if os.environ.get("OPENAI_API_KEY") else agent


def _mcp_server(given: Any) -> MCPServer:
    """A server as people write it down: its address, or the settings of one."""
    if isinstance(given, str):
        return MCPServer(url=given)
    if isinstance(given, Mapping):
        unknown = given.keys() - {field.name for field in attrs.fields(MCPServer)}
        if unknown:
            raise PatterConfigError(f"an MCP server has no setting {', '.join(sorted(unknown))}")
        return MCPServer(**given)
    if not isinstance(given, MCPServer):
        raise PatterConfigError(f"{given!r} is no MCP server", hint="an address, or MCPServer(…)")
    return given


def _default_vad() -> Any:
    from .vad import EnergyVAD, SileroVAD

    try:
        return SileroVAD()
    except MissingExtraError as error:
        _log.warning("%s; an energy detector takes its place", error)
        return EnergyVAD()


@asynccontextmanager
async def session(
    agent: Agent | None = None,
    *,
    carrier: Carrier | None = None,
    phone_number: str = "",
    webhook_url: str = "",
    **options: Any,
) -> AsyncIterator[Session]:
    """``Patter(carrier, phone_number, webhook_url).session(agent, **options)`` in one call."""
    async with Patter(carrier, phone_number, webhook_url).session(agent, **options) as running:
        yield running


async def serve(
    agent: Agent,
    *,
    carrier: Carrier | None = None,
    phone_number: str = "",
    webhook_url: str = "",
    task_status: trio.TaskStatus[Session] = trio.TASK_STATUS_IGNORED,
    **options: Any,
) -> None:
    """``Patter(carrier, phone_number, webhook_url).serve(agent, **options)`` in one call."""
    patter = Patter(carrier, phone_number, webhook_url)
    await patter.serve(agent, task_status=task_status, **options)
