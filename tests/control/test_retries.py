"""The rules of trying again: at any sequence of failures the bounds hold, and nothing acts twice."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.control.retries import COMMAND_ID_LIFE_S, Attempts, Outcome, Repeatable, RetryPolicy
from strep.errors import ConfigError

POLICY = RetryPolicy()
PASSING = [outcome for outcome in Outcome if outcome.is_passing]


def attempts(repeatable=Repeatable.BY_COMMAND_ID, policy=POLICY, reach_s=1.0, **settings):
    return Attempts(policy, repeatable, reach_s=reach_s, **settings)


def one(outcome, repeatable, *, lasts_s=0.0):
    """Make one attempt at 1000 s, and tell the wait before the next."""
    command = attempts(repeatable)
    command.begin(1000.0)
    return command.end(outcome, 1000.0 + lasts_s, 0.0)


@pytest.mark.parametrize("outcome", [o for o in Outcome if not o.is_passing])
@pytest.mark.parametrize("repeatable", Repeatable)
def test_an_answer_that_will_not_change_is_final(outcome, repeatable):
    assert one(outcome, repeatable) is None


@pytest.mark.parametrize("outcome", [Outcome.RATE_LIMITED, Outcome.NOT_SENT])
@pytest.mark.parametrize("repeatable", Repeatable)
def test_what_has_not_acted_is_always_sent_again(outcome, repeatable):
    assert one(outcome, repeatable) == POLICY.first_wait_s


@pytest.mark.parametrize("outcome", [Outcome.SERVER_ERROR, Outcome.NO_ANSWER])
def test_what_may_have_acted_is_sent_again_only_where_that_changes_nothing(outcome):
    assert one(outcome, Repeatable.ALWAYS) == POLICY.first_wait_s
    assert one(outcome, Repeatable.BY_COMMAND_ID) == POLICY.first_wait_s
    assert one(outcome, Repeatable.NEVER) is None


def test_once_it_may_have_acted_a_rate_limit_does_not_make_it_safe_again():
    command = attempts(Repeatable.NEVER)
    command.begin(0.0)
    assert command.end(Outcome.RATE_LIMITED, 0.0, 0.0) is not None
    command.begin(1.0)
    assert command.end(Outcome.NO_ANSWER, 1.0, 0.0) is None
    assert command.may_have_acted and not command.may_begin(1.0)


def test_waits_double_up_to_the_longest():
    policy = RetryPolicy(first_wait_s=0.25, longest_wait_s=4.0)
    assert [policy.backoff_s(n, 0.0) for n in range(1, 8)] == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert policy.backoff_s(10_000, 0.0) == 4.0


def test_chance_takes_up_to_half_of_a_wait_away():
    assert POLICY.backoff_s(3, 0.5) == 0.75 and POLICY.backoff_s(3, 1.0) == 0.5


def test_a_wait_that_is_asked_for_is_kept_in_full_with_the_backoff_on_top():
    command = attempts()
    command.begin(0.0)
    assert command.end(Outcome.SERVER_ERROR, 0.0, 1.0, asked_s=7.0) == 7.0 + POLICY.first_wait_s / 2


def test_a_limit_that_says_when_it_is_lifted_is_waited_for_in_full_and_hardly_longer_however_often():
    command = attempts()
    for _ in range(4):
        command.begin(0.0)
        assert 7.0 <= command.end(Outcome.RATE_LIMITED, 0.0, 1.0, asked_s=7.0) <= 7.0 + POLICY.first_wait_s / 2
        assert command.end(Outcome.RATE_LIMITED, 0.0, 0.0, asked_s=7.0) == 7.0


def test_a_limit_that_does_not_say_so_is_waited_for_a_second_at_most():
    assert [POLICY.limited_s(n, 0.0, None) for n in range(1, 6)] == [0.25, 0.5, 1.0, 1.0, 1.0]
    assert RetryPolicy(longest_wait_s=0.5).limited_s(9, 0.0, None) == 0.5


def test_a_wait_that_would_end_too_late_is_not_begun():
    command = attempts(policy=RetryPolicy(total_s=30.0))
    command.begin(0.0)
    assert command.end(Outcome.RATE_LIMITED, 0.0, 0.0, asked_s=31.0) is None


def test_a_command_id_is_used_until_its_sixty_seconds_are_over_and_no_longer():
    patient = RetryPolicy(attempts=1000, total_s=1000.0)
    command = attempts(policy=patient, reach_s=10.0)
    command.begin(100.0)
    assert command.end(Outcome.NO_ANSWER, 110.0, 0.0) is not None
    assert command.may_begin(150.0), "it reaches the platform by 160 s"
    assert not command.may_begin(150.1)
    assert command.first_used_s == 100.0, "the platform may have acted at once, however late we knew that it failed"


def test_the_sixty_seconds_begin_with_what_may_have_acted():
    patient = RetryPolicy(attempts=1000, total_s=1000.0)
    command = attempts(policy=patient, reach_s=10.0)
    command.begin(0.0)
    command.end(Outcome.NOT_SENT, 0.0, 0.0)
    command.begin(100.0)
    assert command.end(Outcome.NO_ANSWER, 100.0, 0.0) is not None
    assert command.may_begin(150.0)


def test_time_outs_longer_than_a_command_ids_life_leave_no_second_attempt():
    command = attempts(reach_s=61.0)
    assert command.may_begin(0.0)
    command.begin(0.0)
    assert command.end(Outcome.NO_ANSWER, 1.0, 0.0) is None


def test_an_earlier_sending_of_the_same_id_counts():
    assert attempts(reach_s=10.0, first_used_s=0.0).may_begin(50.0)
    assert not attempts(reach_s=10.0, first_used_s=0.0).may_begin(50.1)


def test_a_wait_that_took_longer_than_meant_is_noticed():
    command = attempts(policy=RetryPolicy(total_s=30.0))
    command.begin(0.0)
    assert command.end(Outcome.NOT_SENT, 0.0, 0.0) is not None
    assert command.may_begin(30.0) and not command.may_begin(30.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"total_s": -1.0},
        {"total_s": math.inf},
        {"first_wait_s": math.nan},
        {"longest_wait_s": -0.1},
    ],
)
def test_a_policy_that_cannot_be_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"^{name}: expected"):
        RetryPolicy(**wrong)


FAILURES = st.lists(
    st.tuples(
        st.sampled_from(PASSING),
        st.floats(0, 40),  # how long the attempt lasts
        st.none() | st.floats(0, 20),  # the wait that is asked for
        st.floats(0, 1),
        st.floats(0, 3),  # by how much the wait is overslept
    ),
    min_size=40,
    max_size=40,
)
POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 30),
    total_s=st.floats(0, 300),
    first_wait_s=st.floats(0.01, 2),
    longest_wait_s=st.floats(0.01, 10),
)


@given(FAILURES, POLICIES, st.sampled_from(Repeatable), st.floats(0, 70))
def test_whatever_fails_the_bounds_hold_and_nothing_acts_twice(failures, policy, repeatable, reach_s):
    command, now_s, waited_s, began = attempts(repeatable, policy, reach_s), 1000.0, 0.0, []
    first_acting_s = None
    for outcome, lasts_s, asked_s, chance, overslept_s in failures:
        if not command.may_begin(now_s):
            break
        if first_acting_s is not None:
            assert repeatable is not Repeatable.NEVER
            if repeatable is Repeatable.BY_COMMAND_ID:
                assert now_s + reach_s <= first_acting_s + COMMAND_ID_LIFE_S
        command.begin(now_s)
        began.append(now_s)
        if outcome.may_have_acted and first_acting_s is None:
            first_acting_s = now_s
        now_s += lasts_s
        wait_s = command.end(outcome, now_s, chance, asked_s)
        if wait_s is None:
            break
        assert wait_s >= (asked_s or 0.0)
        waited_s += wait_s
        now_s += wait_s + overslept_s
    else:
        pytest.fail("it went on for more attempts than any policy here allows")
    assert 1 <= len(began) == command.made <= policy.attempts
    assert began[-1] - began[0] <= policy.total_s + 1e-9
    assert waited_s <= policy.total_s + 1e-9
    assert command.may_have_acted is (first_acting_s is not None)
