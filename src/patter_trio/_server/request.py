"""What an ASGI scope says about a request, as signatures need it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.types import Scope

__all__ = ["joined_headers", "raw_target"]


def joined_headers(headers: Headers) -> Mapping[str, str]:
    """Headers by lower-case name; the values of a repeated one are joined with ``", "`` (RFC 9110 5.2)."""
    joined: dict[str, str] = {}
    for name, value in headers.items():
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def raw_target(scope: Scope) -> str:
    """Path and query as they stood on the wire, without the prefix under which the app is mounted."""
    path = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")[0].decode("latin-1")
    path = path.removeprefix(quote(scope.get("root_path", "")))
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path
