"""Number the senders of datagrams, many at a time.

A batch names its senders by small numbers: indices into one list of Endpoint that only ever grows, shared by all the
inputs of a receiver. An `Input` is one bound socket's view of it. The rules:

1. A sender is known by its address and port and by the input it sends to: to another input, it is another endpoint.
2. Plain RTP does not say which call it belongs to. An input that was told its conversation and direction (an rx or tx
   port) says so for all its senders; on any other input each sender is a conversation of its own, of direction 0.
3. When the list is full, further senders of an input share one endpoint, and their datagrams are counted.

The names of a batch's senders are compared as 64-bit words, straight from the kernel's sockaddr structures.
"""

from __future__ import annotations

import ipaddress
import socket
import sys

import numpy as np
from numpy.typing import NDArray

from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.wire.batch import Endpoint

#: As many as one host has ports. Each takes about 500 bytes here, so a flood of made-up senders costs 32 MiB at most.
MAX_ENDPOINTS = 65_536
#: What a sockaddr takes in 64-bit words; of sockaddr_in, the first holds it all (family, port, address).
SOCKADDR_IN_WORDS, SOCKADDR_IN6_WORDS = 1, 4
_ALL_ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
#: sin6_flowinfo (bytes 4 to 7) tells one flow of a sender from another, not one sender from another.
_WITHOUT_FLOW = np.frombuffer(b"\xff\xff\xff\xff\0\0\0\0", np.uint64)[0]
#: An odd constant with well spread bits (2**64 divided by the golden ratio), as in Knuth's multiplicative hash.
_SPREAD = np.uint64(0x9E37_79B9_7F4A_7C15)
_FOLD = np.uint64(29)


def sender_text(host: str, port: int) -> str:
    """Write `203.0.113.5:40000` or `[2001:db8::1]:40000`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def plain_conversation(host: str, port: int) -> str:
    """Name the conversation of a sender of plain RTP that nobody told us about; the name can be a file's."""
    return f"plain-{host.replace(':', '-').replace('%', '_')}_{port}"


def displayed_host(host: str, scope_id: int = 0) -> str:
    """Write an address as people know it: IPv4 without its IPv6 wrapping, a link-local one with its scope's number."""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    return str(address.ipv4_mapped or address) + (f"%{scope_id}" if scope_id else "")


class EndpointTable:
    """Holds the senders of all inputs of one receiver.

    endpoints: the list that batches refer to. It can exceed `limit` by one endpoint an input, the one for all further
    senders.
    """

    def __init__(self, limit: int = MAX_ENDPOINTS) -> None:
        self.endpoints: list[Endpoint] = []
        self._limit = limit
        self._open_inputs = 0

    @property
    def is_full(self) -> bool:
        """Tell whether there is no place for another sender."""
        return len(self.endpoints) >= self._limit

    def add_input(self, local: UdpAddress, *, conversation: str | None = None, direction: int | None = None) -> Input:
        """Begin to number the senders to one local address.

        Raises ConfigError unless conversation and direction (0 or 1) are given both, or neither.
        """
        if (conversation is None) != (direction is None) or direction not in (None, 0, 1):
            found = f"conversation {conversation!r} and direction {direction!r}"
            raise ConfigError(f"expected a conversation with a direction of 0 or 1, or neither, found {found}")
        suffix = ""
        if conversation is None:
            # One sender may send different calls to two such inputs; only the first keeps the short name.
            suffix = f"-{local.port}" if self._open_inputs else ""
            self._open_inputs += 1
        return Input(self, local, conversation, direction or 0, suffix)

    def append(self, endpoint: Endpoint) -> int:
        """Append an endpoint and number it."""
        self.endpoints.append(endpoint)
        return len(self.endpoints) - 1


