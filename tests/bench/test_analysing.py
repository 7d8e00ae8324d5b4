"""A call is analysed when the level meter was given every sample of it, and no other, in its place."""

import sys
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.analysing import Heard, LevelMeter, check_heard
from bench.capacity import analyse
from bench.expected import expected_samples, frame_samples
from bench.load import Load
from strep.audio.block import AudioBlock, SampleState
from strep.stream.events import CloseReason, Direction, Leg, StreamClosed, StreamIdentity, StreamOpened, StreamReport
from tools.traffic import CODINGS, Traffic, call_leg_id

PACKETS = 10
TRAFFIC = Traffic(2, seed=3)


def identity(call: int, direction: int) -> StreamIdentity:
    return StreamIdentity(call_leg_id(call, 3), Leg.A, Direction(direction))


def opened(slot: int, who: StreamIdentity) -> StreamOpened:
    return StreamOpened(0, slot, who, 1, "", "")


def closed(slot: int, who: StreamIdentity) -> StreamClosed:
    report = StreamReport(who, 0, 0, 0, 0, 8000, 0.0, {}, {}, 0)
    return StreamClosed(0, slot, CloseReason.STOPPED, report)


def block(slots: list[int], numbers: list[int], samples: NDArray[np.int16], states: list[int]) -> AudioBlock:
    interval = samples.shape[1]
    return AudioBlock(
        8000,
        np.array(slots, np.int64),
        np.array(numbers, np.int64) * interval,
        samples,
        np.array(states, np.uint8),
        np.zeros(len(slots), np.int64),
    )


rows = st.lists(st.lists(st.integers(-32768, 32767), min_size=4, max_size=4), min_size=1, max_size=12)


@given(rows, st.integers(1, 12))
def test_the_meter_adds_up_by_blocks_what_a_stream_is_as_a_whole(samples: list[list[int]], a_block: int) -> None:
    meter, who = LevelMeter(), identity(0, 1)
    meter.event(opened(5, who))
    stream = np.array(samples, np.int16)
    for first in range(0, len(stream), a_block):
        some = stream[first : first + a_block]
        # Beside it another stream, and of the same stream what was not received: neither is to be heard.
        both = np.concatenate((some, some, np.full_like(some[:1], 32767)))
        numbers = list(range(first, first + len(some)))
        states = [SampleState.RECEIVED] * (2 * len(some)) + [SampleState.CONCEALED]
        slots = [5] * len(some) + [2] * len(some) + [5]
        meter.event(opened(2, identity(1, 0)))
        meter.block(block(slots, numbers * 2 + [first], both, states))
    meter.event(closed(5, who))
    assert meter.heard[who].difference(Heard.of(stream.ravel(), 4)) == ""


def test_the_latest_level_and_peak_of_a_stream_are_kept() -> None:
    meter = LevelMeter()
    meter.event(opened(0, identity(0, 0)))
    meter.block(block([0, 0], [0, 1], np.array([[1, 2], [-32768, 0]], np.int16), [0, 0]))
    assert meter.peak[0] == 32768
    assert meter.rms[0] == pytest.approx(32768 / 2**0.5)


def test_a_slot_that_serves_again_begins_at_nothing() -> None:
    meter, first, second = LevelMeter(), identity(0, 0), identity(0, 1)
    for who in (first, second):
        meter.event(opened(0, who))
        meter.block(block([0], [0], np.array([[1, -2]], np.int16), [0]))
        meter.event(closed(0, who))
    assert meter.heard[first] == meter.heard[second] == Heard(1, -1, 2, 5.0)


def all_heard() -> dict[StreamIdentity, Heard]:
    streams = [(call, direction) for call in range(2) for direction in (0, 1)]
    return {identity(c, d): Heard.of(expected_samples(c, d, PACKETS, "PCMU"), 160) for c, d in streams}


def test_calls_of_which_all_was_delivered_are_complete() -> None:
    findings = check_heard(all_heard(), TRAFFIC, PACKETS)
    assert (findings.complete, findings.faults) == (2, {})


def changed(what: str) -> NDArray[np.int16]:
    """Give the samples of call 1, direction 0 with something wrong."""
    packets = expected_samples(1, 0, PACKETS, "PCMU").reshape(PACKETS, -1).copy()
    if what == "missing":
        return packets[:-1].ravel()
    if what == "moved":
        return packets[[1, 0, *range(2, PACKETS)]].ravel()
    packets[4, 7] += 1
    return packets.ravel()


@pytest.mark.parametrize(
    ("what", "fault"), [("missing", "expected intervals"), ("moved", "expected checksum"), ("changed", "checksum")]
)
def test_what_is_missing_moved_or_changed_is_found(what: str, fault: str) -> None:
    heard = all_heard() | {identity(1, 0): Heard.of(changed(what), 160)}
    findings = check_heard(heard, TRAFFIC, PACKETS)
    assert (findings.complete, list(findings.faults)) == (1, [1])
    assert fault in findings.faults[1]


def test_another_energy_is_found() -> None:
    right = all_heard()[identity(0, 0)]
    wrong = Heard(right.intervals, right.checksum, right.peak, right.energy * 1.01)
    assert "expected energy" in wrong.difference(right)


def test_a_stream_that_is_missing_or_too_many_is_found() -> None:
    heard = all_heard()
    del heard[identity(0, 1)]
    assert check_heard(heard, TRAFFIC, PACKETS).faults == {0: "expected a stream in direction 1, found none"}
    another = StreamIdentity(uuid.UUID(int=1), Leg.A, Direction.INBOUND)
    assert check_heard(all_heard() | {another: heard[identity(0, 0)]}, TRAFFIC, PACKETS).faults == {
        2: "expected 4 streams, found 5"
    }


@pytest.mark.bench
@pytest.mark.skipif(sys.platform != "linux", reason="the generator is Linux's")
def test_calls_are_delivered_to_the_meter_completely() -> None:
    outcome = analyse(Load(2, 1, "G722", gso=True))
    report = outcome.report
    assert outcome.passed, report
    assert (report["calls_analysed"], report["calls_recorded"], report["dropped"]) == (2, None, 0)
    assert "arriving as one" in str(outcome.tables[0].title)


def test_every_codec_has_an_interval() -> None:
    assert {codec: frame_samples(codec) for codec in CODINGS} == {"PCMU": 160, "PCMA": 160, "G722": 320, "OPUS": 960}
