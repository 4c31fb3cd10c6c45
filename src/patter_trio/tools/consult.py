"""Another agent, or a back office, that the agent on the telephone may ask in the middle of a call."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx2

from .._net.addresses import read_address
from .._net.guard import check_headers, check_url, open_guarded_client, url_problem
from .._tools.definition import Reassurance, Tool
from ..errors import PatterConfigError, ProviderError
from ._consult_post import SILENCE_SECONDS, post_for_answer
from ._consult_wire import (
    CHAT_PATHS,
    REPLY_PATHS,
    chat_question,
    consult_failure,
    header_id,
    openclaw_model,
    plain_question,
    read_reply,
)

__all__ = ["OPENCLAW_URL", "ConsultConfig", "Consultant"]

# The tool's limit is for us; ours must come first, since only ours knows what the caller is told.
_TOOL_GRACE_SECONDS = 1.0
_SHORTEST, _LONGEST = 0.1, 299.0

# With why it failed it must fit into what a model is told of an error.
_FALLBACK_CHARS = 300

# What users of local runtimes write for no key.
_NO_KEY = "EMPTY"

OPENCLAW_URL = "http://127.0.0.1:18789/v1"

_DESCRIPTION = (
    "Asks another agent that knows more and can look things up. Use it for what you cannot answer yourself. "
    "It hears nothing of this call but your request."
)
_PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "request": {
            "type": "string",
            "minLength": 1,
            "description": "What you want to know or have done, complete: with names, numbers and dates.",
        }
    },
    "required": ["request"],
    "additionalProperties": False,
}


def _stripped(value: Any) -> Any:
    """A key without the end of line of its file; in a header that would be refused."""
    return value.strip() if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@attrs.frozen
class ConsultConfig:
    """An agent that the model may ask by a tool, reached by one POST for each question.

    A plain address is posted ``{"request", "call_id", "caller", "callee"}`` and answers JSON; one that ends
    in ``/chat/completions`` is asked as OpenAI's Chat Completions are. A question is asked once: what the far
    side did before it failed, nobody here knows. For the same reason the tool is irreversible: it runs only
    in a turn that is certain to be answered.

    Args:
        url: where to.
        headers: sent with every request.
        api_key: sent as ``Authorization: Bearer``; ``""`` and ``"EMPTY"`` send none.
        timeout_s: seconds for a whole exchange, 0.1 to 299.
        fallback_message: what the model is told to say when no answer comes; at most 300 characters.
        allow_loopback: an address that names this machine, such as ``127.0.0.1``, may be called.
        allow_private: so may any address of this machine or of the private network around it.
        name: the name of the tool.
        description: when to use it, for the model.
        reassurance: said while the caller waits: text, or ``{"message": text, "after_ms": 1500}``.
        response_paths: where the answer's words may be: names with dots between, numbers for the places of
            lists (``data.items.0.text``); the first that leads to text counts.
        model: who is asked, for ``/chat/completions``.
        session_user_prefix: sends ``user`` as this and the call's id, to ``/chat/completions``.
        session_id_header: a header that carries the call's id.

    Raises:
        PatterConfigError: a value cannot be right, or the address may not be called.
    """

    # It may hold a key.
    url: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False, kw_only=True)
    api_key: str = attrs.field(default="", converter=_stripped, repr=False, kw_only=True)
    timeout_s: float = attrs.field(default=30.0, kw_only=True)
    fallback_message: str = attrs.field(
        default="I'm sorry, I could not find that out just now.", kw_only=True
    )
    allow_loopback: bool = attrs.field(default=False, kw_only=True)
    allow_private: bool = attrs.field(default=False, kw_only=True)
    name: str = attrs.field(default="consult_agent", kw_only=True)
    description: str = attrs.field(default=_DESCRIPTION, kw_only=True)
    reassurance: Reassurance | Mapping[str, Any] | str | None = attrs.field(default=None, kw_only=True)
    response_paths: Sequence[str] = attrs.field(default=REPLY_PATHS, converter=_listed, kw_only=True)
    model: str = attrs.field(default="", kw_only=True)
    session_user_prefix: str = attrs.field(default="", kw_only=True)
    session_id_header: str = attrs.field(default="", kw_only=True)

    def __attrs_post_init__(self) -> None:
        self._check_values()
        self._check_address()
        if self.is_chat != bool(self.model):
            raise PatterConfigError(
                "an address that ends in /chat/completions needs model=, and no other takes one"
            )
        if self.session_user_prefix and not self.is_chat:
            raise PatterConfigError("session_user_prefix= goes nowhere", hint="it is for /chat/completions")
        check_headers(self.headers)
        check_headers({self.session_id_header or "unset": ""})
        if not (self.api_key.isascii() and self.api_key.isprintable()):
            raise PatterConfigError("api_key= holds characters that a header cannot carry")
        if self.sends_key and any(name.lower() == "authorization" for name in self.headers):
            raise PatterConfigError("api_key= and an Authorization header are both given", hint="keep one")
        # Whatever else is wrong with the tool is found now, not in the first call.
        _tool_of(self, _never)

    def _check_values(self) -> None:
        values: dict[str, Any] = attrs.asdict(self, recurse=False)
        texts = ("url", "api_key", "fallback_message", "model", "session_user_prefix", "session_id_header")
        for field in texts:
            if not isinstance(values[field], str):
                raise PatterConfigError(f"{field}= must be text")
        for field in ("allow_loopback", "allow_private"):
            if not isinstance(values[field], bool):
                raise PatterConfigError(f"{field}= must be True or False")
        seconds = values["timeout_s"]
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not number or not math.isfinite(seconds) or not _SHORTEST <= seconds <= _LONGEST:
            raise PatterConfigError(
                f"timeout_s= must be {_SHORTEST} to {_LONGEST:.0f} seconds, not {seconds!r}"
            )
        if not 0 < len(self.fallback_message.strip()) <= len(self.fallback_message) <= _FALLBACK_CHARS:
            raise PatterConfigError(f"fallback_message= needs words, at most {_FALLBACK_CHARS} characters")
        paths = values["response_paths"]
        if not isinstance(paths, tuple) or not paths or not all(path and _is_text(path) for path in paths):
            raise PatterConfigError(
                f"response_paths={paths!r} must be a list of paths", hint='like ["data.answer"]'
            )

    def _check_address(self) -> None:
        if not self.allow_loopback and _names_this_machine(self.url):
            problem = url_problem(self.url, allow_private=self.allow_private)
            if problem:
                raise PatterConfigError(
                    f"the url of a consulted agent may not be called: {problem}",
                    hint="allow_loopback=True is for an agent on this machine",
                )
        check_url(self.url, allow_private=self.reaches_private, what="the url of a consulted agent")

    @property
    def is_chat(self) -> bool:
        """Whether it is asked as Chat Completions are."""
        return httpx2.URL(self.url).path.endswith("/chat/completions")

    @property
    def sends_key(self) -> bool:
        """Whether there is a key."""
        return self.api_key not in ("", _NO_KEY)

    @property
    def reaches_private(self) -> bool:
        """Whether connections may go to this machine or the network around it."""
        return self.allow_private or (self.allow_loopback and _names_this_machine(self.url))

    @classmethod
    def openclaw(
        cls, agent: str, *, base_url: str = OPENCLAW_URL, api_key: str | None = None, **settings: Any
    ) -> ConsultConfig:
        """An agent behind an OpenClaw gateway: on this machine, or at ``base_url``.

        All questions of a phone call are one session there: by ``user`` (``patter-call-<call id>``); the
        header ``x-openclaw-session-key`` carries the bare call id, as :class:`OpenClawLLM` has it.

        Args:
            agent: ``front-desk`` stands for ``openclaw/front-desk``; a name with ``/`` or ``:`` is sent as it
                is.
            base_url: the gateway, without ``/chat/completions``.
            api_key: from ``OPENCLAW_API_KEY`` when left out.
            settings: any other setting of :class:`ConsultConfig`.

        Raises:
            PatterConfigError: a value cannot be right.
        """
        if not _is_text(base_url):
            raise PatterConfigError("base_url= must be text")
        preset: dict[str, Any] = {
            "model": openclaw_model(agent),
            "api_key": os.environ.get("OPENCLAW_API_KEY", "") if api_key is None else api_key,
            "allow_loopback": True,
            "session_user_prefix": "patter-call-",
            "session_id_header": "x-openclaw-session-key",
        }
        return cls(f"{base_url.rstrip('/')}/chat/completions", **{**preset, **settings})

    def question(self, request: str, call: Mapping[str, Any]) -> dict[str, Any]:
        """The body that asks it something; ``call`` has ``call_id``, ``caller`` and ``callee``."""
        if not self.is_chat:
            return plain_question(request, call)
        return self.in_session(chat_question(self.model, request, call), call)

    def in_session(self, body: dict[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
        """A body for Chat Completions with the call as its user, where that is asked for."""
        call_id = call.get("call_id")
        if not (self.session_user_prefix and call_id):
            return body
        return {**body, "user": f"{self.session_user_prefix}{call_id}"}

    def request_headers(self, call: Mapping[str, Any]) -> dict[str, str]:
        """The headers of a request: the key, and the call where that is asked for."""
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.sends_key else {}
        if self.session_id_header and call.get("call_id"):
            headers[self.session_id_header] = header_id(str(call["call_id"]))
        return headers

    def read(self, answer: bytes) -> str:
        """The words of an answer.

        Raises:
            ProviderError: there are none.
        """
        return read_reply(
            answer, (*CHAT_PATHS, *self.response_paths) if self.is_chat else self.response_paths
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Consultant]:
        """One HTTP client for all calls of a session, its connections kept warm."""
        async with open_guarded_client(
            allow_private=self.reaches_private, timeout=SILENCE_SECONDS, headers=self.headers
        ) as client:
            yield Consultant(self, client)


@attrs.frozen
class Consultant:
    """The other agent with its HTTP client."""

    settings: ConsultConfig
    client: httpx2.AsyncClient = attrs.field(repr=False)

    def tools(self) -> tuple[Tool, ...]:
        """The tool by which a model asks it."""
        return (_tool_of(self.settings, self._consult),)

    async def ask(self, request: str, call: Mapping[str, Any]) -> str:
        """Asks it once and returns its words.

        Raises:
            ToolError: there is no answer; the error holds what to tell the caller.
        """
        settings = self.settings
        try:
            answer = await post_for_answer(
                self.client,
                settings.url,
                settings.question(request, call),
                headers=settings.request_headers(call),
                timeout_s=settings.timeout_s,
            )
            return settings.read(answer)
        except ProviderError as error:
            failure = consult_failure(str(error), settings.fallback_message)
            raise failure from (error.__cause__ or error)

    async def _consult(self, arguments: dict[str, Any], call: Mapping[str, Any]) -> str:
        return await self.ask(arguments["request"], call)


def _tool_of(settings: ConsultConfig, ask: Any) -> Tool:
    return Tool(
        settings.name,
        settings.description,
        parameters=_PARAMETERS,
        handler=ask,
        timeout_s=settings.timeout_s + _TOOL_GRACE_SECONDS,
        reassurance=settings.reassurance,
        irreversible=True,
    )


async def _never(arguments: dict[str, Any], call: Mapping[str, Any]) -> str:
    raise AssertionError("only the tool's settings are checked with this")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _names_this_machine(url: str) -> bool:
    """Whether an address names this machine as it is written; nothing is resolved."""
    try:
        host = httpx2.URL(url).host
    except (httpx2.InvalidURL, ValueError):
        return False
    address = read_address(host)
    name = host.casefold().removesuffix(".")
    return address.is_loopback if address else name == "localhost" or name.endswith(".localhost")
