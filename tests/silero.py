"""Mark tests that need Silero's model: they skip where it is missing, and fail there when peers are required (CI)."""

import os

import pytest

from strep.errors import ConfigError
from strep.plugins.silero_model import find_model


def _missing() -> str:
    try:
        find_model()
    except ConfigError as error:
        return str(error)
    return ""


needs_silero = pytest.mark.skipif(
    bool(_missing()) and os.environ.get("STREP_REQUIRE_PEERS") != "1", reason=_missing() or "it is here"
)
