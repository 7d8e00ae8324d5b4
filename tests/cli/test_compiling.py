import threading

import pytest

from strep.cli.compiling import compile_ahead
from strep.stream import compiled


@pytest.fixture
def available(monkeypatch):
    def make(is_available):
        monkeypatch.setattr(compiled, "is_available", lambda: is_available)

    return make


def test_who_waits_for_the_compiler_is_told_what_for(available):
    available(True)
    said, told = [], threading.Event()

    def tell(line):
        said.append(line)
        told.set()

    compile_ahead(tell, patience_s=0, load=lambda: told.wait(10))
    assert said == ["compiling what is done with every packet: some seconds, and only once"]


@pytest.mark.parametrize("is_available", [True, False])
def test_nothing_is_said_when_it_is_there_at_once_or_not_installed(available, is_available):
    available(is_available)
    loaded, before = [], threading.active_count()
    compile_ahead(pytest.fail, patience_s=60, load=lambda: loaded.append(1))
    assert loaded == [1] * is_available
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(10)
    assert threading.active_count() <= before


def test_a_compiler_that_fails_leaves_no_notice_behind(available):
    available(True)

    def load():
        raise ImportError("no compiler")

    with pytest.raises(ImportError):
        compile_ahead(pytest.fail, patience_s=60, load=load)
