from hypothesis import given
from hypothesis import strategies as st

from strep.stream.allowance import Allowance

SECOND = 10**9


def used(allowance: Allowance) -> int:
    count = 0
    while allowance.use():
        count += 1
    return count


def test_so_many_are_allowed_at_once_and_then_so_many_a_second() -> None:
    allowance = Allowance(per_s=1000, at_once=50)
    allowance.refill(1_700_000_000 * SECOND)
    assert used(allowance) == 50
    allowance.refill(1_700_000_000 * SECOND + 10_000_000)
    assert used(allowance) == 10
    allowance.refill(1_700_000_000 * SECOND + 10_500_000)
    assert used(allowance) == 0
    allowance.refill(1_700_000_000 * SECOND + 11_000_000)
    assert used(allowance) == 1


@given(st.lists(st.integers(-SECOND, SECOND)))
def test_never_more_than_at_once_and_never_more_than_the_time_allows(steps: list[int]) -> None:
    allowance = Allowance(per_s=1000, at_once=50)
    allowance.refill(SECOND)
    now_ns, latest_ns, total = SECOND, SECOND, 0
    for step_ns in steps:
        now_ns += step_ns
        latest_ns = max(latest_ns, now_ns)
        allowance.refill(now_ns)
        count = used(allowance)
        assert count <= 50
        total += count
    assert total <= 50 + (latest_ns - SECOND) // 1_000_000


def test_what_is_more_work_than_is_left_is_done_and_owed() -> None:
    allowance = Allowance(per_s=1000, at_once=50)
    allowance.refill(SECOND)
    assert allowance.use(70)
    allowance.refill(SECOND + 20_000_000)
    assert used(allowance) == 0
    allowance.refill(SECOND + 23_000_000)
    assert used(allowance) == 3
