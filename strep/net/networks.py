"""Say which senders datagrams are taken from: networks, as columns over the kernel's sockaddr structures.

An IPv4 sender is one whichever kind of socket it came to: `::/0` does not mean it, `0.0.0.0/0` does. What is written as
IPv4 within IPv6 (`::ffff:192.0.2.0/120`) is IPv4.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strep.errors import ConfigError

#: Each costs a comparison for each datagram of a sender that is not known yet.
MOST_NETWORKS = 256
#: Where in a sockaddr_in6 the address lies, in 64-bit words.
_IPV6_WORDS = slice(1, 3)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Networks:
    """A set of networks; empty, it holds no sender."""

    networks: tuple[_Network, ...]

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Networks:
        """Read networks such as 192.0.2.0/24, 2001:db8::/32, or one address. Raises ConfigError."""
        networks = tuple(dict.fromkeys(_parse(text) for text in texts))
        if len(networks) > MOST_NETWORKS:
            raise ConfigError(f"expected up to {MOST_NETWORKS} networks, found {len(networks)}")
        return cls(networks)

    def hold(self, names: Words) -> NDArray[np.bool_]:
        """Tell of n senders which are in one of the networks.

        names: uint64[n, 1] or uint64[n, 4], sockaddr_in or sockaddr_in6 as the kernel fills them.
        """
        if names.shape[1] == 1:
            return _in_any(names, [_ipv4_pattern(network) for network in self.networks if network.version == 4])
        address = names[:, _IPV6_WORDS]
        is_ipv4 = _in_any(address, [_ipv6_pattern(_MAPPED)])
        ipv4 = [_mapped_pattern(network) for network in self.networks if network.version == 4]
        ipv6 = [_ipv6_pattern(network) for network in self.networks if network.version == 6]
        return np.where(is_ipv4, _in_any(address, ipv4), _in_any(address, ipv6))


def _parse(text: str) -> _Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        reason = " (bits are set behind the prefix)" if "host bits" in str(error) else ""
        raise ConfigError(f"expected a network as 192.0.2.0/24 or 2001:db8::/32, found {text!r}{reason}") from None
    if network.version == 6 and network.subnet_of(_MAPPED):
        return ipaddress.IPv4Network((network.network_address.packed[12:], network.prefixlen - 96))
    return network


#: What an address has to be, and in which bits.
_Pattern = tuple[Words, Words]


def _in_any(address: Words, patterns: Iterable[_Pattern]) -> NDArray[np.bool_]:
    held = np.zeros(len(address), np.bool_)
    for wanted, mask in patterns:
        held |= ((address ^ wanted) & mask == 0).all(axis=1)
    return held


def _ipv4_pattern(network: _Network) -> _Pattern:
    """Lay a network into a sockaddr_in: family and port, which may be any, go before the address."""
    return _words(bytes(4) + network.network_address.packed), _words(bytes(4) + network.netmask.packed)


def _mapped_pattern(network: _Network) -> _Pattern:
    before = _MAPPED.network_address.packed[:12], _MAPPED.netmask.packed[:12]
    return _words(before[0] + network.network_address.packed), _words(before[1] + network.netmask.packed)


def _ipv6_pattern(network: _Network) -> _Pattern:
    return _words(network.network_address.packed), _words(network.netmask.packed)


def _words(packed: bytes) -> Words:
    return np.frombuffer(packed, np.uint64)
