"""Number the flows of a capture (source, destination, ports), and pair those that are each other's way back."""

from __future__ import annotations

import ipaddress
from typing import Final

import numpy as np
from numpy.typing import NDArray

from strep.net.address import UdpAddress
from strep.net.capture.description import SpoolDescription
from strep.net.capture.dissect import FLOW_KEY_BYTES, IPV4
from strep.net.endpoints import InputDescription, displayed_host, sender_text
from strep.wire.batch import Endpoint

#: What 16 bits of the index number. A capture with more flows than that is no recording of calls; what does not fit
#: is counted.
MOST_FLOWS: Final = 65_536
_WORDS = FLOW_KEY_BYTES // 8
#: Odd, with well spread bits (2**64 divided by the golden ratio). Keys are compared in full: equal mixes cost time.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class FlowTable:
    """A flow table that gives each flow key (see flow_key) a number, in order of appearance; refuses new ones beyond
    `most`.
    """

    def __init__(self, most: int = MOST_FLOWS) -> None:
        self._most = most
        self._numbers: dict[bytes, int] = {}
        self._sort()

    def __len__(self) -> int:
        return len(self._numbers)

    def keys(self) -> list[bytes]:
        """List the keys by number."""
        return list(self._numbers)

    def number(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Look up uint64[n, 5] keys, entering new ones: int64[n], -1 where the table was full."""
        numbers = np.full(len(keys), -1, np.int64)
        mixes = _mix(keys)
        place = np.minimum(np.searchsorted(self._mixes, mixes), max(len(self._mixes) - 1, 0))
        if len(self._mixes):
            known = (self._keys[place] == keys).all(axis=1)
            numbers[known] = self._by_place[place[known]]
        unknown = np.flatnonzero(numbers < 0)
        if len(unknown):
            self._enter(keys, unknown, numbers)
        return numbers

    def _enter(self, keys: NDArray[np.uint64], rows: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        before = len(self._numbers)
        for row in rows.tolist():
            key = keys[row].tobytes()
            number = self._numbers.get(key, -1)
            if number < 0 and len(self._numbers) < self._most:
                number = self._numbers[key] = len(self._numbers)
            numbers[row] = number
        if len(self._numbers) > before:
            self._sort()

    def _sort(self) -> None:
        keys = np.frombuffer(b"".join(self._numbers), np.uint64).reshape(-1, _WORDS)
        mixes = _mix(keys)
        self._by_place = np.argsort(mixes, kind="stable")
        self._mixes, self._keys = mixes[self._by_place], keys[self._by_place]


def _mix(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Fold uint64[n, 5] keys into 64 bits each."""
    mixed = np.zeros(len(keys), np.uint64)
    for word in keys.T:
        mixed = (mixed ^ word) * _SPREAD
        mixed ^= mixed >> np.uint64(32)
    return mixed


def endpoints_of(keys: list[bytes]) -> list[Endpoint]:
    """Describe flows, given in the order in which they were first heard.

    Two that are exact reverses of each other are one conversation: direction 0 is the one heard first, 1 the other.
    """
    conversations: dict[bytes, str] = {}
    endpoints: list[Endpoint] = []
    for key in keys:
        source, destination = _sides(key)
        conversation = conversations.get(_reverse(key))
        direction = 0 if conversation is None else 1
        if conversation is None:
            conversation = conversations[key] = f"{_file_name(*source)}-{_file_name(*destination)}"
        endpoints.append(Endpoint(_written(*source), _written(*destination), conversation, direction))
    return endpoints


def spool_endpoints(keys: list[bytes], spool: SpoolDescription) -> list[Endpoint]:
    """Describe the flows of a spool as its receiver described them."""
    inputs = {sender_text(i.address.host, i.address.port): i for i in spool.inputs}
    endpoints: list[Endpoint] = []
    for key in keys:
        (host, port), to = _sides(key)
        an_input = inputs.get(_written(*to)) or InputDescription(UdpAddress(str(to[0]), to[1]))
        scope_id = 0
        if host.version == 6 and host.is_link_local:  # see strep.net.capture.pcapng_writer
            packed = host.packed
            host, scope_id = ipaddress.IPv6Address(packed[:2] + bytes(2) + packed[4:]), int.from_bytes(packed[2:4])
        endpoints.append(an_input.describe(displayed_host(str(host), scope_id), port))
    return endpoints


_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def _sides(key: bytes) -> tuple[tuple[_Ip, int], tuple[_Ip, int]]:
    """Read source and destination out of a flow_key."""
    hosts: list[_Ip]
    if key[-1] == IPV4:
        hosts = [ipaddress.IPv4Address(key[0:4]), ipaddress.IPv4Address(key[16:20])]
    else:
        hosts = [ipaddress.IPv6Address(key[0:16]), ipaddress.IPv6Address(key[16:32])]
    return (hosts[0], int.from_bytes(key[32:34])), (hosts[1], int.from_bytes(key[34:36]))


def _reverse(key: bytes) -> bytes:
    return key[16:32] + key[0:16] + key[34:36] + key[32:34] + key[36:]


def _written(host: _Ip, port: int) -> str:
    return sender_text(str(host), port)


def _file_name(host: _Ip, port: int) -> str:
    """Write `192.0.2.1_9` or `2001.db8.0.0.0.0.0.1_9`: every file system takes inner dots, many refuse colons."""
    if host.version == 4:
        return f"{host}_{port}"
    return ".".join(f"{int(group, 16):x}" for group in host.exploded.split(":")) + f"_{port}"
