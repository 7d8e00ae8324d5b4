"""See to which socket of a group the kernel gives the datagrams of each call leg."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench import BenchError
from bench.drains import ANY_PORT, QUEUED_BYTES, require_room
from strep.net.source import BoundSocket
from strep.net.steering import bind_group
from strep.net.udp import open_udp
from strep.wire.batch import gather
from tools.generate import BATCH_PACKETS, Report, Sender
from tools.traffic import PACKET_BYTES, Traffic

_ID_AT, _ID_BYTES = 8, 16


@dataclass(frozen=True, slots=True)
class Steered:
    """How many legs came to each socket, and how many came to more than one."""

    legs_by_socket: list[int]
    split: int

    @property
    def imbalance(self) -> float:
        """Tell by what share the largest or smallest socket is off the mean."""
        mean = sum(self.legs_by_socket) / len(self.legs_by_socket)
        return max(abs(legs / mean - 1) for legs in self.legs_by_socket)


def steer_legs(legs: int, sockets: int, *, seed: int = 0) -> Steered:
    """Send a packet of both directions of so many legs, whose ids are random, each direction from a port of its own.

    Raises BenchError when not all of them arrive.
    """
    with ExitStack() as stack:
        group = bind_group(ANY_PORT, sockets, QUEUED_BYTES * 2 * legs)
        for bound in group:
            stack.callback(bound.socket.close)
            require_room(bound)
        if len(group) != sockets:
            raise BenchError(f"expected a system that steers to {sockets} sockets, found one that does not")
        senders = [stack.enter_context(closing(Sender(group[0].address, Report(legs)))) for _ in range(2)]
        _send(Traffic(legs, seed=seed), senders)
        arrived = [_legs_of(bound) for bound in group]
    packets = sum(len(ids) for ids in arrived)
    if packets != 2 * legs:
        raise BenchError(f"expected {2 * legs} packets to arrive, found {packets}")
    distinct = [np.unique(ids) for ids in arrived]
    _, came_to = np.unique(np.concatenate(distinct), return_counts=True)
    return Steered([len(ids) for ids in distinct], int((came_to > 1).sum()))


def _send(traffic: Traffic, senders: list[Sender]) -> None:
    """Send the first packet of every stream, each direction by its sender."""
    rows = np.zeros((BATCH_PACKETS, PACKET_BYTES), np.uint8)
    for start in range(0, traffic.streams, BATCH_PACKETS):
        stop = min(traffic.streams, start + BATCH_PACKETS)
        traffic.fill(rows, start, stop)
        direction = traffic.streams_of(start, stop) % 2
        for number, sender in enumerate(senders):
            own = rows[: stop - start][direction == number]
            sender.rows[: len(own)] = own
            sender.send(len(own))


def _legs_of(bound: BoundSocket) -> NDArray[np.void]:
    """Read all that is queued: the call_leg_id of each datagram, void16[n]."""
    source, found = open_udp(bound), [np.zeros(0, np.dtype((np.void, _ID_BYTES)))]
    while True:
        batch = source.read()
        if len(batch):
            found.append(gather(batch.flat, batch.offset + _ID_AT, _ID_BYTES).view(found[0].dtype)[:, 0])
        if source.drained or not len(batch):
            return np.concatenate(found)
