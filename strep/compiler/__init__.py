"""Compile rules: plain functions over records and arrays, which run as they stand, and much faster when compiled.

1. A rule is marked with `rule`, calls nothing but other rules, and raises nothing. What it is called with are numbers,
   arrays, records (rows of structured arrays) and NamedTuples of those.
2. Python and numba run the very same source: marking a rule changes nothing about it. `compiled_twin` makes, of a rule
   and all that it calls, one that is compiled; records are then rows in memory instead of objects.
3. What was compiled is kept on disk under a name that says by what sources: when one of them changes, all is compiled
   anew. strep.compiler.background does that beside what goes on.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from types import FunctionType
from typing import Any, TypeVar

import numpy as np

from strep.errors import StrepWarning

F = TypeVar("F", bound=Callable[..., object])

_rules: list[FunctionType] = []
#: Without the interpreter's lock, and with numpy's rules for what Python raises (a division by 0).
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
#: Of rules that only rules call: nothing of Python's, which would be a third of the time that compiling takes.
_INNER_OPTIONS: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
#: What was loaded has to stay, or its code goes.
_loaded: list[Any] = []
#: What numba raises where it can neither read nor write what it keeps: it found no folder that can be written to (a
#: RuntimeError), the disk is full, a file was cut short. What it cannot compile is a NumbaError, and none of these.
_NOT_KEPT = (RuntimeError, OSError, EOFError, UnpicklingError)


class CompilerWarning(StrepWarning):
    """A warning that numba cannot be imported, or what it compiles not kept, or that rules stay as they stand."""


@functools.cache
def is_available() -> bool:
    """Tell whether numba can be imported; where it cannot, a CompilerWarning says so, once."""
    try:
        importlib.import_module("numba")
    except Exception as error:  # one that does not fit its numpy or its llvmlite raises whatever it comes across
        warnings.warn(
            f"numba cannot be imported ({error}): nothing is compiled, and some tens of calls can be received",
            CompilerWarning,
            stacklevel=2,
        )
        return False
    return True


def rule(function: F) -> F:
    """Mark a function as a rule."""
    assert isinstance(function, FunctionType)
    _rules.append(function)
    return function


def compiled_twin(function: Callable[..., Any], *examples: object) -> Callable[..., Any]:
    """Compile a rule, or load what was compiled of it before, for arguments like these: numbers, arrays, and Arrays.

    What is called is the machine code itself: it takes others' word for the types. Raises OSError or RuntimeError where
    nothing can be kept.
    """
    try:
        twin, types = _twin_to_keep(function, examples, in_parts=True)
        twin.compile(types)
    except _NOT_KEPT:
        raise
    except Exception:  # strep.compiler.parts knows numba from inside, and another version may be another there
        twin, types = _twin_to_keep(function, examples)
        twin.compile(types)
    compiled: Callable[..., Any] = twin.overloads[types].entry_point
    return compiled


def kept_twin(function: Callable[..., Any], *examples: object) -> Callable[..., Any] | None:
    """Load what was compiled of a rule before; None where nothing was, for this processor and these sources."""
    try:
        twin, types = _twin_to_keep(function, examples)
        kept = twin._cache.load_overload(types, twin.targetctx)
    except _NOT_KEPT:
        return None
    if kept is None:
        return None
    _loaded.append(kept)
    entry_point: Callable[..., Any] = kept.entry_point
    return entry_point


def kept_in() -> str | None:
    """Name a folder where what is compiled is kept; None where it cannot be."""
    from numba import njit

    try:
        kept: Any = njit(cache=True)(lambda: None)
        return str(kept._cache.cache_path)
    except _NOT_KEPT:
        return None


@contextmanager
def keeping_in(folder: str) -> Iterator[None]:
    """Let what is compiled be kept in a folder, and loaded from there."""
    import numba.core.config

    config: Any = numba.core.config
    before, config.CACHE_DIR = config.CACHE_DIR, folder
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _twin_to_keep(
    function: Callable[..., Any], examples: tuple[object, ...], *, in_parts: bool = False
) -> tuple[Any, tuple[Any, ...]]:
    from numba import njit, typeof

    importlib.import_module("numpy.ma")  # numba wants it at its first call: with the first datagrams, for 50 ms
    bare = _twins(len(_rules), in_parts)[id(function)].py_func
    return njit(**_OPTIONS, cache=True)(bare), tuple(typeof(example) for example in examples)


@functools.cache
def _twins(rules: int, in_parts: bool) -> dict[int, Any]:
    """Make a function for numba of each rule, by the identity of the rule; nothing is compiled yet.

    in_parts: whether strep.compiler.parts is to compile them, which takes three quarters of the time.

    Rules call others by the names of their modules, so each twin has a namespace of its own in which these are twins.
    """
    from numba import njit

    options = dict(_INNER_OPTIONS)
    if in_parts:
        options["pipeline_class"] = importlib.import_module("strep.compiler.parts").PartCompiler
    known, twins, namespaces = _rules[:rules], dict[int, Any](), list[dict[str, Any]]()
    sources = {id(function): Path(inspect.getfile(function)).read_bytes() for function in known}
    for function in known:
        names = _names_used(function) | {"__name__": function.__module__}
        name = f"{function.__name__}_{_sources_tag(function, sources)}"
        bare = FunctionType(function.__code__, names, name, function.__defaults__)
        bare.__qualname__ = bare.__name__
        twins[id(function)] = njit(**options)(bare)
        namespaces.append(names)
    for names in namespaces:
        names.update({name: twins.get(id(value), value) for name, value in names.items()})
    return twins


def _names_used(function: FunctionType) -> dict[str, Any]:
    return {name: function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__}


def _sources_tag(function: FunctionType, sources: dict[int, bytes]) -> str:
    """Name what a rule is compiled of: the sources of all rules that it comes to, and the constants that these name.

    Another text has another name; which rules there are besides, imported or not, changes nothing. sources: of the file
    of each rule, by its identity.
    """
    reached, texts, coming = set[int](), set[bytes](), [function]
    while coming:
        one = coming.pop()
        if id(one) not in reached:
            reached.add(id(one))
            texts.add(sources[id(one)])
            for name, value in _names_used(one).items():
                if id(value) in sources:
                    coming.append(value)
                elif isinstance(value, (int, float, np.generic)):
                    texts.add(f"{name} = {value!r}".encode())
    return hashlib.blake2b(b"\n".join(sorted(texts)), digest_size=6).hexdigest()


def warn_that_nothing_is_compiled() -> None:
    """Warn that what goes on as it stands will go on so."""
    warnings.warn(
        "what is done with every packet could not be compiled: some tens of calls can be received "
        "(python -m strep.stream says why)",
        CompilerWarning,
        stacklevel=2,
    )


@functools.cache
def warn_that_nothing_is_kept() -> None:
    """Warn, once."""
    warnings.warn(
        "compiled code cannot be kept, so each start compiles it anew, for half a minute in which some tens of calls "
        "can be received: name a folder that can be written to in NUMBA_CACHE_DIR",
        CompilerWarning,
        stacklevel=2,
    )
