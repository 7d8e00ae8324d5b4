"""Steps of the wall clock never reach receive times."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.net.wallclock import STEP_NS, WallClock, read_clocks

MS = 1_000_000
EPOCH = 1_700_000_000_000 * MS
BOOT = 5_000 * MS
HOUR = 3_600_000 * MS


def observe(clock: WallClock, true_ms: float, step_ns: int = 0) -> int:
    """Let the clock see a moment of true time, when the wall clock is off by `step_ns`."""
    true_ns = int(true_ms * MS)
    return clock.observe(EPOCH + true_ns + step_ns, BOOT + true_ns)


def corrected(clock: WallClock, *stamps_ns: int) -> list[int]:
    column = np.array(stamps_ns, np.int64)
    clock.correct(column)
    return column.tolist()


def test_a_steady_clock_is_left_alone() -> None:
    clock = WallClock()
    assert [observe(clock, ms) for ms in (0, 10, 20)] == [EPOCH, EPOCH + 10 * MS, EPOCH + 20 * MS]
    assert (clock.correction_ns, clock.steps) == (0, 0)
    assert corrected(clock, EPOCH + 15 * MS) == [EPOCH + 15 * MS]


def test_a_step_is_taken_out_of_now_and_of_later_stamps() -> None:
    for step_ns in (HOUR, -HOUR, 6 * MS, -6 * MS):
        clock = WallClock()
        observe(clock, 0)
        assert observe(clock, 100, step_ns) == EPOCH + 100 * MS
        assert (clock.correction_ns, clock.steps) == (-step_ns, 1)
        observe(clock, 200, step_ns)
        assert corrected(clock, EPOCH + 150 * MS + step_ns) == [EPOCH + 150 * MS]


def test_stamps_from_before_and_after_the_step_read_together_keep_their_true_times() -> None:
    for step_ns in (HOUR, -HOUR, 200 * MS, -200 * MS):
        clock = WallClock()
        observe(clock, 0)
        observe(clock, 100, step_ns)
        queued_long_before, before, after = EPOCH - 50 * MS, EPOCH + 40 * MS, EPOCH + 60 * MS + step_ns
        expected = [EPOCH - 50 * MS, EPOCH + 40 * MS, EPOCH + 60 * MS]
        assert corrected(clock, queued_long_before, before, after) == expected


def test_a_step_there_and_one_back_leave_nothing() -> None:
    clock = WallClock()
    observe(clock, 0)
    observe(clock, 10, HOUR)
    assert observe(clock, 20, 0) == EPOCH + 20 * MS
    assert (clock.correction_ns, clock.steps) == (0, 2)
    assert corrected(clock, EPOCH + 5 * MS + HOUR, EPOCH + 15 * MS) == [EPOCH + 5 * MS, EPOCH + 15 * MS]


def test_a_small_change_is_followed_and_now_still_never_goes_back() -> None:
    clock = WallClock()
    observe(clock, 0)
    assert observe(clock, 1, -3 * MS) == EPOCH
    assert observe(clock, 10, -3 * MS) == EPOCH + 7 * MS
    assert clock.steps == 0


def test_the_limit_itself_is_no_step() -> None:
    clock = WallClock()
    observe(clock, 0)
    observe(clock, 10, STEP_NS)
    assert clock.steps == 0
    observe(clock, 20, 2 * STEP_NS + 1)
    assert clock.steps == 1


def test_no_stamps_are_no_fault() -> None:
    clock = WallClock()
    observe(clock, 0)
    observe(clock, 10, HOUR)
    assert corrected(clock) == []


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(-50, 50)), min_size=1, max_size=8),
    st.lists(st.integers(-3000, 3000), max_size=20),
)
def test_the_columns_agree_with_the_scalar_twin(moves: list[tuple[int, int]], stamps_ms: list[int]) -> None:
    clock = WallClock()
    true_ms, step_ns = 0, 0
    for after_ms, step_ms in moves:
        true_ms += after_ms
        step_ns += step_ms * MS
        observe(clock, true_ms, step_ns)
    stamps_ns = [EPOCH + ms * MS for ms in stamps_ms]
    assert corrected(clock, *stamps_ns) == [clock.corrected(stamp) for stamp in stamps_ns]


@given(
    st.sampled_from([1, -1]),
    st.integers(3 * MS, HOUR),
    st.integers(10, 500),
    st.floats(0, 1),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_after_any_step_larger_than_the_pause_every_stamp_is_true(
    sign: int, excess_ns: int, pause_ms: int, stepped_at: float, stamped_at: list[float]
) -> None:
    step_ns = sign * (pause_ms * MS + excess_ns)
    clock = WallClock()
    observe(clock, 0)
    observe(clock, pause_ms, step_ns)
    true_ns = [EPOCH + int(share * pause_ms * MS) for share in stamped_at]
    stamps_ns = [ns + step_ns * (share >= stepped_at) for ns, share in zip(true_ns, stamped_at, strict=True)]
    assert corrected(clock, *stamps_ns) == true_ns


def test_the_machines_clocks_are_read_together() -> None:
    clock = WallClock()
    first = clock.observe(*read_clocks())
    assert clock.read() >= first > 1_600_000_000 * 1000 * MS
    assert clock.steps == 0
