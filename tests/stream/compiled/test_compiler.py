"""What is compiled is kept on disk, or else compiled in memory; a numba that does not work is no numba."""

import errno
import sys
import warnings
from pathlib import Path

import pytest

from strep.engine import Engine, EngineConfig
from strep.stream.compiled import CompilerWarning, is_available

pytest.importorskip("numba", reason="needs numba")

from strep.stream.compiled import compiler
from strep.stream.compiled.compiler import Int


def add(left: Int, right: Int) -> Int:
    return left + right


def subtract(left: Int, right: Int) -> Int:
    return left - right


@pytest.fixture
def unwarned():
    """Let the warning that comes once a process come in this test, and in others."""
    compiler._warn_that_nothing_is_kept.cache_clear()
    yield
    compiler._warn_that_nothing_is_kept.cache_clear()


def refuse(*args, **kwargs):
    raise PermissionError(errno.EACCES, "Permission denied")


def fill_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def cut_short(*args, **kwargs):
    raise EOFError("Ran out of input")


@pytest.mark.parametrize(
    ("place", "trouble"),
    [
        ("tempfile.TemporaryFile", refuse),  # by which numba tries each folder
        ("numba.core.caching.FunctionCache.save_overload", fill_disk),
        ("numba.core.caching.FunctionCache.load_overload", cut_short),
    ],
    ids=["no folder to write to", "a full disk", "a file cut short"],
)
def test_what_cannot_be_kept_is_compiled_in_memory_and_told_once(place, trouble, unwarned, monkeypatch):
    monkeypatch.setattr(place, trouble)
    with pytest.warns(CompilerWarning, match="cannot be kept.*NUMBA_CACHE_DIR") as told:
        assert compiler.compiled(add)(5, 3) == 8
        assert compiler.compiled(subtract)(5, 3) == 2
    assert len(told) == 1
    with compiler.telling_of_compilation(lambda: pytest.fail("the warning has said it")):
        compiler.compiled(add)


def test_what_cannot_be_compiled_is_not_tried_again(monkeypatch):
    def wrong(left: Int) -> Int:
        return left.nothing  # type: ignore[attr-defined]

    with warnings.catch_warnings(), pytest.raises(Exception, match="nothing"):
        warnings.simplefilter("error", CompilerWarning)
        compiler.compiled(wrong)


@pytest.fixture
def numba_of(tmp_path, monkeypatch):
    """Put a numba of our own before the installed one."""
    real = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "numba"}

    def make(code):
        Path(tmp_path / "numba.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)
        for name in real:
            monkeypatch.delitem(sys.modules, name)
        is_available.cache_clear()

    yield make
    is_available.cache_clear()


@pytest.mark.parametrize("code", ["raise ImportError('numpy is too new')", "raise OSError('libLLVM.so: not found')"])
def test_a_numba_that_cannot_be_imported_is_no_numba_and_told_once(numba_of, code):
    numba_of(code)
    with pytest.warns(CompilerWarning, match=r"cannot be imported \(.*(too new|not found)\)") as told:
        assert not is_available()
        Engine(EngineConfig(max_streams=1))
    assert len(told) == 1


def test_no_numba_is_nothing_to_tell(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    is_available.cache_clear()
    assert not is_available()
    is_available.cache_clear()
