from strep.live.workers.ledger import WorkerLedger
from strep.live.workers.messages import Counts, Entry, EntryKind


def test_the_latest_counts_of_all_workers_are_the_total():
    ledger = WorkerLedger(2, keep=9)
    ledger.take(0, Counts(received=1, calls=1))
    ledger.take(0, Counts(received=5, calls=2))
    ledger.take(1, Counts(received=10, calls=3))
    assert ledger.total == Counts(received=15, calls=5)


def test_what_a_dead_worker_did_stays_in_the_sum_and_its_successor_adds_to_it():
    ledger = WorkerLedger(2, keep=9)
    ledger.take(1, Counts(received=10, fates={"accepted": 10}, calls=3, open_recordings=2))
    assert ledger.end(1).open_recordings == 2
    assert ledger.total == Counts(received=10, fates={"accepted": 10})
    ledger.take(1, Counts(received=4, fates={"accepted": 3, "late": 1}, calls=1))
    assert ledger.total == Counts(received=14, fates={"accepted": 13, "late": 1}, calls=1)


def test_a_worker_that_died_before_it_reported_changes_nothing():
    ledger = WorkerLedger(1, keep=9)
    ledger.take(0, Counts(received=7))
    ledger.end(0)
    ledger.end(0)
    assert ledger.total == Counts(received=7)


def test_the_last_entries_are_kept_by_kind():
    ledger = WorkerLedger(2, keep=2)
    for n in range(3):
        ledger.take(n % 2, Entry(EntryKind.RECORDING, {"n": n}))
    ledger.take(0, Entry(EntryKind.FAILURE, {"call": "one"}))
    ledger.take(0, Entry(EntryKind.FORMAT, {"call": "two"}))
    assert list(ledger.recordings) == [{"n": 1}, {"n": 2}]
    assert list(ledger.failures) == [{"call": "one"}]
