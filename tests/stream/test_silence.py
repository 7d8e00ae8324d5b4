"""A sender that pauses on purpose leaves silence of exactly the right length; a network that stalls leaves none."""

import pytest

from strep.audio.block import SampleState
from strep.stream.engine import Engine
from strep.stream.events import Gap, SourceChanged
from tests.traffic import MS, SMALL, START_NS, Sender, every, feed, pcmu, play, result

RECEIVED, SILENCE = SampleState.RECEIVED, SampleState.SILENCE


@pytest.mark.parametrize("pause_samples", [1, 160, 8000, 8037])
def test_a_timestamp_that_jumps_over_no_lost_packet_is_silence_of_that_length(pause_samples: int) -> None:
    sender = Sender()
    before = sender.packets(10)
    sender.timestamp += pause_samples
    after = sender.packets(10)
    result = play([*every(before), *every(after, start_ms=200 + pause_samples / 8)])
    assert result.states() == [(RECEIVED, 1600), (SILENCE, pause_samples), (RECEIVED, 1600)]
    (gap,) = result.of(Gap)
    assert (gap.position, gap.length_samples, gap.lost_packets, gap.state) == (1600, pause_samples, 0, SILENCE)
    assert result.audio()[-1600:].tolist() == pcmu(after).tolist()
    assert result.report.sources[0].lost == 0


@pytest.mark.parametrize("off_ms", [-200, -40, 40, 200])
def test_the_length_is_what_the_timestamps_say_however_the_packets_jitter(off_ms: float) -> None:
    sender = Sender()
    before = sender.packets(20)
    sender.timestamp += 16_000
    after = sender.packets(1)
    result = play([*every(before), *every(after, start_ms=2400 + off_ms)])
    assert result.states()[1] == (SILENCE, 16_000)


def test_minutes_of_silence_are_one_gap_and_memory_is_not_needed_for_it() -> None:
    sender = Sender()
    other = Sender(direction=1, seed=2)
    before, minutes = sender.packets(5), 7
    sender.timestamp += minutes * 60 * 8000
    after = sender.packets(5)
    keeps_the_leg_open = every(other.packets(minutes * 6 + 1, ticks=80_000), step_ms=10_000)
    start_ms = minutes * 60_000 + 100
    result = play(sorted([*every(before), *keeps_the_leg_open, *every(after, start_ms=start_ms)]))
    assert result.states(0) == [(RECEIVED, 800), (SILENCE, minutes * 60 * 8000), (RECEIVED, 800)]
    (silence,) = [block for block in result.blocks if block.samples.shape == (1, minutes * 60 * 8000)]
    assert silence.samples.strides[-1] == 0, "it takes no memory"


def test_a_clock_that_stood_still_on_hold_is_caught_up_with() -> None:
    """Sequence number and timestamp simply go on after 30 s of nothing: time is what arrival says."""
    sender = Sender()
    arrivals = [*every(sender.packets(50)), *every(sender.packets(50), start_ms=31_000)]
    result = play(arrivals)
    assert result.states() == [(RECEIVED, 8000), (SILENCE, 30 * 8000), (RECEIVED, 8000)]
    assert [event.position for event in result.of(SourceChanged)] == [31 * 8000]


@pytest.mark.parametrize("stall_ms", [500, 1500, 2500, 3000, 6000])
def test_a_network_that_stalls_and_then_delivers_everything_at_once_inserts_nothing(stall_ms: int) -> None:
    packets = Sender().packets(50 + stall_ms // 20 + 50)
    arrivals = [
        (1000 + stall_ms if 1000 <= n * 20 < 1000 + stall_ms else n * 20, packet) for n, packet in enumerate(packets)
    ]
    result = play(arrivals)
    assert result.states() == [(RECEIVED, len(packets) * 160)]
    assert result.audio().tolist() == pcmu(packets).tolist()
    assert not result.of(SourceChanged)


def test_a_pause_with_a_stall_at_its_end_is_as_long_as_the_timestamps_say() -> None:
    sender = Sender()
    before = sender.packets(20)
    sender.timestamp += 16_000
    after = sender.packets(30)
    late = [(2400 + max(500, 20 * n), packet) for n, packet in enumerate(after)]
    result = play([*every(before), *late])
    assert result.states() == [(RECEIVED, 3200), (SILENCE, 16_000), (RECEIVED, 4800)]


@pytest.mark.parametrize("together", [False, True])
def test_what_came_at_the_very_end_of_the_playout_delay_never_counts(together: bool) -> None:
    """A tick at that instant may have read it or not, so nothing may depend on it."""
    sender, engine = Sender(), Engine(SMALL)
    first = sender.packet()
    sender.timestamp += 4 * 8000
    jumped = sender.packet()
    sender.timestamp += 1600
    tells_better = sender.packet()
    outputs = feed(engine, [(0, first)])
    if together:
        outputs += feed(engine, [(4_320, jumped), (4_420, tells_better)])
    else:
        outputs += feed(engine, [(4_320, jumped)])
        outputs += engine.advance(START_NS + 4_420 * MS)
        outputs += feed(engine, [(4_420, tells_better)])
    outputs += engine.close()
    states = result(outputs, engine).states()
    assert states[1] == (SILENCE, 4_320 * 8 - 160), "delayed by 300 ms, which nobody explains in time"


def test_comfort_noise_is_silence_and_no_loss() -> None:
    sender = Sender()
    packets = sender.packets(10)
    noise = sender.packets(5, payload=b"\x40", payload_type=13, ticks=1600)
    after = sender.packets(10)
    arrivals = [*every(packets), *every(noise, start_ms=200, step_ms=200), *every(after, start_ms=1200)]
    result = play(arrivals)
    assert result.states() == [(RECEIVED, 1600), (SILENCE, 8000), (RECEIVED, 1600)]
    assert result.audio()[-1600:].tolist() == pcmu(after).tolist()
    source = result.report.sources[0]
    assert (source.lost, source.undecoded) == (0, 0)
    assert source.payload_types == {0: "PCMU/8000", 13: "CN/8000"}


def test_a_stream_that_begins_with_comfort_noise_begins_with_silence() -> None:
    sender = Sender()
    noise = sender.packets(5, payload=b"\x40", payload_type=13, ticks=1600)
    packets = sender.packets(5)
    result = play([*every(noise, step_ms=200), *every(packets, start_ms=1000)])
    assert result.states() == [(SILENCE, 8000), (RECEIVED, 800)]
    assert result.audio()[8000:].tolist() == pcmu(packets).tolist()
