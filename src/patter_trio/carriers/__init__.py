"""Telephone companies: what their webhooks mean and how their media streams are spoken."""

from .telnyx import Telnyx
from .twilio import Twilio

__all__ = ["Telnyx", "Twilio"]
