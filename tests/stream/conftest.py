"""All tests here hold for both paths."""

from tests.paths import path  # noqa: F401 - an autouse fixture
