"""Number the senders of datagrams, many at a time, and forget those that nobody needs.

A batch names its senders by small numbers: indices into one list of Endpoint, shared by all the inputs of a receiver.
An `Input` is one bound socket's view of it. The rules:

1. A sender is known by its address and port and by the input it sends to: to another input, it is another endpoint.
2. Plain RTP does not say which call it belongs to. An input that was told its conversation and direction (an rx or tx
   port) says so for all its senders; on any other input each sender is a conversation of its own, of direction 0.
3. A sender in no allowed network gets REFUSED_SENDER, and no place in the list.
4. When the list is full, a further sender gets SENDER_OVER_LIMIT. Before that comes to it, whoever knows which numbers
   are in use takes back the others (`forget_all_but`), which then serve again.

The names of a batch's senders are compared as 64-bit words, straight from the kernel's sockaddr structures; text is
made of a name only when somebody asks for it. Keys by which names are found are mixed with a secret, so that nobody can
choose addresses and ports that share one; those that do all the same are found one by one.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

import numpy as np
from numpy.typing import NDArray

from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.net.networks import Networks
from strep.wire.batch import REFUSED_SENDER, SENDER_OVER_LIMIT, Endpoint

#: As many as one host has ports. A sender takes 48 bytes here.
MAX_ENDPOINTS = 65_536
#: Senders whose text is kept, 500 bytes each; it is made again when somebody asks.
_MOST_DESCRIBED = 16_384
#: When so much of the list was given out since the last time, it is time to forget. A sender costs some 60 ns of that.
_FORGET_AFTER_SHARE = 4
#: When the list is full of senders in use, one looks for others that often.
_FORGET_INTERVAL_NS = 1_000_000_000
#: What a sockaddr takes in 64-bit words; of sockaddr_in, the first holds it all (family, port, address).
SOCKADDR_IN_WORDS, SOCKADDR_IN6_WORDS = 1, 4
_ALL_ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
#: sin6_flowinfo (bytes 4 to 7) tells one flow of a sender from another, not one sender from another.
_WITHOUT_FLOW = np.frombuffer(b"\xff\xff\xff\xff\0\0\0\0", np.uint64)[0]
#: A word of secret for each half of a word of a sockaddr_in6.
SECRET_BYTES = SOCKADDR_IN6_WORDS * 2 * 8
#: Names of sockets without recvmmsg that are kept spelled out, 200 bytes each.
_SPELLED_NAMES = 4096
Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]


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


@lru_cache(_SPELLED_NAMES)
def kernel_name(host: str, port: int, scope_id: int = 0, *, is_ipv6_socket: bool) -> bytes:
    """Spell a sender as Linux does for a socket of that family: 8 bytes of sockaddr_in, or 32 with sockaddr_in6."""
    if not is_ipv6_socket:
        return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s", port, socket.inet_aton(host))
    host = host.partition("%")[0]
    packed = socket.inet_pton(socket.AF_INET6, host if ":" in host else f"::ffff:{host}")
    return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI16s", port, 0, packed) + struct.pack("=I4x", scope_id)


@dataclass(frozen=True, slots=True)
class InputDescription:
    """What an input says of its senders: see the rules above. conversation: None on an open input.

    suffix: of the names of the conversations of such an input.
    """

    address: UdpAddress
    conversation: str | None = None
    direction: int = 0
    suffix: str = ""

    def describe(self, host: str, port: int) -> Endpoint:
        """Describe a sender, by its displayed host."""
        conversation = self.conversation or plain_conversation(host, port) + self.suffix
        to = sender_text(self.address.host, self.address.port)
        return Endpoint(sender_text(host, port), to, conversation, self.direction)


class Endpoints(Sequence[Endpoint]):
    """A list of senders by number, each described when somebody asks for it. Numbers given back have no entry.

    names: uint64[limit + 1, 4], the words of each sender's sockaddr; the last row is nobody's.
    """

    def __init__(self, limit: int) -> None:
        self.names = np.zeros((limit + 1, SOCKADDR_IN6_WORDS), np.uint64)
        self._input_of = np.full(limit, -1, np.int16)
        self._inputs: list[Input] = []
        self._described: dict[int, Endpoint] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, number: int) -> Endpoint: ...
    @overload
    def __getitem__(self, number: slice) -> list[Endpoint]: ...
    def __getitem__(self, number: int | slice) -> Endpoint | list[Endpoint]:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(self._length))]
        described = self._described.get(number)
        if described is None:
            if not 0 <= number < self._length or self._input_of[number] < 0:
                raise IndexError(f"expected the number of a sender, found {number}")
            if len(self._described) >= _MOST_DESCRIBED:
                self._described.clear()
            an_input = self._inputs[self._input_of[number]]
            described = self._described[number] = an_input.describe(self.names[number])
        return described

    def join(self, an_input: Input) -> int:
        """Number an input."""
        self._inputs.append(an_input)
        return len(self._inputs) - 1

    def put(self, numbers: Numbers, an_input: int, names: Words) -> None:
        """Enter senders, of one input."""
        self.names[numbers, : names.shape[1]] = names
        self._input_of[numbers] = an_input
        self._length = max(self._length, int(numbers.max(initial=-1)) + 1)

    def remove(self, numbers: Numbers) -> None:
        """Forget senders."""
        self._input_of[numbers] = -1
        for number in self._described.keys() & set(numbers.tolist()):
            del self._described[number]


class EndpointTable:
    """A table of the senders of all inputs of one receiver.

    endpoints: the list that batches refer to. allow: networks that senders must be in; None: any will do.
    secret: SECRET_BYTES bytes to mix keys with; None: random ones.
    """

    def __init__(
        self, limit: int = MAX_ENDPOINTS, *, allow: Networks | None = None, secret: bytes | None = None
    ) -> None:
        self.endpoints = Endpoints(limit)
        self.allow = allow
        secret = os.urandom(SECRET_BYTES) if secret is None else secret
        self.secret = np.frombuffer(secret, np.uint64) | np.uint64(1)
        self._limit = limit
        self._is_free = np.ones(limit, np.bool_)
        self._free = np.arange(limit)  # to be given out from _next on
        self._next = 0
        self._forgot_ns: int | None = None
        self._inputs: list[Input] = []
        self._open_inputs = 0

    @property
    def room(self) -> int:
        """Count the senders that there is a place for."""
        return len(self._free) - self._next

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
        self._inputs.append(Input(self, InputDescription(local, conversation, direction or 0, suffix)))
        return self._inputs[-1]

    def remove_input(self, an_input: Input) -> None:
        """Take back the latest input, which has numbered nobody."""
        assert self._inputs[-1] is an_input
        self._inputs.pop()
        self._open_inputs -= an_input.description.conversation is None

    @property
    def inputs(self) -> list[InputDescription]:
        """Describe the inputs."""
        return [an_input.description for an_input in self._inputs]

    def take(self, wanted: int) -> Numbers:
        """Give out numbers, fewer than wanted where there are no more."""
        numbers: Numbers = self._free[self._next : self._next + wanted]
        self._next += len(numbers)
        self._is_free[numbers] = False
        return numbers

    def must_forget(self, now_ns: int) -> bool:
        """Tell whether it is time to find out which numbers are in use, and to call `forget_all_but`.

        That is when a quarter of the list was given out since the last time; when it is full, once a second.
        """
        if self.room:
            return self._next * _FORGET_AFTER_SHARE >= self._limit
        return self._forgot_ns is None or now_ns - self._forgot_ns >= _FORGET_INTERVAL_NS

    def forget_all_but(self, in_use: Iterable[int], now_ns: int) -> Numbers:
        """Take back every number that is not in use, and that no input holds datagrams of; returns those, ascending."""
        forgotten = ~self._is_free
        forgotten[np.fromiter(in_use, np.int64)] = False
        for an_input in self._inputs:
            forgotten[an_input.held[an_input.held >= 0]] = False
        for an_input in self._inputs:
            an_input.forget(forgotten)
        numbers = np.flatnonzero(forgotten)
        self.endpoints.remove(numbers)
        self._is_free[numbers] = True
        self._free, self._next = np.flatnonzero(self._is_free), 0
        self._forgot_ns = now_ns
        return numbers


class Input:
    """A view of the table by one socket: `numbers` for the senders of its datagrams.

    endpoints: the list that the numbers point into. held: numbers of datagrams that were read, and not given out yet.

    `_keys` has the senders' keys, sorted, and `_numbers` their numbers. `_odd` has those who share another one's key.
    """

    def __init__(self, table: EndpointTable, description: InputDescription) -> None:
        self.endpoints = table.endpoints
        self.description = description
        self.held: Numbers = np.empty(0, np.int64)
        self.sockaddr_words = SOCKADDR_IN6_WORDS if ":" in description.address.host else SOCKADDR_IN_WORDS
        self._table = table
        self._index = table.endpoints.join(self)
        # The last sender is none; it saves searchsorted's answer from pointing behind the end.
        self._keys = np.array([_ALL_ONES])
        self._numbers = np.array([-1], np.int64)
        self._odd: dict[bytes, int] = {}
        self._recent_name, self._recent_number = b"", -1
        self._all_recent: Numbers = np.empty(0, np.int64)

    def describe(self, name: Words) -> Endpoint:
        """Describe a sender to this input."""
        return self.description.describe(*_host_and_port(name[: self.sockaddr_words].tobytes()))

    def spelled(self, senders: Sequence[tuple[str, int, int]]) -> Words:
        """Spell n senders (host, port, scope id) as the kernel does: what `numbers` takes."""
        is_ipv6_socket = self.sockaddr_words == SOCKADDR_IN6_WORDS
        spelled = [kernel_name(*sender, is_ipv6_socket=is_ipv6_socket) for sender in senders]
        return np.frombuffer(b"".join(spelled), np.uint64).reshape(-1, self.sockaddr_words)

    def numbers(self, names: Words) -> Numbers:
        """Number the senders of n datagrams; below 0 are those that are refused, see strep.wire.batch.

        names: uint64[n, sockaddr_words], n at least 1, sockaddr structures as the kernel filled them; of sockaddr_in6,
        the bytes behind its 28 are zero. Returns int64[n], which is valid until the next call.
        """
        if self.sockaddr_words == SOCKADDR_IN6_WORDS:
            names = names.copy()
            names[:, 0] &= _WITHOUT_FLOW
        if names[0].tobytes() == self._recent_name and _all_same(names):
            return self._recent_column(len(names))
        keys = self._mixed(names)
        row = self._keys.searchsorted(keys)
        numbers = self._numbers.take(row)
        found = self._keys.take(row) == keys
        if self.sockaddr_words > 1:  # of one word, the name is the key
            found &= _same(self.endpoints.names.take(numbers, axis=0, mode="wrap"), names)
        if not found.all():
            missed = np.flatnonzero(~found)
            numbers[missed] = self._number_missed(names[missed], keys[missed])
        self._recent_name, self._recent_number = names[-1].tobytes(), int(numbers[-1])
        self._all_recent = self._all_recent[:0]
        return numbers

    def forget(self, forgotten: NDArray[np.bool_]) -> None:
        """Forget the senders that bool[limit] says, by number."""
        kept = ~forgotten[self._numbers]
        kept[-1] = True
        self._keys, self._numbers = self._keys[kept], self._numbers[kept]
        self._odd = {name: number for name, number in self._odd.items() if not forgotten[number]}
        self._recent_name = b""

    def _recent_column(self, n: int) -> Numbers:
        """Give a column of n times the recent number."""
        if len(self._all_recent) < n:
            self._all_recent = np.full(n, self._recent_number)
        return self._all_recent[:n]

    def _mixed(self, names: Words) -> Words:
        """Make one key of each name. Of more than a word, two may share one, at random (multilinear hashing)."""
        if self.sockaddr_words == 1:
            return names[:, 0]
        mixed: Words = names.view(np.uint32).astype(np.uint64) @ self._table.secret
        return mixed

    def _number_missed(self, names: Words, keys: Words) -> Numbers:
        """Number senders that the columns do not know, refuse those that may not be, and learn the others."""
        numbers = np.full(len(names), REFUSED_SENDER)
        allowed = np.arange(len(names))
        if self._table.allow is not None:  # before anything is kept of them: there can be any number of these
            allowed = np.flatnonzero(self._table.allow.hold(names))
            names, keys = names[allowed], keys[allowed]
        keys, first, place = np.unique(keys, return_index=True, return_inverse=True)
        is_odd = ~_same(names[first][place], names)
        taken = self._keys[self._keys.searchsorted(keys)] == keys
        is_odd |= taken[place]
        new = np.flatnonzero(~taken)
        by_key = np.full(len(keys), SENDER_OVER_LIMIT)
        by_key[new] = self._enter(names[first[new]], first[new].argsort())
        self._learn(keys, by_key)
        numbers[allowed] = by_key[place]
        for n in np.flatnonzero(is_odd).tolist():
            numbers[allowed[n]] = self._number_odd(names[n])
        return numbers

    def _enter(self, names: Words, order: NDArray[np.intp]) -> Numbers:
        """Give new senders their numbers, in this order."""
        numbers = np.full(len(names), SENDER_OVER_LIMIT)
        given = self._table.take(len(names))
        numbers[order[: len(given)]] = given
        self.endpoints.put(given, self._index, names[order[: len(given)]])
        return numbers

    def _learn(self, keys: Words, numbers: Numbers) -> None:
        """Merge new senders, by ascending keys, into the sorted columns."""
        known = numbers >= 0
        keys, numbers = keys[known], numbers[known]
        places = self._keys.searchsorted(keys)
        self._keys = np.insert(self._keys, places, keys)
        self._numbers = np.insert(self._numbers, places, numbers)

    def _number_odd(self, name: Words) -> int:
        """Number a sender who shares the key of another one."""
        number = self._odd.get(name.tobytes(), SENDER_OVER_LIMIT)
        if number == SENDER_OVER_LIMIT:
            number = int(self._enter(name[None, :], np.zeros(1, np.intp))[0])
            if number >= 0:
                self._odd[name.tobytes()] = number
        return number


def _same(names: Words, others: Words) -> NDArray[np.bool_]:
    """Tell row by row whether two names are the same: by columns, as rows are too short for numpy to be quick."""
    same: NDArray[np.bool_] = names[:, 0] == others[:, 0]
    for word in range(1, names.shape[1]):
        same &= names[:, word] == others[:, word]
    return same


def _all_same(names: Words) -> bool:
    return all((names[:, word] == names[0, word]).all() for word in range(names.shape[1]))


def _host_and_port(name: bytes) -> tuple[str, int]:
    """Read a sockaddr_in or sockaddr_in6 as the kernel spells it."""
    port = int.from_bytes(name[2:4], "big")
    if len(name) == SOCKADDR_IN_WORDS * 8:
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port
    host = socket.inet_ntop(socket.AF_INET6, name[8:24])
    return displayed_host(host, int.from_bytes(name[24:28], sys.byteorder)), port
