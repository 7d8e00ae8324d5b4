"""These tests say themselves which path they are about."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def path() -> None:
    """Leave the paths as they are."""
