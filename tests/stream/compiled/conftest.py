"""These tests say themselves which path they are about."""

import pytest

from tests import compiling

compiling.wait()  # some of them import it as they are collected


@pytest.fixture(autouse=True, scope="module")
def path() -> None:
    """Leave the paths as they are."""
