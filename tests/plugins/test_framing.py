"""Streams are cut into hops on a grid, whatever comes over the wire; the columns do what a scalar reference does."""

import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.block import AudioBlock, SampleState
from strep.audio.formats import AudioFormat
from strep.audio.resample import resample
from strep.plugins.base import Wants
from strep.plugins.framing import Framer
from strep.stream.events import (
    AnchorMoved,
    CloseReason,
    Direction,
    FormatChanged,
    Leg,
    SourceChanged,
    StreamClosed,
    StreamIdentity,
    StreamOpened,
    StreamReport,
)
from tests.plugins.events import placed

PLACES = (480, 160, 320, 320, 480, 0)
START_NS = 1_700_000_000_000_000_000
CAME = (SampleState.RECEIVED, SampleState.UNDECODED)


class Keeping:
    """Keeps what a plugin would be given."""

    def __init__(self):
        self.calls, self.hops, self.batches = [], {}, []

    def open(self, row, identity, time_ns):
        self.calls.append(("open", row, time_ns))
        self.hops[row] = []

    def process(self, hops):
        assert len(set(hops.rows.tolist())) == len(hops)
        assert not hops.samples.flags.writeable or hops.samples.ndim == 3
        self.batches.append(hops)
        for n, row in enumerate(hops.rows.tolist()):
            entry = (
                int(hops.position[n]),
                hops.samples[n].tolist(),
                hops.state[n].tolist(),
                hops.arrival_ns[n].tolist(),
            )
            self.hops[row].append(entry)

    def event(self, row, event):
        self.calls.append(("event", row, event))

    def close(self, row):
        self.calls.append(("close", row))

    def audio(self, row):
        return np.array([sample for _, samples, *_ in self.hops[row] for sample in samples], np.int16)


def identity(number=0, direction=Direction.INBOUND):
    return StreamIdentity(uuid.UUID(int=number + 1), Leg.A, direction)


def opened(slot, time_ns=START_NS, who=None):
    return StreamOpened(time_ns, slot, who or identity(slot), 1, "", "")


def closed(slot):
    report = StreamReport(identity(slot), START_NS, START_NS, START_NS, 0, 8000, 0.0, {}, {}, 0)
    return StreamClosed(START_NS, slot, CloseReason.STOPPED, report)


def block(slots, position, samples, state=0, arrival_ns=5, rate_hz=8000):
    n = len(slots)
    return AudioBlock(
        rate_hz,
        np.array(slots, np.int64),
        np.broadcast_to(np.asarray(position, np.int64), n),
        np.asarray(samples, np.int16).reshape(n, -1),
        np.broadcast_to(np.asarray(state, np.uint8), n),
        np.broadcast_to(np.asarray(arrival_ns, np.int64), n),
    )


def framer(wants=Wants(), rows=8, slots=(0, 1, 2)):  # noqa: B008  (it is frozen)
    taker = Keeping()
    made = Framer(wants, taker, rows)
    for slot in slots:
        made.event(opened(slot))
    return made, taker


def test_packets_that_are_hops_already_are_passed_through_without_a_copy():
    made, taker = framer()
    samples = np.arange(480, dtype=np.int16).reshape(3, 160)
    made.block(block([0, 1, 2], 0, samples))
    (hops,) = taker.batches
    assert np.shares_memory(hops.samples, samples)
    assert hops.time_ns.tolist() == [START_NS] * 3
    made.block(block([2, 0], 160, samples[:2], arrival_ns=[7, 8]))
    assert taker.batches[1].time_ns.tolist() == [START_NS + 20_000_000] * 2
    assert taker.batches[1].arrival_ns.tolist() == [7, 8]


def test_what_a_plugin_is_given_cannot_be_written_to():
    made, taker = framer()
    samples = np.zeros((1, 160), np.int16)
    made.block(block([0], 0, samples))
    with pytest.raises(ValueError, match="read-only"):
        taker.batches[0].samples[0, 0] = 1
    samples[0, 0] = 1  # its owner still can


def test_several_rows_of_a_stream_go_out_one_after_the_other():
    made, taker = framer()
    made.block(block([0, 1, 0, 0], [0, 0, 160, 320], np.arange(640)))
    assert [hops.rows.tolist() for hops in taker.batches] == [[0, 1], [0], [0]]
    assert [position for position, *_ in taker.hops[0]] == [0, 160, 320]


