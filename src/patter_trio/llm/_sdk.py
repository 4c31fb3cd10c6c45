"""Providers whose requests a vendor's SDK makes."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import attrs

from .._net.http import open_client
from ..errors import PatterConfigError
from ._line import Line, SdkLine, load_sdk
from ._provider import OpenAILLMProvider

__all__ = ["SdkProvider"]


@attrs.frozen(kw_only=True)
class SdkProvider(OpenAILLMProvider):
    """The base of those; ``client`` is a ready client object of the SDK, with its own key and address."""

    sdk_name: ClassVar[str]
    client_class: ClassVar[str]
    http_name: ClassVar[str] = "httpx2"
    # Where the SDK's own base URL does not end where the settings' one does.
    client_prefix: ClassVar[str] = ""

    client: Any = attrs.field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.client is None:
            return
        if not callable(getattr(self.client, "with_options", None)) or not hasattr(self.client, "post"):
            raise PatterConfigError(
                f"client={type(self.client).__name__} is no client of the {self.sdk_name} package",
                hint=f"pass {self.sdk_name}.{self.client_class}(…)",
            )
        default = attrs.fields_dict(type(self))
        for setting in ("api_key", "base_url", "timeout", "connect_timeout"):
            if getattr(self, setting) != default[setting].default:
                raise PatterConfigError(
                    f"client= and {setting}= are both given", hint=f"set {setting} on the client itself"
                )

    @property
    def has_client(self) -> bool:
        """Whether a ready client was given, with a key of its own."""
        return self.client is not None

    @asynccontextmanager
    async def _open_line(self) -> AsyncIterator[Line]:
        sdk = await load_sdk(self.sdk_name)
        if self.client is not None:
            # The SDK's own retries would add seconds to a spoken turn.
            client = self.client.with_options(max_retries=0, default_headers=dict(self.extra_headers))
            prefix, url = self.client_prefix, str(client.base_url).rstrip("/") + self.client_prefix
            yield self._line(sdk, client, prefix, url)
            return
        http = importlib.import_module(self.http_name)
        async with open_client(
            http, timeout=self.timeout, connect_timeout=self.connect_timeout
        ) as http_client:
            client = getattr(sdk, self.client_class)(
                api_key=self.key,
                base_url=self.url,
                max_retries=0,
                timeout=http_client.timeout,
                default_headers=dict(self.extra_headers),
                http_client=http_client,
            )
            yield self._line(sdk, client, "", self.url)

    def _line(self, sdk: Any, client: Any, prefix: str, url: str) -> Line:
        chat = "/chat/completions"
        where = f"{self.model} at {url}{chat}"
        return SdkLine(sdk, client, prefix + chat, prefix + self.warm_path, where)
