"""What the sidecar says of a whole recording."""

import json
from pathlib import Path

from strep.sinks.recordings import Container, Encoding, RecordingSink
from strep.stream.events import TelephoneEvent
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
        "sidecar_version": 1,
        "complete": True,
        "files": [f"{name()}.wav"],
        "call": name(),
        "call_leg_id": str(identity().call_leg_id),
        "leg": "A",
        "conversation": "",
        "start": "2023-11-14T22:13:20.000000Z",
        "end": "2023-11-14T22:13:22.250000Z",
        "duration_s": 2.25,
        "length_samples": 18_000,
        "layout": "stereo",
        "container": Container.WAV.value,
        "encoding": "ulaw",
        "requested_encoding": "ulaw",
        "sample_rate_hz": 8000,
        "channels": 2,
        "alignment_error_ms": 0.0,
        "write_errors": {"count": 0, "first": None},
        "unwritten_samples": 0,
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
