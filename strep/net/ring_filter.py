"""Write the program by which the kernel puts datagrams into a packet ring, and nothing else (strep.net.bpf).

It sees IP packets of one version as the link layer brought them, before the firewall, address translation, routing, and
the check of any checksum. So it asks by itself for what a socket could rely on. In this order:

1. The link layer meant this machine: a switch may flood what is another's, and a sniffer make the card take it.
2. The destination is the address that the socket is bound to; any, where that is the wildcard.
3. It is UDP to the port. Of fragments (IPv4, IPv6) only the first tells the port, and behind other extension headers of
   IPv6 this program does not find it: these are taken whatever they are, and judged one by one (strep.net.ring_rare).
4. The source is in a network that senders may be in, if that is told.
"""

from __future__ import annotations

import ipaddress

from strep.net.bpf import NETWORK, PACKET_TYPE_AT, Instruction, Op
from strep.net.capture.dissect import UDP
from strep.net.networks import Networks

#: PACKET_OTHERHOST (linux/if_packet.h); what is meant for us, for all, or for a group is below.
_ANOTHERS = 3
_WORD_MASK = 0xFFFF_FFFF
#: What may stand between an IPv6 header and UDP, see strep.net.capture.dissect.
_IPV6_EXTENSIONS = (0, 43, 44, 51, 60)
_DROP, _KEEP = Instruction(Op.RETURN, 0), Instruction(Op.RETURN, _WORD_MASK)
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Program = tuple[Instruction, ...]


def ring_program(host: str, port: int, allow: Networks | None = None) -> _Program:
    """Write the program for a socket bound to this address and port."""
    version = ipaddress.ip_address(host.partition("%")[0]).version
    find_port = _ipv4_port(port, 1) if version == 4 else _ipv6_port(port, 1)
    return (*_checks(host), *find_port, *_allowed(allow, version))


def refused_program(host: str, port: int, allow: Networks) -> _Program:
    """Write the program that keeps the first byte of what the other one drops because of who sent it.

    Fragments and other packets that do not tell their port are left out, as they may be anybody's.
    """
    version = ipaddress.ip_address(host.partition("%")[0]).version
    find_port = _ipv4_port(port, 0) if version == 4 else _ipv6_port(port, 0)
    allowed = _each_network(allow, version, _DROP)
    return (*_checks(host), *find_port, *allowed, Instruction(Op.RETURN, 1))


def _checks(host: str) -> _Program:
    """Drop what is not for this machine and this address."""
    address = ipaddress.ip_address(host.partition("%")[0])
    checks: _Program = (
        Instruction(Op.LOAD_BYTE, PACKET_TYPE_AT),
        Instruction(Op.SKIP_UNLESS_AT_LEAST, _ANOTHERS, 1),
        _DROP,
    )
    if not address.is_unspecified:
        checks += (*_in_network(ipaddress.ip_network(address), 16 if address.version == 4 else 24, 1), _skip(1), _DROP)
    return checks


def _skip(instructions: int) -> Instruction:
    return Instruction(Op.SKIP, instructions)


def _ipv4_port(port: int, takes_unknown: int) -> _Program:
    """Go on behind this where the port is right, or drop; takes_unknown: 1 to go on where it is not told, 0 to drop."""
    return (
        Instruction(Op.LOAD_BYTE, NETWORK + 9),
        Instruction(Op.SKIP_UNLESS_EQUAL, UDP, 7),
        Instruction(Op.LOAD_HALF, NETWORK + 6),
        Instruction(Op.SKIP_UNLESS_ANY, 0x1FFF, 1),  # a fragment that is not the first
        _skip(4 + takes_unknown),
        Instruction(Op.LOAD_HEADER_BYTES_TO_X, NETWORK),
        Instruction(Op.LOAD_HALF_FROM_X, NETWORK + 2),
        Instruction(Op.SKIP_UNLESS_EQUAL, port, 1),
        _skip(1),
        _DROP,
    )


def _ipv6_port(port: int, takes_unknown: int) -> _Program:
    """Do the same for IPv6."""
    tests: _Program = ()
    for extension in _IPV6_EXTENSIONS:
        tests = (Instruction(Op.SKIP_UNLESS_EQUAL, extension, 1), _skip(4 + takes_unknown + len(tests)), *tests)
    return (
        Instruction(Op.LOAD_BYTE, NETWORK + 6),
        *tests,
        Instruction(Op.SKIP_UNLESS_EQUAL, UDP, 3),
        Instruction(Op.LOAD_HALF, NETWORK + 42),
        Instruction(Op.SKIP_UNLESS_EQUAL, port, 1),
        _skip(1),
        _DROP,
    )


def _allowed(allow: Networks | None, version: int) -> _Program:
    """Keep what comes from one of the networks."""
    if allow is None:
        return (_KEEP,)
    return (*_each_network(allow, version, _KEEP), _DROP)


def _each_network(allow: Networks, version: int, end: Instruction) -> _Program:
    """End so for what comes from one of the networks, and go on behind this for all others."""
    at, networks = 12 if version == 4 else 8, [network for network in allow.networks if network.version == version]
    return tuple(step for network in networks for step in (*_in_network(network, at, 1), end))


def _in_network(network: ipaddress.IPv4Network | ipaddress.IPv6Network, at: int, behind: int) -> _Program:
    """Go on behind this where the address at `at` is in a network; else skip so many instructions more."""
    wanted, mask = network.network_address.packed, network.netmask.packed
    program: _Program = ()
    for word in range(len(wanted) - 4, -1, -4):
        bits = int.from_bytes(mask[word : word + 4], "big")
        if bits:
            value = int.from_bytes(wanted[word : word + 4], "big")
            program = (
                Instruction(Op.LOAD_WORD, NETWORK + at + word),
                Instruction(Op.AND, bits),
                Instruction(Op.SKIP_UNLESS_EQUAL, value, len(program) + behind),
                *program,
            )
    return program