class Input:
    """Numbers the senders of one socket: `numbers` for a batch, `number` for one datagram.

    endpoints: the list that the numbers point into. overflowed: how often a sender was named that found it full, so
    that its number is that of all others.

    `_known` is the truth, by text; beside it, the same senders as the kernel spells them, in columns sorted by key.
    """

    def __init__(
        self, table: EndpointTable, local: UdpAddress, conversation: str | None, direction: int, suffix: str
    ) -> None:
        self.endpoints = table.endpoints
        self.overflowed = 0
        self.sockaddr_words = SOCKADDR_IN6_WORDS if ":" in local.host else SOCKADDR_IN_WORDS
        self._table = table
        self._destination = sender_text(local.host, local.port)
        self._conversation = conversation
        self._direction = direction
        self._suffix = suffix
        self._known: dict[tuple[str, int], int] = {}
        self._overflow: int | None = None
        # The last sender is none (family 0xffff); it saves searchsorted's answer from pointing behind the end.
        self._words = np.full((self.sockaddr_words, 1), _ALL_ONES)
        self._keys = np.array([_ALL_ONES])
        self._numbers = np.array([-1], np.int64)
        self._recent_name, self._recent_number = [_ALL_ONES] * self.sockaddr_words, -1
        self._all_recent = np.empty(0, np.int64)

    def number(self, host: str, port: int) -> int:
        """Number the sender of one datagram, by its displayed host."""
        number = self._lookup(host, port)
        self.overflowed += number == self._overflow
        return number

    def numbers(self, names: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Number the senders of n datagrams.

        names: uint64[n, sockaddr_words], n at least 1, sockaddr structures as the kernel filled them; of sockaddr_in6,
        the bytes behind its 28 are zero. Returns int64[n], which is valid until the next call.
        """
        words = [names[:, word] for word in range(self.sockaddr_words)]
        if self.sockaddr_words == SOCKADDR_IN6_WORDS:
            words[0] = words[0] & _WITHOUT_FLOW
        if all((word == recent).all() for word, recent in zip(words, self._recent_name, strict=True)):
            return self._recent_column(len(names))
        keys = _mixed(words)
        row = self._keys.searchsorted(keys)
        found = self._words[0][row] == words[0]
        for known, word in zip(self._words[1:], words[1:], strict=True):
            found &= known[row] == word
        numbers = self._numbers[row]
        if not found.all():
            self._number_missed(words, numbers, np.flatnonzero(~found))
        if numbers[-1] != self._overflow:
            self._recent_name, self._recent_number = [word[-1] for word in words], int(numbers[-1])
            self._all_recent = self._all_recent[:0]
        return numbers

    def _recent_column(self, n: int) -> NDArray[np.int64]:
        """Give a column of n times the recent number."""
        if len(self._all_recent) < n:
            self._all_recent = np.full(n, self._recent_number)
        return self._all_recent[:n]

    def _number_missed(
        self, words: list[NDArray[np.uint64]], numbers: NDArray[np.int64], missed: NDArray[np.int64]
    ) -> None:
        """Number, one by one, the senders that the columns do not know yet; fill `numbers` in and learn them."""
        if self._table.is_full:  # not one by one: made-up senders must not cost more than real ones
            numbers[missed] = self._overflow_number()
        else:
            names = np.stack([word[missed] for word in words], axis=1)
            fresh: dict[bytes, int] = {}
            for row, words_of_one in zip(missed.tolist(), names, strict=True):
                name = words_of_one.tobytes()
                if name not in fresh:
                    fresh[name] = self._lookup(*_host_and_port(name))
                numbers[row] = fresh[name]
            self._learn({name: number for name, number in fresh.items() if number != self._overflow})
        if self._overflow is not None:
            self.overflowed += int((numbers[missed] == self._overflow).sum())

    def _learn(self, fresh: dict[bytes, int]) -> None:
        """Merge names of senders, as the kernel spells them, into the sorted columns."""
        words = np.frombuffer(b"".join(fresh), np.uint64).reshape(-1, self.sockaddr_words).T
        numbers = np.fromiter(fresh.values(), np.int64, len(fresh))
        keys, first = np.unique(_mixed([*words]), return_index=True)
        places = self._keys.searchsorted(keys)
        # Of names that share a key only one is learnt; the others take the slow way each time.
        new = self._keys[places] != keys
        keys, first, places = keys[new], first[new], places[new]
        self._keys = np.insert(self._keys, places, keys)
        self._words = np.insert(self._words, places, words[:, first], axis=1)
        self._numbers = np.insert(self._numbers, places, numbers[first])

    def _lookup(self, host: str, port: int) -> int:
        """Number a sender, a new one if it must be."""
        number = self._known.get((host, port))
        if number is not None:
            return number
        if self._table.is_full:
            return self._overflow_number()
        conversation = self._conversation or plain_conversation(host, port) + self._suffix
        source = sender_text(host, port)
        number = self._table.append(Endpoint(source, self._destination, conversation, self._direction))
        self._known[host, port] = number
        return number

    def _overflow_number(self) -> int:
        """Number the endpoint that stands for every sender too many."""
        if self._overflow is None:
            conversation = self._conversation or f"plain-others{self._suffix}"
            endpoint = Endpoint("others", self._destination, conversation, self._direction)
            self._overflow = self._table.append(endpoint)
        return self._overflow


def _mixed(words: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Make one key of each name. Two names may share one: whoever looks a key up must compare the names as well."""
    keys = words[0]
    for word in words[1:]:
        keys = (keys ^ keys >> _FOLD) * _SPREAD ^ word
    return keys


def _host_and_port(name: bytes) -> tuple[str, int]:
    """Read a sockaddr_in or sockaddr_in6 as the kernel spells it."""
    port = int.from_bytes(name[2:4], "big")
    if len(name) == SOCKADDR_IN_WORDS * 8:
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port
    host = socket.inet_ntop(socket.AF_INET6, name[8:24])
    return displayed_host(host, int.from_bytes(name[24:28], sys.byteorder)), port
