"""What an ASGI scope says about a request, as routes and signatures need it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

from starlette.datastructures import Headers
from starlette.types import Scope

__all__ = ["inner_scope", "joined_headers", "raw_target"]


def joined_headers(headers: Headers) -> Mapping[str, str]:
    """Headers by lower-case name; the values of a repeated one are joined with ``", "`` (RFC 9110 5.2)."""
    joined: dict[str, str] = {}
    for name, value in headers.items():
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def inner_scope(scope: Scope) -> Scope:
    """The scope as it were if the app were not mounted under a prefix: no ``root_path``, paths without it.

    Servers and routers do not agree on what ``root_path`` says. A router's mount (Starlette, hypercorn's
    dispatcher) adds its prefix and leaves ``path`` whole; ``uvicorn --root-path`` puts the prefix into both;
    ``hypercorn --root-path`` names one that a proxy has taken off; and the last may stand around a mount, of
    which ``path`` then holds the inner part of ``root_path`` only. ``raw_path`` may differ from ``path`` in
    any of these. So of ``root_path`` is taken off what is there.
    """
    prefix = [part for part in scope.get("root_path", "").split("/") if part]
    path = _without(scope["path"], prefix)
    raw_path = _raw(scope.get("raw_path") or b"", path, len(prefix))
    return {**scope, "path": path, "raw_path": raw_path.encode("latin-1"), "root_path": ""}


def raw_target(scope: Scope) -> str:
    """Path and query of an :func:`inner_scope` as they stood on the wire."""
    path = scope["raw_path"].decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path


def _without(path: str, prefix: list[str]) -> str:
    """The path without the longest end of the prefix that it begins with, in whole segments."""
    for first in range(len(prefix)):
        start = "/" + "/".join(prefix[first:])
        if path == start or path.startswith(f"{start}/"):
            return path[len(start) :] or "/"
    return path


def _raw(raw_path: bytes, path: str, most: int) -> str:
    """The end of ``raw_path`` that spells ``path``, which is behind at most ``most`` segments."""
    raw = raw_path.partition(b"?")[0].decode("latin-1")
    for behind in range(most + 1):
        parts = raw.split("/", behind + 1)
        if len(parts) == behind + 2 and unquote(rest := f"/{parts[-1]}") == path:
            return rest
    return quote(path)
