"""Loss and jitter are what RFC 3550 A.3 and A.8 say, held against a naive reference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.formats import AudioFormat
from strep.stream.engine import EngineConfig
from strep.stream.events import SourceReport
from tests.traffic import Sender, every, play


def source_of(arrivals: list[tuple[float, bytes]], config: EngineConfig | None = None) -> SourceReport:
    return play(arrivals, config).report.sources[0]


def jitters_ms(times_ms: list[float], ticks: list[int], clock_hz: int = 8000) -> list[float]:
    """RFC 3550 A.8, by the book: the running jitter behind each packet but the first."""
    jitter, out = 0.0, []
    for n in range(1, len(times_ms)):
        transit_before = times_ms[n - 1] - ticks[n - 1] * 1000 / clock_hz
        difference = abs(times_ms[n] - ticks[n] * 1000 / clock_hz - transit_before)
        jitter += (difference - jitter) / 16
        out.append(jitter)
    return out


@given(st.lists(st.integers(0, 60), min_size=2, max_size=60), st.integers(0, 30))
def test_jitter_is_the_running_mean_of_the_rfc(delays_ms: list[int], marker_at: int) -> None:
    sender = Sender()
    packets = [sender.packet(marker=n == marker_at) for n in range(len(delays_ms))]
    times, latest = [], 0.0
    for n, delay_ms in enumerate(delays_ms):
        latest = max(latest, n * 20.0 + delay_ms)
        times.append(latest)
    running = jitters_ms(times, [n * 160 for n in range(len(times))])
    measured = [jitter for n, jitter in enumerate(running, start=1) if n != marker_at]
    source = source_of(list(zip(times, packets, strict=True)))
    assert source.mean_jitter_ms == pytest.approx(np.mean(measured) if measured else 0, abs=1e-5)
    assert source.max_jitter_ms == pytest.approx(max(measured, default=0), abs=1e-5)


@pytest.mark.parametrize(
    ("payload_type", "clock_hz", "samples"), [(97, 48_000, 960), (9, 8000, 160), (11, 44_100, 882)]
)
def test_jitter_counts_by_the_rtp_clock_of_the_format(payload_type: int, clock_hz: int, samples: int) -> None:
    sender = Sender(payload_type=payload_type)
    packets = sender.packets(30, samples=samples, payload=bytes(1000))
    times = [n * 20 + 5 * (n % 2) for n in range(30)]
    config = EngineConfig(max_streams=8).with_payload_types({97: AudioFormat("OPUS", 48_000, 48_000, 2)})
    source = source_of(list(zip(times, packets, strict=True)), config)
    expected = jitters_ms(times, [n * samples for n in range(30)], clock_hz)
    assert source.mean_jitter_ms == pytest.approx(np.mean(expected), abs=1e-5)


def test_an_even_stream_has_none() -> None:
    source = source_of(every(Sender().packets(50)))
    assert (source.mean_jitter_ms, source.max_jitter_ms, source.max_delta_ms) == (0, 0, 20)


def test_of_a_payload_type_whose_clock_nobody_knows_no_jitter_is_told() -> None:
    packets = Sender(payload_type=97).packets(30)
    source = source_of([(n * 20 + 5 * (n % 2), packet) for n, packet in enumerate(packets)])
    assert source.mean_jitter_ms is source.max_jitter_ms is None
    assert source.max_delta_ms == 25


def test_the_packet_after_comfort_noise_is_not_measured() -> None:
    sender = Sender()
    packets = [*sender.packets(5), sender.packet(payload=b"\x40", payload_type=13), *sender.packets(5)]
    arrivals = every(packets)
    arrivals[5:] = [(ms + 30, packet) for ms, packet in arrivals[5:]]
    source = source_of(arrivals)
    assert source.max_jitter_ms == pytest.approx(30 / 16 * (15 / 16) ** 2)
    assert source.max_delta_ms == 20


def test_an_event_is_no_measure_and_audio_is_held_against_the_audio_before_it() -> None:
    sender = Sender()
    before = sender.packets(5)
    event = sender.packets(4, payload=bytes((5, 10, 0, 160)), payload_type=101, ticks=0)
    sender.timestamp += 4 * 160
    source = source_of(every([*before, *event, *sender.packets(5)]))
    assert source.max_jitter_ms == pytest.approx(0, abs=1e-6)
    assert source.max_delta_ms == 20


@pytest.mark.parametrize("hold_ms", [2000, 60_000])
def test_a_clock_that_stood_still_is_no_jitter(hold_ms: int) -> None:
    sender = Sender()
    source = source_of([*every(sender.packets(20)), *every(sender.packets(20), start_ms=400 + hold_ms)])
    assert source.max_jitter_ms == pytest.approx(0, abs=1e-6)
    assert source.max_delta_ms == hold_ms + 20


def test_half_a_second_of_stall_is_jitter() -> None:
    sender = Sender()
    source = source_of([*every(sender.packets(20)), *every(sender.packets(20), start_ms=900)])
    assert source.max_jitter_ms == pytest.approx(500 / 16)


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 3, 45])), min_size=1, max_size=60))
def test_expected_and_lost_are_counted_by_sequence_number(received: list[tuple[int, int]]) -> None:
    packets = Sender(sequence_number=65_520).packets(41)
    arrivals = sorted((20 * n + late_ms, packets[n]) for n, late_ms in received)
    source = source_of(arrivals)
    numbers = {n for n, _ in received}
    assert source.packets == len(received)
    assert source.expected == max(numbers) - min(numbers) + 1
    assert source.duplicates == len(received) - len(numbers)
    assert source.lost == source.expected - len(numbers)
    assert source.payload_bytes == 160 * len(received)


def test_the_largest_interval_is_told() -> None:
    arrivals = every(Sender().packets(30))
    arrivals[10:] = [(ms + 123, packet) for ms, packet in arrivals[10:]]
    assert source_of(arrivals).max_delta_ms == 143


def test_first_and_last_arrival_are_those_of_the_source() -> None:
    source = source_of([*every(Sender().packets(5), start_ms=40), (130, Sender(ssrc=9).packet())])
    assert source.last_arrival_ns - source.first_arrival_ns == 80_000_000
    assert source.source == "192.0.2.1:9"


@pytest.mark.parametrize("unknown_first", [False, True])
def test_packets_of_unknown_type_are_left_out_where_others_are_known(unknown_first: bool) -> None:
    sender = Sender()
    unknown = (
        [sender.packet(payload=b"\5\x8a\0\1", payload_type=100, ticks=0) for _ in range(3)] if unknown_first else []
    )
    known = sender.packets(10)
    unknown += [sender.packet(payload=b"\5\x8a\0\1", payload_type=100, ticks=9999) for _ in range(3)]
    more = sender.packets(40)
    datagrams = [*unknown[:-3], *known, *unknown[-3:], *more]
    source = source_of([(20 * n + 4 * (n % 2), datagram) for n, datagram in enumerate(datagrams)])
    assert source.payload_types == {0: "PCMU/8000", 100: "unknown"}
    assert 2 < source.max_jitter_ms < 4, "every difference that counts is 4 ms"
