"""Read any text as strep.toml: a configuration, or ConfigError that says what is wrong."""

from __future__ import annotations

from strep.errors import ConfigError
from strep.service.config import ServiceConfig, read_config
from strep.service.example import EXAMPLE


def run(data: bytes) -> None:
    """Read a configuration."""
    text = data.decode("utf-8", "replace")
    try:
        config = read_config(text, "strep.toml")
    except ConfigError as error:
        assert all(line.startswith("strep.toml: ") for line in str(error).splitlines() if line[:1].isalpha()), error
        return
    assert isinstance(config, ServiceConfig)


def seeds() -> list[bytes]:
    """Give the example, the same with all that is commented out, and values that are odd."""
    shown = "\n".join(line.removeprefix("# ") if " = " in line else line for line in EXAMPLE.splitlines())
    odd = ("a = " + "9" * 50, "[limits]\nmax_calls = -1", "[limits]\nmax_calls = inf", "x = nan", "x = 1979-05-27")
    odd += ("[media]\npayload_types = {1 = 2}", "[[rules]]\n[rules]", "a = 'b'\n[a]", "[media]\nports = '1-99999999'")
    return [text.encode() for text in (EXAMPLE, shown, *odd)]
