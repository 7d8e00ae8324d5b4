from types import SimpleNamespace

import pytest

from strep.service.reception import Reception, _Line
from strep.sinks.recordings import Failure


def test_what_goes_wrong_with_recordings_is_logged_as_it_does(caplog: pytest.LogCaptureFixture) -> None:
    sink = SimpleNamespace(recordings=[], failures=[], recording_count=0, failure_count=0)
    line = _Line(SimpleNamespace(), sink)
    line.finished()
    sink.failures += [Failure("one", "No space left on device"), Failure("two", "30 s of audio wait to be written")]
    sink.failure_count = 2
    line.finished()
    sink.failure_count = 3
    line.finished()
    sink.failures.append(Failure("three", "No space left on device"))
    sink.failure_count = 4
    line.finished()
    assert [record.getMessage() for record in caplog.records] == [
        "2 failures to record, the last: two: 30 s of audio wait to be written",
        "4 failures to record, the last: three: No space left on device",
    ]


def test_packets_that_wait_for_their_senders_proof_are_no_alarm() -> None:
    sink = SimpleNamespace(failure_count=0)
    lines = [SimpleNamespace(receiver=SimpleNamespace(unproven_packets=n), sink=sink) for n in (1, 2)]
    reception = SimpleNamespace(
        counts=lambda: {"rejected_probation": 5},
        kernel_drops=0,
        kernel_refused=0,
        _failures_of_closed=0,
        _lines=lambda: lines[:1],
        _counted=lambda: lines,
    )
    assert Reception.alarm_totals(reception)["rejected_probation"] == 2
