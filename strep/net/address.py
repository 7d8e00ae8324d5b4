"""Name a UDP address the way the call platform does: `udp:192.0.2.1:9000`, `udp:[2001:db8::1]:9000`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from strep.errors import ConfigError

_FORM = re.compile(r"udp:(?:\[(?P<v6>[^\[\]]+)\]|(?P<v4>[^\[\]:]+)):(?P<port>[0-9]{1,5})", re.ASCII)
_LARGEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class UdpAddress:
    """An IP address and a UDP port, to listen on or to send to.

    host: an IPv4 or IPv6 address in its shortest form, no brackets; no names, for the platform resolves none.
    port: 0 to 65535. `0.0.0.0`, `::` and port 0 mean "any", which has sense for listening only: see `is_destination`.

    Raises ConfigError when the host is no IP address, or the port out of range.
    """

    host: str
    port: int

    def __post_init__(self) -> None:
        try:
            shortest = str(ipaddress.ip_address(self.host))
        except ValueError:
            raise ConfigError(f"expected an IP address in udp:IP:PORT, found {self.host!r}") from None
        if not 0 <= self.port <= _LARGEST_PORT:
            raise ConfigError(f"expected a port of 0 to {_LARGEST_PORT} in udp:IP:PORT, found {self.port}")
        object.__setattr__(self, "host", shortest)

    @classmethod
    def parse(cls, text: str) -> UdpAddress:
        """Read `udp:IP:PORT`, an IPv6 address in brackets. Raises ConfigError when it is no such thing."""
        match = _FORM.fullmatch(text)
        host = match and (match["v6"] or match["v4"])
        if not match or not host or (":" in host) != bool(match["v6"]):
            raise ConfigError(f"expected 'udp:IP:PORT' (an IPv6 address in brackets), found {text!r}")
        try:
            return cls(host, int(match["port"]))
        except ConfigError as error:
            raise ConfigError(f"{error} in {text!r}") from None

    def __str__(self) -> str:
        return f"udp:[{self.host}]:{self.port}" if ":" in self.host else f"udp:{self.host}:{self.port}"

    @property
    def is_destination(self) -> bool:
        """Tell whether a datagram can be sent there: a definite port of a definite, single host."""
        ip = self._ip()
        return self.port > 0 and not ip.is_unspecified and not ip.is_multicast

    @property
    def is_loopback(self) -> bool:
        """Tell whether it lies on this very machine."""
        return self._ip().is_loopback

    @property
    def is_private(self) -> bool:
        """Tell whether the public internet has no way there: loopback, private, link-local, shared, documentation."""
        return not self._ip().is_global

    def _ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        ip = ipaddress.ip_address(self.host)
        # ::ffff:10.0.0.1 is 10.0.0.1; ipaddress judges the wrapping otherwise before Python 3.13.
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        return mapped or ip
