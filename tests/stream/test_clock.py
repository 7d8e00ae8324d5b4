"""The rules of time: which timestamps are believed, where a packet goes that has none, and how fast a clock runs."""

import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.stream.clock import JUMP_NS, SNAP_NS, STALL_NS, is_believed, position_by_arrival, skew_ppm
from strep.stream.events import AnchorMoved, StreamClosed
from tests.traffic import MS, START_NS, Sender, per_stream, play, run

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("delay_ns", "believed"), [(-(10**12), True), (0, True), (STALL_NS, True), (STALL_NS + 1, False)]
)
def test_a_timestamp_that_goes_on_is_believed_unless_its_clock_stood_still(delay_ns: int, believed: bool) -> None:
    assert is_believed(delay_ns, has_jumped=False) is believed


@pytest.mark.parametrize(
    ("delay_ns", "believed"),
    [(-JUMP_NS - 1, False), (-JUMP_NS, True), (0, True), (JUMP_NS, True), (JUMP_NS + 1, False)],
)
def test_a_timestamp_that_jumps_is_believed_when_it_came_about_when_it_says(delay_ns: int, believed: bool) -> None:
    assert is_believed(delay_ns, has_jumped=True) is believed


@given(st.integers(-(10**12), 10**13), st.integers(0, 10**9), st.sampled_from([8000, 16_000, 44_100, 48_000]))
def test_a_place_by_arrival_is_the_nearest_sample_or_the_end_of_what_is_there(
    since_ns: int, end: int, rate_hz: int
) -> None:
    position = position_by_arrival(since_ns, end, rate_hz)
    assert position >= 0
    off_ns = abs(position - since_ns * rate_hz / SECOND_NS) * SECOND_NS / rate_hz
    if position != end and since_ns > 0:
        assert off_ns <= SECOND_NS / rate_hz
        assert abs(position - end) * SECOND_NS / rate_hz > SNAP_NS
    elif since_ns > 0:
        assert off_ns <= SNAP_NS + SECOND_NS / rate_hz


@pytest.mark.parametrize(("off_ms", "snaps"), [(-31, False), (-30, True), (0, True), (30, True), (31, False)])
def test_ordinary_jitter_leaves_no_seam(off_ms: int, snaps: bool) -> None:
    assert (position_by_arrival(SECOND_NS + off_ms * MS, 8000, 8000) == 8000) is snaps


def test_skew_is_how_much_faster_the_sender_counts() -> None:
    assert skew_ppm(0, 0, -50_000, SECOND_NS) == pytest.approx(50)
    assert skew_ppm(0, 0, 50_000, SECOND_NS) == pytest.approx(-50)
    assert skew_ppm(5, 7, 5, 7) == 0


@pytest.mark.parametrize("ppm", [50, -50, 0])
def test_the_skew_of_a_sender_shows_through_the_jitter_of_the_network(ppm: int) -> None:
    sender, random = Sender(), np.random.default_rng(1)
    arrivals = [(n * 100 / (1 + ppm / 1e6) + random.exponential(8), sender.packet(800)) for n in range(900)]
    assert run(sorted(arrivals), portions=[10] * 90).report.skew_ppm == pytest.approx(ppm, abs=12)


def test_the_skew_does_not_depend_on_what_was_fed_together() -> None:
    """The best packets of the first 10 s come right before they end, when others of their batch are not due yet."""
    senders = [Sender(call_leg_id=uuid.UUID(int=n), seed=n) for n in range(8)]
    arrivals = sorted(
        (n * 30 + 10 * k + (0 if n == 328 else 5), sender.packet(240))
        for n in range(700)
        for k, sender in enumerate(senders)
    )
    together, one_by_one = run(arrivals, portions=[64] * 100), run(arrivals)
    skews = [event.report.skew_ppm for event in one_by_one.of(StreamClosed)]
    assert skews == [-500] * 7 + [500], "9,900 ms is 100 ms before the end, and the last one's came at 9,910"
    assert per_stream(together) == per_stream(one_by_one)


def test_a_call_too_short_to_tell_has_no_skew() -> None:
    sender = Sender()
    assert play([(n * 20, sender.packet()) for n in range(100)]).report.skew_ppm == 0


def test_the_anchor_is_where_the_least_delayed_packet_says_sample_0_lies() -> None:
    delays_ms = [30, 25, 40, 12, 33, 12.4, 12, 11.8, 50, 3]
    sender = Sender()
    result = play(sorted((20 * n + delay_ms, sender.packet()) for n, delay_ms in enumerate(delays_ms)))
    assert result.report.anchor_ns == START_NS + 3 * MS
    told = [(event.anchor_ns - START_NS) / MS for event in result.of(AnchorMoved)]
    assert told == [25, 12, 3], "what moves it by less than half a millisecond is not told"
    assert result.report.end_ns - result.report.anchor_ns == 200 * MS


def test_directions_are_aligned_by_the_best_packet_of_each() -> None:
    """Both began at the same instant; one's first packets were held up and came at once."""
    inbound, outbound = Sender(), Sender(direction=1, seed=2)
    arrivals = sorted(
        [(20 * n, inbound.packet()) for n in range(50)] + [(max(20 * n, 200), outbound.packet()) for n in range(50)]
    )
    result = play(arrivals)
    moved = {event.slot: event.anchor_ns for event in result.of(AnchorMoved)}
    assert moved == {1: START_NS}
