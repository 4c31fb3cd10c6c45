"""Which network addresses are public, in every spelling: pure, nothing is resolved here.

A web address that users or models may influence must not reach what only this machine can: services on
loopback, the private network around it, and above all the metadata service of a cloud, which gives away
keys. The lists are our own, since those of the standard library differ between the Pythons we support.
"""

from __future__ import annotations

import unicodedata
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["blocked_address", "blocked_name", "read_address"]

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]


def _networks(*spelled: str) -> Networks:
    return tuple(ip_network(each) for each in spelled)


# Where self-hosters run their own services; allow_private opens these.
_PRIVATE = _networks(
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",  # private
    "127.0.0.0/8", "::1/128",  # loopback
    "100.64.0.0/10", "198.18.0.0/15",  # a carrier's NAT, test benches
    "fc00::/7", "fec0::/10",  # private, old site-local
)  # fmt: skip

# Metadata services, whatever network they hide in.
_METADATA = _networks(
    "169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
    "fd00:ec2::254/128", "fd20:ce::254/128",
)  # fmt: skip

# Never the address of a service on the internet.
_RESERVED = _networks(
    "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "3fff::/20",
)  # fmt: skip

_GLOBAL_6 = IPv6Network("2000::/3")
_SIX_TO_FOUR = IPv6Network("2002::/16")
# Prefixes behind which the last 32 bits are an IPv4 address: mapped, and the public NAT64. Other translations
# (local NAT64, the old compatible form) lead nowhere on the internet: they are reserved like all that is not
# in the global range.
_EMBEDDING = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))

_LOCAL_NAMES = frozenset({"localhost", "localhost6", "ip6-localhost", "ip6-loopback", "broadcasthost"})
_LOCAL_ENDINGS = (".localhost", ".localdomain", ".local", ".internal", ".intranet", ".lan", ".home.arpa")
_METADATA_NAMES = frozenset(
    {
        *("metadata", "metadata.google.internal", "metadata.goog", "metadata.azure.internal"),
        *("instance-data", "instance-data.ec2.internal", "metadata.tencentyun.com"),
    }
)


def blocked_address(address: Address, *, allow_private: bool = False) -> str | None:
    """Why an address may not be called, or ``None``. Metadata services never may."""
    if isinstance(address, IPv6Address):
        if address.scope_id:
            return "link-local"
        inner = _embedded(address)
        if inner is not None:
            return blocked_address(inner, allow_private=allow_private)
    if _among(address, _METADATA):
        return "a metadata service"
    if _among(address, _PRIVATE):
        return None if allow_private else "private"
    if _among(address, _RESERVED) or (isinstance(address, IPv6Address) and address not in _GLOBAL_6):
        return "reserved"
    return None


def _among(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that packets to this one end at."""
    value = int(address)
    if address in _SIX_TO_FOUR:
        return IPv4Address(value >> 80 & 0xFFFFFFFF)
    if _among(address, _EMBEDDING):
        return IPv4Address(value & 0xFFFFFFFF)
    return None


def blocked_name(host: str, *, allow_private: bool = False) -> str | None:
    """Why a host's name may not be called, whatever it resolves to, or ``None``."""
    name = _plain(host)
    if name in _METADATA_NAMES:
        return "a metadata service"
    if not allow_private and (name in _LOCAL_NAMES or name.endswith(_LOCAL_ENDINGS)):
        return "private"
    return None


def read_address(host: str) -> Address | None:
    """The address that a host spells out, or ``None`` for a name.

    Takes what resolvers take: decimal, octal and hexadecimal numbers, fewer than four of them, brackets, a
    zone, a dot at the end, and digits of other scripts.
    """
    spelled = _plain(host).removeprefix("[").removesuffix("]")
    try:
        return ip_address(spelled)
    except ValueError:
        return _numbers(spelled)


def _plain(host: str) -> str:
    return unicodedata.normalize("NFKC", host).strip().replace("。", ".").casefold().removesuffix(".")


def _numbers(spelled: str) -> IPv4Address | None:
    parts = spelled.split(".")
    values = [_number(part) for part in parts]
    if len(parts) > 4 or any(value is None for value in values):
        return None
    *firsts, last = (value for value in values if value is not None)
    if any(value > 255 for value in firsts) or last >= 256 ** (4 - len(firsts)):
        return None
    whole = last
    for place, value in enumerate(firsts):
        whole += value << 8 * (3 - place)
    return IPv4Address(whole)


def _number(part: str) -> int | None:
    try:
        if part.startswith("0x"):
            return int(part[2:] or "0", 16) if "_" not in part else None
        if not (part.isascii() and part.isdigit()):
            return None
        return int(part, 8) if part.startswith("0") else int(part)
    except ValueError:
        return None
