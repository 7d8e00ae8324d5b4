"""A rule does compiled what it does as it stands; what is compiled is kept on disk, and loaded from there."""

import errno
import importlib
import sys
from typing import NamedTuple

import numpy as np
import pytest

from strep import compiler
from strep.compiler import compiled_twin, keeping_in, kept_in, kept_twin, rule, warn_that_nothing_is_kept
from strep.compiler.arrays import Arrays


def add(left, right):
    return left + right


def subtract(left, right):
    return left - right


def quarter(value):
    return halve(halve(value))


def halve(value):
    return value // 2


def test_a_rule_is_the_function_that_it_was():
    assert rule(add) is add
    assert rule(quarter)(20) == 5


def test_a_rule_may_call_one_that_is_marked_after_it():
    rule(quarter)
    rule(halve)
    assert compiled_twin(quarter, 0)(20) == 5


def test_where_parts_cannot_be_compiled_all_is_compiled_as_numba_does(monkeypatch, tmp_path):
    def fail(self):
        raise AttributeError("another version of numba")

    monkeypatch.setattr("strep.compiler.parts.PartCompiler.define_pipelines", fail)
    compiler._twins.cache_clear()
    rule(quarter)
    rule(halve)
    with keeping_in(str(tmp_path)):  # where nothing is that could be loaded
        assert compiled_twin(quarter, 0)(20) == 5


class Box(NamedTuple):
    """Arrays of all kinds that rules take."""

    numbers: np.ndarray
    table: np.ndarray
    rows: np.recarray


ROW = np.dtype([("count", "i8"), ("half", "f8"), ("marks", "u8", 2)], align=True)


def fill(box, others, factor):
    for n in range(len(box.numbers)):
        box.numbers[n] = factor * others.numbers[n]
        row = box.rows[n]
        row.count, row.half = n, n / 2
        row.marks[1] |= np.uint64(1) << np.uint64(n)
        for k in range(box.table.shape[1]):
            box.table[n, k] += others.table[n, k] + k
    return box.table[1].sum()


def boxes() -> tuple[Box, Box]:
    made = []
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        rows = np.zeros(4, ROW).view(np.recarray)
        made.append(Box(random.integers(0, 99, 4), random.integers(0, 99, (4, 3)).astype(np.int16), rows))
    return made[0], made[1]


def test_tuples_of_arrays_are_read_and_written_where_they_are():
    plain, compiled = boxes(), boxes()
    twin = compiled_twin(rule(fill), *(Arrays(box) for box in boxes()), 0)
    assert twin(*(Arrays(box) for box in compiled), 3) == rule(fill)(*plain, 3)
    for some, others in zip(compiled, plain, strict=True):
        assert [array.tobytes() for array in some] == [array.tobytes() for array in others]
    assert compiled[0].rows.half.tolist() == [0, 0.5, 1, 1.5]


def forget_rules():
    """Be as a process that has just begun."""
    compiler._rules.clear()
    compiler._twins.cache_clear()


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Import a module anew, of a text, as another process would."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # of which Python would take that of a second ago
    names = set()

    def load(name, text):
        path = tmp_path / f"{name}.py"
        if name not in names or path.read_text() != text:
            path.write_text(text)
        names.add(name)
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield load
    for name in names:
        sys.modules.pop(name, None)


INNER = "from strep.compiler import rule\n@rule\ndef inner(value):\n    return value + {}\n"
OUTER = (
    "from strep.compiler import rule\nfrom inner import inner\n@rule\ndef outer(value):\n    return 2 * inner(value)\n"
)


def test_what_calls_a_rule_whose_text_changed_is_compiled_anew(load, tmp_path):
    with keeping_in(str(tmp_path / "kept")):
        for number, expected, is_kept in [(1, 12, False), (1, 12, True), (2, 14, False), (1, 12, True)]:
            forget_rules()
            load("inner", INNER.format(number))
            outer = load("outer", OUTER).outer
            assert (kept_twin(outer, 0) is not None) == is_kept
            assert compiled_twin(outer, 0)(5) == expected
            assert kept_twin(outer, 0)(5) == expected


def test_another_rule_that_nothing_of_it_calls_changes_nothing(load, tmp_path):
    with keeping_in(str(tmp_path / "kept")):
        for others in ("", "@rule\ndef other(value):\n    return -value\n"):
            forget_rules()
            load("inner", INNER.format(1))
            load("beside", "from strep.compiler import rule\n" + others)
            outer = load("outer", OUTER).outer
            assert (kept_twin(outer, 0) is not None) == bool(others)
            compiled_twin(outer, 0)


def test_a_constant_of_another_module_that_changed_has_it_compiled_anew(load, tmp_path):
    with keeping_in(str(tmp_path / "kept")):
        for number in (3, 4):
            forget_rules()
            load("limits", f"MOST = {number}\n")
            load(
                "inner",
                "from strep.compiler import rule\nfrom limits import MOST\n@rule\n"
                "def inner(value):\n    return value * MOST\n",
            )
            outer = load("outer", OUTER).outer
            assert kept_twin(outer, 0) is None
            assert compiled_twin(outer, 0)(5) == 10 * number


def test_what_is_kept_in_a_folder_is_not_in_another(tmp_path):
    rule(add)
    for name in ("one", "other"):
        with keeping_in(str(tmp_path / name)):
            assert kept_twin(add, 0, 0) is None
            compiled_twin(add, 0, 0)
            assert kept_twin(add, 0, 0)(5, 3) == 8
            assert kept_twin(add, 0.5, 0) is None, "for arguments of other types"


def refuse(*args, **kwargs):
    raise PermissionError(errno.EACCES, "Permission denied")


def fill_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_where_there_is_no_folder_to_write_to_nothing_is_kept(monkeypatch, tmp_path):
    with keeping_in(str(tmp_path)):
        assert kept_in()
        monkeypatch.setattr("tempfile.TemporaryFile", refuse)  # by which numba tries each folder
        assert kept_in() is None
        assert kept_twin(rule(add), 0, 0) is None
        with pytest.raises((OSError, RuntimeError)):
            compiled_twin(add, 0, 0)


def test_on_a_full_disk_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr("numba.core.caching.FunctionCache.save_overload", fill_disk)
    with keeping_in(str(tmp_path)):
        with pytest.raises(OSError, match="No space left"):
            compiled_twin(rule(add), 0, 0)
        assert kept_twin(add, 0, 0) is None


def test_of_a_file_that_was_cut_short_nothing_is_loaded(tmp_path):
    rule(add)
    with keeping_in(str(tmp_path)):
        compiled_twin(add, 0, 0)
        (kept,) = tmp_path.rglob("*.nbc")
        kept.write_bytes(kept.read_bytes()[:20])
        assert kept_twin(add, 0, 0) is None


def test_what_cannot_be_compiled_is_an_error_and_nothing_that_cannot_be_kept():
    @rule
    def wrong(left):
        return left.nothing

    with pytest.raises(Exception, match="nothing") as told:
        compiled_twin(wrong, 0)
    assert not isinstance(told.value, OSError | RuntimeError)


def test_it_is_told_once_that_nothing_is_kept():
    warn_that_nothing_is_kept.cache_clear()
    with pytest.warns(match="cannot be kept.*NUMBA_CACHE_DIR") as told:
        warn_that_nothing_is_kept()
        warn_that_nothing_is_kept()
    assert len(told) == 1
    warn_that_nothing_is_kept.cache_clear()
