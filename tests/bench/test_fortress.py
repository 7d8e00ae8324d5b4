"""The bench of hostile input runs the parts that were asked for, and is not passed when one bound is not kept."""

import argparse
import importlib

import pytest

from bench import BenchError, fortress
from bench.claims import Claim, table_of


class Part:
    def __init__(self, *, kept):
        self.kept, self.options = kept, []

    def measure(self, **options):
        self.options.append(options)
        return {"found": 7}

    def rows(self, report):
        return [Claim("what", str(report["found"]), "7", True), Claim("other", "8", "7", self.kept)]


def run(*words):
    parser = argparse.ArgumentParser()
    fortress.add_arguments(parser)
    return fortress.run(parser.parse_args(words))


def test_every_part_can_be_measured_with_its_options_and_shown():
    for name in fortress.PARTS:
        part = importlib.import_module(f"bench.fortress_{name}")
        taken = part.measure.__code__.co_varnames
        assert set(fortress._OPTIONS.get(name, ())) <= set(taken)
        assert callable(part.rows)


@pytest.mark.parametrize("kept", [True, False])
def test_one_bound_that_is_not_kept_is_enough(monkeypatch, kept):
    part = Part(kept=kept)
    monkeypatch.setattr(importlib, "import_module", lambda _: part)
    outcome = run("--parts", "floods,soak", "--minutes", "3")
    assert outcome.passed is kept
    assert part.options == [{}, {"minutes": 3.0}]
    assert outcome.report["soak"]["claims"][1] == {"what": "other", "found": "8", "bound": "7", "is_kept": kept}
    assert [table.title for table in outcome.tables] == ["floods", "soak"]


def test_a_part_that_there_is_not_is_refused_before_anything_is_measured(monkeypatch):
    monkeypatch.setattr(importlib, "import_module", lambda _: pytest.fail("measured"))
    with pytest.raises(BenchError, match="found siege"):
        run("--parts", "floods,siege")


def test_a_claim_that_is_not_kept_stands_out():
    table = table_of("part", [Claim("a", "1", "2", True), Claim("b", "3", "2", False)])
    assert list(table.columns[3].cells) == ["yes", "NO"]
