"""Let contenders take turns at the same load, and throw away every round that was not as it should be.

A turn: the contender's queue is filled while it sleeps, then it drains it; only the draining is timed. A prelude that
nobody times goes before, a period at a time: the contender's code and tables are back in the caches then, and streams
that missed what was due during the others' turns have got over it. A round is a turn of each, so what slows the machine
down for some seconds slows all of them, and ratios are taken within a round.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bench import BenchError
from strep.net.address import UdpAddress

#: Rounds that may go wrong; a machine that spoils more is not one to measure on.
MOST_INVALID_ROUNDS = 5
#: Of what was accepted, so many periods of 20 ms may come out earlier or later than in the turn they came in.
_DECODED_TOLERANCE_PERIODS = 2
#: 3 s: by then a sender that cannot keep pace never will.
_MOST_PRELUDE_PERIODS = 150


@dataclass(frozen=True, slots=True)
class Progress:
    """What a contender has done so far, in datagrams. What it does not do counts like `received`.

    stage_ns: wall time of its stages, where it has some.
    """

    received: int
    accepted: int
    decoded: int
    kernel_drops: int
    stage_ns: tuple[int, ...] = ()


class Contender(Protocol):
    """A contender that receives on a socket of its own."""

    @property
    def address(self) -> UdpAddress:
        """Give the address that it receives on."""

    def drain(self, queued: int) -> None:
        """Take all that is queued, which should be `queued` datagrams."""

    def progress(self) -> Progress:
        """Tell what was done so far."""

    def close(self) -> None:
        """Close the socket."""


class Sending(Protocol):
    """Fills queues; see bench.sending.SendingProcess."""

    def begin(self, target: UdpAddress, *, paced: bool, gso: bool = False) -> None:
        """Turn to a socket."""

    def send(self, periods: int) -> int:
        """Send the next periods; returns how many packets that were."""

    @property
    def is_late(self) -> bool:
        """Tell whether the last packet was sent later than it was due."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One contender's part in a round: `periods` of 20 ms in `fills` equal fillings.

    prelude_periods: how many periods, in a row, must have come on time before. paced: packets are sent when they are
    due, rather than as fast as the system takes them. gso: up to 64 packets are sent, and arrive, as one.
    """

    name: str
    contender: Contender
    periods: int
    fills: int = 1
    prelude_periods: int = 2
    paced: bool = True
    gso: bool = False

    def __post_init__(self) -> None:
        if self.fills < 1 or self.periods % self.fills:
            raise BenchError(f"expected periods that divide by {self.fills} fillings, found {self.periods}")


@dataclass(slots=True)
class Turn:
    """The draining of one turn: processor time and wall time; `fault` says why it does not count."""

    packets: int = 0
    cpu_ns: int = 0
    wall_ns: int = 0
    stage_ns: tuple[int, ...] = ()
    fault: str = ""

    @property
    def cpu_ns_per_packet(self) -> float:
        """Give processor time per packet."""
        return self.cpu_ns / self.packets

    @property
    def wall_ns_per_packet(self) -> float:
        """Give wall time per packet."""
        return self.wall_ns / self.packets


@dataclass(slots=True)
class Rounds:
    """All valid turns, by entry and in order of rounds; and why other rounds were repeated."""

    turns: dict[str, list[Turn]] = field(default_factory=dict)
    invalid: list[str] = field(default_factory=list)


def take_turn(entry: Entry, sending: Sending) -> Turn:
    """Let one contender drain what it is sent."""
    contender, turn = entry.contender, Turn()
    gc.collect()  # one contender's garbage is not another's
    sending.begin(contender.address, paced=entry.paced, gso=entry.gso)
    if not _play_prelude(entry, sending):
        return Turn(fault="the sender does not keep pace")
    before = contender.progress()
    for _ in range(entry.fills):
        queued = sending.send(entry.periods // entry.fills)
        cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
        contender.drain(queued)
        turn.wall_ns += time.perf_counter_ns() - wall_ns
        turn.cpu_ns += time.process_time_ns() - cpu_ns
        turn.packets += queued
    after = contender.progress()
    turn.stage_ns = tuple(late - early for early, late in zip(before.stage_ns, after.stage_ns, strict=True))
    turn.fault = "the sender was late" if sending.is_late else _fault(turn.packets, entry.periods, before, after)
    return turn


def _play_prelude(entry: Entry, sending: Sending) -> bool:
    """Send and drain period by period until enough in a row came on time; tell whether they did."""
    on_time = 0
    for _ in range(_MOST_PRELUDE_PERIODS):
        if on_time >= entry.prelude_periods:
            return True
        entry.contender.drain(sending.send(1))
        on_time = 0 if sending.is_late else on_time + 1
    return False


def run_rounds(
    entries: Sequence[Entry], sending: Sending, rounds: int, tell: Callable[[str], None] = lambda text: None
) -> Rounds:
    """Run one round that does not count, then `rounds` valid ones. Raises BenchError when too many are not."""
    result = Rounds({entry.name: [] for entry in entries})
    for entry in entries:
        take_turn(entry, sending)
    while len(result.turns[entries[0].name]) < rounds:
        turns = {entry.name: take_turn(entry, sending) for entry in entries}
        faults = [f"{name}: {turn.fault}" for name, turn in turns.items() if turn.fault]
        if not faults:
            for name, turn in turns.items():
                result.turns[name].append(turn)
            continue
        result.invalid.append("; ".join(faults))
        tell(f"a round is repeated: {result.invalid[-1]}")
        if len(result.invalid) > MOST_INVALID_ROUNDS:
            raise BenchError(f"expected {rounds} valid rounds, found {len(result.invalid)} others: {result.invalid}")
    return result


def _fault(packets: int, periods: int, before: Progress, after: Progress) -> str:
    """Say what was not as it should be; nothing, if all was."""
    drops = after.kernel_drops - before.kernel_drops
    if drops:
        return f"the kernel dropped {drops}"
    for what in ("received", "accepted"):
        done = getattr(after, what) - getattr(before, what)
        if done != packets:
            return f"expected {packets} {what}, found {done}"
    decoded = after.decoded - before.decoded
    if abs(decoded - packets) * periods > _DECODED_TOLERANCE_PERIODS * packets:
        return f"expected about {packets} decoded, found {decoded}"
    return ""
