"""The analysers' bench runs the parts that were asked for, and shows all that they have."""

import argparse
import importlib
import io
import sys

import pytest
from rich.table import Table

from bench import BenchError, analysis, analysis_framing
from tests.bench.test_analysis_frames import cells, shown


class Part:
    @staticmethod
    def measure():
        return {"found": 7}

    @staticmethod
    def tables(report):
        return [Table("what", title=f"first of {report['found']}"), Table("what", title="second")]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def parts(monkeypatch):
    asked = []
    monkeypatch.setattr(importlib, "import_module", lambda name: asked.append(name) or Part)
    return asked


def run(*words):
    parser = argparse.ArgumentParser()
    analysis.add_arguments(parser)
    return analysis.run(parser.parse_args(words))


def test_every_part_can_be_measured_and_shown():
    for name in analysis.PARTS:
        part = importlib.import_module(f"bench.analysis_{name}")
        assert callable(part.measure)
        assert callable(part.tables)


def test_all_parts_are_measured_unless_some_are_named(parts):
    assert list(run().report) == list(analysis.PARTS)
    parts.clear()
    outcome = run("--parts", "voice,level")
    assert parts == ["bench.analysis_voice", "bench.analysis_level"]
    assert outcome.report == {"voice": {"found": 7}, "level": {"found": 7}}
    assert [table.title for table in outcome.tables] == ["first of 7", "second"] * 2


def test_a_part_that_there_is_not_is_refused_before_anything_is_measured(parts):
    with pytest.raises(BenchError, match="found hearing"):
        run("--parts", "voice,hearing")
    assert not parts


def test_who_waits_at_a_terminal_is_told_what_is_measured(parts, monkeypatch):
    terminal, file = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    run("--parts", "voice,level")
    assert terminal.getvalue().splitlines() == ["voice (1 of 2)", "level (2 of 2)"]
    monkeypatch.setattr(sys, "stderr", file)
    run("--parts", "voice,level")
    assert not file.getvalue()


@pytest.mark.thorough
def test_what_it_costs_to_hand_over_audio_has_a_row_for_each_way():
    report = analysis_framing.measure(streams=20, ticks=3)
    assert len(report) == 6
    assert min(report.values()) > 0
    assert cells(shown(*analysis_framing.tables(report | {"100 ms hops": 1234.4})), "100 ms") == [
        "100 ms hops",
        "1,234",
    ]
