"""What was compiled before is loaded; else a child compiles it, and keeps it where it can be loaded from."""

import fcntl
import importlib
import os
import select
import subprocess
import sys

import pytest

from strep.compiler import CompilerWarning, background, kept_twin, warn_that_nothing_is_kept
from strep.compiler.background import Background, wait_for_turn
from tests.receiving import BOUND_S

RULE = """
from strep.compiler import rule

@rule
def double(value):
    return value + value
"""
CHILD = """
from strep.compiler import compiled_twin
from to_compile import double

compiled_twin(double, 0)
"""


class Loaded:
    """What was loaded of a rule, and in how many tries."""

    def __init__(self, double):
        self.double, self.twin, self.tries = double, None, 0

    def load(self):
        self.tries += 1
        self.twin = kept_twin(self.double, 0)
        return self.twin


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Give what loads a rule that this process and its children import, and keep in a folder of the test."""
    (tmp_path / "to_compile.py").write_text(RULE)
    (tmp_path / "child.py").write_text(CHILD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    keep_in(tmp_path / "kept", monkeypatch)
    yield Loaded(importlib.import_module("to_compile").double)
    del sys.modules["to_compile"]


def keep_in(folder, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(folder))


@pytest.mark.thorough
def test_a_child_compiles_what_was_not_and_the_next_time_it_is_loaded(loaded, monkeypatch):
    Background(loaded.load, "child").wait()
    assert loaded.twin(4) == 8
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **named: pytest.fail("a child was started"))
    loaded.twin, loaded.tries = None, 0
    Background(loaded.load, "child").wait()
    assert (loaded.twin(4), loaded.tries) == (8, 1)


@pytest.mark.thorough
def test_where_nothing_can_be_kept_it_is_until_the_program_ends_and_told(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(background, "kept_in", lambda: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    warn_that_nothing_is_kept.cache_clear()
    with pytest.warns(CompilerWarning, match="cannot be kept.*NUMBA_CACHE_DIR"):
        Background(loaded.load, "child").wait()
    warn_that_nothing_is_kept.cache_clear()
    assert loaded.twin(4) == 8
    assert not (tmp_path / "kept").exists()
    assert not list((tmp_path / "temporary").iterdir())


def test_a_child_that_cannot_compile_leaves_everything_as_it_is(loaded, tmp_path):
    with pytest.warns(CompilerWarning):
        Background(loaded.load, "nowhere_to_be_found").wait()
    warn_that_nothing_is_kept.cache_clear()
    assert loaded.twin is None


STAYS = """
import os
import time

told = open(os.environ["TOLD"], "w")
told.write("here")
told.flush()
time.sleep(600)
"""
PARENT = """
import time

from strep.compiler import background

background.kept_in = lambda: None
background.Background(lambda: None, "stays")
time.sleep(600)
"""


def test_a_child_that_nobody_could_load_from_ends_with_a_parent_that_is_killed(tmp_path, monkeypatch):
    (tmp_path / "stays.py").write_text(STAYS)
    os.mkfifo(tmp_path / "told")
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    command = [sys.executable, "-c", PARENT]
    told = os.open(tmp_path / "told", os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as parent:
        try:
            assert select.select([told], [], [], BOUND_S)[0]
            assert os.read(told, 4) == b"here"
        finally:
            parent.kill()
        assert select.select([told], [], [], BOUND_S)[0]
        assert os.read(told, 4) == b"", "it is gone"
    os.close(told)


def test_of_those_that_want_to_keep_in_one_folder_one_compiles_until_it_ends(tmp_path):
    wait = f"from strep.compiler.background import wait_for_turn\nwait_for_turn({str(tmp_path)!r})\n"
    code = wait + "print('mine', flush=True)\ninput()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) as first:
        assert first.stdout.readline() == "mine\n"
        (lock,) = tmp_path.glob("*compiling.lock")
        with lock.open("w") as other:
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            first.communicate("\n")
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


BROKEN = """
import sys
sys.modules["numba"] = None
from strep.stream.engine import Engine, EngineConfig
from strep.errors import ConfigError
from strep.stream.choice import begin_to_compile
engine = Engine()
begin_to_compile().wait()
print(engine.open_streams)
try:
    Engine(EngineConfig(compiled=True))
except ConfigError as error:
    print(error)
"""


def test_a_numba_that_cannot_be_imported_is_none_and_that_is_told_once():
    done = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, timeout=BOUND_S, check=True)
    assert done.stdout.splitlines() == ["0", "compiled needs a numba that can be imported, found none"]
    assert done.stderr.count("CompilerWarning: numba cannot be imported") == 1


def test_nobody_waits_for_a_lock_that_another_user_has_laid(tmp_path, monkeypatch):
    held = os.open(tmp_path / f"strep-{os.getuid()}-compiling.lock", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX)
    uid = os.getuid()
    monkeypatch.setattr("os.fstat", lambda _: os.stat_result((0o100600, 1, 1, 1, uid + 1, 0, 0, 0, 0, 0)))
    wait_for_turn(str(tmp_path))
    wait_for_turn(None)
    os.close(held)
