"""Signatures of webhooks and of WebSocket upgrades.

Twilio (its page on webhook security; checked against its SDKs): base64 of an HMAC over the URL as configured,
followed for a form by ``name`` and ``value`` of each field, sorted, repeated pairs once. The carrier is not
consistent about the port in that URL, so its SDK tries two forms of it, and so does this module.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal
from urllib.parse import parse_qs

import attrs

__all__ = [
    "HMAC_SHA1",
    "HMAC_SHA256",
    "SignatureSettings",
    "read_signature_settings",
    "sign_twilio",
    "verify_twilio",
]

Algorithm = Literal["HMAC_SHA1", "HMAC_SHA256"]
Form = Sequence[tuple[str, str]]

HMAC_SHA1: Algorithm = "HMAC_SHA1"
"""The account's auth token signs: the ordinary case."""
HMAC_SHA256: Algorithm = "HMAC_SHA256"
"""A shared key signs (a beta of Twilio's)."""

_HASHES = {HMAC_SHA1: hashlib.sha1, HMAC_SHA256: hashlib.sha256}
_URL = re.compile(r"(?P<scheme>[a-z]+)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)", re.DOTALL)
_PORT = re.compile(r":[0-9]*\Z")


@attrs.frozen
class SignatureSettings:
    """What the header ``X-Twilio-Webhooks-Signature-Settings`` says; it is not signed itself."""

    algorithm: str = HMAC_SHA1
    key: str = ""


def read_signature_settings(header: str) -> SignatureSettings:
    """Reads ``key=<id>,algorithm=<name>``; a header that names no algorithm means HMAC-SHA1."""
    pairs: Mapping[str, str] = {
        name.strip(): value.strip() for name, _, value in (part.partition("=") for part in header.split(","))
    }
    return SignatureSettings(pairs.get("algorithm") or HMAC_SHA1, pairs.get("key", ""))


def sign_twilio(secret: str, url: str, form: Form = (), *, algorithm: Algorithm = HMAC_SHA1) -> str:
    """The signature that Twilio puts on a request to exactly this URL (but for its fragment).

    Args:
        secret: the account's auth token, or for HMAC-SHA256 the shared key's secret.
        url: scheme, host, port, path and query, verbatim.
        form: the decoded fields of a form POST; nothing for GET, JSON and WebSocket upgrades.
        algorithm: which of the two.
    """
    # Code point order is the byte order of UTF-8. Text that is not valid Unicode signs as something, so that
    # a hostile request is refused rather than raises.
    signed = url.partition("#")[0] + "".join(name + value for name, value in sorted(set(form)))
    mac = hmac.new(secret.encode(), signed.encode("utf-8", "surrogatepass"), _HASHES[algorithm])
    return b64encode(mac.digest()).decode("ascii")


def verify_twilio(
    secrets: Iterable[str],
    url: str,
    signature: str,
    *,
    form: Form = (),
    body: bytes = b"",
    algorithm: Algorithm = HMAC_SHA1,
) -> bool:
    """Whether one of ``secrets`` signed this request; takes the same time for each wrong signature.

    A body without form fields must be named by ``bodySHA256`` in the (signed) query, else nothing vouches for
    it. For a WebSocket upgrade (``ws``, ``wss``) the URL with a slash added counts too.

    Args:
        secrets: those that may sign, more than one while a token is rotated; empty ones never match.
        url: the public URL that the carrier was given.
        signature: the header ``X-Twilio-Signature``.
        form: every decoded field of a form POST, blanks included.
        body: the raw body; of a form POST it may be left out.
        algorithm: the one that these secrets are for; choose it before looking at the request.
    """
    parts = _URL.match(url)
    if parts is None:
        return False
    if not form and not _body_is_named(parts["rest"], body):
        return False
    given = signature.encode("utf-8", "surrogatepass")
    matches = [
        hmac.compare_digest(sign_twilio(secret, candidate, form, algorithm=algorithm).encode(), given)
        for secret in secrets
        if secret
        for candidate in _candidates(parts)
    ]
    return any(matches)


def _body_is_named(rest: str, body: bytes) -> bool:
    digests = parse_qs(rest.partition("?")[2]).get("bodySHA256")
    if digests is None:
        return not body
    digest = hashlib.sha256(body).hexdigest().encode()
    return hmac.compare_digest(digest, digests[0].encode("utf-8", "surrogatepass"))


def _candidates(parts: re.Match[str]) -> tuple[str, ...]:
    """The URL without a port and with one: its own, else 443 for https and 80 for the rest, as in the SDK."""
    scheme, authority, rest = parts["scheme"], parts["authority"], parts["rest"]
    host = _PORT.sub("", authority)
    with_port = f"{host}:{443 if scheme == 'https' else 80}" if host == authority else authority
    urls = (f"{scheme}://{host}{rest}", f"{scheme}://{with_port}{rest}")
    return (*urls, *(url + "/" for url in urls)) if scheme in ("ws", "wss") else urls
