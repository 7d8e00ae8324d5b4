"""Give the rules of the packet path that Python calls: as they stand, or compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from strep.compiler import compiled_twin, is_available, kept_twin
from strep.stream.playout import play_out_all, play_out_due
from strep.stream.receive import find_unknown, receive
from strep.stream.records import UNKNOWN_SOURCE, Datagrams, example_tables, records
from strep.stream.render import Columns, hear_rows, render

F = TypeVar("F", bound=Callable[..., Any])
_compiled: list[Rules] = []


class Rules(NamedTuple):
    """The rules that Python calls; what they take and give is said where they are defined."""

    receive: Callable[..., tuple[int, int]]
    find_unknown: Callable[..., int]
    play_out_due: Callable[..., bool]
    play_out_all: Callable[..., bool]
    render: Callable[..., None]
    hear_rows: Callable[..., None]
    pack: Callable[[Any], Any]  # of NamedTuples of arrays, which the others take


def plain_rules() -> Rules:
    """Give the rules as they stand: 100 times as slow, ready at once, and to be stepped through."""
    return Rules(
        _quietly(receive),
        _quietly(find_unknown),
        _quietly(play_out_due),
        _quietly(play_out_all),
        _quietly(render),
        _quietly(hear_rows),
        lambda arrays: arrays,
    )


def compiled_rules() -> Rules:
    """Give the rules compiled, which may take half a minute where nothing was kept."""
    if not _compiled:
        _compiled.append(_each(compiled_twin))
    return _compiled[0]


def loaded_rules() -> Rules | None:
    """Give what this process has compiled or loaded, None where it has not."""
    return _compiled[0] if _compiled else None


def kept_rules() -> Rules | None:
    """Give what was compiled before, None where nothing was."""
    if not _compiled:
        if not is_available():
            return None
        rules = _each(kept_twin)
        if None in rules:
            return None
        _compiled.append(rules)
    return _compiled[0]


def _each(twin_of: Callable[..., Any]) -> Rules:
    """Make something of each rule, with arguments such as it takes."""
    from strep.compiler.arrays import Arrays

    numbers, samples = np.zeros(0, np.int64), np.zeros((1, 0), np.int16)
    tables, columns = Arrays(example_tables()), Arrays(new_columns(0))
    datagrams = Arrays(Datagrams(np.zeros(0, np.uint8), numbers, numbers, numbers, numbers))
    return Rules(
        twin_of(receive, tables, datagrams, 0, 0, 0),
        twin_of(find_unknown, tables, datagrams, 0, 0, records(0, UNKNOWN_SOURCE)),
        twin_of(play_out_due, tables, 0),
        twin_of(play_out_all, tables, 0),
        twin_of(render, tables, 0, 0, columns, samples[0]),
        twin_of(hear_rows, tables, columns, 0, samples),
        Arrays,
    )


def new_columns(rows: int) -> Columns:
    """Make room for the columns of a block."""
    number, slots, position, arrival_ns = (np.empty(rows, np.int64) for _ in range(4))
    return Columns(number, slots, position, arrival_ns, np.empty(rows, np.uint8))


def _quietly(function: F) -> F:
    """Let 64 bits overflow in silence, as they do where it is compiled: keys are mixed so (strep.stream.index)."""
    quiet: F = np.errstate(over="ignore")(function)
    return quiet
