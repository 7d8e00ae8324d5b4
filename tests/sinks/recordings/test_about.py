"""What is known of a call goes into its sidecar, and may put its recording into a folder of its own."""

import json
from pathlib import Path

import pytest

from strep.errors import ConfigError
from strep.sinks.recordings import CallAbout, Container, Layout, RecordingSink
from strep.stream.events import Direction, Leg, StreamIdentity, StreamOpened
from tests.sinks.recordings.calls import SECOND, T0, block, closed, identity, name, opened, tone


def speak(sink: RecordingSink, call: int = 1, slot: int = 0, begin_ms: int = 0, end_ms: int = 2000) -> None:
    for at_ms in range(begin_ms, end_ms, 500):
        at_ns = at_ms * 1_000_000
        sink.block(block([(slot, at_ms * 8, tone(4000, call))], at_ns=at_ns))
        sink.flush(T0 + at_ns + SECOND // 2)


def told(path: Path) -> object:
    return json.loads(path.read_text())["call"]


def test_a_sidecar_says_what_is_known_of_the_call_and_null_where_nothing_is(tmp_path: Path) -> None:
    known = {identity(1).call: CallAbout({"call_control_id": "v3:one", "from": "+49301234"})}
    sink = RecordingSink(tmp_path, about=lambda stream: known.get(stream.call))
    for slot, call in enumerate((1, 2)):
        sink.event(opened(slot, call=call))
        speak(sink, call, slot)
    assert told(tmp_path / f"{name(1)}.json") == {"call_control_id": "v3:one", "from": "+49301234"}
    assert told(tmp_path / f"{name(2)}.json") is None
    sink.close()
    assert told(tmp_path / f"{name(1)}.json") == {"call_control_id": "v3:one", "from": "+49301234"}


def test_it_is_asked_when_the_file_is_begun_and_whenever_the_sidecar_is_written(tmp_path: Path) -> None:
    known: list[CallAbout | None] = [None]
    asked: list[StreamIdentity] = []

    def about(stream: StreamIdentity) -> CallAbout | None:
        asked.append(stream)
        return known[-1]

    sink = RecordingSink(tmp_path, about=about)
    path = tmp_path / f"{name()}.json"
    sink.event(opened(0))
    assert asked == []
    speak(sink, end_ms=1500)
    assert asked == [identity()] * 2
    assert told(path) is None
    known.append(CallAbout({"from": "late"}))
    speak(sink, begin_ms=1500, end_ms=59_000)
    assert told(path) is None
    speak(sink, begin_ms=59_000, end_ms=62_000)
    assert told(path) == {"from": "late"}
    known.append(CallAbout({"from": "late", "ended_by": "hangup"}))
    sink.event(closed(0))
    sink.close()
    assert told(path) == {"from": "late", "ended_by": "hangup"}


def test_what_was_known_is_still_told_when_nothing_is_known_any_more(tmp_path: Path) -> None:
    known = [CallAbout({"from": "+49"}), CallAbout({"from": "+49"}), None]
    sink = RecordingSink(tmp_path, about=lambda stream: known.pop(0))
    sink.event(opened(0))
    speak(sink)
    sink.close()
    assert known == []
    assert told(tmp_path / f"{name()}.json") == {"from": "+49"}


@pytest.mark.parametrize("container", [Container.WAV, Container.FLAC])
def test_a_subfolder_is_made_and_takes_all_that_belongs_to_the_recording(tmp_path: Path, container: Container) -> None:
    sink = RecordingSink(
        tmp_path,
        container=container,
        max_part_bytes=80_000 if container is Container.WAV else 1 << 20,
        about=lambda stream: CallAbout({}, "quarantine/today"),
    )
    sink.event(opened(0))
    speak(sink, end_ms=4000)
    sink.event(closed(0, length=32_000))
    sink.close()
    folder = tmp_path / "quarantine" / "today"
    audio = [f"{name()}{container.suffix}", *([f"{name()}-part2.wav"] if container is Container.WAV else [])]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*audio, f"{name()}.json"])
    assert json.loads((folder / f"{name()}.json").read_text())["files"] == audio
    assert sink.recordings[0].path == folder / audio[0]
    assert [path.name for path in tmp_path.iterdir()] == ["quarantine"]


