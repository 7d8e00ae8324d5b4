import pytest

from strep.cli import compiling
from strep.cli.compiling import NOTICE, compile_ahead


def test_what_was_compiled_before_is_loaded_in_silence():
    compile_ahead(pytest.fail)


def test_where_nothing_was_it_is_told_that_it_is_compiled_beside_the_work(monkeypatch):
    said, begun = [], []
    monkeypatch.setattr(compiling, "kept_rules", lambda: None)
    monkeypatch.setattr(compiling, "begin_to_compile", lambda: begun.append("compiling"))
    compile_ahead(said.append)
    assert (said, begun) == ([NOTICE], ["compiling"])
