"""Work out from who spoke when how two people talk: shares, overlap, interruptions, response times, silences.

The words are those of ITU-T P.59 (talk-spurt, pause, double talk, mutual silence); overlap is its double talk. All
times are in samples. Checked against a count hop by hop in tests/plugins/test_talk.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

#: From when to when someone spoke; of one side, in order and apart from each other.
Spurt = tuple[int, int]
Two = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkStatistics:
    """How two sides talked in a span of time; pairs are of the inbound and the outbound side.

    interruptions: how often a side began while the other spoke, and both went on for a while. responses: how often it
    was a side's turn after the other's; response_samples: how long those took altogether, longest_response_samples: at
    most. longest_silence_samples: a side's longest pause, and longest_mutual_silence_samples that of both together; one
    that began before the span counts from its beginning.
    """

    talk_samples: Two = (0, 0)
    overlap_samples: int = 0
    spurts: Two = (0, 0)
    interruptions: Two = (0, 0)
    responses: Two = (0, 0)
    response_samples: Two = (0, 0)
    longest_response_samples: Two = (0, 0)
    longest_silence_samples: Two = (0, 0)
    longest_mutual_silence_samples: int = 0

    def __add__(self, other: TalkStatistics) -> TalkStatistics:
        """Give the statistics of two spans together, of which one follows the other."""
        return TalkStatistics(
            talk_samples=_both(self.talk_samples, other.talk_samples),
            overlap_samples=self.overlap_samples + other.overlap_samples,
            spurts=_both(self.spurts, other.spurts),
            interruptions=_both(self.interruptions, other.interruptions),
            responses=_both(self.responses, other.responses),
            response_samples=_both(self.response_samples, other.response_samples),
            longest_response_samples=_longer(self.longest_response_samples, other.longest_response_samples),
            longest_silence_samples=_longer(self.longest_silence_samples, other.longest_silence_samples),
            longest_mutual_silence_samples=max(
                self.longest_mutual_silence_samples, other.longest_mutual_silence_samples
            ),
        )


def talk_statistics(
    inbound: Sequence[Spurt], outbound: Sequence[Spurt], begin: int, end: int, least_overlap: int
) -> TalkStatistics:
    """Look at a span of time. What was said before it is needed as far back as each side's last spurt.

    A spurt counts where it begins. It interrupts when the other side's spurt began before it, and goes on beside it for
    `least_overlap` at least. It responds when the last who spoke was the other side; also when that ended less than
    `least_overlap` later, which then took no time.
    """
    sides, union = (inbound, outbound), _union(inbound, outbound)
    talk = (_length(inbound, begin, end), _length(outbound, begin, end))
    within = [[spurt for spurt in side if begin <= spurt[0] < end] for side in sides]
    responses = [
        [wait for spurt in within[side] if (wait := _response(spurt, sides[side], sides[1 - side], least_overlap)) >= 0]
        for side in (0, 1)
    ]
    interruptions = [
        sum(_interrupts(spurt, sides[1 - side], least_overlap) for spurt in within[side]) for side in (0, 1)
    ]
    return TalkStatistics(
        talk_samples=talk,
        overlap_samples=sum(talk) - _length(union, begin, end),
        spurts=(len(within[0]), len(within[1])),
        interruptions=(interruptions[0], interruptions[1]),
        responses=(len(responses[0]), len(responses[1])),
        response_samples=(sum(responses[0]), sum(responses[1])),
        longest_response_samples=(max(responses[0], default=0), max(responses[1], default=0)),
        longest_silence_samples=(_silence(inbound, begin, end), _silence(outbound, begin, end)),
        longest_mutual_silence_samples=_silence(union, begin, end),
    )


def _response(spurt: Spurt, own: Sequence[Spurt], other: Sequence[Spurt], least_overlap: int) -> int:
    """Give how long a spurt let the other side wait for an answer; -1 if it is none."""
    earlier = [one for one in other if one[0] < spurt[0]]
    if not earlier:
        return -1
    asked = earlier[-1][1]
    if asked > spurt[0] and (asked - spurt[0] >= least_overlap or asked >= spurt[1]):
        return -1
    own_end = max((one[1] for one in own if one[1] <= spurt[0]), default=-1)
    return -1 if own_end >= asked else max(spurt[0] - asked, 0)


def _interrupts(spurt: Spurt, other: Sequence[Spurt], least_overlap: int) -> bool:
    return any(one[0] < spurt[0] and min(one[1], spurt[1]) - spurt[0] >= least_overlap for one in other)


def _length(spurts: Sequence[Spurt], begin: int, end: int) -> int:
    return sum(max(min(spurt[1], end) - max(spurt[0], begin), 0) for spurt in spurts)


def _silence(spurts: Sequence[Spurt], begin: int, end: int) -> int:
    """Give the longest pause of those that go into the span, up to its end at most."""
    ends = [(0, 0), *(spurt for spurt in spurts if spurt[0] < end), (end, end)]
    return max((after[0] - before[1] for before, after in pairwise(ends) if after[0] > begin), default=0)


def _union(inbound: Sequence[Spurt], outbound: Sequence[Spurt]) -> list[Spurt]:
    joined = list[Spurt]()
    for spurt in sorted((*inbound, *outbound)):
        if joined and spurt[0] <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], spurt[1]))
        else:
            joined.append(spurt)
    return joined


def _both(one: Two, other: Two) -> Two:
    return one[0] + other[0], one[1] + other[1]


def _longer(one: Two, other: Two) -> Two:
    return max(one[0], other[0]), max(one[1], other[1])