def test_the_worst_state_and_the_last_arrival_describe_a_hop():
    made, taker = framer(Wants(8000, 320))
    made.block(block([0], 0, np.ones(160), SampleState.CONCEALED, 5))
    made.block(block([0], 160, np.ones(160), SampleState.RECEIVED, 6))
    made.block(block([0], 320, np.ones(160), SampleState.RECEIVED, 7))
    made.block(block([0], 480, np.zeros(160), SampleState.LOST, 8))
    assert [entry[2:] for entry in taker.hops[0]] == [(SampleState.CONCEALED, 6), (SampleState.LOST, 0)]


def test_an_anchor_that_moves_moves_the_time_of_what_follows():
    made, taker = framer()
    made.event(AnchorMoved(START_NS, 1, START_NS - 1000))
    made.event(AnchorMoved(START_NS, 1, START_NS - 10))  # estimates only move to earlier
    made.block(block([0, 1], 0, np.zeros((2, 160))))
    assert taker.batches[0].time_ns.tolist() == [START_NS, START_NS - 1000]
    assert [call[:2] for call in taker.calls[-2:]] == [("event", 1)] * 2


def test_events_come_in_their_place_and_those_of_unknown_streams_not_at_all():
    made, taker = framer(slots=(0,))
    changed = SourceChanged(START_NS, 0, 0, 3)
    made.event(changed)
    made.event(SourceChanged(START_NS, 5, 0, 3))
    made.block(block([5, 0], 0, np.zeros((2, 160))))
    assert taker.calls == [("open", 0, START_NS), ("event", 0, placed(changed))]
    assert taker.batches[0].rows.tolist() == [0]


def test_an_event_is_placed_by_the_rate_of_its_stream_and_where_that_lies_among_the_hops():
    made, taker = framer(slots=(0,))
    made.event(opened(1, who=identity(1, Direction.OUTBOUND)))
    made.shift(1, 400)
    told = [
        SourceChanged(START_NS, 1, 480, 3),  # before anyone knows the rate: as if it were the hops'
        FormatChanged(START_NS, 1, 320, 9, AudioFormat("G722", 8000, 16000)),
        SourceChanged(START_NS, 1, 640, 3),
        FormatChanged(START_NS, 1, 640, 77, None),
        SourceChanged(START_NS, 1, 960, 3),
        AnchorMoved(START_NS, 1, START_NS),
    ]
    for event in told:
        made.event(event)
    expected = [placed(event, 400 + position, Direction.OUTBOUND) for event, position in zip(told, PLACES, strict=True)]
    assert [call[2] for call in taker.calls[2:]] == expected


def test_the_last_hop_is_filled_with_zeros_and_the_row_serves_again():
    made, taker = framer(slots=(4,))
    made.block(block([4], 0, np.full(200, 7)))
    made.event(closed(4))
    assert [(position, sum(samples)) for position, samples, *_ in taker.hops[0]] == [(0, 1120), (160, 280)]
    assert taker.calls[-1] == ("close", 0)
    made.event(opened(9))
    made.block(block([9], 0, np.full(160, 1)))
    made.block(block([4], 320, np.full(160, 1)))  # nobody's
    assert taker.hops[0] == [(0, [1] * 160, 0, 5)]


def test_streams_beyond_the_rows_are_counted():
    made, taker = framer(rows=2, slots=(0, 1, 2))
    made.block(block([0, 1, 2], 0, np.zeros((3, 160))))
    made.event(closed(2))
    assert made.refused_streams == 1
    assert taker.batches[0].rows.tolist() == [0, 1]


def test_what_comes_late_is_dropped_and_counted_and_a_hole_is_lost():
    made, taker = framer(slots=(0,))
    made.block(block([0], 0, np.full(160, 1)))
    made.block(block([0], 80, np.full(160, 2)))
    made.block(block([0], 320, np.full(160, 3)))
    made.block(block([0], 320, np.zeros(160), SampleState.SILENCE))  # nothing was lost by that
    assert made.late_samples == 80
    assert taker.audio(0).tolist() == [1] * 160 + [2] * 80 + [0] * 80 + [3] * 160
    assert [entry[2] for entry in taker.hops[0]] == [SampleState.RECEIVED, SampleState.LOST, SampleState.RECEIVED]
    made.event(closed(0))
    assert made.late_samples == 80


