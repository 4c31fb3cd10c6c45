"""The phone line inside your own web application, served by your own ASGI server.

``session.app`` is an ASGI application with the webhook, the media WebSocket and ``/health``. Mounted under
``/phone`` it is known to the carrier as PUBLIC_URL/phone, so that is the ``webhook_url``.

    pip install 'patter-trio[local]' 'hypercorn[trio]' starlette
    export TWILIO_ACCOUNT_SID=AC… TWILIO_AUTH_TOKEN=…
    export PHONE_NUMBER=+15550001234 PUBLIC_URL=https://www.example.com
    python mount_in_asgi.py

Put a reverse proxy in front of it: unlike patter_trio's own port, hypercorn's worker for trio does not
survive every hostile request.
"""

from __future__ import annotations

import os

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from patter_trio import HibariTTS, MoonshineSTT, Patter, Session, Twilio


def website(session: Session) -> Starlette:
    """Your application, with the phone line as one of its parts."""

    async def home(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"Corner Bakery. {len(session.calls)} callers on the line.\n")

    return Starlette(routes=[Route("/", home), Mount("/phone", app=session.app)])


async def main() -> None:
    """Opens the session without a port of its own and serves it with hypercorn."""
    patter = Patter(Twilio(), os.environ["PHONE_NUMBER"], f"{os.environ['PUBLIC_URL']}/phone")
    agent = patter.agent(
        first_message="Hello, this is Corner Bakery.",
        on_message=lambda event: "We are open from seven to six.",
        stt=MoonshineSTT(),
        tts=HibariTTS(),
    )
    config = Config()
    config.bind = ["127.0.0.1:8000"]
    async with patter.session(agent, port=None) as session:
        await serve(website(session), config)  # type: ignore[arg-type]  # hypercorn's own idea of ASGI types


if __name__ == "__main__":
    trio.run(main)
