"""What the parts of a session share."""

from __future__ import annotations

import attrs

from ._call.agent import Agent
from ._lines import Lines
from ._lookout import Lookout
from ._providers import Providers
from ._server.admission import Admission
from ._settings import SessionCounts, SessionSettings
from .abc import LiveCarrier

__all__ = ["Office"]


@attrs.define(eq=False)
class Office:
    """The session's settings, its agent, its books and, once it is open, its carrier."""

    settings: SessionSettings
    agent: Agent | None
    providers: Providers
    admission: Admission
    lines: Lines = attrs.field(factory=Lines)
    counts: SessionCounts = attrs.field(factory=SessionCounts)
    live: LiveCarrier | None = None
    lookout: Lookout = attrs.field(
        default=attrs.Factory(lambda office: Lookout(office.settings), takes_self=True)
    )
