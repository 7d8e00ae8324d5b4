"""A recording is complete when every sample of both channels is what was sent, at its place."""

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.completeness import check_recordings
from strep.audio.g711 import Law, decode
from tools.traffic import Traffic, call_leg_id, expected_payload

PACKETS = 5
TRAFFIC = Traffic(3, seed=7)


def phases_ms(call: int) -> tuple[int, int]:
    phase_ms = dict(zip(TRAFFIC.stream.tolist(), TRAFFIC.phase_ms.tolist(), strict=True))
    return phase_ms[2 * call], phase_ms[2 * call + 1]


def perfect(call: int, shift_ms: int = 0) -> tuple[NDArray[np.int16], list[int]]:
    """Make int16[frames, 2] as it should be, and where its channels begin; outbound comes `shift_ms` too late."""
    inbound_ms, outbound_ms = phases_ms(call)
    begins = [8 * inbound_ms, 8 * (outbound_ms + shift_ms)]
    begins = [begin - min(begins) for begin in begins]
    frames = np.zeros((max(begins) + 160 * PACKETS, 2), np.int16)
    for direction, begin in enumerate(begins):
        payload = np.frombuffer(expected_payload(call, direction, 0, PACKETS), np.uint8)
        frames[begin : begin + len(payload), direction] = decode(payload, Law.MU)
    return frames, begins


def write(folder: Path, call: int, frames: NDArray[np.int16], begins: list[int], *, complete: bool = True) -> None:
    path = folder / f"{call_leg_id(call, 7)}-A.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(frames.shape[1])
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(frames.astype("<i2").tobytes())
    streams = [
        {"direction": name, "start_s": begin / 8000}
        for name, begin in zip(("inbound", "outbound"), begins, strict=True)
    ]
    path.with_suffix(".json").write_text(json.dumps({"complete": complete, "streams": streams}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for call in range(3):
        write(tmp_path, call, *perfect(call))
    return tmp_path


def test_recordings_of_exactly_what_was_sent_are_complete(folder: Path) -> None:
    findings = check_recordings(folder, TRAFFIC, PACKETS)
    assert (findings.complete, findings.faults, findings.worst_misalignment_ms) == (3, {}, 0.0)


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("frame", [0, 400, -1])
def test_one_wrong_sample_is_found(folder: Path, direction: int, frame: int) -> None:
    frames, begins = perfect(1)
    frames[frame, direction] += 1
    write(folder, 1, frames, begins)
    findings = check_recordings(folder, TRAFFIC, PACKETS)
    assert findings.complete == 2
    assert findings.faults == {
        1: f"expected other samples in channel {direction}: 1, the first at {frame % len(frames)}"
    }


@pytest.mark.parametrize("change", [1, -1])
def test_a_recording_too_long_or_too_short_is_found(folder: Path, change: int) -> None:
    frames, begins = perfect(2)
    write(folder, 2, np.resize(frames, (len(frames) + change, 2)), begins)
    findings = check_recordings(folder, TRAFFIC, PACKETS)
    assert findings.faults == {2: f"expected {len(frames)} frames, found {len(frames) + change}"}


def test_swapped_channels_are_found(folder: Path) -> None:
    frames, begins = perfect(0)
    write(folder, 0, frames[:, ::-1], begins)
    assert set(check_recordings(folder, TRAFFIC, PACKETS).faults) == {0}


def test_directions_a_packet_apart_from_where_they_were_sent_are_found(folder: Path) -> None:
    write(folder, 0, *perfect(0, shift_ms=20))
    findings = check_recordings(folder, TRAFFIC, PACKETS)
    assert (findings.complete, findings.worst_misalignment_ms) == (3, 20.0)
    write(folder, 0, *perfect(0, shift_ms=21))
    findings = check_recordings(folder, TRAFFIC, PACKETS)
    assert findings.complete == 2
    assert "ms apart" in findings.faults[0]


def test_a_file_that_is_missing_or_of_another_kind_is_found(folder: Path) -> None:
    names = [folder / f"{call_leg_id(call, 7)}-A.wav" for call in range(3)]
    names[0].unlink()
    names[1].with_suffix(".json").write_text("{}")
    frames, begins = perfect(2)
    write(folder, 2, frames[:, :1], begins)
    findings = check_recordings(folder, TRAFFIC, PACKETS)
    assert findings.complete == 0
    found = {call: fault.partition(", found ")[2] for call, fault in findings.faults.items()}
    assert found[0].startswith("FileNotFoundError")
    assert found[1].startswith("KeyError")
    assert found[2].startswith("ValueError: expected 2 channels")


def test_a_recording_that_was_never_finished_is_found(folder: Path) -> None:
    write(folder, 1, *perfect(1), complete=False)
    assert "finished" in check_recordings(folder, TRAFFIC, PACKETS).faults[1]


def test_samples_before_the_exact_part_are_not_looked_at(folder: Path) -> None:
    frames, begins = perfect(1)
    frames[400] += 1
    write(folder, 1, frames, begins)
    assert check_recordings(folder, TRAFFIC, PACKETS, exact_from_s=401 / 8000).faults == {}
    found = check_recordings(folder, TRAFFIC, PACKETS, exact_from_s=400 / 8000).faults
    assert found == {1: "expected other samples in channel 0: 1, the first at 400"}


@pytest.mark.thorough
def test_several_processes_find_the_same(folder: Path) -> None:
    calls = 101
    findings = check_recordings(folder, Traffic(calls, seed=7), PACKETS, processes=2)
    assert set(findings.faults) == set(range(3, calls)), (
        "there is no file of these, and the others are complete or moved"
    )


def test_recordings_known_of_are_not_too_many(folder: Path) -> None:
    (folder / "another.wav").touch()
    assert check_recordings(folder, TRAFFIC, PACKETS, others=1).faults == {}


def test_a_recording_too_many_is_found(folder: Path) -> None:
    (folder / "another.wav").touch()
    findings = check_recordings(folder, TRAFFIC, PACKETS)
    assert findings.complete == 3
    assert findings.faults == {3: "expected 3 recordings, found 4"}
