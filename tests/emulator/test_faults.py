import pytest

from strep.emulator import Fault, Faults
from strep.emulator.faults import ANSWER_FAULTS, FaultDraws
from strep.errors import ConfigError


def struck(draws, fault, subject, count=200):
    return [draws.strikes(fault, subject) for _ in range(count)]


def test_as_many_are_struck_as_the_share_says():
    draws = FaultDraws(Faults(webhook_late=0.3, seed=1))
    assert 500 < sum(struck(draws, Fault.WEBHOOK_LATE, "call", 2000)) < 700
    assert draws.struck[Fault.WEBHOOK_LATE] == sum(struck(FaultDraws(draws.faults), Fault.WEBHOOK_LATE, "call", 2000))


@pytest.mark.parametrize(("share", "expected"), [(0, False), (1, True)])
def test_a_share_of_nothing_strikes_nobody_and_one_of_all_everybody(share, expected):
    assert set(struck(FaultDraws(Faults(webhook_late=share)), Fault.WEBHOOK_LATE, "call")) == {expected}


def test_equal_seeds_strike_the_same_and_others_do_not():
    first, same, other = (
        struck(FaultDraws(Faults(webhook_late=0.5, seed=seed)), Fault.WEBHOOK_LATE, "a") for seed in (1, 1, 2)
    )
    assert first == same != other


def test_who_is_struck_depends_on_no_other_call_and_no_other_fault():
    alone = struck(FaultDraws(Faults(webhook_late=0.5)), Fault.WEBHOOK_LATE, "a")
    draws = FaultDraws(Faults(webhook_late=0.5, webhook_repeated=0.5))
    beside = []
    for _ in range(200):
        draws.strikes(Fault.WEBHOOK_REPEATED, "a")
        draws.strikes(Fault.WEBHOOK_LATE, "b")
        beside += struck(draws, Fault.WEBHOOK_LATE, "a", 1)
    assert alone == beside


def test_an_answer_suffers_one_fault_and_raising_one_share_moves_no_other_victims():
    few = FaultDraws(Faults(server_error=0.3))
    more = FaultDraws(Faults(server_error=0.3, rate_limited=0.3))
    before, after = ([draws.answer_fault("a") for _ in range(300)] for draws in (few, more))
    assert set(after) == {None, Fault.SERVER_ERROR, Fault.RATE_LIMITED}
    assert all(one == other for one, other in zip(before, after, strict=True) if other is not Fault.RATE_LIMITED)
    assert sum(more.struck.values()) == sum(fault is not None for fault in after)


def test_every_answer_fault_can_be_asked_for():
    for fault in ANSWER_FAULTS:
        assert FaultDraws(Faults(**{fault.value: 1.0})).answer_fault("a") is fault


def test_shares_can_be_changed_while_it_goes_on_and_another_seed_begins_anew():
    draws = FaultDraws(Faults(webhook_late=0.5, seed=1))
    first = struck(draws, Fault.WEBHOOK_LATE, "a")
    draws.faults = Faults(seed=1)
    assert not any(struck(draws, Fault.WEBHOOK_LATE, "a"))
    draws.faults = Faults(webhook_late=0.5, seed=2)
    draws.faults = Faults(webhook_late=0.5, seed=1)
    assert struck(draws, Fault.WEBHOOK_LATE, "a") == first


def test_a_call_that_was_forgotten_begins_anew():
    draws = FaultDraws(Faults(webhook_late=0.5))
    first = struck(draws, Fault.WEBHOOK_LATE, "a")
    draws.forget("a")
    draws.forget("nobody")
    assert struck(draws, Fault.WEBHOOK_LATE, "a") == first


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rate_limited": 1.1}, "rate_limited: expected a share of 0 to 1, found 1.1"),
        ({"webhook_late": -0.1}, "webhook_late: expected a share of 0 to 1, found -0.1"),
        ({"late_s": -1}, "late_s: expected 0 to 3600, found -1"),
        ({"rate_limit_reset_s": 0.5}, "rate_limit_reset_s: expected a whole number, found 0.5"),
        ({"timeout": "often"}, "timeout: expected a number, found 'often'"),
        ({"timeout": True}, "timeout: expected a number, found True"),
        ({"late_s": float("nan")}, "late_s: expected 0 to 3600, found nan"),
    ],
)
def test_faults_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Faults(**wrong)
