from collections import deque
from itertools import islice
from types import SimpleNamespace

import pytest

from strep.audio.formats import parse_format
from strep.cli import worker
from strep.cli.worker import Dispatch, RecordingJob
from strep.live.workers import Counts, EntryKind
from strep.sinks.recordings import Failure


@pytest.fixture
def recorder(monkeypatch):
    """Give what a job works with, of which the sink remembers three recordings; their documents are their names."""
    monkeypatch.setattr(worker, "describe_recording", lambda recording: {"name": recording})
    receiver = SimpleNamespace(received=7, counts=lambda: {"accepted": 7}, unproven_packets=5)
    tally = SimpleNamespace(lost_packets=1, calls=2, streams=3)
    sink = SimpleNamespace(
        recordings=deque(maxlen=3), recording_count=0, failures=deque(maxlen=3), failure_count=0, open_count=4
    )
    return SimpleNamespace(receiver=receiver, sink=sink, tally=tally)


def record(recorder, *names):
    recorder.sink.recordings.extend(names)
    recorder.sink.recording_count += len(names)


def told(job, most=None):
    return [entry.document["name"] for entry in islice(job.entries(), most) if entry.kind is EntryKind.RECORDING]


def test_each_recording_is_told_once(recorder):
    job = RecordingJob(recorder, Dispatch())
    assert told(job) == []
    record(recorder, "a", "b")
    assert told(job) == ["a", "b"]
    assert told(job) == []
    record(recorder, "c")
    assert told(job) == ["c"]


def test_what_is_not_taken_now_is_told_the_next_time(recorder):
    job = RecordingJob(recorder, Dispatch())
    record(recorder, "a", "b", "c")
    assert told(job, 2) == ["a", "b"]
    assert told(job) == ["c"]
    assert told(job) == []


def test_what_the_sink_no_longer_remembers_is_left_out_and_nothing_is_told_twice(recorder):
    job = RecordingJob(recorder, Dispatch())
    record(recorder, "a", "b", "c", "d", "e")
    assert told(job, 1) == ["c"]
    assert told(job) == ["d", "e"]
    record(recorder, "f")
    assert told(job) == ["f"]


def test_failures_are_told_as_well(recorder):
    job = RecordingJob(recorder, Dispatch())
    recorder.sink.failures.append(Failure("one", "No space left on device"))
    recorder.sink.failure_count = 1
    (entry,) = job.entries()
    assert entry.kind is EntryKind.FAILURE
    assert entry.document == {"call": "one", "reason": "No space left on device"}
    assert list(job.entries()) == []


def test_the_counts_are_those_of_the_receiver_the_sink_and_the_tally(recorder):
    record(recorder, "a")
    assert RecordingJob(recorder, Dispatch()).counts() == Counts(7, {"accepted": 7}, 1, 1, 0, 2, 3, 4, 5)


def test_what_a_payload_type_means_and_who_is_left_out_is_told_first_and_once(recorder):
    dispatch = Dispatch()
    job = RecordingJob(recorder, dispatch)
    record(recorder, "a")
    for meaning in (None, None, parse_format("G728/8000")):
        dispatch.format("one", 100, meaning)
    dispatch.left_out("two")
    entries = list(islice(job.entries(), 2)) + list(job.entries())
    assert [(entry.kind, entry.document) for entry in entries] == [
        (EntryKind.FORMAT, {"call": "one", "payload_type": 100, "format": None}),
        (EntryKind.FORMAT, {"call": "one", "payload_type": 100, "format": "G728/8000"}),
        (EntryKind.LEFT_OUT, {"call": "two"}),
        (EntryKind.RECORDING, {"name": "a"}),
    ]


def test_news_that_nobody_fetches_is_bounded():
    dispatch = Dispatch()
    for n in range(2000):
        dispatch.left_out(str(n))
    assert len(dispatch.entries) == 1000
    assert dispatch.entries[-1].document == {"call": "1999"}
