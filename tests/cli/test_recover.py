import json

from strep.sinks.recordings import Container, RecordingSink
from tests.sinks.left_behind import left_behind, record, tree
from tests.sinks.recordings.calls import name


def test_what_a_killed_recorder_left_is_finished_and_listed(strep, tmp_path):
    left = left_behind(tmp_path, calls=2, container=Container.FLAC)
    (left / "music.wav").write_bytes(b"RIFF")
    outcome = strep("recover", "left")
    assert outcome.exit_code == 0
    *_, summary = outcome.stdout.splitlines()
    assert summary == "2 recordings recovered, 2 converted, 1 leftover file removed; 1 left alone"
    assert "no sidecar, and not named after a leg of a call" in outcome.stdout
    assert len(list(left.glob("*.flac"))) == 2
    (left / "music.wav").unlink()
    assert strep("recover", "left").stdout == "nothing to do\n"


def test_a_check_changes_nothing(strep, tmp_path):
    left = left_behind(tmp_path)
    before = tree(left)
    outcome = strep("recover", "left", "--check")
    assert outcome.stdout.endswith("would be: 1 recording recovered, 0 converted, 1 leftover file removed\n")
    assert tree(left) == before


def test_one_json_document_says_it_all(strep, tmp_path):
    left = left_behind(tmp_path)
    live = RecordingSink(left)
    record(live, 2)
    document = strep("recover", "left", "--json").json
    counts = {"recovered": 1, "converted": 0, "removed": 1, "under_way": 1, "left_alone": 0, "failed": 0}
    assert document["counts"] == counts
    assert document["findings"][0] == {"path": f"left/{name(1)}.json", "outcome": "recovered", "reason": None}
    live.close()


def test_what_the_system_refuses_ends_with_an_error(strep, tmp_path, monkeypatch):
    left_behind(tmp_path)

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("strep.sinks.recovery.write_sidecar", refuse)
    outcome = strep("recover", "left")
    assert outcome.exit_code == 1
    assert outcome.error == "1 file could not be finished; run it again when the system allows it"
    assert "No space left on device" in outcome.stdout


def test_a_folder_that_is_not_there_is_one_line(strep):
    outcome = strep("recover", "calls")
    assert (outcome.exit_code, outcome.error) == (1, "cannot look into calls: No such file or directory")


def test_the_help_page_has_examples(strep):
    assert "strep recover calls --check" in strep("recover", "--help").stdout


def test_a_recorder_recovers_before_it_records(strep, tmp_path):
    left = left_behind(tmp_path)
    options = ("record", "--target", "udp:127.0.0.1:0", "--out", "left", "--duration", "0")
    assert strep(*options).exit_code == 0
    assert not json.loads((left / f"{name()}.json").read_text())["complete"]
    outcome = strep(*options, "--recover")
    assert outcome.exit_code == 0
    assert "left: 1 recording recovered, 0 converted, 1 leftover file removed" in outcome.stderr
    assert json.loads((left / f"{name()}.json").read_text())["complete"]
    assert "recovered" not in strep(*options, "--recover").stderr
    assert strep("record", "--target", "udp:127.0.0.1:0", "--out", "new", "--duration", "0", "--recover").exit_code == 0
    assert not (tmp_path / "new").exists(), "nothing was recorded into it"
