"""Keep slow and many connections from taking an HTTP server away from others.

1. A request has come in whole, header and body, so long after its connection or its first byte, or the connection ends.
2. There are so many connections at a time, and so many from one address (of IPv6: from one /64, as hosts have that many
   each). For one more, the one ends that has waited longest for a request, of the same address or else of the address
   that has most of them. So thousands that ask nothing make room for who does, also where all come through one proxy.
3. One whose request is being answered never ends for another. Where all are, the one that comes is closed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from dataclasses import dataclass
from typing import Any, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

#: What uvicorn has to say of its own: a peer's malformed requests are counted here, not logged there one by one.
_errors = logging.getLogger("uvicorn.error.strep")
_errors.setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections a server holds, and how long it waits for a request.

    total: each holds 80 KB at the most, and a descriptor of the 1,024 that a process usually has; the platform opens
    some dozens. per_address: half of that, as a proxy's address is everybody's. request_s: TCP has sent a lost packet
    three times by then (RFC 6298), and nobody who sends webhooks waits as long.
    """

    total: int = 500
    per_address: int = 250
    request_s: float = 5.0


@dataclass(slots=True)
class ConnectionCounts:
    """Counts of connections. accepted == those that are there, those that ended by themselves,
    displaced and too_slow.

    refused: closed at once, as all others were being answered. displaced: closed to make room. too_slow: whose request
    did not come in. malformed: requests that were no HTTP.
    """

    accepted: int = 0
    refused: int = 0
    displaced: int = 0
    too_slow: int = 0
    malformed: int = 0


class Connection(Protocol):
    """What the table needs of a connection."""

    @property
    def is_waiting(self) -> bool:
        """Tell whether its request has not come in whole."""

    def end(self) -> None:
        """Close it at once."""


class ConnectionTable:
    """A table of the connections by address, each address's in the order in which they last asked for something."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits, self.counts = limits, ConnectionCounts()
        self._of_address: dict[str, dict[Connection, None]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def admit(self, connection: Connection, address: str) -> bool:
        """Take a connection in, and end another for it if need be; tell whether there is room."""
        own = self._of_address.get(address, {})
        if len(own) >= self.limits.per_address:
            is_room = self._displace(address)
        elif self._size >= self.limits.total:
            by_size = sorted(self._of_address, key=lambda other: len(self._of_address[other]), reverse=True)
            is_room = any(map(self._displace, by_size))
        else:
            is_room = True
        if not is_room:
            self.counts.refused += 1
            return False
        self._of_address.setdefault(address, {})[connection] = None
        self._size += 1
        self.counts.accepted += 1
        return True

    def renew(self, connection: Connection, address: str) -> None:
        """Take note that it has asked for something."""
        own = self._of_address.get(address, {})
        if connection in own:
            del own[connection]
            own[connection] = None

    def leave(self, connection: Connection, address: str) -> None:
        """Take it out, if it is still there."""
        own = self._of_address.get(address, {})
        if connection in own:
            del own[connection]
            self._size -= 1
            if not own:
                del self._of_address[address]

    def _displace(self, address: str) -> bool:
        for connection in self._of_address[address]:
            if connection.is_waiting:
                self.leave(connection, address)
                self.counts.displaced += 1
                connection.end()
                return True
        return False


class LimitedProtocol(H11Protocol):
    """Uvicorn's side of a connection, within the limits of a table."""

    def __init__(self, *arguments: Any, table: ConnectionTable, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = _errors
        self._table, self._address = table, ""
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Tell whether its request has not come in whole."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def end(self) -> None:
        """Close it at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin."""
        super().connection_made(transport)
        self._address = address_group(self.client[0] if self.client else "")
        if self._table.admit(self, self._address):
            self._expect_request()
        else:
            self.end()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._deadline is None:
            self._expect_request()
        super().data_received(data)
        if not self.is_waiting:
            self._cancel_deadline()
            self._table.renew(self, self._address)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._cancel_deadline()
        self._table.leave(self, self._address)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._table.counts.malformed += 1
        super().send_400_response(msg)

    def _expect_request(self) -> None:
        self._deadline = self.loop.call_later(self._table.limits.request_s, self._too_slow)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._table.counts.too_slow += 1
        self._table.leave(self, self._address)
        self.end()


def address_group(host: str) -> str:
    """Give what stands for a host: its address of IPv4, also where that is mapped into IPv6, or its /64 of IPv6."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # no address at all, as of a Unix socket
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else address.packed[:8].hex()
