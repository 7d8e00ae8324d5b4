"""No rules of tests stay among those of strep, or what was compiled of these would not be found any more."""

import pytest

from strep import compiler
from strep.stream.choice import begin_to_compile


@pytest.fixture(autouse=True)
def rules(monkeypatch):
    """Let rules of the test be rules until it ends."""
    begin_to_compile().wait()
    monkeypatch.setattr(compiler, "_rules", [*compiler._rules])
    compiler._twins.cache_clear()
    yield
    compiler._twins.cache_clear()
