import json

import numpy as np
import pytest
import soundfile

from strep.service.interrupted_calls import find_interrupted, finish_interrupted

KNOWN = {"call_control_id": "v3:one", "from": "+49", "ended_by": "hangup"}


def recording(folder, name="leg-A", call="v3:one", frames=12_000, **changes):
    folder.mkdir(exist_ok=True)
    soundfile.write(folder / f"{name}.wav", np.ones((frames, 2), np.int16), 8000)
    document = {
        "complete": False,
        "call": {"call_control_id": call},
        "files": [f"{name}.wav"],
        "start": "2024-05-01T12:00:00.000000Z",
        "end": "2024-05-01T12:00:01.000000Z",
        "sample_rate_hz": 8000,
        "length_samples": 8000,
        "duration_s": 1.0,
        "streams": [{"packets": None}],
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document | changes))
    return path


LEGS = {"leg-A": "v3:one", "leg-B": "v3:one"}


def find(folder):
    return find_interrupted([folder, folder / "quarantine"], LEGS)


def test_an_interrupted_recording_is_as_long_as_its_file(tmp_path):
    path = recording(tmp_path)
    audio = path.with_suffix(".wav").read_bytes()
    assert find(tmp_path) == {"v3:one": [path]}
    given = finish_interrupted(path, KNOWN)
    document = json.loads(path.read_text())
    assert given == document
    assert document["call"] == KNOWN
    assert document["interrupted"] is True
    assert document["complete"] is False, "what was counted is not known"
    assert (document["length_samples"], document["duration_s"]) == (12_000, 1.5)
    assert document["end"] == "2024-05-01T12:00:01.500000Z"
    assert document["streams"] == [{"packets": None}]
    assert path.with_suffix(".wav").read_bytes() == audio


def test_it_is_finished_once(tmp_path):
    path = recording(tmp_path)
    finish_interrupted(path, KNOWN)
    assert find(tmp_path) == {}


def test_all_that_was_recorded_of_a_call_is_found(tmp_path):
    paths = [recording(tmp_path, name) for name in ("leg-A", "leg-A-2", "leg-B")]
    quarantined = recording(tmp_path / "quarantine", "leg-B-2")
    assert find(tmp_path) == {"v3:one": [*sorted(paths), quarantined]}


def test_recordings_of_other_calls_and_finished_ones_are_not_found(tmp_path):
    recording(tmp_path, "other", call="v3:one")
    recording(tmp_path, "leg-A", call="v3:two")
    recording(tmp_path, "leg-A-2", complete=True)
    recording(tmp_path, "leg-A-3", call=None)
    assert find(tmp_path) == {}


@pytest.mark.parametrize(
    "changes",
    [{"files": ["none.wav"]}, {"files": 3}, {"start": "then"}, {"sample_rate_hz": 0}, {"sample_rate_hz": None}],
)
def test_a_sidecar_of_no_sense_stays_as_it_was(tmp_path, changes, caplog):
    path = recording(tmp_path, **changes)
    before = path.read_bytes()
    assert not finish_interrupted(path, KNOWN)
    assert path.read_bytes() == before
    assert "stays as it was" in caplog.text


def test_files_that_are_no_sidecars_are_passed_over(tmp_path):
    for name, content in (("leg-A.json", b"{"), ("leg-A-2.json", b"[]"), ("leg-A-3.json", b"\xff")):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "leg-A-4.json").mkdir()
    assert find(tmp_path) == {}
    assert find(tmp_path / "none") == {}


def test_a_file_outside_the_folder_is_not_looked_at(tmp_path):
    recording(tmp_path / "elsewhere", "leg-A", frames=800)
    path = recording(tmp_path / "calls", files=["../elsewhere/leg-A.wav"])
    assert finish_interrupted(path, KNOWN)
    assert json.loads(path.read_text())["length_samples"] == 12_000
