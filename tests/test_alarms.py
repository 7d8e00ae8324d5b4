"""What goes wrong is told when it begins, once a minute while it lasts, and when it is over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.alarms import QUIET_NS, Alarms, AlarmState, class_of, gone_wrong, has_grown, importance, warn
from strep.wire.fate import Fate

S = 1_000_000_000
RAISED, STANDING, CLEARED = AlarmState


def told(alarms, seconds, total, reason="rejected_leg"):
    """Look each second at a total that is a function of the second; give what was told, and when."""
    return [
        (second, alarm.state, alarm.count, alarm.total)
        for second in seconds
        for alarm in alarms.look(second * S, {reason: total(second)})
    ]


def test_what_grows_is_told_at_once_then_once_a_minute_and_when_it_is_over():
    found = told(Alarms(), range(300), lambda second: 10 * min(max(0, second - 4), 130))
    assert found == [
        (5, RAISED, 10, 10),
        (65, STANDING, 600, 610),
        (125, STANDING, 600, 1210),
        (164, CLEARED, 90, 1300),
    ]


def test_what_is_there_when_one_looks_first_is_told():
    assert told(Alarms(), [1_700_000_000], lambda second: 5) == [(1_700_000_000, RAISED, 5, 5)]


def test_one_looks_once_a_second_and_nothing_is_lost_between():
    alarms = Alarms()
    assert [alarm.count for alarm in alarms.look(0, {"kernel_drops": 1})] == [1]
    assert not alarms.is_due(S - 1)
    assert alarms.look(S - 1, {"kernel_drops": 50}) == []
    assert alarms.is_due(S)
    alarms.look(S, {"kernel_drops": 51})
    (standing,) = alarms.standing
    assert (standing.count, standing.total, standing.since_ns, standing.time_ns) == (50, 51, 0, S)


def test_a_reason_that_comes_and_goes_is_told_at_most_four_times_a_minute():
    for period in (2, 10, 29, 31, 45):
        found = told(Alarms(), range(600), lambda second, period=period: 1 + second // period)
        for begin in range(540):
            assert sum(begin <= second < begin + 60 for second, *_ in found) <= 4


def test_a_cleared_alarm_stands_no_more_and_may_be_raised_again():
    alarms = Alarms()
    found = told(alarms, range(100), lambda second: 1 + (second > 50))
    assert [(second, state) for second, state, *_ in found] == [(0, RAISED), (30, CLEARED), (51, RAISED), (81, CLEARED)]
    assert alarms.standing == []


def test_who_waits_for_a_proof_has_not_been_refused_yet():
    alarms, fates = Alarms(), {"accepted": 10, "rejected_probation": 3}
    assert alarms.look(0, gone_wrong(fates, unproven_packets=3)) == []
    (alarm,) = alarms.look(S, gone_wrong(fates, unproven_packets=1))
    assert (alarm.reason, alarm.count) == ("rejected_probation", 2)
    assert gone_wrong({}, unproven_packets=0) == {"rejected_probation": 0}


@pytest.mark.parametrize("fate", Fate)
def test_every_fate_but_those_of_any_network_is_told_also_new_ones(fate):
    assert has_grown(fate.label, 1_000_000, 1.0) == (fate not in (Fate.ACCEPTED, Fate.DUPLICATE, Fate.LATE))
    assert has_grown("rejected_something_new", 1, 1.0) and has_grown("something_else", 1, 1.0)


@pytest.mark.parametrize(("growth", "elapsed_s", "is_told"), [(999, 1.0, False), (1000, 1.0, True), (1000, 2.0, False)])
def test_what_may_well_come_beside_calls_is_told_as_a_flood_only(growth, elapsed_s, is_told):
    assert has_grown("not_audio_rtcp", growth, elapsed_s) is is_told


def test_a_clock_that_is_set_back_does_not_keep_an_alarm_standing():
    alarms = Alarms()
    told(alarms, [1000, 1001], lambda second: second)
    found = told(alarms, range(10, 60), lambda second: 1001)
    assert found == [(40, CLEARED, 1, 1001)]


def test_the_most_important_comes_first():
    totals = {
        "not_audio_sip": 5000,
        "something_else": 9000,
        "rejected_leg": 7,
        "malformed_rtp": 8,
        "rejected_sender": 9,
        "over_limit_load": 1,
        "write_errors": 1,
        "kernel_drops": 1,
    }
    alarms = Alarms()
    raised = [alarm.reason for alarm in alarms.look(0, totals)]
    assert raised == [
        *("kernel_drops", "write_errors", "over_limit_load", "rejected_sender", "rejected_leg"),
        *("malformed_rtp", "not_audio_sip", "something_else"),
    ]
    assert raised == [alarm.reason for alarm in alarms.standing]
    assert sorted(alarms.standing, key=importance) == alarms.standing


def test_the_log_and_the_lines_say_what_how_often_and_since_when(caplog):
    alarms = Alarms()
    (raised,) = alarms.look(1_700_000_000 * S, {"kernel_drops": 1234})
    (cleared,) = alarms.look(1_700_000_000 * S + QUIET_NS, {"kernel_drops": 1234})
    warn(raised)
    warn(cleared)
    assert [record.name for record in caplog.records] == ["strep.alarms"] * 2
    assert caplog.messages == [
        "kernel_drops began: 1,234 datagrams so far",
        "kernel_drops is over: 0 datagrams more, 1,234 in all",
    ]
    assert cleared.describe() == {
        "reason": "kernel_drops",
        "state": "cleared",
        "count": 0,
        "total": 1234,
        "since": "2023-11-14T22:13:20.000000Z",
    }


@given(st.lists(st.tuples(st.integers(0, 100 * S), st.integers(0, 10_000)), max_size=60))
def test_what_is_told_adds_up_to_what_was_counted(steps):
    alarms, now_ns, total, counted = Alarms(), 0, 0, 0
    for step_ns, growth in steps:
        now_ns, total = now_ns + step_ns, total + growth
        counted += sum(alarm.count for alarm in alarms.look(now_ns, {"malformed_rtp": total}))
    now_ns += S
    counted += sum(alarm.count for alarm in alarms.look(now_ns, {"malformed_rtp": total}))
    assert counted + sum(alarm.count for alarm in alarms.standing) == total


def test_a_class_is_the_first_word():
    assert class_of("over_limit_load") == "over"
