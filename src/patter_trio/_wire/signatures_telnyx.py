"""Telnyx's signatures of webhooks: Ed25519 over ``timestamp|body``, the raw bytes of both.

Facts are from Telnyx's page on webhooks; checked against its SDK, which agrees on the window (300 s, both
edges included) and on strict base64. Media sockets' upgrades are not signed.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from collections.abc import Iterable

__all__ = ["LARGEST_SKEW", "fault_in_telnyx", "read_telnyx_key", "sign_telnyx", "telnyx_public_key"]

LARGEST_SKEW = 300
"""Seconds that a webhook's time may differ from ours, to either side."""

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
# While a key is being replaced there are two; more is somebody's attempt to keep us busy.
_MOST_SIGNATURES = 4


def read_telnyx_key(text: str) -> bytes:
    """The 32 bytes of a public key as the portal shows it.

    Raises:
        ValueError: it is not base64 of 32 bytes.
    """
    key = _strict_base64(text)
    if key is None or len(key) != _KEY_BYTES:
        raise ValueError("not base64 of 32 bytes")
    return key


def fault_in_telnyx(keys: Iterable[bytes], signature: str, timestamp: str, body: bytes, *, now: float) -> str:
    """What is wrong with a webhook's signature; empty, when nothing is.

    Args:
        keys: those that may have signed, more than one while the account's key is being replaced.
        signature: the header ``telnyx-signature-ed25519``; several may be separated by commas.
        timestamp: the header ``telnyx-timestamp``, seconds since the epoch.
        body: the raw body.
        now: seconds since the epoch.
    """
    if not signature or not timestamp:
        return "without its signature or its timestamp"
    if not _TIMESTAMP.fullmatch(timestamp):
        return "whose timestamp is no number of seconds"
    # Whole seconds, as the carrier counts them: 300 s and a fraction are within the window.
    if abs(int(now) - int(timestamp)) > LARGEST_SKEW:
        return f"whose timestamp differs from our clock by more than {LARGEST_SKEW} s"
    given = signature.split(",", _MOST_SIGNATURES)[:_MOST_SIGNATURES]
    signatures = [_strict_base64(each.strip()) for each in given]
    readable = [each for each in signatures if each is not None and len(each) == _SIGNATURE_BYTES]
    if not readable:
        return "whose signature is not base64 of 64 bytes"
    message = timestamp.encode("ascii") + b"|" + body
    if any(_is_signed(key, each, message) for key in keys for each in readable):
        return ""
    return "whose signature does not match"


def sign_telnyx(seed: bytes, timestamp: int, body: bytes) -> str:
    """The signature that Telnyx puts on a webhook, by the 32 bytes that its key is made of."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(seed)
    return b64encode(key.sign(f"{timestamp}|".encode() + body)).decode("ascii")


def telnyx_public_key(seed: bytes) -> str:
    """The public key as the portal would show it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return b64encode(key.public_bytes_raw()).decode("ascii")


def _is_signed(key: bytes, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _strict_base64(text: str) -> bytes | None:
    try:
        decoded = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    # One text for one value: unused bits must be zero.
    return decoded if b64encode(decoded).decode("ascii") == text else None
