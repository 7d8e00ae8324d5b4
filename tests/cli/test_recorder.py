"""What a recorder counts for its alarms."""

from types import SimpleNamespace

from strep.cli.recorder import Recorder


def test_packets_that_wait_for_their_senders_proof_are_no_alarm() -> None:
    receiver = SimpleNamespace(
        counts=lambda: {"accepted": 7, "rejected_probation": 5}, unproven_packets=3, kernel_drops=0, kernel_refused=0
    )
    recorder = SimpleNamespace(receiver=receiver, sink=SimpleNamespace(failure_count=0), spool=None)
    totals = Recorder._totals(recorder)
    assert (totals["accepted"], totals["rejected_probation"]) == (7, 2)
