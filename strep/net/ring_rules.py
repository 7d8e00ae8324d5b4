"""Give the rule that walks through a packet ring: compiled, or as it stands while it is being compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from strep.compiler import compiled_twin, is_available, kept_twin
from strep.compiler.background import Background
from strep.net.ring_walk import STATE, Ring, walk
from strep.stream.records import records

_compiled: list[RingRules] = []


class RingRules(NamedTuple):
    """The rule, and how a Ring is handed to it."""

    walk: Callable[[Any, int, int], int]
    pack: Callable[[Ring], Any]


def rules_now() -> RingRules:
    """Give it compiled, or as it stands; where nothing was kept, begin to compile."""
    if _compiled:
        return _compiled[0]
    _begin()
    return _compiled[0] if _compiled else PLAIN


def kept_rules() -> RingRules | None:
    """Give what was compiled before, None where nothing was."""
    if not _compiled and is_available():
        _keep(kept_twin)
    return _compiled[0] if _compiled else None


def compiled_rules() -> RingRules:
    """Give it compiled, which takes some seconds where nothing was kept."""
    if not _compiled:
        _keep(compiled_twin)
    return _compiled[0]


def _keep(twin_of: Callable[..., Any]) -> None:
    from strep.compiler.arrays import Arrays

    twin = twin_of(walk, Arrays(_example()), 0, 0)
    if twin is not None:
        _compiled.append(RingRules(twin, Arrays))


def _example() -> Ring:
    numbers, bytes_ = np.zeros(1, np.int64), np.zeros(4, np.uint8)
    names, rare = np.zeros((1, 1), np.uint64), np.zeros((1, 2), np.int64)
    return Ring(bytes_, bytes_.view(np.uint32), records(1, STATE), numbers, numbers, numbers, names, rare)


@functools.cache
def _begin() -> Background | None:
    """Load it now, which takes a moment; or let it be compiled. Once a process."""
    return Background(kept_rules, "strep.net") if kept_rules() is None else None


PLAIN = RingRules(walk, lambda ring: ring)
