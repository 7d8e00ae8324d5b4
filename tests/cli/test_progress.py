import contextlib
import io

import pytest

from strep.cli.progress import Bar


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def terminal(monkeypatch):
    """Give a context in which stderr is a terminal; what is shown there can be read from it."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return contextlib.redirect_stderr(Terminal())


def test_what_is_over_within_a_moment_shows_no_bar(terminal, clock):
    with terminal as shown, Bar(patience_s=0.5, clock_s=clock) as bar:
        clock.now_s = 0.4
        bar.indexed(1, 1)
    assert shown.getvalue() == ""


def test_what_takes_longer_shows_how_far_it_is(terminal, clock):
    with terminal as shown, Bar(patience_s=0.5, clock_s=clock) as bar:
        clock.now_s = 0.6
        bar.indexed(25, 100)
        assert "indexing" in shown.getvalue()
        assert " 25%" in shown.getvalue()
        clock.now_s = 1.0
        bar.fed(3, 4)
        assert "reading" in shown.getvalue()
        assert " 75%" in shown.getvalue()


def test_calls_in_quick_succession_cost_nothing(terminal, clock):
    with terminal as shown, Bar(patience_s=0, clock_s=clock) as bar:
        bar.fed(1, 100)
        before = shown.getvalue()
        assert before
        clock.now_s = 0.05
        bar.fed(50, 100)
        assert shown.getvalue() == before


def test_nothing_is_shown_where_there_is_no_terminal(capsys, clock):
    with Bar(patience_s=0, clock_s=clock) as bar:
        bar.fed(1, 100)
        clock.now_s = 10.0
        bar.fed(50, 100)
    assert capsys.readouterr() == ("", "")
