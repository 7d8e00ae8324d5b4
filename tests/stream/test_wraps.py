"""Sequence numbers and timestamps wrap in the middle of a stream, and nothing is heard of it."""

import pytest

from strep.audio.block import SampleState
from strep.stream.events import Gap
from tests.traffic import Sender, every, pcmu, play

AT_WRAP = {
    "sequence number": {"sequence_number": 0xFFFF - 9},
    "timestamp": {"timestamp": 0xFFFF_FFFF - 9 * 160 - 77},
    "timestamp at a packet's edge": {"timestamp": (1 << 32) - 10 * 160},
    "both": {"sequence_number": 0xFFFF - 9, "timestamp": (1 << 32) - 10 * 160},
}


@pytest.mark.parametrize("start", AT_WRAP.values(), ids=AT_WRAP)
def test_a_wrap_leaves_no_trace(start: dict[str, int]) -> None:
    packets = Sender(**start).packets(40)
    result = play(every(packets))
    assert result.audio().tolist() == pcmu(packets).tolist()
    assert result.states() == [(SampleState.RECEIVED, 40 * 160)]
    source = result.report.sources[0]
    assert (source.expected, source.lost, source.restarts, source.rejected) == (40, 0, 0, 0)
    assert source.mean_jitter_ms == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("start", AT_WRAP.values(), ids=AT_WRAP)
@pytest.mark.parametrize("lost", [9, 10])
def test_a_packet_lost_right_at_the_wrap_is_one_gap(start: dict[str, int], lost: int) -> None:
    packets = Sender(**start).packets(40)
    result = play([arrival for n, arrival in enumerate(every(packets)) if n != lost])
    (gap,) = result.of(Gap)
    assert (gap.position, gap.length_samples, gap.lost_packets) == (lost * 160, 160, 1)
    assert result.report.sources[0].lost == 1


@pytest.mark.parametrize("start", AT_WRAP.values(), ids=AT_WRAP)
def test_packets_may_overtake_each_other_over_the_wrap(start: dict[str, int]) -> None:
    packets = Sender(**start).packets(40)
    arrivals = every(packets)
    arrivals[9], arrivals[10] = (200, packets[9]), (180, packets[10])
    result = play(sorted(arrivals))
    assert result.audio().tolist() == pcmu(packets).tolist()
    assert result.report.sources[0].reordered == 1


def test_a_pause_may_span_the_wrap_of_the_timestamp() -> None:
    sender = Sender(timestamp=(1 << 32) - 1000)
    before = sender.packets(5)
    sender.timestamp += 16_000
    result = play([*every(before), *every(sender.packets(5), start_ms=2100)])
    assert result.states() == [(SampleState.RECEIVED, 800), (SampleState.SILENCE, 16_000), (SampleState.RECEIVED, 800)]


def test_what_is_expected_counts_on_through_several_wraps() -> None:
    sender, arrivals = Sender(sequence_number=65_000), []
    for n in range(50):
        arrivals.append((n * 20, sender.packet()))
        sender.sequence_number += 2999  # as many as can be lost in one piece
        sender.timestamp += 2999 * 160
    source = play(arrivals).report.sources[0]
    assert source.expected == 49 * 3000 + 1 > 2 * 65_536
    assert source.lost == source.expected - 50
    assert source.restarts == 0
