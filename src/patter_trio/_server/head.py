"""The first lines of a connection: read with a deadline and a limit, and understood just enough to route.

This reader is stricter than the HTTP parser behind it: what the two could read differently (bare line feeds,
folded headers, spaces before the colon) is refused here, so that no request is routed as one thing and
served as another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

__all__ = ["END_OF_HEAD", "Head", "parse_head", "refusal"]

END_OF_HEAD = b"\r\n\r\n"

# RFC 9112 3: method SP request-target SP HTTP-version; RFC 9110 5.6.2 (token) and 5.5 (field values).
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/(1\.[01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")

_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


@attrs.frozen
class Head:
    """Request line and headers, names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def upgrade(self) -> str:
        """What the request wants to become, in lower case: ``websocket``, ``h2c`` or nothing."""
        return self.headers.get("upgrade", "").lower()

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


def parse_head(raw: bytes) -> Head | None:
    """Reads a complete head, :data:`END_OF_HEAD` included; ``None`` for one that is not HTTP/1.x."""
    first, *lines = raw[: -len(END_OF_HEAD)].split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(first)
    if request is None:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            return None
        name, value = field[1].decode("ascii").lower(), field[2].decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Head(method=request[1].decode("ascii"), target=request[2].decode("ascii"), headers=headers)


def refusal(status: int) -> bytes:
    """A whole response that says ``status`` and closes."""
    reason = _REASONS.get(status, "Refused")
    body = f"{status} {reason}\n".encode()
    return (
        b"HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
        % (
            status,
            reason.encode(),
            len(body),
            body,
        )
    )
