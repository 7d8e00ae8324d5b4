"""What the fuzzers' inputs reach holds still: their corpora and seeds, replayed without searching."""

from collections.abc import Iterator

import pytest

from tests.fuzz import CORPUS, TARGETS, inputs_of, load

#: Inputs that one test replays, so that several processes share them.
PORTION = 40


def portions() -> Iterator[tuple[str, int]]:
    for target in TARGETS:
        for start in range(0, len(inputs_of(target)), PORTION):
            marks = [pytest.mark.thorough] if start else []  # CI begins its searches with all of them anyway
            yield pytest.param(target, start, marks=marks)


@pytest.mark.parametrize(("target", "start"), list(portions()))
def test_no_input_of_the_corpora_breaks_a_promise(target: str, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.scenario.COMPILED", True)
    for data in inputs_of(target)[start : start + PORTION]:
        load(target).run(data)


def test_the_corpora_are_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 1 << 20
