"""Signatures of Plivo's webhooks and of its media sockets' upgrades.

V3 (its page on signatures; checked against its SDK): base64 of an HMAC-SHA256 over the URL, whose query is
decoded and sorted, the form's names and values, sorted, and a nonce. The page and the SDK disagree about a
form that goes to a URL without a query, so both are taken: they are made of the same data with the same
secret. What an upgrade signs is not sure either: the address that was dialled, or its ``https`` form.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import parse_qsl

__all__ = ["sign_plivo_v2", "sign_plivo_v3", "verify_plivo_v2", "verify_plivo_v3"]

Form = Sequence[tuple[str, str]]


def sign_plivo_v3(secret: str, method: str, url: str, nonce: str, form: Form = ()) -> str:
    """The signature that Plivo's SDK expects of a request.

    Args:
        secret: the auth token of the account or sub-account.
        method: ``GET`` has its parameters in the query; all else is a ``POST``.
        url: as it was given to Plivo; a fragment is not signed.
        nonce: the header that comes with the signature.
        form: the decoded fields.
    """
    return _hmac(secret, f"{next(_signed(method, url, form))}.{nonce}")


def verify_plivo_v3(
    secrets: Iterable[str],
    method: str,
    url: str,
    nonce: str,
    signatures: Iterable[str],
    *,
    form: Form = (),
    body: bytes = b"",
) -> bool:
    """Whether one of ``secrets`` made one of ``signatures``; takes the same time for each wrong one.

    Args:
        secrets: those that may sign; empty ones never match.
        method: of the request.
        url: the public URL that Plivo was given, ``ws`` or ``wss`` for an upgrade.
        nonce: ``X-Plivo-Signature-V3-Nonce``.
        signatures: the headers; each may hold several values.
        form: every decoded field, blanks included.
        body: the raw body. One that is not a form is covered by nothing, so it is refused.
    """
    if body and not form:
        return False
    urls = [url]
    scheme, _, rest = url.partition("://")
    if scheme in ("ws", "wss"):
        urls += [f"https://{rest}", f"http://{rest}"]
    texts = [f"{text}.{nonce}" for each in urls for text in _signed(method, each, form)]
    return _matches(secrets, texts, signatures)


def sign_plivo_v2(secret: str, url: str, nonce: str) -> str:
    """The older signature, which covers neither query nor form."""
    return _hmac(secret, _base(url) + nonce)


def verify_plivo_v2(secrets: Iterable[str], url: str, nonce: str, signatures: Iterable[str]) -> bool:
    """Whether one of ``secrets`` made one of ``signatures`` in the older way."""
    return _matches(secrets, [_base(url) + nonce], signatures)


def _signed(method: str, url: str, form: Form) -> Iterator[str]:
    """What is signed besides the nonce: first as in the SDK, then as on the page where that differs."""
    base, query = _base(url), _sorted_query(url.partition("#")[0].partition("?")[2])
    if method.upper() == "GET":
        query = _sorted_query(url.partition("#")[0].partition("?")[2], form)
        yield f"{base}?{query}" if query else base
        return
    if not form:
        yield f"{base}?{query}" if query else base
        return
    fields = "".join(name + value for name, value in sorted(form))
    if query:
        yield f"{base}?{query}.{fields}"
        return
    yield f"{base}?{fields}"
    yield f"{base}.{fields}"


def _base(url: str) -> str:
    return url.partition("#")[0].partition("?")[0]


def _sorted_query(query: str, form: Form = ()) -> str:
    """Names in order, the values of each in order; a name in the query hides the same name in the form."""
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in parse_qsl(query, keep_blank_values=True):
        values[name].append(value)
    for name in {name for name, _ in form} - values.keys():
        values[name] = [value for key, value in form if key == name]
    return "&".join(f"{name}={value}" for name in sorted(values) for value in sorted(values[name]))


def _matches(secrets: Iterable[str], texts: Sequence[str], signatures: Iterable[str]) -> bool:
    given = [
        value.strip().encode("utf-8", "surrogatepass")
        for header in signatures
        for value in header.split(",")
        if value.strip()
    ]
    matches = [
        hmac.compare_digest(_hmac(secret, text).encode(), value)
        for secret in secrets
        if secret
        for text in texts
        for value in given
    ]
    return any(matches)


def _hmac(secret: str, text: str) -> str:
    mac = hmac.new(secret.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return b64encode(mac.digest()).decode("ascii")
