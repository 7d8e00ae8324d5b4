from strep.live.workers.restarts import RestartPolicy, Restarts

POLICY = RestartPolicy(delays_s=(0.0, 1.0, 2.0), steady_s=60.0)


def test_the_first_restart_is_at_once_and_each_further_one_waits_longer_until_the_end():
    restarts = Restarts(POLICY)
    assert [restarts.next_delay_s(0.1) for _ in range(5)] == [0.0, 1.0, 2.0, None, None]


def test_a_worker_that_lived_long_is_restarted_at_once_again():
    restarts = Restarts(POLICY)
    assert [restarts.next_delay_s(lived_s) for lived_s in (0.1, 59.9, 60.0, 0.1)] == [0.0, 1.0, 0.0, 1.0]


def test_even_after_the_last_restart_a_long_life_begins_the_row_anew():
    restarts = Restarts(POLICY)
    for _ in POLICY.delays_s:
        restarts.next_delay_s(0.1)
    assert restarts.next_delay_s(3600.0) == 0.0


def test_the_waits_of_the_default_policy_grow_and_stay_below_a_few_seconds():
    delays_s = RestartPolicy().delays_s
    assert delays_s[0] == 0
    assert list(delays_s) == sorted(delays_s)
    assert delays_s[-1] < 10
