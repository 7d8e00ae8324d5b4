"""Analyse calls in a process of its own, on a core of its own: the real receiver, and a level meter for a plugin.

The meter is what a vectorised plugin looks like: a few numpy calls a block, whatever the number of streams. So that it
can be told afterwards whether every sample was delivered, it adds up per stream what makes samples and their places
known: see Heard. What must have come is known from what was sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from bench.completeness import Findings
from bench.expected import expected_samples, frame_samples
from bench.machine import pin
from bench.recording import ReceivingProcess, Recorded, receive
from strep.audio.block import AudioBlock, SampleState
from strep.stream.events import Event, StreamClosed, StreamIdentity, StreamOpened
from tools.traffic import Traffic, call_leg_id

#: Sums of squares are taken in float32, as a level needs no more.
_ENERGY_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Heard:
    """What arrived of one stream, in packet intervals whose samples were received.

    checksum: the sum of (n + 1) times the sum of the samples of the interval that lies n intervals from the beginning,
    exact in 64 bits. So samples that are missing, doubled, changed or in another place are found out (but not an
    exchange of samples within one packet). peak: the largest absolute sample. energy: the sum of squares.
    """

    intervals: int
    checksum: int
    peak: int
    energy: float

    @classmethod
    def of(cls, samples: NDArray[np.int16], interval_samples: int) -> Heard:
        """Work out what must arrive of a stream of these samples."""
        rows = samples.reshape(-1, interval_samples).astype(np.int64)
        checksum = int(rows.sum(axis=1) @ np.arange(1, len(rows) + 1))
        return cls(len(rows), checksum, int(np.abs(rows).max(initial=0)), float((rows**2).sum()))

    def difference(self, expected: Heard) -> str:
        """Say in what this is not what was expected; nothing, if it is."""
        for name in ("intervals", "checksum", "peak"):
            if getattr(self, name) != getattr(expected, name):
                return f"expected {name} {getattr(expected, name)}, found {getattr(self, name)}"
        if abs(self.energy - expected.energy) > _ENERGY_TOLERANCE * expected.energy:
            return f"expected energy {expected.energy:.6g}, found {self.energy:.6g}"
        return ""


class LevelMeter:
    """A sink that keeps the latest level and peak of every stream, all streams of a block at once.

    rms, peak: float32[streams], uint16[streams], by slot. heard: of the streams that have closed.
    """

    def __init__(self) -> None:
        self.rms, self.peak = np.zeros(0, np.float32), np.zeros(0, np.uint16)
        self.heard: dict[StreamIdentity, Heard] = {}
        self._intervals, self._checksum, self._highest = (np.zeros(0, np.int64) for _ in range(3))
        self._energy = np.zeros(0)

    def event(self, event: Event) -> None:
        """Make room for a stream that opens, and keep what was heard of one that closes."""
        if isinstance(event, StreamOpened) and event.slot >= len(self.rms):
            self._grow(2 * (event.slot + 1))
        elif isinstance(event, StreamClosed):
            slot = event.slot
            self.heard[event.report.identity] = Heard(
                int(self._intervals[slot]),
                int(self._checksum[slot]),
                int(self._highest[slot]),
                float(self._energy[slot]),
            )
            for column in (self._intervals, self._checksum, self._highest, self._energy):
                column[slot] = 0

    def block(self, block: AudioBlock) -> None:
        """Measure every row."""
        samples, slots = block.samples, block.slots
        as_floats = samples.astype(np.float32)
        energy = np.einsum("ij,ij->i", as_floats, as_floats)
        peak = np.abs(samples).view(np.uint16).max(axis=1)  # unsigned, as there is no int16 for the opposite of -32768
        self.rms[slots], self.peak[slots] = np.sqrt(energy / samples.shape[1]), peak
        # From here on: what makes it known that all was delivered.
        received = block.state == SampleState.RECEIVED
        number = block.position // samples.shape[1]
        np.add.at(self._intervals, slots, received)
        np.add.at(self._checksum, slots, received * (number + 1) * samples.sum(axis=1, dtype=np.int64))
        np.maximum.at(self._highest, slots, received * peak)
        np.add.at(self._energy, slots, received * energy)

    def flush(self, now_ns: int) -> None:
        """Take no notice."""

    def close(self) -> None:
        """Do nothing."""

    def _grow(self, slots: int) -> None:
        for name in ("rms", "peak", "_intervals", "_checksum", "_highest", "_energy"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate((column, np.zeros(slots - len(column), column.dtype))))


class AnalysingProcess(ReceivingProcess):
    """Analyses until it is stopped. Raises BenchError when the process has failed."""

    def __init__(self, plugins: tuple[str, ...] = (), *, cpu: int | None = None) -> None:
        super().__init__(_serve, cpu, plugins)

    def stop(self) -> tuple[Recorded, dict[StreamIdentity, Heard]]:
        """Let it read what is queued, and close every stream; returns what it counted and heard."""
        analysed: tuple[Recorded, dict[StreamIdentity, Heard]] = self.child.ask("stop")
        return analysed


def check_heard(heard: dict[StreamIdentity, Heard], traffic: Traffic, packets: int) -> Findings:
    """Hold what was heard against what was sent: complete is a call of which all was delivered."""
    findings = Findings()
    found = {(identity.call_leg_id, int(identity.direction)): one for identity, one in heard.items()}
    for call in range(traffic.calls):
        for direction in (0, 1):
            fault = _fault(found.get((call_leg_id(call, traffic.seed), direction)), traffic, call, direction, packets)
            if fault:
                findings.faults[call] = fault
    findings.complete = traffic.calls - len(findings.faults)
    if len(heard) > traffic.streams:
        findings.faults[traffic.calls] = f"expected {traffic.streams} streams, found {len(heard)}"
    return findings


def _fault(heard: Heard | None, traffic: Traffic, call: int, direction: int, packets: int) -> str:
    """Say what is wrong with one stream; nothing, if all is right."""
    if heard is None:
        return f"expected a stream in direction {direction}, found none"
    samples = expected_samples(call, direction, packets, traffic.codec)
    difference = heard.difference(Heard.of(samples, frame_samples(traffic.codec)))
    return f"direction {direction}: {difference}" if difference else ""


def _serve(connection: Connection, cpu: int | None, plugins: tuple[str, ...]) -> None:
    pin(cpu)
    meter = LevelMeter()
    recorded = asyncio.run(receive(connection, [meter], plugins))
    connection.send((recorded, meter.heard))
