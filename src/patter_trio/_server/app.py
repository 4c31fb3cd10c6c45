"""The house as an ASGI application: webhooks and health for our own port, all of it for someone else's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from ..abc import WebhookRequest
from ..observability.prometheus import METRICS_MEDIA_TYPE
from .asgi import MediaEndpoint
from .house import House
from .request import inner_scope, joined_headers, raw_target

__all__ = ["BODY_LIMIT", "ASGIApp", "build_app"]

BODY_LIMIT = 64 * 1024
"""Largest webhook body taken, in bytes; carriers send about 1 KiB."""

_FIELD_LIMIT = 1000
_FORM = "application/x-www-form-urlencoded"


def build_app(house: House, metrics: Callable[[], str] | None = None) -> ASGIApp:
    """An application that serves ``house``: ``POST /webhooks/{kind}/{what}``, ``GET /health`` and, where it
    is mounted in another server, the media WebSocket ``/ws/{kind}/{token}``; with ``metrics``, which makes
    the page, also ``GET /metrics``.

    It may stand under any prefix. Which one is no business of its own: the public URLs are the house's.
    """

    async def answer_webhook(request: Request) -> Response:
        try:
            body = await _read_body(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        if body is None:
            return PlainTextResponse("the body is too large\n", 413, {"connection": "close"})
        form = _read_form(request.headers.get("content-type", ""), body)
        if form is None:
            return PlainTextResponse("the form has too many fields\n", 400)
        answer = await house.answer_webhook(
            request.path_params["kind"],
            request.path_params["what"],
            WebhookRequest(
                method=request.method,
                url=house.public_url(raw_target(request.scope)),
                headers=joined_headers(request.headers),
                body=body,
                form=form,
            ),
        )
        return Response(answer.body, answer.status, media_type=answer.media_type)

    async def show_health(_request: Request) -> Response:
        return JSONResponse(dict(house.health()))

    routes: list[BaseRoute] = [
        Route("/webhooks/{kind}/{what}", answer_webhook, methods=["POST"]),
        Route("/health", show_health, methods=["GET"]),
        WebSocketRoute("/ws/{kind}/{token}", MediaEndpoint(house)),
    ]
    if metrics is not None:
        page = metrics

        async def show_metrics(_request: Request) -> Response:
            return Response(page(), media_type=METRICS_MEDIA_TYPE)

        routes.append(Route("/metrics", show_metrics, methods=["GET"]))
    routed = Starlette(routes=routes)
    # A redirect would lead to whatever host the request names.
    routed.router.redirect_slashes = False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await routed(scope if scope["type"] == "lifespan" else inner_scope(scope), receive, send)

    return app


async def _read_body(request: Request) -> bytes | None:
    """The raw body, ``None`` as soon as it is known to be above the limit."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:12]) > BODY_LIMIT:
        return None
    body = bytearray()
    async with aclosing(request.stream()) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > BODY_LIMIT:
                return None
    return bytes(body)


def _read_form(content_type: str, body: bytes) -> tuple[tuple[str, str], ...] | None:
    """The fields in order, blank ones included: signatures are made over all of them."""
    if content_type.partition(";")[0].strip().lower() != _FORM:
        return ()
    text = body.decode("utf-8", "replace")
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELD_LIMIT))
    except ValueError:
        return None
