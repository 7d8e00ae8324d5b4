from hypothesis import given
from hypothesis import strategies as st

from strep.sinks.recordings.intervals import Intervals

additions = st.lists(st.tuples(st.integers(0, 60), st.integers(-2, 8)), max_size=30)


@given(additions)
def test_they_are_the_runs_of_all_frames_that_were_added(added: list[tuple[int, int]]) -> None:
    intervals, frames = Intervals(most=100), set[int]()
    for begin, length in added:
        intervals.add(begin, begin + length)
        frames.update(range(begin, begin + length))
    begins = [frame for frame in sorted(frames) if frame - 1 not in frames]
    ends = [frame + 1 for frame in sorted(frames) if frame + 1 not in frames]
    assert list(intervals) == list(zip(begins, ends, strict=True))
    assert (intervals.count, intervals.frames) == (len(begins), len(frames))


def test_those_beyond_the_bound_are_counted_and_the_listed_ones_still_grow() -> None:
    intervals = Intervals(most=2)
    for begin in (0, 20, 40, 45, 60):
        intervals.add(begin, begin + 5)
    intervals.add(5, 10)
    assert list(intervals) == [(0, 10), (20, 25)]
    assert intervals.count == 4, "40 to 50 and 60 to 65 are not listed"
    assert intervals.frames == 30
