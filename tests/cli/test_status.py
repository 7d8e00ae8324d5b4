import uuid
from types import SimpleNamespace

from strep.audio.block import SampleState
from strep.cli.status import StatusLine, Tally
from strep.stream.events import CloseReason, Direction, Gap, Leg, StreamClosed, StreamIdentity, StreamOpened


def opened(slot, call, direction):
    identity = StreamIdentity(uuid.UUID(int=call), Leg.A, direction)
    return StreamOpened(0, slot, identity, 1, "192.0.2.1:1", "192.0.2.2:2")


def closed(slot):
    return StreamClosed(1, slot, CloseReason.IDLE, None)


def gap(slot, lost_packets):
    return Gap(0, slot, 0, 160, 8000, lost_packets, SampleState.CONCEALED)


def test_both_directions_of_a_leg_are_one_call():
    tally = Tally()
    for slot, call, direction in ((0, 1, Direction.INBOUND), (1, 1, Direction.OUTBOUND), (2, 2, Direction.INBOUND)):
        tally.event(opened(slot, call, direction))
    assert (tally.calls, tally.streams) == (2, 3)
    tally.event(closed(0))
    assert (tally.calls, tally.streams) == (2, 2)
    tally.event(closed(1))
    assert (tally.calls, tally.streams) == (1, 1)


def test_losses_add_up_and_silence_is_none():
    tally = Tally()
    tally.event(opened(0, 1, Direction.INBOUND))
    for lost_packets in (2, 0, 3):
        tally.event(gap(0, lost_packets))
    assert tally.lost_packets == 5


def test_the_pace_is_that_of_the_time_since_the_line_before():
    now_s = [10.0]
    receiver = SimpleNamespace(received=100, kernel_drops=7)
    line = StatusLine(receiver, Tally(), clock_s=lambda: now_s[0])
    now_s[0], receiver.received = 10.5, 600
    assert line.text() == "0 calls, 0 streams, 1000 packets/s, 0 lost, 7 kernel drops"
    now_s[0] = 11.0
    assert "0 packets/s" in line.text()


def test_a_line_at_the_same_instant_has_no_pace():
    receiver = SimpleNamespace(received=5, kernel_drops=0)
    line = StatusLine(receiver, Tally(), clock_s=lambda: 1.0)
    assert " 0 packets/s" in line.text()
