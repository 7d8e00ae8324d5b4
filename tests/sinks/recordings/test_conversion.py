import json
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from strep.sinks import converting
from strep.sinks.recordings import Container, RecordingSink
from strep.sinks.recordings.retries import FIRST_DELAY_NS
from tests.sinks.recordings.calls import SECOND, T0, block, closed, load, name, opened, tone


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def record(sink: RecordingSink, call: int = 1, seconds: int = 3) -> np.ndarray:
    left, right = tone(seconds * 8000, call), tone(seconds * 8000, 100 + call)
    for slot, direction in ((2 * call, 0), (2 * call + 1, 1)):
        sink.event(opened(slot, direction, call=call))
    for position in range(0, seconds * 8000, 160):
        rows = [
            (2 * call, position, left[position : position + 160]),
            (2 * call + 1, position, right[position : position + 160]),
        ]
        sink.block(block(rows, at_ns=position * 125_000))
        sink.flush(T0 + position * 125_000)
    return np.stack([left, right], axis=1)


def close(sink: RecordingSink, call: int = 1, seconds: int = 3) -> None:
    for slot, direction in ((2 * call, 0), (2 * call + 1, 1)):
        sink.event(closed(slot, direction, call=call, length=seconds * 8000, at_ns=seconds * SECOND))


def test_a_call_is_wav_while_it_lasts_and_flac_afterwards(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path, container=Container.FLAC)
    frames = record(sink)
    with wave.open(str(tmp_path / f"{name()}.wav")) as file:
        assert file.getnframes() > 16_000
    close(sink)
    sink.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name()}.flac", f"{name()}.json"]
    assert np.array_equal(load(tmp_path / f"{name()}.flac")[0], frames)
    document = json.loads((tmp_path / f"{name()}.json").read_text())
    assert (document["files"], document["container"], document["encoding"]) == ([f"{name()}.flac"], "flac", "pcm16")
    assert document["complete"]
    recording = sink.recordings[0]
    assert recording.path == tmp_path / f"{name()}.flac"
    assert recording.parts == (recording.path,)


def test_parts_become_one_file(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path, container=Container.FLAC, max_part_bytes=30_000)
    frames = record(sink)
    close(sink)
    sink.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name()}.flac", f"{name()}.json"]
    assert np.array_equal(load(tmp_path / f"{name()}.flac")[0], frames)


def test_an_opus_recording_is_as_long_as_the_call(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path, container=Container.OGG_OPUS)
    record(sink)
    close(sink)
    sink.close()
    info = soundfile.info(str(tmp_path / f"{name()}.opus"))
    assert (info.frames, info.samplerate, info.subtype) == (24_000, 8000, "OPUS")
    assert json.loads((tmp_path / f"{name()}.json").read_text())["encoding"] == "opus"


def test_a_conversion_that_fails_leaves_the_wav_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("strep.sinks.converting.convert", refuse)
    sink = RecordingSink(tmp_path, container=Container.FLAC)
    frames = record(sink)
    close(sink)
    sink.close()
    assert np.array_equal(load(tmp_path / f"{name()}.wav")[0], frames)
    assert json.loads((tmp_path / f"{name()}.json").read_text())["files"] == [f"{name()}.wav"]
    assert sink.recordings[0].path == tmp_path / f"{name()}.wav"
    assert [(failure.call, failure.reason) for failure in sink.failures] == [
        (name(), "[Errno 28] No space left on device")
    ]


def test_when_too_many_conversions_wait_a_recording_stays_wav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strep.sinks.recordings.conversion.MOST_PENDING", 0)
    sink = RecordingSink(tmp_path, container=Container.FLAC)
    frames = record(sink)
    close(sink)
    assert np.array_equal(load(tmp_path / f"{name()}.wav")[0], frames)
    assert sink.recording_count == sink.failure_count == 1
    sink.close()


def test_several_calls_are_converted_in_the_order_they_ended(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path, container=Container.FLAC)
    spoken = {call: record(sink, call) for call in (1, 2, 3)}
    for call in (2, 3, 1):
        close(sink, call)
    sink.flush(T0 + 10 * SECOND)
    sink.close()
    assert [recording.path.stem for recording in sink.recordings] == [name(2), name(3), name(1)]
    for call, frames in spoken.items():
        assert np.array_equal(load(tmp_path / f"{name(call)}.flac")[0], frames)


def test_a_conversion_that_fails_is_tried_again_and_told_of_when_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = RecordingSink(tmp_path, container=Container.FLAC)
    frames = record(sink)
    with monkeypatch.context() as patch:
        patch.setattr(converting, "write_sidecar", refuse)
        close(sink)
        wait_for_conversions(sink)
        sink.flush(T0 + 4 * SECOND)
    assert sink.failure_count == 1
    assert sink.recording_count == 0, "its sidecar speaks of the WAV file, so it is one"
    assert visible(tmp_path) == [f"{name()}.flac", f"{name()}.json", f"{name()}.wav"]
    assert json.loads((tmp_path / f"{name()}.json").read_text())["files"] == [f"{name()}.wav"]
    monkeypatch.setattr(converting, "convert", refuse)  # that is done, and not done again
    sink.flush(T0 + 4 * SECOND + FIRST_DELAY_NS)
    wait_for_conversions(sink)
    sink.flush(T0 + 6 * SECOND)
    assert [recording.path.name for recording in sink.recordings] == [f"{name()}.flac"]
    assert np.array_equal(load(tmp_path / f"{name()}.flac")[0], frames)
    assert visible(tmp_path) == [f"{name()}.flac", f"{name()}.json"]
    assert json.loads((tmp_path / f"{name()}.json").read_text())["files"] == [f"{name()}.flac"]
    sink.close()


def test_what_was_deleted_before_it_could_be_converted_is_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = RecordingSink(tmp_path, container=Container.FLAC)
    record(sink)
    monkeypatch.setattr(converting, "convert", lambda parts, *_, **__: parts[0].unlink() or refuse())
    close(sink)
    sink.close()
    assert sink.recording_count == 0
    assert "deleted or moved before it could be converted" in sink.failures[-1].reason


def refuse(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def wait_for_conversions(sink: RecordingSink) -> None:
    converter = sink._finishing._converter
    assert converter is not None
    for future in converter._pending:
        future.exception()
