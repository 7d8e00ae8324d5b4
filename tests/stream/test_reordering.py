"""Packets that overtake each other within the playout delay are put back in order."""

import pytest

from strep.audio.block import SampleState
from strep.stream.events import Gap
from tests.traffic import Result, Sender, every, pcmu, play


def in_order(result: Result, packets: list[bytes]) -> None:
    assert result.audio().tolist() == pcmu(packets).tolist()
    assert result.states() == [(SampleState.RECEIVED, len(packets) * 160)]
    assert not result.of(Gap)
    assert result.counts["accepted"] == len(packets)


def test_a_packet_that_was_overtaken_takes_its_place() -> None:
    packets = Sender().packets(20)
    arrivals = every(packets)
    arrivals[7] = (8 * 20 + 5, packets[7])
    result = play(sorted(arrivals))
    in_order(result, packets)
    assert result.report.sources[0].reordered == 1
    assert result.report.sources[0].lost == 0


@pytest.mark.parametrize("late_ms", [21, 60, 119])
def test_it_may_be_overtaken_by_several(late_ms: int) -> None:
    packets = Sender().packets(20)
    arrivals = every(packets)
    arrivals[7] = (7 * 20 + late_ms, packets[7])  # the first that overtakes it comes 20 ms after its time
    in_order(play(sorted(arrivals)), packets)


def test_a_whole_burst_may_come_backwards() -> None:
    packets = Sender().packets(12)
    arrivals = [*every(packets[:4]), *((80 + n, packet) for n, packet in enumerate(reversed(packets[4:])))]
    result = play(arrivals)
    in_order(result, packets)
    assert result.report.sources[0].reordered == 7


def test_the_first_packet_may_be_overtaken() -> None:
    packets = Sender().packets(10)
    arrivals = every(packets)
    arrivals[0], arrivals[1], arrivals[2] = (0, packets[2]), (5, packets[0]), (25, packets[1])
    result = play(arrivals)
    in_order(result, packets)
    assert result.report.sources[0].expected == 10


@pytest.mark.parametrize("first", [0xFFFD, 0xFFFE, 0xFFFF])
def test_the_first_packet_may_be_overtaken_at_the_wrap(first: int) -> None:
    """The numbers of those that were overtaken lie below 0, where nothing else may be mistaken for them."""
    packets = Sender(sequence_number=first).packets(10)
    overtaker = 0x10000 - first
    arrivals = every(packets, start_ms=20)
    arrivals[overtaker] = (0, packets[overtaker])
    result = play(sorted(arrivals))
    in_order(result, packets)
    assert result.counts["duplicate"] == 0


def test_another_direction_is_not_held_up_by_it() -> None:
    inbound, outbound = Sender(), Sender(direction=1, seed=2)
    mine, other = inbound.packets(10), outbound.packets(10)
    arrivals = every(mine)
    arrivals[4] = (5 * 20 + 1, mine[4])
    result = play(sorted(arrivals + every(other, start_ms=3)))
    assert result.audio(0).tolist() == pcmu(mine).tolist()
    assert result.audio(1).tolist() == pcmu(other).tolist()
