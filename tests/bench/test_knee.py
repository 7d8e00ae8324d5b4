"""The search finds the largest load that is carried, whatever it is, with few attempts."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.knee import PRECISION, Knee, Search, Verdict


class Receiver:
    """Carries so many calls, or in a longer attempt `longer_calls`; the sender sends so many."""

    def __init__(self, calls: int, *, longer_calls: int | None = None, sender_calls: int = 10**9) -> None:
        self.calls, self.sender_calls = calls, sender_calls
        self.longer_calls = calls if longer_calls is None else longer_calls
        self.attempts: list[tuple[int, bool]] = []

    def attempt(self, calls: int, longer: bool) -> Verdict:
        self.attempts.append((calls, longer))
        if calls > self.sender_calls:
            return Verdict.NOT_OFFERED
        return Verdict.PASSED if calls <= (self.longer_calls if longer else self.calls) else Verdict.FAILED

    def knee(self, first: int = 500, most: int = 10_000, attempts: int = 100) -> Knee:
        return Search(self.attempt, lambda longer: len(self.attempts) < attempts, first, most).run()


@given(st.integers(1, 9_000), st.integers(1, 5_000))
def test_the_knee_is_found_to_a_tenth_and_confirmed(carried: int, first: int) -> None:
    receiver = Receiver(carried)
    knee = receiver.knee(first)
    assert (knee.limited_by, knee.confirmed) == ("receiver", True)
    assert knee.calls <= carried <= knee.calls + max(1, PRECISION * knee.calls)
    assert len(receiver.attempts) < 45


def test_loads_are_doubled_and_then_the_interval_is_halved() -> None:
    receiver = Receiver(1700)
    assert receiver.knee().calls == 1625
    calls = [calls for calls, _ in receiver.attempts]
    assert [calls for calls, _ in itertools.groupby(calls)] == [500, 1000, 2000, 1500, 1750, 1625]
    assert receiver.attempts[-1] == (1625, True)


def test_one_failure_does_not_end_it() -> None:
    receiver = Receiver(1700)
    verdicts = iter([Verdict.FAILED])

    def attempt(calls: int, longer: bool) -> Verdict:
        return next(verdicts, None) or receiver.attempt(calls, longer)

    assert Search(attempt, lambda longer: True, 500, 10_000).run().calls == 1625


def test_what_a_longer_attempt_does_not_confirm_is_lowered() -> None:
    knee = Receiver(1700, longer_calls=1400).knee()
    assert (knee.calls, knee.confirmed) == (1316, True)


@pytest.mark.parametrize(
    ("receiver", "knee"),
    [
        (Receiver(3000, sender_calls=1200), Knee(1187, "sender", True)),
        (Receiver(20_000), Knee(10_000, "most", True)),
        (Receiver(0), Knee(0, "receiver", False)),
    ],
)
def test_it_says_what_kept_the_knee_from_being_larger(receiver: Receiver, knee: Knee) -> None:
    assert receiver.knee() == knee


def test_it_stops_when_time_is_up() -> None:
    assert Receiver(5000).knee(attempts=2) == Knee(1000, "time", False)
