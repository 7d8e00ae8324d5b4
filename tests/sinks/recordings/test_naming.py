from pathlib import Path

import pytest

from strep.sinks.descriptors import DescriptorCache
from strep.sinks.recordings import RecordingSink
from strep.sinks.recordings.naming import create_recording, safe_stem
from strep.sinks.wav_file import Encoding, WavFormat
from strep.stream.events import Direction, Leg, StreamIdentity, StreamOpened
from tests.sinks.recordings.calls import T0, closed, name, opened

FORMAT = WavFormat(Encoding.PCM16, 8000, 2)


@pytest.mark.parametrize(
    ("call", "stem"),
    [
        ("127.0.0.1:5004", "127.0.0.1_5004"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a b\0c\n/d", "a_b_c_d"),
        (".hidden", "hidden"),
        ("..", "call"),
        ("", "call"),
        ("Ünï", "_n_"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_conversation_of_any_name_gets_a_safe_file_name(call: str, stem: str) -> None:
    assert safe_stem(call) == stem


@pytest.mark.parametrize("ending", [".wav", ".json", ".flac", ".opus"])
def test_a_name_is_taken_by_anything_that_belongs_to_a_recording(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"x{ending}").write_text("older")
    assert create_recording(tmp_path, "x", FORMAT, DescriptorCache(limit=2)).path.name == "x-2.wav"
    assert (tmp_path / f"x{ending}").read_text() == "older"


def test_names_are_numbered_one_after_the_other(tmp_path: Path) -> None:
    cache = DescriptorCache(limit=2)
    names = [create_recording(tmp_path, "x", FORMAT, cache).path.stem for _ in range(12)]
    assert names == ["x", *(f"x-{number}" for number in range(2, 13))]
    cache.close_all()


def test_a_name_that_another_process_takes_first_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.wav").write_text("theirs")
    monkeypatch.setattr("strep.sinks.recordings.naming._taken", lambda directory, stem: False)
    cache = DescriptorCache(limit=2)
    assert create_recording(tmp_path, "x", FORMAT, cache).path.name == "x-2.wav"
    assert (tmp_path / "x.wav").read_text() == "theirs"
    cache.close_all()


def test_plain_rtp_is_named_after_its_conversation(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    identity = StreamIdentity(None, Leg.A, Direction.INBOUND, "10.0.0.1:5004")
    sink.event(StreamOpened(T0, 0, identity, 7, "", ""))
    sink.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10.0.0.1_5004.json", "10.0.0.1_5004.wav"]


def test_a_call_that_was_recorded_before_gets_a_second_file(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    for _ in range(2):
        sink.event(opened(0))
        sink.event(closed(0))
    sink.close()
    assert [recording.path.name for recording in sink.recordings] == [f"{name()}.wav", f"{name()}-2.wav"]
    assert [recording.sidecar_path.name for recording in sink.recordings] == [f"{name()}.json", f"{name()}-2.json"]
