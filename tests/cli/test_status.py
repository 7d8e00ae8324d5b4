import uuid
from collections import deque
from pathlib import Path
from types import SimpleNamespace

from strep.audio.block import SampleState
from strep.audio.formats import parse_format
from strep.cli.alarms import AlarmWatch
from strep.cli.announcements import Announcements
from strep.cli.status import StatusLine, Tally
from strep.sinks.recordings import Failure
from strep.stream.events import (
    CloseReason,
    Direction,
    FormatChanged,
    Gap,
    Leg,
    StreamClosed,
    StreamIdentity,
    StreamOpened,
)

CALM = AlarmWatch(dict, lambda alarm: None)


def tally_of(**sink):
    empty = {"recordings": deque(), "recording_count": 0, "failures": deque(), "failure_count": 0}
    said = []
    tally = Tally(
        SimpleNamespace(**empty | sink), Announcements(shows_recordings=True, tell=said.append, clock_s=lambda: 0.0)
    )
    tally.said = said
    return tally


def opened(slot, call, direction):
    identity = StreamIdentity(uuid.UUID(int=call), Leg.A, direction)
    return StreamOpened(0, slot, identity, 1, "192.0.2.1:1", "192.0.2.2:2")


def closed(slot, reason=CloseReason.IDLE):
    return StreamClosed(1, slot, reason, None)


def gap(slot, lost_packets):
    return Gap(0, slot, 0, 160, 8000, lost_packets, SampleState.CONCEALED)


def test_both_directions_of_a_leg_are_one_call():
    tally = tally_of()
    for slot, call, direction in ((0, 1, Direction.INBOUND), (1, 1, Direction.OUTBOUND), (2, 2, Direction.INBOUND)):
        tally.event(opened(slot, call, direction))
    assert (tally.calls, tally.streams) == (2, 3)
    tally.event(closed(0))
    assert (tally.calls, tally.streams) == (2, 2)
    tally.event(closed(1))
    assert (tally.calls, tally.streams) == (1, 1)


def test_a_call_that_is_left_out_is_told_once():
    tally = tally_of()
    for slot, call, direction in ((0, 1, Direction.INBOUND), (1, 1, Direction.OUTBOUND), (2, 2, Direction.INBOUND)):
        tally.event(opened(slot, call, direction))
    for slot, reason in ((0, CloseReason.OVERLOADED), (1, CloseReason.OVERLOADED), (2, CloseReason.IDLE)):
        tally.event(closed(slot, reason))
    assert tally.said == [f"{uuid.UUID(int=1)}-A: left out, more calls came than can be carried"]


def test_losses_add_up_and_silence_is_none():
    tally = tally_of()
    tally.event(opened(0, 1, Direction.INBOUND))
    for lost_packets in (2, 0, 3):
        tally.event(gap(0, lost_packets))
    assert tally.lost_packets == 5


def test_the_pace_is_that_of_the_time_since_the_line_before():
    now_s = [10.0]
    receiver = SimpleNamespace(received=100, kernel_drops=7)
    line = StatusLine(receiver, tally_of(), CALM, clock_s=lambda: now_s[0])
    now_s[0], receiver.received = 10.5, 600
    assert line.text() == "0 calls, 0 streams, 1000 packets/s, 0 lost, 7 kernel drops"
    now_s[0] = 11.0
    assert "0 packets/s" in line.text()


def test_a_line_at_the_same_instant_has_no_pace():
    receiver = SimpleNamespace(received=5, kernel_drops=0)
    line = StatusLine(receiver, tally_of(), CALM, clock_s=lambda: 1.0)
    assert " 0 packets/s" in line.text()


def test_what_goes_wrong_comes_before_what_is_well_and_fits_a_terminal():
    told = []
    totals = {"rejected_sender": 12_000, "rejected_leg": 345, "malformed_rtp": 7, "write_errors": 0, "kernel_drops": 0}
    watch = AlarmWatch(lambda: totals, told.append)
    watch.flush(0)
    line = StatusLine(SimpleNamespace(received=0, kernel_drops=0), tally_of(), watch, clock_s=lambda: 0.0)
    wrong = "0 calls, 0 streams, 0 packets/s, refused 12,345 (rejected_sender), malformed 7"
    assert len(wrong) <= 80
    assert line.text() == f"{wrong} (malformed_rtp), 0 lost, 0 kernel drops"
    totals |= {"kernel_drops": 2_000, "write_errors": 3}
    watch.flush(1_000_000_000)
    begin = "0 calls, 0 streams, 0 packets/s, 2,000 kernel drops, 3 write errors, refused 12,345"
    assert line.text().startswith(begin)
    assert line.text().count("kernel drops") == line.text().count("write errors") == 1
    assert [alarm.reason for alarm in told] == [
        *("rejected_sender", "rejected_leg", "malformed_rtp"),
        *("kernel_drops", "write_errors"),
    ]


def test_what_happens_is_told_once():
    failures = deque([Failure("one", "No space left on device")] * 3)
    made = SimpleNamespace(path=Path("calls/two.wav"), duration_s=1.5)
    tally = tally_of(failures=failures, failure_count=3, recordings=deque([made]), recording_count=1)
    tally.event(opened(0, 1, Direction.INBOUND))
    for meaning in (None, None, parse_format("G728/8000"), parse_format("PCMU/8000")):
        tally.event(FormatChanged(0, 0, 0, 100, meaning))
    for _ in range(2):
        tally.flush(0)
    call = f"{uuid.UUID(int=1)}-A"
    assert tally.said == [
        f"{call}: payload type 100 is unknown, name it with --pt; its recording is silent there",
        f"{call}: G728 is not decoded here; its recording is silent there",
        "one: not all of it could be written: No space left on device",
        "recorded two.wav, 1.50 s; 1 call open",
    ]
    line = StatusLine(SimpleNamespace(received=0, kernel_drops=0), tally, CALM, clock_s=lambda: 0.0)
    assert line.text().endswith(", 3 write errors")


def test_a_second_has_twenty_lines_and_then_the_number_of_the_others():
    now_s, said = [0.0], []
    announcements = Announcements(shows_recordings=True, tell=said.append, clock_s=lambda: now_s[0])
    for n in range(50):
        announcements.recording(f"{n}.wav", 1, lambda: 0)
    assert len(said) == 20
    now_s[0] = 1.0
    announcements.tick()
    assert said[20:] == ["and 30 other recordings"]
    announcements.end()
    announcements.failure("late", "too late")
    assert len(said) == 21
