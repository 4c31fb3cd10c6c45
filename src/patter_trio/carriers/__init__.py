"""Telephone companies: what their webhooks mean and how their media streams are spoken."""

from .plivo import Plivo
from .telnyx import Telnyx
from .twilio import Twilio

__all__ = ["Plivo", "Telnyx", "Twilio"]
