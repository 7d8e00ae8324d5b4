from strep.control.ledger import Ledger
from strep.control.retries import Outcome


def test_a_use_is_remembered_by_its_first_time():
    ledger = Ledger()
    ledger.use(("/a", "one"), 5.0)
    ledger.use(("/a", "one"), 7.0)
    ledger.use(("/a", "one"), 3.0)
    assert ledger.first_use(("/a", "one")) == 3.0
    assert ledger.first_use(("/b", "one")) is None, "an id is one for each call"
    assert ledger.first_use(None) is None


def test_what_is_remembered_is_bounded_and_what_is_forgotten_is_counted():
    ledger = Ledger(remembered=2)
    for number in range(5):
        ledger.use(("/a", str(number)), float(number))
    ledger.use(("/a", "4"), 9.0)
    assert [ledger.first_use(("/a", str(number))) for number in range(5)] == [None, None, None, 3.0, 4.0]
    assert ledger.counts.forgotten_ids == 3


def test_counts_are_a_snapshot():
    ledger = Ledger()
    before = ledger.counts
    ledger.begun(is_first=True)
    ledger.ended(Outcome.DONE, is_given_up=False)
    assert (before.attempts, before.outcomes[Outcome.DONE]) == (0, 0)
    assert (ledger.counts.attempts, ledger.counts.outcomes[Outcome.DONE]) == (1, 1)
