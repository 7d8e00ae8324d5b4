"""A packet is late when a later one came a playout delay or more before it: its place had been given up by then."""

import pytest

from strep.audio.block import SampleState
from strep.stream.engine import EngineConfig
from tests.traffic import Sender, every, pcmu, play


@pytest.mark.parametrize(("behind_ms", "is_late"), [(0, False), (99, False), (100, True), (101, True), (400, True)])
def test_what_counts_is_how_long_after_a_later_packet_it_comes(behind_ms: int, is_late: bool) -> None:
    packets = Sender().packets(40)
    arrivals = every(packets)
    arrivals[5] = (6 * 20 + behind_ms, packets[5])
    result = play(sorted(arrivals))
    assert result.counts["late"] == is_late
    assert result.counts["accepted"] == 40 - is_late
    assert dict(result.states()).get(SampleState.CONCEALED, 0) == 160 * is_late


@pytest.mark.parametrize("delay_ms", [1, 40, 300])
def test_the_playout_delay_is_the_callers_to_choose(delay_ms: int) -> None:
    packets = Sender().packets(40)
    config = EngineConfig(playout_delay_ms=delay_ms, max_streams=8)
    for behind_ms, late in ((delay_ms - 1, 0), (delay_ms, 1)):
        arrivals = every(packets)
        arrivals[5] = (6 * 20 + behind_ms, packets[5])
        assert play(sorted(arrivals), config).counts["late"] == late


def test_a_packet_that_nothing_overtook_is_never_late() -> None:
    packets = Sender().packets(20)
    arrivals = [*every(packets[:10]), *((600 + n, packet) for n, packet in enumerate(packets[10:]))]
    result = play(arrivals)
    assert result.counts["late"] == 0
    assert result.audio().tolist() == pcmu(packets).tolist()


def test_a_late_packet_was_received_and_is_no_loss() -> None:
    packets = Sender().packets(20)
    arrivals = every(packets)
    arrivals[5] = (260, packets[5])
    source = play(sorted(arrivals)).report.sources[0]
    assert (source.packets, source.expected, source.late, source.lost) == (20, 20, 1, 0)


def test_its_place_stays_concealed_and_what_follows_stays_where_it_was() -> None:
    packets = Sender().packets(20)
    arrivals = every(packets)
    arrivals[5] = (260, packets[5])
    audio, expected = play(sorted(arrivals)).audio(), pcmu(packets)
    assert audio[:800].tolist() == expected[:800].tolist()
    assert audio[960:].tolist() == expected[960:].tolist()
    assert audio[800:960].tolist() != expected[800:960].tolist()


def test_a_late_packet_from_before_the_first_one_is_expected_too() -> None:
    packets = Sender().packets(20)
    source = play(sorted([*every(packets[1:], start_ms=20), (200, packets[0])])).report.sources[0]
    assert (source.late, source.expected, source.lost) == (1, 20, 0)


@pytest.mark.parametrize("jump", range(20_000, 20_064))
def test_a_late_packet_does_not_push_out_one_that_still_waits(jump: int) -> None:
    """After a restart it shares its cell in the ring, for one jump in 64, with a packet of the run before."""
    sender = Sender()
    before = sender.packets(3)
    sender.sequence_number += jump
    after = sender.packets(6)  # the first is refused as wild, the second confirms it, the third is late
    result = play(sorted(zip([0, 20, 40, 60, 65, 240, 70, 75, 80], before + after, strict=True)))
    assert result.counts["late"] == 1
    assert result.audio()[:480].tolist() == pcmu(before).tolist()
