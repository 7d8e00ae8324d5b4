"""Choose how datagrams are received: by a packet ring, by recvmmsg, or by the portable loop.

A ring is a tenth of the cost (`python -m bench receive`), but it has what the network brought before the host's
firewall, address translation and routing have seen it. The rules of `Receive.AUTO`:

1. A ring is taken where nothing depends on those: where it is told whom to hear (allow), which the kernel then heeds
   for the ring, or where the address is one of the loopback's, to which nothing comes from outside.
2. It must be possible, see `why_no_ring`: else, and where the system refuses, recvmmsg serves; and where there is none,
   the portable loop.

`Receive.SOCKET`, the default, takes no ring: one has not borne yet what sockets have (`python -m bench fortress`).
"""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass

from strep.errors import ConfigError, ReceiveError
from strep.net.address import UdpAddress
from strep.net.endpoints import EndpointTable
from strep.net.networks import Networks
from strep.net.packet_ring import LEAST_LINUX, is_supported, may_open
from strep.net.portable import PortableSource
from strep.net.reason import socket_reason
from strep.net.ring import RingSource
from strep.net.source import RECEIVE_BUFFER_BYTES, BoundSocket, DatagramSource, bind_udp
from strep.net.udp import open_udp
from strep.net.wallclock import WallClock


class Receive(enum.StrEnum):
    """A way to receive, or that the best one is to be found."""

    SOCKET = "socket"
    AUTO = "auto"
    RING = "ring"
    RECVMMSG = "recvmmsg"
    PORTABLE = "portable"

    @classmethod
    def parse(cls, text: str) -> Receive:
        """Read a way to receive. Raises ConfigError."""
        try:
            return cls(text)
        except ValueError:
            raise ConfigError(f"expected one of {', '.join(cls)} to receive by, found {text!r}") from None


@dataclass(frozen=True, slots=True)
class Opening:
    """What the sockets of a receiver have in common. allow: networks, None for any; see strep.net.endpoints."""

    receive: Receive = Receive.SOCKET
    allow: Networks | None = None
    receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES

    def open(
        self,
        address: UdpAddress | BoundSocket,
        endpoints: EndpointTable,
        clock: WallClock,
        *,
        direction: int | None = None,
        conversation: str | None = None,
        strep_only: bool = False,
    ) -> DatagramSource:
        """Begin to receive; what the arguments mean is said by strep.net.udp.open_udp.

        Raises ReceiveError when the system refuses, ConfigError for what cannot be.
        """
        bound = address if isinstance(address, BoundSocket) else bind_udp(address, self.receive_buffer_bytes)
        source: DatagramSource
        try:
            if self._wants_ring(bound):
                senders = endpoints.add_input(bound.address, conversation=conversation, direction=direction)
                try:
                    return RingSource(bound, senders, clock, allow=self.allow, strep_only=strep_only)
                except OSError as error:
                    if self.receive is Receive.RING:
                        raise ReceiveError(f"cannot open a packet ring: {_reason(error)}") from error
                    endpoints.remove_input(senders)
            source = open_udp(
                bound,
                direction=direction,
                conversation=conversation,
                endpoints=endpoints,
                clock=clock,
                portable=self.receive is Receive.PORTABLE,
                strep_only=strep_only,
            )
        except BaseException:
            bound.close()
            raise
        if self.receive is Receive.RECVMMSG and isinstance(source, PortableSource):
            source.close()
            raise ConfigError("expected a system with recvmmsg (64-bit Linux), found another")
        return source

    def _wants_ring(self, bound: BoundSocket) -> bool:
        if self.receive is Receive.RING:
            if reason := why_no_ring(bound):
                raise ConfigError(f"a packet ring cannot be: {reason}")
            return True
        return self.receive is Receive.AUTO and self._may_hear_network(bound.address) and why_no_ring(bound) is None

    def _may_hear_network(self, address: UdpAddress) -> bool:
        return self.allow is not None or ipaddress.ip_address(address.host.partition("%")[0]).is_loopback


def why_no_ring(bound: BoundSocket) -> str | None:
    """Say why there can be no ring in a socket's place; None where there can, if the system lets us."""
    if not is_supported():
        return f"expected a 64-bit little-endian Linux {'.'.join(map(str, LEAST_LINUX))} or newer, found another system"
    if bound.address.host == "::":
        return "expected an address of one IP version, found [::], which takes both"
    if not bound.is_alone:
        return "expected a socket that has its port for itself, found one of several workers"
    return None


def ring_hint(address: UdpAddress, way: Receive, wanted: Receive) -> str | None:
    """Say what would let a receiver have a ring that has none for want of a word; None where that is not it."""
    host = ipaddress.ip_address(address.host.partition("%")[0])
    if wanted is not Receive.AUTO or way is not Receive.RECVMMSG or host.is_loopback or address.host == "::":
        return None
    if not may_open():
        return None
    return "--allow CIDR would let this receive by a packet ring, in a third of the time (--help says why)"


def way_of(source: DatagramSource) -> Receive:
    """Tell which way a source receives."""
    if isinstance(source, RingSource):
        return Receive.RING
    return Receive.PORTABLE if isinstance(source, PortableSource) else Receive.RECVMMSG


def _reason(error: OSError) -> str:
    return "expected CAP_NET_RAW, found no such right" if isinstance(error, PermissionError) else socket_reason(error)
