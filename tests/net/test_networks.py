"""A sender is in a network as the ipaddress module says, whichever kind of socket it came to."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.errors import ConfigError
from strep.net.networks import MOST_NETWORKS, Networks
from tests.net.test_endpoints import V4, V6, names


def held(networks: list[str], *hosts: str) -> list[bool]:
    return Networks.parse(networks).hold(names(V6, [(host, 40_000) for host in hosts])).tolist()


@pytest.mark.parametrize("host_of_socket", [V4, V6])
def test_an_ipv4_sender_is_in_ipv4_networks_on_both_kinds_of_socket(host_of_socket) -> None:
    senders = names(host_of_socket, [("192.0.2.7", 9), ("192.0.3.7", 9), ("10.1.2.3", 65535)])
    assert Networks.parse(["192.0.2.0/24"]).hold(senders).tolist() == [True, False, False]
    assert Networks.parse(["192.0.3.7", "10.0.0.0/8"]).hold(senders).tolist() == [False, True, True]
    assert Networks.parse(["::/0"]).hold(senders).tolist() == [False] * 3
    assert Networks.parse(["::ffff:192.0.2.0/120"]).hold(senders).tolist() == [True, False, False]
    assert Networks.parse([]).hold(senders).tolist() == [False] * 3


def test_an_ipv6_sender_is_in_ipv6_networks_only() -> None:
    assert held(["2001:db8::/32"], "2001:db8::1", "2001:db9::1", "192.0.2.1") == [True, False, False]
    assert held(["0.0.0.0/0"], "2001:db8::1", "192.0.2.1", "::192.0.2.1") == [False, True, False]
    assert held(["::/0"], "2001:db8::1", "192.0.2.1", "::1") == [True, False, True]
    assert held(["2001:db8::1/128"], "2001:db8::1", "2001:db8::2") == [True, False]


addresses = st.one_of(
    st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address), st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
)


@given(st.lists(st.tuples(addresses, st.integers(0, 128)), max_size=5), st.lists(addresses, min_size=1, max_size=5))
def test_it_agrees_with_the_ipaddress_module(given_networks, others) -> None:
    networks = [
        ipaddress.ip_network((address, min(bits, address.max_prefixlen)), strict=False)
        for address, bits in given_networks
    ]
    senders = [*others, *(network.network_address for network in networks)]
    senders = [a for a in senders if a.version == 4 or a.ipv4_mapped is None]
    networks = [n for n in networks if n.version == 4 or n.prefixlen > 96 or not n.overlaps(MAPPED)]
    expected = [any(a.version == n.version and a in n for n in networks) for a in senders]
    assert held([str(n) for n in networks], *map(str, senders)) == expected


MAPPED = ipaddress.ip_network("::ffff:0:0/96")


@pytest.mark.parametrize("text", ["", "here", "192.0.2.0/33", "192.0.2.1/24", "udp:192.0.2.1:9", "2001:db8::/129"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected a network as 192.0.2.0/24 or 2001:db8::/32, found"):
        Networks.parse([text])


def test_bits_behind_the_prefix_are_pointed_out() -> None:
    with pytest.raises(ConfigError, match=r"found '192.0.2.1/24' \(bits are set behind the prefix\)"):
        Networks.parse(["192.0.2.1/24"])


def test_networks_are_bounded() -> None:
    texts = [str(ipaddress.IPv4Address(struct.unpack(">I", struct.pack(">I", n))[0])) for n in range(MOST_NETWORKS + 1)]
    with pytest.raises(ConfigError, match="expected up to 256 networks, found 257"):
        Networks.parse(texts)
