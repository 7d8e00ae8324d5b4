"""Choose whether an engine's rules run compiled."""

from __future__ import annotations

import functools
from collections.abc import Callable

from strep.compiler.background import Background
from strep.stream import rules as r
from strep.stream.rules import Rules


def rules_by(compiled: bool | None) -> Callable[[], Rules]:
    """Give what gives the rules to go on by, see strep.stream.engine.EngineConfig."""
    if compiled is None:
        return rules_so_far
    rules = r.compiled_rules() if compiled else r.plain_rules()
    return lambda: rules


def rules_so_far() -> Rules:
    """Give the rules compiled, or as they stand while they are being compiled."""
    loaded = r.loaded_rules()
    if loaded is None:
        begin_to_compile()
    return loaded or _plain()


@functools.cache
def begin_to_compile() -> Background:
    """Begin to load the compiled rules, or to compile them: once a process."""
    return Background(r.kept_rules, "strep.stream")


@functools.cache
def _plain() -> Rules:
    return r.plain_rules()
