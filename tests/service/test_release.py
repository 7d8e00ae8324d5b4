import json

import pytest

from strep.service.release import release
from strep.sinks.recordings import Recording


def recording(folder, name="leg-A", parts=1):
    folder.mkdir(exist_ok=True)
    names = [f"{name}.wav", *(f"{name}-part{n}.wav" for n in range(2, parts + 1))]
    for part in names:
        (folder / part).write_text(f"audio of {part}")
    sidecar = folder / f"{name}.json"
    sidecar.write_text(json.dumps({"files": names, "complete": True}))
    files = tuple(folder / part for part in names)
    return Recording(files[0], sidecar, (), 0, 1.0, 8000, 2, files, ())


@pytest.fixture
def quarantine(tmp_path):
    return tmp_path / "quarantine"


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_audio_and_sidecar_come_to_their_place(tmp_path, quarantine):
    moved = release(recording(quarantine), tmp_path)
    assert names(tmp_path) == ["leg-A.json", "leg-A.wav"]
    assert names(quarantine) == []
    assert (moved.path, moved.sidecar_path) == (tmp_path / "leg-A.wav", tmp_path / "leg-A.json")


def test_nothing_is_overwritten(tmp_path, quarantine):
    recording(tmp_path)
    recording(tmp_path, "leg-A-2")
    moved = release(recording(quarantine, parts=2), tmp_path)
    assert moved.path == tmp_path / "leg-A-3.wav"
    assert [part.name for part in moved.parts] == ["leg-A-3.wav", "leg-A-3-part2.wav"]
    assert json.loads(moved.sidecar_path.read_text())["files"] == ["leg-A-3.wav", "leg-A-3-part2.wav"]
    assert (tmp_path / "leg-A.wav").read_text() == "audio of leg-A.wav"
    assert moved.parts[1].read_text() == "audio of leg-A-part2.wav"


def test_a_name_that_is_half_taken_is_taken(tmp_path, quarantine):
    quarantined = recording(quarantine, parts=2)
    (tmp_path / "leg-A-part2.wav").write_text("another")
    moved = release(quarantined, tmp_path)
    assert moved.path == tmp_path / "leg-A-2.wav"
    assert names(tmp_path) == ["leg-A-2-part2.wav", "leg-A-2.json", "leg-A-2.wav", "leg-A-part2.wav"]


def test_what_the_system_refuses_stays_where_it_is(tmp_path, quarantine, caplog):
    quarantined = recording(quarantine)
    assert release(quarantined, tmp_path / "none") == quarantined
    assert names(quarantine) == ["leg-A.json", "leg-A.wav"]
    assert "stays where it is" in caplog.text


def test_a_sidecar_that_cannot_be_read_leaves_all_as_it_was(tmp_path, quarantine, caplog):
    quarantined = recording(quarantine)
    quarantined.sidecar_path.write_text("{")
    assert release(quarantined, tmp_path) == quarantined
    assert names(quarantine) == ["leg-A.json", "leg-A.wav"]
    assert names(tmp_path) == []