def test_where_a_recording_lies_is_fixed_when_its_file_is_begun(tmp_path: Path) -> None:
    folders = ["a", "b", "c"]
    sink = RecordingSink(tmp_path, about=lambda stream: CallAbout({}, folders.pop(0)))
    sink.event(opened(0))
    speak(sink)
    sink.close()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [f"{name()}.json", f"{name()}.wav"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_same_call_in_another_folder_keeps_its_name_and_in_the_same_one_is_numbered(tmp_path: Path) -> None:
    folders = ["", "", "kept", "kept", "kept", "kept"]  # twice each: the file, its only sidecar
    sink = RecordingSink(tmp_path, about=lambda stream: CallAbout({}, folders.pop(0)))
    for _ in range(3):
        sink.event(opened(0))
        sink.event(closed(0))
    sink.close()
    made = [recording.path.relative_to(tmp_path).as_posix() for recording in sink.recordings]
    assert made == [f"{name()}.wav", f"kept/{name()}.wav", f"kept/{name()}-2.wav"]


def test_a_folder_that_cannot_be_made_costs_this_recording_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    sink = RecordingSink(tmp_path, about=lambda stream: CallAbout({}, "taken" if stream == identity(1) else ""))
    for slot, call in enumerate((1, 2)):
        sink.event(opened(slot, call=call))
        speak(sink, call, slot)
    sink.close()
    assert sink.failures[0].call == name(1)
    assert "taken" in sink.failures[0].reason
    assert [recording.path.name for recording in sink.recordings] == [f"{name(2)}.wav"]
    assert (tmp_path / "taken").read_text() == "a file"


def test_the_fault_of_whoever_is_asked_costs_no_recording(tmp_path: Path) -> None:
    def about(stream: StreamIdentity) -> CallAbout:
        raise KeyError("no such call")

    sink = RecordingSink(tmp_path, about=about)
    sink.event(opened(0))
    speak(sink)
    sink.close()
    assert told(tmp_path / f"{name()}.json") is None
    assert len(sink.recordings) == 1
    assert "no such call" in sink.failures[0].reason


def test_each_direction_is_asked_about_where_each_has_a_file(tmp_path: Path) -> None:
    sink = RecordingSink(
        tmp_path, layout=Layout.MONO, about=lambda stream: CallAbout({"direction": stream.direction.name})
    )
    for direction in Direction:
        sink.event(opened(int(direction), direction))
        speak(sink, slot=int(direction))
    sink.close()
    assert told(tmp_path / f"{name()}-in.json") == {"direction": "INBOUND"}
    assert told(tmp_path / f"{name()}-out.json") == {"direction": "OUTBOUND"}


def test_plain_rtp_is_asked_about_by_its_conversation(tmp_path: Path) -> None:
    stream = StreamIdentity(None, Leg.A, Direction.INBOUND, "rx-5000+tx-5001")
    sink = RecordingSink(tmp_path, about=lambda found: CallAbout({"is_it": found == stream}))
    sink.event(StreamOpened(T0, 0, stream, 7, "", ""))
    sink.close()
    assert told(next(tmp_path.glob("*.json"))) == {"is_it": True}


@pytest.mark.parametrize(
    "subfolder",
    [
        "..", "../x", "a/../../x", "/etc", "a//b", "a/", ".", "./a", ".hidden", "a/.hidden", "a\\..\\b", "C:", "a\0b",
        "a\nb", "x" * 61,
    ],
)  # fmt: skip
def test_a_subfolder_cannot_lead_out_of_the_directory(subfolder: str) -> None:
    with pytest.raises(ConfigError, match="subfolder must be"):
        CallAbout({}, subfolder)


@pytest.mark.parametrize("subfolder", ["", "quarantine", "2024/05/01", "Bücher und mehr", "a..b", "x" * 60])
def test_a_subfolder_may_be_any_plain_names(subfolder: str) -> None:
    assert CallAbout({}, subfolder).subfolder == subfolder


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, float("nan"), (1, float("inf"))])
def test_what_json_has_no_word_for_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="JSON"):
        CallAbout({"value": value})
