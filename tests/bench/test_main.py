"""One program runs every bench, reports in a table or in JSON, and says by its exit code how it went."""

import argparse
import json

import pytest
from rich.table import Table

import bench
from bench import BENCHES, BenchError, Outcome
from bench import __main__ as program
from bench.machine import describe_machine, pin


class Stub:
    """A bench that finds what it is told."""

    def __init__(self, outcome: Outcome | BenchError) -> None:
        self.outcome = outcome

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--size", type=int, default=1)

    def run(self, arguments: argparse.Namespace) -> Outcome:
        if isinstance(self.outcome, BenchError):
            raise self.outcome
        self.outcome.report["size"] = arguments.size
        return self.outcome


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    made = Stub(Outcome({"found": 7}, [Table("what", title="a table")]))
    monkeypatch.setattr(program, "load", lambda name: made)
    return made


def test_every_bench_can_be_loaded_and_has_its_two_functions() -> None:
    for name in BENCHES:
        loaded = program.load(name)
        loaded.add_arguments(argparse.ArgumentParser())
        assert callable(loaded.run)


def test_json_is_one_line_with_the_machine(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["receive", "--json", "--size", "3"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["bench"], report["found"], report["size"]) == ("receive", 7, 3)
    assert report["machine"].keys() == describe_machine().keys()


def test_tables_are_for_people(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["capacity"]) == 0
    assert "a table" in capsys.readouterr().out


def test_a_bench_that_is_not_passed_ends_with_1(stub: Stub) -> None:
    stub.outcome = Outcome({}, passed=False)
    assert program.main(["capacity", "--json"]) == 1


def test_a_bench_that_cannot_run_says_why_and_ends_with_2(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.outcome = BenchError("expected more, found less")
    assert program.main(["capacity"]) == 2
    assert capsys.readouterr().err == "error: expected more, found less\n"


def test_an_unknown_bench_is_refused() -> None:
    with pytest.raises(SystemExit):
        program.main(["nothing"])


def test_a_machine_is_named_by_what_numbers_depend_on() -> None:
    machine = describe_machine()
    assert {"processor", "cores", "system", "python", "numpy", "load_average"} <= machine.keys()
    assert machine["processor"]


def test_a_core_that_does_not_exist_is_refused() -> None:
    pin(None)
    with pytest.raises(BenchError, match="expected a core number 4096"):
        pin(4096)


def test_the_package_says_what_its_benches_are_for() -> None:
    assert all(question.endswith("?") for question in bench.BENCHES.values())
