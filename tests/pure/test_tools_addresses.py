"""Which addresses are public, in every spelling."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._net.addresses import blocked_address, blocked_name, read_address
from patter_trio._net.guard import check_url, url_problem
from patter_trio.errors import PatterConfigError

PRIVATE = ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "127.9.9.9", "100.64.0.1"]
NEVER = ["0.0.0.0", "169.254.169.254", "169.254.1.1", "224.0.0.1", "255.255.255.255", "168.63.129.16"]
PUBLIC = ["8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "1.1.1.1", "2606:4700::1111"]


@st.composite
def spellings(draw: st.DrawFn, address: st.SearchStrategy[str]) -> str:
    """One of the ways in which a resolver understands an IPv4 address."""
    value = int(IPv4Address(draw(address)))
    count = draw(st.integers(1, 4))
    parts = [value >> 8 * (3 - place) & 0xFF for place in range(count - 1)]
    parts.append(value & (256 ** (5 - count) - 1))
    forms: list[Callable[[int], str]] = [
        str,
        lambda part: f"0{part:o}",
        lambda part: f"0x{part:x}",
        lambda part: f"0X{part:08X}",
        lambda part: f"000{part:o}",
    ]
    spelled = ".".join(draw(st.sampled_from(forms))(part) for part in parts)
    if draw(st.booleans()):
        spelled = spelled.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    return spelled + draw(st.sampled_from(["", "."]))


@given(spellings(st.sampled_from(PRIVATE + NEVER)))
def test_no_spelling_of_a_blocked_address_passes(spelled: str) -> None:
    address = read_address(spelled)
    assert address is not None
    assert blocked_address(address)
    assert url_problem(f"http://{spelled}/hook")


@given(
    st.ip_addresses(v=4)
    .map(str)
    .flatmap(lambda address: st.tuples(st.just(address), spellings(st.just(address))))
)
def test_every_spelling_means_its_address(both: tuple[str, str]) -> None:
    address, spelled = both
    assert read_address(spelled) == IPv4Address(address)


@st.composite
def wrapped(draw: st.DrawFn, address: st.SearchStrategy[str], *more: str) -> IPv6Address:
    """An IPv6 address whose packets end at an IPv4 one."""
    value = int(IPv4Address(draw(address)))
    prefix = draw(st.sampled_from(["::ffff:0:0", "64:ff9b::", "2002::", *more]))
    base = int(IPv6Address(prefix))
    return IPv6Address(base | (value << 80 if prefix == "2002::" else value))


@given(wrapped(st.sampled_from(PRIVATE + NEVER), "::ffff:0:0:0", "64:ff9b:1::", "::"))
def test_no_wrapping_of_a_blocked_address_passes(address: IPv6Address) -> None:
    assert blocked_address(address)
    assert url_problem(f"https://[{address}]/")
    assert url_problem(f"https://[{address.exploded}]:8443/")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    assert blocked_address(ip_address(address)) is None
    assert read_address(address) == ip_address(address)


@given(wrapped(st.sampled_from(["8.8.8.8", "93.184.216.34"])))
def test_a_translated_public_address_passes(address: IPv6Address) -> None:
    assert blocked_address(address) is None


@pytest.mark.parametrize(
    "address",
    ["::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "2001::1",
     "fd00:ec2::254",      "100::1", "5f00::1", "4000::1"],
)  # fmt: skip
def test_addresses_that_are_not_public_are_blocked(address: str) -> None:
    assert blocked_address(ip_address(address))


@given(st.ip_addresses(v=4))
def test_what_passes_is_public_for_the_standard_library_too(address: IPv4Address) -> None:
    if blocked_address(address) is None:
        assert address.is_global
        assert not address.is_multicast


# Global on paper, but each leads to an IPv4 address, which is what is judged.
TRANSLATED = (IPv6Network("2002::/16"), IPv6Network("64:ff9b::/96"), IPv6Network("::ffff:0:0/96"))


@given(
    st.ip_addresses(v=6) | st.ip_addresses(network="64:ff9b::/32") | st.ip_addresses(network="::/32")
    | st.ip_addresses(network="2001::/20") | st.ip_addresses(network="3fff::/16")
)  # fmt: skip
def test_what_passes_of_ipv6_is_public_too(address: IPv6Address) -> None:
    if blocked_address(address) is None and not any(address in network for network in TRANSLATED):
        assert address in IPv6Network("2000::/3")
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize("address", [*PRIVATE, "::1", "fd12::1", "::ffff:10.0.0.1"])
def test_self_hosters_may_open_their_own_network(address: str) -> None:
    assert blocked_address(ip_address(address)) == "private"
    assert blocked_address(ip_address(address), allow_private=True) is None


@pytest.mark.parametrize("address", [*NEVER, "fd00:ec2::254", "fe80::1", "::ffff:169.254.169.254", "ff02::1"])
def test_some_addresses_stay_closed_to_everyone(address: str) -> None:
    assert blocked_address(ip_address(address), allow_private=True)


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "LOCALHOST.",
        "foo.localhost",
        "printer.local",
        "db.internal",
        "ip6-loopback",
        "ｌｏｃａｌｈｏｓｔ",
    ],
)
def test_local_names_are_blocked(name: str) -> None:
    assert blocked_name(name) == "private"
    assert blocked_name(name, allow_private=True) is None


def test_metadata_names_are_blocked_for_everyone() -> None:
    for name in ("metadata.google.internal", "metadata", "Instance-Data"):
        assert blocked_name(name, allow_private=True) == "a metadata service"


@pytest.mark.parametrize(
    "name", ["example.com", "localhost.example.com", "internal.example.com", "0x.example"]
)
def test_other_names_pass(name: str) -> None:
    assert blocked_name(name) is None
    assert read_address(name) is None


@pytest.mark.parametrize(
    "host",
    ["", ".", "1.2.3.4.5", "256.1.1.1", "1.2.3.256", "4294967296", "09", "1..2", "0x_1", "1_0", "-1", "0xg"],
)
def test_what_is_no_address_is_read_as_none(host: str) -> None:
    assert read_address(host) is None


@given(st.text())
def test_any_text_can_be_judged(host: str) -> None:
    read_address(host)
    blocked_name(host)
    url_problem(host)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("file:///etc/passwd", "only http and https"),
        ("gopher://example.com", "only http and https"),
        ("unix:///run/docker.sock", "only http and https"),
        ("https://", "no host"),
        ("http://[::1", "not a web address"),
        ("http://user@127.0.0.1/", "private"),
        ("http://example.com@127.0.0.1/", "private"),
        ("http://127.0.0.1#@example.com/", "private"),
        ("http://0/", "reserved"),
        ("http://①②⑦.⓪.⓪.①/", "not a web address"),
    ],
)
def test_urls_are_judged_as_written(url: str, complaint: str) -> None:
    assert complaint in str(url_problem(url))
    with pytest.raises(PatterConfigError, match=complaint):
        check_url(url)


def test_the_refusal_names_the_way_out_and_not_the_address() -> None:
    with pytest.raises(PatterConfigError, match="allow_private=True") as refused:
        check_url("http://me:secret@10.0.0.1/?token=t0ken")
    assert "secret" not in str(refused.value)
    assert "t0ken" not in str(refused.value)
    check_url("http://10.0.0.1/", allow_private=True)
    check_url("https://example.com/hook")
