"""Rate how good a line is: loss, bursts of it, jitter, concealment, and what people would say of it (MOS).

Every interval, and at the end, one finding a stream. The rating is ITU-T G.107's (strep.plugins.emodel) for three ways
to play the stream out: from a buffer of 50 ms, from one of 200 ms, and from one that adapts (strep.plugins.playout);
bursts are those of RFC 3611 (strep.plugins.bursts). A hop counts as a packet, which it is at 20 ms.

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
from strep.plugins.playout import AdaptiveBuffer, FixedBuffer, PlayoutBuffer
from strep.stream.events import FormatChanged, StreamIdentity

_NS_PER_MS = 1_000_000
#: RFC 3550 section 6.4.1: each packet changes the estimate by a sixteenth.
_JITTER_GAIN = 1 / 16


class QualityConfig(PluginConfig):
    """Says how often to rate."""

    interval_s: float = Field(default=10.0, ge=1, le=3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality(Finding):
    """Is the quality of an interval. MOS by playout buffer: 50 ms, 200 ms, adaptive; None for codecs without figures.

    Shares are of the packets that should have come; silence that the sender meant is none of them. late_percent: what
    each buffer would have thrown away besides. burst_density, gap_density: RFC 3611.
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
    wants = Wants(sample_rate_hz=8000, hop_samples=160)

    def start(self, rows: int) -> None:
        """Make the state for so many streams."""
        self._buffers: tuple[PlayoutBuffer, ...] = (FixedBuffer(50.0), FixedBuffer(200.0), AdaptiveBuffer(rows))
        self._network = LossBursts(rows)
        self._heard = tuple(LossBursts(rows) for _ in self._buffers)
        self._jitter_ms, self._delay_ms = np.zeros(rows), np.full(rows, np.nan)
        self._concealed, self._begin = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        self._equipment: list[Equipment | None] = [None] * rows
        self._interval = round(self.config.interval_s * self.wants.sample_rate_hz)

    def open(self, row: int, identity: StreamIdentity) -> None:
        """Begin a stream."""
        self._equipment[row] = None
        self._delay_ms[row] = np.nan
        self._jitter_ms[row] = 0.0
        self._begin[row] = 0
        self._reset(row)

    def event(self, row: int, placed: PlacedEvent) -> Iterable[Finding]:
        """Note which codec it is."""
        event = placed.event
        if isinstance(event, FormatChanged):
            self._equipment[row] = EQUIPMENT.get(event.format.encoding) if event.format else None
        return ()

    def process(self, hops: Hops) -> Iterable[Finding]:
        """Take audio."""
        counted = hops.state != SampleState.SILENCE
        rows, state = hops.rows[counted], hops.state[counted]
        came = (state == SampleState.RECEIVED) | (state == SampleState.UNDECODED)
        self._concealed[rows] += state == SampleState.CONCEALED
        self._network.take(rows, ~came)
        delay_ms = self._delays(hops, counted, came)
        for buffer, heard in zip(self._buffers, self._heard, strict=True):
            late = np.zeros(len(rows), np.bool_)
            late[came] = buffer.is_late(rows[came], delay_ms)
            heard.take(rows, late | ~came)
        ended = hops.position + self.wants.hop_samples - self._begin[hops.rows] >= self._interval
        return [
            self._report(row, position + self.wants.hop_samples)
            for row, position in zip(hops.rows[ended].tolist(), hops.position[ended].tolist(), strict=True)
        ]

    def _delays(self, hops: Hops, counted: NDArray[np.bool_], came: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Measure how much later packets came than the least delayed one, and by that the jitter."""
        rows = hops.rows[counted][came]
        if hops.arrival_ns is None:
            return np.zeros(len(rows))
        delay_ms = (hops.arrival_ns[counted][came] - hops.time_ns[counted][came]) / _NS_PER_MS
        before = self._delay_ms[rows]
        change = np.where(np.isnan(before), 0.0, np.abs(delay_ms - before))
        self._jitter_ms[rows] += (change - self._jitter_ms[rows]) * _JITTER_GAIN
        self._delay_ms[rows] = delay_ms
        return np.maximum(delay_ms, 0.0)

    def close(self, row: int) -> Iterable[Finding]:
        """Rate what is left of a stream."""
        metrics = self._network.metrics(row)
        length = metrics.packets * self.wants.hop_samples
        return [self._report(row, int(self._begin[row]) + length)] if metrics.packets else []

    def _report(self, row: int, end: int) -> Quality:
        network, begin = self._network.metrics(row), int(self._begin[row])
        heard = [heard.metrics(row) for heard in self._heard]
        quality = Quality(
            row=row,
            position=begin,
            length_samples=end - begin,
            packets=network.packets,
            loss_percent=round(network.loss_percent, 3),
            concealed_percent=round(100 * int(self._concealed[row]) / max(network.packets, 1), 3),
            bursts=network.bursts,
            burst_density=round(network.burst_density, 4),
            gap_density=round(network.gap_density, 4),
            jitter_ms=round(float(self._jitter_ms[row]), 3),
            late_percent=_three(round(one.loss_percent - network.loss_percent, 3) for one in heard),
            mos=self._mos(row),
        )
        self._begin[row] = end
        self._reset(row)
        return quality

    def _mos(self, row: int) -> tuple[float, float, float] | None:
        equipment = self._equipment[row]
        if equipment is None:
            return None
        return _three(
            round(mos(simple_rating(equipment, buffer.mean_delay_ms(row), one.loss_percent, one.burst_ratio)), 2)
            for buffer, heard in zip(self._buffers, self._heard, strict=True)
            for one in [heard.metrics(row)]
        )

    def _reset(self, row: int) -> None:
        for bursts in (self._network, *self._heard):
            bursts.reset(row)
        for buffer in self._buffers:
            buffer.reset(row)
        self._concealed[row] = 0


def _three(values: Iterable[float]) -> tuple[float, float, float]:
    first, second, third = values
    return first, second, third
