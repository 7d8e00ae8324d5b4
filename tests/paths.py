"""Run all tests of a module by the columns, and again by the compiled path where it is installed."""

from collections.abc import Iterator

import pytest

from strep.stream import compiled

PATHS = [
    False,
    pytest.param(True, marks=pytest.mark.skipif(not compiled.is_available(), reason="needs numba")),
]


@pytest.fixture(autouse=True, scope="module", params=PATHS, ids=["columns", "compiled"])
def path(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let engines that were not told take one of the two paths."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "is_available", lambda: request.param)
        yield
