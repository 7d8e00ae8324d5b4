"""Segments begin after enough speech, end after enough of a pause, and are those of each stream by itself."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.plugins.segments import Segmenter, SegmentLimits

LIMITS = SegmentLimits(onset_hops=2, hangover_hops=3, before_hops=1, after_hops=1)


def one_stream(is_speech, limits):
    """Do the same for one stream, hop by hop, as one would write it down."""
    run, begin, last, begun, over = 0, None, 0, [], []
    for hop, speech in enumerate(is_speech):
        run = run + 1 if speech else 0
        if begin is None and run >= limits.onset_hops:
            begin, last = max(hop - run + 1 - limits.before_hops, 0), hop
            begun.append((begin, hop + 1))
        elif begin is not None and speech:
            last = hop
        elif begin is not None and hop - last >= limits.hangover_hops:
            over.append((begin, last + 1 + limits.after_hops))
            begin = None
    if begin is not None:
        over.append((begin, min(last + 1 + limits.after_hops, len(is_speech))))
    return begun, over


def hear(segmenter, is_speech, rows):
    """Give bool[streams, hops] to it; gives what began and what is over, (begin, end) by stream."""
    begun, over = {row: [] for row in rows}, {row: [] for row in rows}
    for hop in range(is_speech.shape[1]):
        columns = np.array(rows), np.full(len(rows), hop), is_speech[:, hop]
        for found, told in zip(segmenter.segment(*columns), (begun, over), strict=True):
            for stream, *ends in zip(*(column.tolist() for column in found), strict=True):
                told[stream].append(tuple(ends))
    return begun, over


limits = st.builds(SegmentLimits, st.integers(1, 3), st.integers(1, 5), st.integers(0, 3), st.integers(0, 1))


@given(st.lists(st.lists(st.booleans(), min_size=30, max_size=30), min_size=1, max_size=5), limits)
def test_all_streams_at_once_are_cut_as_each_by_itself(streams, limits):
    rows = [2 * n for n in range(len(streams))]
    segmenter = Segmenter(10, limits)
    begun, over = hear(segmenter, np.array(streams), rows)
    for row, is_speech in zip(rows, streams, strict=True):
        last = segmenter.close(row, 30)
        over[row] += zip(last.begin.tolist(), last.end.tolist(), strict=True)
        assert (begun[row], over[row]) == one_stream(is_speech, limits)


def test_a_segment_has_what_is_added_to_its_ends_and_a_short_pause_within():
    is_speech = np.array([[0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0]], np.bool_)
    begun, over = hear(Segmenter(1, LIMITS), is_speech, [0])
    assert begun == {0: [(2, 5)]}
    assert over == {0: [(2, 9)]}  # and one hop of speech later on is none yet


def test_a_reset_stream_is_closed_and_the_one_beside_it_goes_on():
    segmenter = Segmenter(2, LIMITS)
    hear(segmenter, np.ones((2, 4), np.bool_), [0, 1])
    segmenter.reset(0)
    assert segmenter.is_open(np.arange(2)).tolist() == [False, True]
    assert [segmenter.begin_of_open(stream) for stream in (0, 1)] == [None, 0]
    assert len(segmenter.close(0, 4).streams) == 0
