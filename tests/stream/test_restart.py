"""Sequence numbers that begin anew under the same SSRC: the first is refused, its successor confirms them."""

import pytest

from strep.audio.block import SampleState
from strep.stream.events import Gap, SourceChanged
from tests.traffic import Sender, every, pcmu, play

RECEIVED, CONCEALED = SampleState.RECEIVED, SampleState.CONCEALED


def restarted(jump: int, ticks: int = 0, before: int = 20, after: int = 20) -> tuple[list[bytes], list[bytes]]:
    sender = Sender()
    old = sender.packets(before)
    sender.sequence_number += jump
    sender.timestamp += ticks
    return old, sender.packets(after)


@pytest.mark.parametrize("jump", [3001, 20_000, -500, -20_000, 0x8000 - 1])
@pytest.mark.parametrize("ticks", [0, 1_000_000, -1_000_000, 1 << 31])
def test_the_run_goes_on_in_place_once_it_is_confirmed(jump: int, ticks: int) -> None:
    old, new = restarted(jump, ticks)
    result = play(every(old + new))
    assert result.states() == [(RECEIVED, 3200), (CONCEALED, 160), (RECEIVED, 19 * 160)], "the refused one is missing"
    assert result.audio()[:3200].tolist() == pcmu(old).tolist()
    assert result.audio()[3360:].tolist() == pcmu(new[1:]).tolist()
    assert [(event.position, event.ssrc) for event in result.of(SourceChanged)] == [(3360, Sender().ssrc)] * bool(ticks)


def test_the_report_counts_what_was_refused_apart_from_loss() -> None:
    old, new = restarted(20_000)
    result = play(every(old + new))
    source = result.report.sources[0]
    assert (source.restarts, source.rejected, source.lost, source.expected) == (1, 1, 0, 39)
    assert result.counts["rejected_sequence"] == 1


def test_loss_counts_in_both_runs() -> None:
    old, new = restarted(20_000)
    source = play([a for n, a in enumerate(every(old + new)) if n not in (5, 30, 31)]).report.sources[0]
    assert (source.lost, source.expected) == (3, 39)


def test_one_wild_packet_is_no_restart() -> None:
    packets = Sender().packets(30)
    wild = Sender(sequence_number=40_000, timestamp=1_000_000_000, seed=3).packet()
    result = play(sorted([*every(packets), (205, wild)]))
    assert result.counts["rejected_sequence"] == 1
    assert result.audio().tolist() == pcmu(packets).tolist()
    assert not result.of(Gap)
    assert (result.report.sources[0].restarts, result.report.sources[0].lost) == (0, 0)


@pytest.mark.parametrize("timestamp", [0, 51_000, 1_000_000_000])
def test_a_packet_that_was_refused_measures_nothing(timestamp: int) -> None:
    arrivals = [(n * 20 + n * 7 % 11, packet) for n, packet in enumerate(Sender().packets(30))]
    wild = Sender(sequence_number=40_000, timestamp=timestamp, payload_type=13).packet()
    without, source = (play(some).report.sources[0] for some in (arrivals, sorted([*arrivals, (212, wild)])))
    assert (source.mean_jitter_ms, source.max_jitter_ms) == (without.mean_jitter_ms, without.max_jitter_ms)
    assert source.max_delta_ms == without.max_delta_ms
    assert source.payload_types == {0: "PCMU/8000"}


def test_two_wild_packets_that_do_not_follow_each_other_are_no_restart() -> None:
    packets = Sender().packets(30)
    wild = [Sender(sequence_number=number).packet() for number in (40_000, 41_000, 40_000)]
    result = play(sorted([*every(packets), *every(wild, start_ms=205)]))
    assert result.report.sources[0].restarts == 0
    assert result.audio().tolist() == pcmu(packets).tolist()


def test_a_jump_within_the_largest_dropout_is_loss() -> None:
    sender = Sender()
    before = sender.packets(10)
    sender.sequence_number += 2999
    sender.timestamp += 2999 * 160
    source = play([*every(before), *every(sender.packets(10), start_ms=200 + 59_980)]).report.sources[0]
    assert (source.restarts, source.lost) == (0, 2999)


def test_a_packet_of_the_new_run_may_be_overtaken() -> None:
    old, new = restarted(20_000)
    arrivals = every(old + new)
    arrivals[22], arrivals[23] = (460, new[2]), (440, new[3])
    result = play(sorted(arrivals))
    assert result.audio()[3360:].tolist() == pcmu(new[1:]).tolist()
    assert result.report.sources[0].reordered == 1


@pytest.mark.parametrize("ticks", [0, 1_000_000])
def test_the_run_may_be_confirmed_by_packets_that_overtook_its_first_ones(ticks: int) -> None:
    """Arriving as 2, 3, 1: the new run begins with 3, and 1 and a copy of 2 still find their places before it."""
    old, new = restarted(20_000, ticks)
    times = [*range(0, 400, 20), 465, 425, 440, 460]
    arrivals = sorted([*zip(times, old + new[:4], strict=True), (466, new[1]), *every(new[4:], start_ms=480)])
    result = play(arrivals)
    assert result.report.sources[0].restarts == 1
    assert result.audio().tolist() == pcmu(old + new).tolist()
    assert not result.of(Gap)


def test_timestamps_of_a_new_run_say_nothing_of_the_run_before() -> None:
    """The last packet before comes after 5 s in which the clock stood still, and right behind it all begins anew."""
    old, new = restarted(20_000, ticks=1_000_000)
    arrivals = [*every(old[:19]), (5380, old[19]), *every(new, start_ms=5390)]
    result = play(arrivals)
    assert result.states()[:3] == [(RECEIVED, 19 * 160), (SampleState.SILENCE, 40_000), (RECEIVED, 160)]


def test_a_source_may_restart_again_and_again() -> None:
    sender, arrivals = Sender(), []
    for n in range(10):
        arrivals += every(sender.packets(10), start_ms=200 * n)
        sender.sequence_number += 5000 + n
    result = play(arrivals)
    source = result.report.sources[0]
    assert (source.restarts, source.rejected, source.lost) == (9, 9, 0)
    assert result.report.length_samples == 100 * 160


def test_two_restarts_may_fall_within_one_playout_delay() -> None:
    sender = Sender()
    packets = sender.packets(3)
    for _ in range(2):
        sender.sequence_number += 10_000
        packets += sender.packets(3)
    result = play(every(packets, step_ms=10))
    assert result.report.sources[0].restarts == 2
    assert result.counts["accepted"] == 7
    assert result.report.length_samples >= 7 * 160 - 2 * 240
