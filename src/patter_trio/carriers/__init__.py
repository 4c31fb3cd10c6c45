"""Telephone companies: what their webhooks mean and how their media streams are spoken."""

from .twilio import Twilio

__all__ = ["Twilio"]
