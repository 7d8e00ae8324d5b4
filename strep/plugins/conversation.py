"""Tell who speaks when, and how both sides of a leg talk with each other, of what a detector makes of their hops."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from strep.audio.block import SampleState
from strep.plugins.base import BlockPlugin, Finding, Hops, PluginConfig
from strep.plugins.segments import SegmentLimits, Segments
from strep.plugins.talk import Spurt, TalkStatistics, talk_statistics
from strep.stream.events import Direction, StreamIdentity

SAMPLE_RATE_HZ = 8000
#: An interval takes some 0.1 ms to sum up. Thousands of legs may have begun together; the others' turn is a hop later.
_MOST_SUMMED_UP = 32


class ConversationConfig(PluginConfig):
    """A conversation config that says how often to sum up, and what is an interruption.

    hangover_ms: a pause that is shorter ends nothing. least_overlap_ms: of two who begin to speak at the same time, or
    end, shorter is not yet an interruption. interval_s: between two findings of kind "talk".
    """

    hangover_ms: int = Field(default=340, ge=100, le=2000)
    least_overlap_ms: int = Field(default=200, ge=0, le=5000)
    interval_s: float = Field(default=30.0, ge=1, le=600)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStart(Finding):
    """That someone has begun to speak; told two hops after, with `position` where it was."""

    KIND: ClassVar[str] = "speech_start"

    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech(Finding):
    """A segment of speech, told when it is over, a hangover after its end."""

    KIND: ClassVar[str] = "speech"

    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk(Finding):
    """How both sides talked in an interval, or with is_total in all of the call; pairs: inbound, outbound.

    What the counts mean is said in strep.plugins.talk. mean_response_s: None for a side that did not respond.
    """

    KIND: ClassVar[str] = "talk"

    is_total: bool
    talk_s: tuple[float, float]
    overlap_s: float
    interruptions: tuple[int, int]
    responses: tuple[int, int]
    mean_response_s: tuple[float | None, float | None]
    longest_response_s: tuple[float, float]
    longest_silence_s: tuple[float, float]
    longest_mutual_silence_s: float


class Detector(Protocol):
    """A detector that tells which hops of so many streams are speech, as segments; see
    strep.plugins.segments.Segmenter.
    """

    segment_limits: SegmentLimits

    def reset(self, stream: int) -> None:
        """Forget a stream."""

    def take(
        self,
        streams: NDArray[np.int64],
        hop: NDArray[np.int64],
        samples: NDArray[np.int16],
        is_heard: NDArray[np.bool_],
    ) -> tuple[Segments, Segments]:
        """Take the next hop of each of n streams, none twice; gives segments that have begun, and that are over.

        hop: int64[n], its number since the stream began; samples: int16[n, hop_samples]; is_heard: bool[n], whether
        those are audio that came. A segment that has begun has its latest hop for an end.
        """

    def begin_of_open(self, stream: int) -> int | None:
        """Give the hop from which on someone speaks, if so."""

    def close(self, stream: int, hops: int) -> Segments:
        """End a stream of so many hops; gives the segment that goes on, if any."""


class _Conversation:
    """A conversation that keeps who spoke when of one pair, as far back as its current interval needs it."""

    __slots__ = ("begin", "first", "spurts", "total")

    def __init__(self, begin: int = 0) -> None:
        self.first = self.begin = begin
        self.spurts: tuple[list[Spurt], list[Spurt]] = ([], [])
        self.total = TalkStatistics()

    def sum_up(self, open_spurts: tuple[list[Spurt], list[Spurt]], end: int, least_overlap: int) -> TalkStatistics:
        """End the interval, and forget what nothing later depends on."""
        first = self.first
        inbound, outbound = (
            [(spurt[0] - first, spurt[1] - first) for spurt in spurts + going_on]
            for spurts, going_on in zip(self.spurts, open_spurts, strict=True)
        )
        found = talk_statistics(inbound, outbound, self.begin - first, end - first, least_overlap)
        self.total = self.total + found
        self.begin = end
        for spurts in self.spurts:
            last_before = sum(spurt[0] < end for spurt in spurts) - 1
            kept = [spurt for n, spurt in enumerate(spurts) if spurt[1] > end or n >= last_before]
            spurts[:] = kept
        return found


class ConversationPlugin(BlockPlugin):
    """A conversation plugin that finds speech in both directions of every leg. It wants pairs; the detector is what a
    plugin of this kind adds.
    """

    @abstractmethod
    def detector(self, streams: int) -> Detector:
        """Make the detector: two streams a row, inbound first."""

    def start(self, rows: int) -> None:
        """Make the state."""
        config: ConversationConfig = self.config
        self._detector = self.detector(2 * rows)
        self._hop = hop = self.wants.hop_samples
        self._length = np.zeros(rows, np.int64)
        self._talks = [_Conversation() for _ in range(rows)]
        self._interval = round(config.interval_s * SAMPLE_RATE_HZ / hop) * hop
        # An interval is summed up when it is settled which spurts began in it and ended in it.
        limits = self._detector.segment_limits
        self._settling = (limits.hangover_hops + limits.onset_hops + limits.before_hops) * hop
        self._due = np.full(rows, self._interval + self._settling)
        self._least_overlap = config.least_overlap_ms * SAMPLE_RATE_HZ // 1000

    def open(self, row: int, identity: StreamIdentity) -> None:
        """Begin a pair."""
        for direction in Direction:
            self._detector.reset(2 * row + direction)
        self._length[row] = 0

    def process(self, hops: Hops) -> Iterable[Finding]:
        """Listen to a hop of each pair."""
        is_heard = (hops.state == SampleState.RECEIVED) | (hops.state == SampleState.CONCEALED)
        streams = (2 * hops.rows[:, None] + np.arange(2)).reshape(-1)
        hop = np.repeat(hops.position // self._hop, 2)
        begun, over = self._detector.take(streams, hop, hops.samples.reshape(-1, self._hop), is_heard.reshape(-1))
        reached = hops.position + self._hop
        for n in np.flatnonzero(self._length[hops.rows] == 0).tolist():
            self._begin(int(hops.rows[n]), int(hops.position[n]))
        self._length[hops.rows] = reached
        found: list[Finding] = [
            SpeechStart(row=stream // 2, position=begin * self._hop, direction=Direction(stream % 2))
            for stream, begin in zip(begun.streams.tolist(), begun.begin.tolist(), strict=True)
        ]
        found += self._take_over(over)
        due = hops.rows[reached >= self._due[hops.rows]]
        return found + [self._sum_up_due(row) for row in due[:_MOST_SUMMED_UP].tolist()]

    def close(self, row: int) -> Iterable[Finding]:
        """Tell of speech that goes on, of the rest of an interval, and of all of the call."""
        length = int(self._length[row])
        if not length:
            return []
        found = list[Finding]()
        for direction in Direction:
            found += self._take_over(self._detector.close(2 * row + direction, length // self._hop))
        while self._due[row] <= length:
            found.append(self._sum_up_due(row))
        talk = self._talks[row]
        if length > talk.begin:
            found.append(self._sum_up(row, length))
        self._length[row] = 0
        return [*found, _talk(row, talk.first, length, talk.total, is_total=True)]

    def finish(self) -> Iterable[Finding]:
        """Close what is open."""
        return [finding for row in np.flatnonzero(self._length).tolist() for finding in self.close(row)]

    def _begin(self, row: int, position: int) -> None:
        """Begin to listen to a pair, which may have gone on before that."""
        self._talks[row] = _Conversation(position)
        self._due[row] = position + self._interval + self._settling

    def _take_over(self, over: Segments) -> list[Finding]:
        found = list[Finding]()
        columns = (column.tolist() for column in over)
        for stream, begin, end in zip(*columns, strict=True):
            row, direction = divmod(stream, 2)
            self._talks[row].spurts[direction].append((begin * self._hop, end * self._hop))
            found.append(
                Speech(
                    row=row,
                    position=begin * self._hop,
                    length_samples=(end - begin) * self._hop,
                    direction=Direction(direction),
                )
            )
        return found

    def _sum_up_due(self, row: int) -> Talk:
        """Sum up an interval that is settled."""
        end = int(self._due[row]) - self._settling
        self._due[row] += self._interval
        return self._sum_up(row, end)

    def _sum_up(self, row: int, end: int) -> Talk:
        """Sum up an interval; what is still being said counts as said up to now."""
        talk, length = self._talks[row], int(self._length[row])
        begin = talk.begin
        open_spurts = list[list[Spurt]]()
        for direction in Direction:
            hop = self._detector.begin_of_open(2 * row + direction)
            open_spurts.append([] if hop is None else [(hop * self._hop, length)])
        statistics = talk.sum_up((open_spurts[0], open_spurts[1]), end, self._least_overlap)
        return _talk(row, begin, end, statistics, is_total=False)


def _talk(row: int, begin: int, end: int, found: TalkStatistics, *, is_total: bool) -> Talk:
    waits = zip(found.response_samples, found.responses, strict=True)
    inbound_s, outbound_s = (_seconds(samples / count) if count else None for samples, count in waits)
    return Talk(
        row=row,
        position=begin,
        length_samples=end - begin,
        is_total=is_total,
        talk_s=(_seconds(found.talk_samples[0]), _seconds(found.talk_samples[1])),
        overlap_s=_seconds(found.overlap_samples),
        interruptions=found.interruptions,
        responses=found.responses,
        mean_response_s=(inbound_s, outbound_s),
        longest_response_s=(_seconds(found.longest_response_samples[0]), _seconds(found.longest_response_samples[1])),
        longest_silence_s=(_seconds(found.longest_silence_samples[0]), _seconds(found.longest_silence_samples[1])),
        longest_mutual_silence_s=_seconds(found.longest_mutual_silence_samples),
    )


def _seconds(samples: float) -> float:
    return round(samples / SAMPLE_RATE_HZ, 3)
