"""What the sidecar says of a whole recording."""

import json
from pathlib import Path

from strep.audio.block import SampleState
from strep.sinks.recordings import Container, Encoding, RecordingSink
from strep.sinks.sidecar import MAX_LISTED
from strep.stream.events import Gap, TelephoneEvent
from tests.sinks.recordings.calls import SECOND, T0, block, closed, format_changed, identity, name, opened, tone


def record(sink: RecordingSink, seconds: int = 2) -> None:
    sink.event(opened(0, 0))
    sink.event(opened(1, 1, at_ns=SECOND // 4))
    sink.event(format_changed(0))
    for position in range(0, seconds * 8000, 160):
        voice = tone(160)
        sink.block(block([(0, position, voice), (1, position, voice)], at_ns=position * 125_000))
        sink.flush(T0 + position * 125_000)


def document(folder: Path) -> dict:
    return json.loads((folder / f"{name()}.json").read_text())


def test_a_recording_under_way_already_names_its_call(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    record(sink)
    found = document(tmp_path)
    assert not found["complete"]
    assert found["call_leg_id"] == str(identity().call_leg_id)
    assert [(entry["direction"], entry["start_s"]) for entry in found["streams"]] == [
        ("inbound", 0),
        ("outbound", 0.25),
    ]
    assert found["streams"][0]["fates"] is None
    sink.close()


def test_a_finished_recording_tells_everything(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path, encoding=Encoding.ULAW)
    record(sink)
    sink.event(TelephoneEvent(T0, 1, 4000, 5, "5", 100.0, 10, True))
    sink.event(closed(0, 0, length=16_000))
    sink.event(closed(1, 1, length=16_000, anchor_ns=SECOND // 4))
    found = document(tmp_path)
    streams = found.pop("streams")
    assert found == {
        "sidecar_version": 2,
        "complete": True,
        "recorder_lock": None,
        "recovered": False,
        "written": "2023-11-14T22:13:21.000000Z",
        "files": [f"{name()}.wav"],
        "call": None,
        "call_leg_id": str(identity().call_leg_id),
        "leg": "A",
        "conversation": "",
        "start": "2023-11-14T22:13:20.000000Z",
        "end": "2023-11-14T22:13:22.250000Z",
        "duration_s": 2.25,
        "length_samples": 18_000,
        "layout": "stereo",
        "container": Container.WAV.value,
        "requested_container": "wav",
        "encoding": "ulaw",
        "requested_encoding": "ulaw",
        "sample_rate_hz": 8000,
        "channels": 2,
        "alignment_error_ms": 0.0,
        "write_errors": {"count": 0, "first": None},
        "unwritten_samples": 0,
        "unwritten": {"count": 0, "samples": 0, "listed": []},
    }
    assert [entry["channel"] for entry in streams] == [0, 1]
    assert streams[0]["fates"] == {"accepted": 49, "duplicate": 1}
    assert streams[1]["telephone_events"]["listed"][0]["at_s"] == 0.75


def test_a_finished_recording_is_handed_to_the_caller(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    record(sink)
    sink.event(closed(0, 0, length=16_000))
    assert sink.open_count == 1
    sink.event(closed(1, 1, length=16_000))
    recording = sink.recordings[0]
    assert recording.path == tmp_path / f"{name()}.wav"
    assert recording.sidecar_path == tmp_path / f"{name()}.json"
    assert recording.identities == (identity(direction=0), identity(direction=1))
    assert (recording.start_ns, recording.duration_s, recording.sample_rate_hz, recording.channels) == (
        T0,
        2.25,
        8000,
        2,
    )
    assert [report.length_samples for report in recording.reports] == [16_000, 16_000]
    assert (sink.recording_count, sink.open_count) == (1, 0)


def test_closing_the_sink_finishes_what_is_open(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    record(sink)
    sink.close()
    found = document(tmp_path)
    assert found["complete"]
    assert [entry["closed"] for entry in found["streams"]] == [None, None]
    assert sink.recordings[0].reports == ()
    assert not list(tmp_path.glob(".*")), "no temporary file stays behind"


MS = 1_000_000


class Calls:
    """Calls of one direction that begin together; `go_on` lets them speak, half a second at a time."""

    def __init__(self, folder: Path, calls: int) -> None:
        self.sink = RecordingSink(folder, flush_interval_ms=500)
        self.slots = range(calls)
        self.now_ms = 0
        for slot in self.slots:
            self.sink.event(opened(slot, call=slot + 1))

    def go_on(self, until_ms: int) -> None:
        voice = tone(4000)
        while self.now_ms < until_ms:
            self.sink.block(block([(slot, self.now_ms * 8, voice) for slot in self.slots], at_ns=self.now_ms * MS))
            self.now_ms += 500
            self.sink.flush(T0 + self.now_ms * MS)

    def gap(self, slot: int, at_ms: int) -> None:
        self.sink.event(Gap(T0 + self.now_ms * MS, slot, at_ms * 8, 160, 8000, 1, SampleState.LOST))


def test_the_sidecar_of_a_recording_under_way_is_written_anew_once_a_minute(tmp_path: Path) -> None:
    calls = Calls(tmp_path, 1)
    calls.go_on(3000)
    first = document(tmp_path)
    assert first["written"] == "2023-11-14T22:13:21.000000Z"
    calls.gap(0, 1000)
    calls.sink.event(TelephoneEvent(T0, 0, 4000, 5, "5", 100.0, 10, True))
    calls.go_on(60_500)
    assert document(tmp_path) == first
    calls.go_on(61_500)
    found = document(tmp_path)
    assert not found["complete"]
    assert found["written"] == "2023-11-14T22:14:21.000000Z"
    assert 59.5 <= found["duration_s"] <= 61
    assert found["length_samples"] == found["duration_s"] * 8000
    (stream,) = found["streams"]
    assert stream["gaps"]["count"] == 1
    assert stream["gaps"]["listed"][0]["at_s"] == 1.0
    assert stream["telephone_events"]["listed"][0]["name"] == "5"
    assert stream["packets"] is stream["fates"] is stream["closed"] is None
    calls.go_on(120_500)
    assert document(tmp_path) == found
    calls.go_on(122_000)
    assert document(tmp_path)["written"] == "2023-11-14T22:15:21.000000Z"
    calls.sink.close()
    assert document(tmp_path)["written"] == "2023-11-14T22:15:22.000000Z", "when its last stream ended"


def test_sidecars_that_are_due_together_are_written_some_at_a_time(tmp_path: Path) -> None:
    calls = Calls(tmp_path, 40)
    calls.go_on(60_500)
    seen, found = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}, []
    assert len(seen) == 40
    for until_ms in range(61_000, 65_000, 500):
        calls.go_on(until_ms)
        now = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
        found.append(sum(now[path] != seen[path] for path in now))
        seen = now
    assert found == [10, 10, 10, 10, 0, 0, 0, 0], "10 at once, and each of them once"
    calls.sink.close()


def test_a_recording_under_way_lists_no_more_gaps_than_can_be_written_in_a_turn(tmp_path: Path) -> None:
    calls = Calls(tmp_path, 2)
    calls.go_on(2000)
    for number in range(MAX_LISTED + 500):
        for slot in calls.slots:
            calls.gap(slot, number * 40)
    calls.go_on(61_000)
    gaps = [json.loads((tmp_path / f"{name(call)}.json").read_text())["streams"][0]["gaps"] for call in (1, 2)]
    assert sorted((entry["count"], len(entry["listed"])) for entry in gaps) == [(0, 0), (1500, 1000)], (
        "the second waits until the work of the first is paid for"
    )
    calls.go_on(62_000)
    gaps = [json.loads((tmp_path / f"{name(call)}.json").read_text())["streams"][0]["gaps"] for call in (1, 2)]
    assert [(entry["count"], len(entry["listed"])) for entry in gaps] == [(1500, 1000)] * 2
    calls.sink.close()
    assert len(document(tmp_path)["streams"][0]["gaps"]["listed"]) == 1500
