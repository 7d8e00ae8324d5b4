"""Tell who speaks when, and how the two sides of a leg talk with each other.

Measured by `python -m bench analysis` on prompts that the thresholds were not chosen on, with known onsets; see
bench/speech_material.py for what counts as speech. Precision / recall of frames of 20 ms by signal to noise ratio, and
beside it the same of webrtcvad in mode 2:

                    strep.plugins.voice                  webrtcvad, mode 2
              20 dB      10 dB      5 dB         20 dB      10 dB      5 dB
    white   .98/.97    .99/.91    .99/.86       .96/.96    .69/.94    .60/.95
    pink    .98/.96    .99/.90    .98/.82       .98/.94    .66/.92    .59/.95
    babble  .97/.96    .96/.92    .91/.87       .84/.98    .62/.97    .57/.98

What is speech is a matter of where one draws the line: with that of the labels 5 dB lower, recall at 20 dB is .945 to
.951, and 5 dB higher, precision .957 to .968. What stands out from the noise without being speech, as music and ringing
tones do, counts as speech here.

A hop of a stream costs some 0.3 us at 2,000 streams, and a call of webrtcvad 1.7 us.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from strep.audio.block import SampleState
from strep.plugins.activity import HOP_SAMPLES, ActivityLimits, Segments, VoiceActivity
from strep.plugins.base import BlockPlugin, Finding, Hops, PluginConfig, Wants
from strep.plugins.talk import Spurt, TalkStatistics, talk_statistics
from strep.stream.events import Direction, StreamIdentity

SAMPLE_RATE_HZ = 8000
_HOP_MS = 1000 * HOP_SAMPLES // SAMPLE_RATE_HZ
#: An interval takes some 0.1 ms to sum up. Thousands of legs may have begun together; the others' turn is a hop later.
_MOST_SUMMED_UP = 32


class VoiceConfig(PluginConfig):
    """Says what is speech, and how often to sum up.

    A hop of 20 ms is speech when it stands out from the noise floor by range_share of what the loudest hop of late does
    (in dB), but no less than least_db, and most_db is always enough; speech goes on by keeping_share of that.
    hangover_ms: a pause that is shorter ends nothing. least_overlap_ms: of two who begin to speak at the same time, or
    end, shorter is not yet an interruption. interval_s: between two findings of kind "talk".
    """

    range_share: float = Field(default=0.45, gt=0, lt=1)
    least_db: float = Field(default=8.0, ge=3, le=30)
    most_db: float = Field(default=10.0, ge=3, le=60)
    keeping_share: float = Field(default=0.7, gt=0, le=1)
    hangover_ms: int = Field(default=340, ge=100, le=2000)
    least_overlap_ms: int = Field(default=200, ge=0, le=5000)
    interval_s: float = Field(default=30.0, ge=1, le=600)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStart(Finding):
    """Is that someone has begun to speak; told 40 ms after, with `position` where it was."""

    KIND: ClassVar[str] = "speech_start"

    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech(Finding):
    """Is a segment of speech, told when it is over, a hangover after its end."""

    KIND: ClassVar[str] = "speech"

    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk(Finding):
    """Is how both sides talked in an interval, or with is_total in all of the call; pairs: inbound, outbound.

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


class _Conversation:
    """Keeps who spoke when of one pair, as far back as its current interval needs it."""

    __slots__ = ("begin", "spurts", "total")

    def __init__(self) -> None:
        self.begin = 0
        self.spurts: tuple[list[Spurt], list[Spurt]] = ([], [])
        self.total = TalkStatistics()

    def sum_up(self, open_spurts: tuple[list[Spurt], list[Spurt]], end: int, least_overlap: int) -> TalkStatistics:
        """End the interval, and forget what nothing later depends on."""
        inbound, outbound = (spurts + going_on for spurts, going_on in zip(self.spurts, open_spurts, strict=True))
        found = talk_statistics(inbound, outbound, self.begin, end, least_overlap)
        self.total = self.total + found
        self.begin = end
        for spurts in self.spurts:
            last_before = sum(spurt[0] < end for spurt in spurts) - 1
            kept = [spurt for n, spurt in enumerate(spurts) if spurt[1] > end or n >= last_before]
            spurts[:] = kept
        return found


