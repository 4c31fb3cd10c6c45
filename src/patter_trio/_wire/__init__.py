"""Protocols that others defined, sans-IO: bytes and text in, events out, and back."""
