"""One question to an agent that is consulted: a guarded POST, and a body that is not too large."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx2
import trio

from .._net.http import open_body, read_beginning
from ..errors import ProviderError

__all__ = ["SILENCE_SECONDS", "post_for_answer"]

# A model reads the answer; this is far more than it should.
_ANSWER_BYTES = 1024 * 1024

SILENCE_SECONDS = 300.0
"""For the client: each exchange has its own limit, this is against connections that nobody waits for."""


async def post_for_answer(
    client: httpx2.AsyncClient,
    url: str,
    body: Mapping[str, Any],
    *,
    headers: Mapping[str, str],
    timeout_s: float,
) -> bytes:
    """Posts JSON and returns the body of the answer; it is never larger than 1 MB.

    Raises:
        ProviderError: there is no answer that could be read.
    """
    try:
        with trio.fail_after(timeout_s):
            return await _post(client, url, body, headers)
    except trio.TooSlowError:
        raise ProviderError(f"the other agent did not answer within {timeout_s:g} s") from None
    except httpx2.TransportError as error:
        said = str(error) or type(error).__name__
        raise ProviderError(f"the other agent cannot be reached: {said}") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ProviderError("the other agent cannot be called") from error


async def _post(
    client: httpx2.AsyncClient, url: str, body: Mapping[str, Any], headers: Mapping[str, str]
) -> bytes:
    sent = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        **headers,
    }
    # Escaped to ASCII: models write halves of characters, which UTF-8 cannot carry.
    content = json.dumps(body).encode()
    async with (
        client.stream("POST", url, content=content, headers=sent) as response,
        open_body(response) as received,
    ):
        if response.is_redirect:
            raise ProviderError("the other agent answers with a redirect, which is not followed")
        if response.status_code in (401, 403):
            raise ProviderError(f"the other agent refuses our key (status {response.status_code})")
        if not response.is_success:
            raise ProviderError(f"the other agent answers with status {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ProviderError("the other agent's answer is packed, which was not asked for")
        answer = await read_beginning(received, _ANSWER_BYTES + 1)
    if len(answer) > _ANSWER_BYTES:
        raise ProviderError(f"the other agent's answer is larger than {_ANSWER_BYTES} bytes")
    return answer