@pytest.mark.parametrize(("from_hz", "to_hz"), [(16000, 8000), (8000, 16000), (48000, 8000), (44100, 8000)])
def test_a_stream_at_another_rate_is_resampled_as_one_sound(from_hz, to_hz):
    made, taker = framer(Wants(to_hz, to_hz // 50), slots=(0, 1))
    sound = (8000 * np.sin(np.arange(from_hz // 2) * 0.05)).astype(np.int16)
    packet = from_hz // 50
    for start in range(0, len(sound), packet):
        made.block(block([0, 1], start, np.tile(sound[start : start + packet], 2), rate_hz=from_hz))
    made.event(closed(0))
    expected = resample(sound, from_hz, to_hz)
    assert (taker.audio(0)[: len(expected)] == expected).all()
    assert (taker.audio(1) == taker.audio(0)[: len(taker.audio(1))]).all()


def test_a_stream_that_changes_its_rate_goes_on_in_time():
    made, taker = framer(slots=(0,))
    made.block(block([0], 0, np.full(160, 100)))
    for n in range(1, 10):
        made.block(block([0], n * 320, np.full(320, 100), rate_hz=16000))
    made.block(block([0], 1600, np.full(160, 100), SampleState.CONCEALED))
    made.event(closed(0))
    assert [position for position, *_ in taker.hops[0]] == [160 * n for n in range(11)]
    assert [entry[2] for entry in taker.hops[0]] == [0] * 10 + [SampleState.CONCEALED]
    assert abs(taker.audio(0)[200:1500] - 100).max() <= 1


def reference(pieces, hop):
    """Cut one stream's pieces, one after the other from 0 on, sample by sample."""
    samples, states, arrivals = [], [], []
    for length, state, arrival_ns, value in pieces:
        samples += [value] * length
        states += [state] * length
        arrivals += [arrival_ns if state in CAME else 0] * length
    rest = -len(samples) % hop
    samples += [0] * rest
    states += [0] * rest
    arrivals += [0] * rest
    return [
        (start, samples[start : start + hop], max(states[start : start + hop]), arrivals[start + hop - 1])
        for start in range(0, len(samples), hop)
    ]


PIECES = st.lists(
    st.tuples(st.sampled_from([10, 80, 160, 170, 480]), st.sampled_from([0, 0, 0, 1, 2, 3, 4]), st.integers(0, 9)),
    max_size=12,
)


@given(st.lists(PIECES, min_size=1, max_size=4), st.sampled_from([50, 80, 160, 400]), st.data())
def test_columns_cut_as_the_reference_does_whatever_comes_together(streams, hop, data):
    made, taker = framer(Wants(8000, hop), slots=range(len(streams)))
    waiting = {slot: [(*piece, n + 1) for n, piece in enumerate(pieces)] for slot, pieces in enumerate(streams)}
    given_pieces = {slot: list(pieces) for slot, pieces in waiting.items()}
    position = dict.fromkeys(waiting, 0)
    while any(waiting.values()):
        length = next(pieces[0][0] for pieces in waiting.values() if pieces)
        slots = []
        for slot, pieces in waiting.items():
            count = 0
            while (
                pieces[count:] and pieces[count][0] == length and data.draw(st.booleans() if count else st.just(True))
            ):
                count += 1
            slots += [slot] * count
        rows = [(slot, waiting[slot].pop(0)) for slot in slots]
        at = []
        for slot, _ in rows:
            at.append(position[slot])
            position[slot] += length
        samples = [np.full(length, piece[3]) for _, piece in rows]
        made.block(block(slots, at, samples, [piece[1] for _, piece in rows], [piece[2] for _, piece in rows]))
    for slot in streams and range(len(streams)):
        made.event(closed(slot))
        assert taker.hops[slot] == reference(given_pieces[slot], hop)


@given(PIECES, st.sampled_from([80, 160, 400]))
def test_a_row_by_itself_cuts_as_the_columns_do(pieces, hop):
    taken = []
    for is_odd in (False, True):
        made, taker = framer(Wants(8000, hop), slots=(0,))
        position = 0
        if is_odd:
            made.block(block([0], -10, np.ones(10), SampleState.SILENCE))
        for length, state, arrival_ns in pieces:
            made.block(block([0], position, np.full(length, 3), state, arrival_ns))
            position += length
        made.event(closed(0))
        taken.append(taker.hops[0])
    assert taken[0] == taken[1]
