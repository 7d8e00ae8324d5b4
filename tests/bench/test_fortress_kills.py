import sys

import numpy as np
import pytest

from bench.fortress_kills import kill_once, last_sound, rows


def report(**changes):
    found = {"kills": 100, "calls": 20, "files": 1900, "faults": [], "lacking_s": 1.0, "incomplete": 0}
    return found | changes


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, [True, True, True]),
        ({"files": 0}, [False, True, True]),
        ({"faults": ["one"]}, [False, True, True]),
        ({"lacking_s": 1.01}, [True, False, True]),
        ({"incomplete": 1}, [True, True, False]),
        ({"incomplete": None}, [True, True, False]),
    ],
)
def test_each_claim_is_held_against_its_bound(changes, kept):
    assert [claim.is_kept for claim in rows(report(**changes))] == kept


def test_the_last_sound_of_a_file_is_found_in_what_was_sent():
    sent = np.random.default_rng(1).integers(1, 1000, 8000).astype(np.int16)
    padding = np.zeros(50, np.int16)
    assert last_sound(np.concatenate((padding, sent[:5000], padding)), sent) == 5000
    assert last_sound(padding, sent) == 0
    assert last_sound(sent[:5000] + np.int16(1), sent) is None


@pytest.mark.bench
@pytest.mark.skipif(sys.platform != "linux", reason="the generator is Linux's")
def test_a_killed_recorder_leaves_files_that_open(tmp_path):
    found = kill_once(tmp_path / "calls", 2, 2.0, 1)
    assert (found.files, found.faults) == (2, [])
    assert 0 < found.lacking_s < 2
