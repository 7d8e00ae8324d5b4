import importlib
import sys
import textwrap

import pytest

from strep.cli.compiling import NOTICE, compile_ahead
from strep.stream import compiled

pytest.importorskip("numba", reason="needs numba")

MODULE = """
    from strep.stream.compiled.compiler import Int, compiled

    @compiled
    def add(left: Int, right: Int) -> Int:
        return left + right

    @compiled
    def double(value: Int) -> Int:
        return add(value, value)
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Give what imports a module with something to compile, each time as a new program would."""
    (tmp_path / "to_compile.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.syspath_prepend(tmp_path)

    def load():
        sys.modules.pop("to_compile", None)
        assert importlib.import_module("to_compile").double(4) == 8

    yield load
    sys.modules.pop("to_compile", None)


def test_it_is_told_once_that_something_is_compiled_and_not_when_it_is_loaded_again(load):
    said = []
    compile_ahead(said.append, load)
    assert said == [NOTICE]
    compile_ahead(pytest.fail, load)


def test_nothing_is_told_of_what_is_compiled_later(load):
    compile_ahead(pytest.fail, load=lambda: None)
    load()


def test_where_there_is_no_compiler_nothing_is_loaded(monkeypatch):
    monkeypatch.setattr(compiled, "is_available", lambda: False)
    compile_ahead(pytest.fail, load=lambda: pytest.fail("it was loaded"))


def test_a_compiler_that_fails_is_not_listened_to_any_more(load):
    def fail():
        raise ImportError("no compiler")

    with pytest.raises(ImportError):
        compile_ahead(pytest.fail, load=fail)
    load()
