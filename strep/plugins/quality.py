"""Rate how good a line is: loss, bursts of it, jitter, concealment, and what people would say of it (MOS).

Every interval, and at the end, one finding a stream. The rating is ITU-T G.107's (strep.plugins.emodel) for three ways
to play the stream out: from a buffer of 50 ms, from one of 200 ms, and from one that adapts (strep.plugins.playout);
bursts are those of RFC 3611 (strep.plugins.bursts). Packets are found again among hops of 10 ms, whatever they last
(strep.plugins.packets, which says what that cannot know); one counts in the interval in which it begins. An interval
without packets is not told, and nothing at all is of streams that never were packets: audio files.

What is not known here is left out of the rating: how much delay there is besides the buffer, and echo. Codecs of which
G.113 has no figures (Opus, G.722, iLBC) are not rated. Packets that came later than the receiver itself waits count as
lost for each of the buffers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from strep.audio.block import SampleState
from strep.plugins.base import BlockPlugin, Finding, Hops, PlacedEvent, PluginConfig, Wants
from strep.plugins.bursts import LossBursts
from strep.plugins.emodel import EQUIPMENT, Equipment, mos, simple_rating
from strep.plugins.framing import duration_ns
from strep.plugins.packets import PacketBegins, packet_arrivals
from strep.plugins.playout import AdaptiveBuffer, FixedBuffer, PlayoutBuffer
from strep.stream.events import FormatChanged, SourceChanged, StreamIdentity

_NS_PER_MS = 1_000_000
#: RFC 3550 section 6.4.1: each packet changes the estimate by a sixteenth.
_JITTER_GAIN = 1 / 16
#: No packet, or nothing at all, that the next one could be compared with.
_NEVER = np.iinfo(np.int64).min


class QualityConfig(PluginConfig):
    """A quality config that says how often to rate."""

    interval_s: float = Field(default=10.0, ge=1, le=3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality(Finding):
    """The quality of an interval. MOS by playout buffer: 50 ms, 200 ms, adaptive; None for codecs without figures.

    Shares are of the packets that should have come; silence that the sender meant is none of them. late_percent: what
    each buffer would have thrown away besides. burst_density, gap_density: RFC 3611. jitter_ms: the estimate of RFC
    3550 section 6.4.1 at the end, over all of the stream so far, in the order in which packets are played.
    """

    KIND: ClassVar[str] = "quality"

    packets: int
    loss_percent: float
    concealed_percent: float
    bursts: int
    burst_density: float
    gap_density: float
    jitter_ms: float
    late_percent: tuple[float, float, float]
    mos: tuple[float, float, float] | None


class QualityPlugin(BlockPlugin):
    """Rates every stream."""

    NAME: ClassVar[str] = "quality"
    CONFIG: ClassVar[type[PluginConfig]] = QualityConfig
    wants = Wants(sample_rate_hz=8000, hop_samples=80)

    def start(self, rows: int) -> None:
        """Make the state for so many streams."""
        self._buffers: tuple[PlayoutBuffer, ...] = (FixedBuffer(50.0), FixedBuffer(200.0), AdaptiveBuffer(rows))
        self._packets = PacketBegins(rows, 1000 * self.wants.hop_samples // self.wants.sample_rate_hz)
        self._network = LossBursts(rows)
        self._heard = tuple(LossBursts(rows) for _ in self._buffers)
        self._jitter_ms, self._transit_ns = np.zeros(rows), np.full(rows, _NEVER)
        self._had_packets = np.zeros(rows, np.bool_)
        self._concealed = np.zeros(rows, np.int64)
        self._begin, self._end = np.full(rows, _NEVER), np.zeros(rows, np.int64)  # of the interval, so far
        self._equipment: list[Equipment | None] = [None] * rows
        self._interval = round(self.config.interval_s * self.wants.sample_rate_hz)

    def open(self, row: int, identity: StreamIdentity) -> None:
        """Begin a stream."""
        self._equipment[row] = None
        self._jitter_ms[row], self._transit_ns[row] = 0.0, _NEVER
        self._begin[row], self._had_packets[row] = _NEVER, False
        self._packets.reset(row)
        for buffer in self._buffers:
            buffer.reset(row)
        self._begin_interval(row)

    def event(self, row: int, placed: PlacedEvent) -> Iterable[Finding]:
        """Note which codec it is. Another one, or source, may have packets of another length; a source has a clock."""
        event = placed.event
        if isinstance(event, FormatChanged | SourceChanged):
            self._packets.forget_pace(row)
        if isinstance(event, SourceChanged):
            self._transit_ns[row] = _NEVER
        if isinstance(event, FormatChanged):
            self._equipment[row] = EQUIPMENT.get(event.format.encoding) if event.format else None
        return ()

    def process(self, hops: Hops) -> Iterable[Finding]:
        """Take audio."""
        rows, end = hops.rows, hops.position + self.wants.hop_samples
        begin = self._begin[rows]
        begin = np.where(begin == _NEVER, hops.position, begin)
        self._begin[rows], self._end[rows] = begin, end
        arrival_ns = packet_arrivals(hops)
        some = np.flatnonzero(self._packets.take(rows, arrival_ns))
        if len(some):
            self._count(hops, some, arrival_ns[some])
        told = (self._report(row) for row in rows[end - begin >= self._interval].tolist())
        return [quality for quality in told if quality]

    def _count(self, hops: Hops, some: NDArray[np.int64], arrival_ns: NDArray[np.int64]) -> None:
        """Count the packets that begin in some of the hops."""
        rows, came = hops.rows[some], arrival_ns > 0
        self._concealed[rows] += ~came & (hops.state[some] == SampleState.CONCEALED)
        self._network.take(rows, ~came)
        arrived, at = rows[came], some[came]
        self._measure_jitter(arrived, arrival_ns[came] - duration_ns(hops.position[at], hops.sample_rate_hz))
        delay_ms = np.maximum((arrival_ns[came] - hops.time_ns[at]) / _NS_PER_MS, 0.0)
        for buffer, heard in zip(self._buffers, self._heard, strict=True):
            lost = ~came
            lost[came] = buffer.is_late(arrived, delay_ms)
            heard.take(rows, lost)

    def _measure_jitter(self, rows: NDArray[np.int64], transit_ns: NDArray[np.int64]) -> None:
        """Compare each packet's transit with the one before. It counts from the stream's first sample.

        It is not of the wall time of hops, which moves when a packet with less delay is found.
        """
        before = self._transit_ns[rows]
        change_ms = np.abs(transit_ns - np.where(before == _NEVER, transit_ns, before)) / _NS_PER_MS
        jitter_ms = self._jitter_ms[rows]
        self._jitter_ms[rows] = jitter_ms + (change_ms - jitter_ms) * _JITTER_GAIN
        self._transit_ns[rows], self._had_packets[rows] = transit_ns, True

    def close(self, row: int) -> Iterable[Finding]:
        """Rate what is left of a stream."""
        quality = self._report(row)
        return [quality] if quality else []

    def _report(self, row: int) -> Quality | None:
        """Rate an interval that is over, if it had packets, and begin the next one."""
        quality = self._rate(row) if self._had_packets[row] and self._network.metrics(row).packets else None
        self._begin[row] = self._end[row]
        self._begin_interval(row)
        return quality

    def _rate(self, row: int) -> Quality:
        network, begin = self._network.metrics(row), int(self._begin[row])
        heard = [heard.metrics(row) for heard in self._heard]
        return Quality(
            row=row,
            position=begin,
            length_samples=int(self._end[row]) - begin,
            packets=network.packets,
            loss_percent=round(network.loss_percent, 3),
            concealed_percent=round(100 * int(self._concealed[row]) / network.packets, 3),
            bursts=network.bursts,
            burst_density=round(network.burst_density, 4),
            gap_density=round(network.gap_density, 4),
            jitter_ms=round(float(self._jitter_ms[row]), 3),
            late_percent=_three(round(one.loss_percent - network.loss_percent, 3) for one in heard),
            mos=self._mos(row),
        )

    def _mos(self, row: int) -> tuple[float, float, float] | None:
        equipment = self._equipment[row]
        if equipment is None:
            return None
        return _three(
            round(mos(simple_rating(equipment, buffer.mean_delay_ms(row), one.loss_percent, one.burst_ratio)), 2)
            for buffer, heard in zip(self._buffers, self._heard, strict=True)
            for one in [heard.metrics(row)]
        )

    def _begin_interval(self, row: int) -> None:
        for bursts in (self._network, *self._heard):
            bursts.reset(row)
        for buffer in self._buffers:
            buffer.begin_interval(row)
        self._concealed[row] = 0


def _three(values: Iterable[float]) -> tuple[float, float, float]:
    first, second, third = values
    return first, second, third
