"""A packet that comes twice is counted, and heard once."""

import pytest

from strep.audio.block import SampleState
from tests.traffic import Sender, every, pcmu, play


@pytest.mark.parametrize("later_ms", [0, 7, 99, 150, 600])
def test_a_second_copy_is_not_heard_before_or_after_the_first_was_handed_on(later_ms: int) -> None:
    packets = Sender().packets(40)
    result = play(sorted([*every(packets), (10 * 20 + later_ms, packets[10])]))
    assert result.audio().tolist() == pcmu(packets).tolist()
    assert result.states() == [(SampleState.RECEIVED, 40 * 160)]
    assert result.counts["duplicate"] == 1
    assert result.counts["accepted"] == 40
    source = result.report.sources[0]
    assert (source.packets, source.duplicates, source.lost, source.expected) == (41, 1, 0, 40)


def test_every_packet_may_come_three_times() -> None:
    packets = Sender().packets(15)
    arrivals = sorted((n * 20 + copy, packet) for n, packet in enumerate(packets) for copy in range(3))
    result = play(arrivals)
    assert result.audio().tolist() == pcmu(packets).tolist()
    assert result.counts["duplicate"] == 30
    assert result.report.sources[0].lost == 0


def test_a_duplicate_does_not_make_good_for_a_loss() -> None:
    packets = Sender().packets(20)
    arrivals = [arrival for n, arrival in enumerate(every(packets)) if n != 5]
    result = play(sorted([*arrivals, (185, packets[8])]))
    source = result.report.sources[0]
    assert (source.lost, source.duplicates) == (1, 1)


def test_a_copy_of_a_late_packet_is_a_duplicate_of_it() -> None:
    packets = Sender().packets(20)
    arrivals = every(packets)
    arrivals[5] = (240, packets[5])
    result = play(sorted([*arrivals, (245, packets[5])]))
    source = result.report.sources[0]
    assert (source.late, source.duplicates, source.lost) == (1, 1, 0)


def test_a_copy_of_the_first_packet_is_one() -> None:
    packets = Sender(sequence_number=0).packets(5)
    result = play([(0, packets[0]), *every(packets)])
    assert result.counts["duplicate"] == 1
    assert result.audio().tolist() == pcmu(packets).tolist()


def test_the_same_number_on_the_other_direction_is_no_duplicate() -> None:
    packets = [Sender(direction=direction).packet() for direction in (0, 1)]
    assert play(every(packets)).counts["accepted"] == 2
