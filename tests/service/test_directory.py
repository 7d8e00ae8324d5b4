import uuid

from strep.service.directory import CallDirectory
from strep.service.rules import Rule
from strep.stream.events import Direction, Leg, StreamIdentity
from tests.service.notices import LEG_ID, SECOND_NS, answered, hangup, notice

ALL = (Rule(),)


def test_a_call_is_found_by_its_id_and_by_its_leg():
    calls = CallDirectory(10)
    call = calls.of_event(answered(), 0)
    assert call is not None
    assert calls.get("v3:one") is call
    assert calls.of_event(hangup(), 0) is call
    for leg in Leg:
        assert calls.of_stream(StreamIdentity(LEG_ID, leg, Direction.INBOUND)) is call
    assert calls.of_stream(StreamIdentity(uuid.uuid4(), Leg.A, Direction.INBOUND)) is None


def test_a_leg_that_was_named_later_is_found_too():
    calls = CallDirectory(10)
    call = calls.of_event(notice("call.answered", leg=None), 0)
    assert call is not None
    call.take(hangup(), ALL, 0)
    calls.index(call)
    assert calls.of_stream(StreamIdentity(LEG_ID, Leg.A, Direction.INBOUND)) is call


def test_plain_rtp_is_found_by_the_ports_that_were_allotted():
    calls = CallDirectory(10)
    one, two = (calls.of_event(notice("call.answered", name, leg=uuid.uuid4()), 0) for name in ("one", "two"))
    assert one and two
    identity = StreamIdentity(None, Leg.A, Direction.INBOUND, "rx-1+tx-2")
    calls.allot(one, "rx-1+tx-2")
    assert calls.of_stream(identity) is one
    calls.allot(two, "rx-1+tx-2")
    calls.free(one, "rx-1+tx-2")
    assert calls.of_stream(identity) is two, "they are another call's by now"


def test_an_event_of_no_call_is_of_no_call():
    assert CallDirectory(10).of_event(notice("call.answered", ""), 0) is None


def test_when_it_is_full_a_call_that_has_ended_makes_room():
    calls = CallDirectory(2)
    first = calls.of_event(notice("call.answered", "a", leg=None), 0)
    second = calls.of_event(notice("call.answered", "b", leg=None), 0)
    assert first and second
    assert calls.of_event(notice("call.answered", "c", leg=None), 0) is None
    assert calls.overflowed == 1
    second.take(hangup("b"), ALL, 0)
    assert calls.of_event(notice("call.answered", "c", leg=None), 0) is not None
    assert calls.get("b") is None
    assert len(calls) == 2


def test_calls_that_ended_long_ago_are_forgotten():
    calls = CallDirectory(10)
    call = calls.of_event(answered(), 0)
    assert call is not None
    call.take(hangup(), ALL, 0)
    calls.expire(899 * SECOND_NS)
    assert len(calls) == 1
    calls.expire(900 * SECOND_NS)
    assert len(calls) == 0
    assert calls.of_stream(StreamIdentity(LEG_ID, Leg.A, Direction.INBOUND)) is None


def test_a_call_that_is_forked_is_not_forgotten():
    calls = CallDirectory(10)
    call = calls.of_event(answered(), 0)
    assert call is not None
    call.take(answered(), ALL, 0)
    calls.expire(10**6 * SECOND_NS)
    assert len(calls) == 1