class VoicePlugin(BlockPlugin):
    """Finds speech in both directions of every leg."""

    NAME: ClassVar[str] = "voice"
    CONFIG: ClassVar[type[PluginConfig]] = VoiceConfig
    wants = Wants(sample_rate_hz=SAMPLE_RATE_HZ, hop_samples=HOP_SAMPLES, is_pair=True)

    def start(self, rows: int) -> None:
        """Make the state: an activity detector has two streams a row."""
        config: VoiceConfig = self.config
        limits = ActivityLimits(
            config.range_share,
            config.least_db,
            config.most_db,
            config.keeping_share,
            hangover_hops=config.hangover_ms // _HOP_MS,
        )
        self._activity = VoiceActivity(2 * rows, limits)
        self._length = np.zeros(rows, np.int64)
        self._talks = [_Conversation() for _ in range(rows)]
        self._interval = round(config.interval_s * SAMPLE_RATE_HZ / HOP_SAMPLES) * HOP_SAMPLES
        # An interval is summed up when it is settled which spurts began in it and ended in it.
        self._settling = (limits.hangover_hops + limits.onset_hops + limits.before_hops) * HOP_SAMPLES
        self._due = np.full(rows, self._interval + self._settling)
        self._least_overlap = config.least_overlap_ms * SAMPLE_RATE_HZ // 1000

    def open(self, row: int, identity: StreamIdentity) -> None:
        """Begin a pair."""
        for direction in Direction:
            self._activity.reset(2 * row + direction)
        self._length[row] = 0
        self._talks[row] = _Conversation()
        self._due[row] = self._interval + self._settling

    def process(self, hops: Hops) -> Iterable[Finding]:
        """Listen to a hop of each pair."""
        is_heard = (hops.state == SampleState.RECEIVED) | (hops.state == SampleState.CONCEALED)
        streams = (2 * hops.rows[:, None] + np.arange(2)).reshape(-1)
        hop = np.repeat(hops.position // HOP_SAMPLES, 2)
        begun, over = self._activity.take(streams, hop, hops.samples.reshape(-1, HOP_SAMPLES), is_heard.reshape(-1))
        reached = hops.position + HOP_SAMPLES
        self._length[hops.rows] = reached
        found: list[Finding] = [
            SpeechStart(row=stream // 2, position=begin * HOP_SAMPLES, direction=Direction(stream % 2))
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
            found += self._take_over(self._activity.close(2 * row + direction, length // HOP_SAMPLES))
        while self._due[row] <= length:
            found.append(self._sum_up_due(row))
        talk = self._talks[row]
        if length > talk.begin:
            found.append(self._sum_up(row, length))
        self._length[row] = 0
        return [*found, _talk(row, 0, length, talk.total, is_total=True)]

    def finish(self) -> Iterable[Finding]:
        """Close what is open."""
        return [finding for row in np.flatnonzero(self._length).tolist() for finding in self.close(row)]

    def _take_over(self, over: Segments) -> list[Finding]:
        found = list[Finding]()
        columns = (column.tolist() for column in over)
        for stream, begin, end in zip(*columns, strict=True):
            row, direction = divmod(stream, 2)
            self._talks[row].spurts[direction].append((begin * HOP_SAMPLES, end * HOP_SAMPLES))
            found.append(
                Speech(
                    row=row,
                    position=begin * HOP_SAMPLES,
                    length_samples=(end - begin) * HOP_SAMPLES,
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
            hop = self._activity.begin_of_open(2 * row + direction)
            open_spurts.append([] if hop is None else [(hop * HOP_SAMPLES, length)])
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
