"""The names of `strep` itself are there, and importing it imports none of what they need."""

import subprocess
import sys

import pytest

import strep


def test_every_name_that_is_announced_is_there():
    assert sorted(strep._MODULES) == sorted(strep.__all__)
    assert {name for name in strep.__all__ if getattr(strep, name).__name__ != name} == set()
    assert set(strep.__all__) <= set(dir(strep))


def test_another_name_is_an_error():
    with pytest.raises(AttributeError, match="module 'strep' has no attribute 'Reciever'"):
        strep.Reciever  # noqa: B018


def test_importing_strep_imports_nothing_that_takes_time():
    code = "import sys, strep; print(*sorted({'numpy', 'av', 'numba', 'pydantic', 'asyncio'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
