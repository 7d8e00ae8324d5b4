"""Shape the help pages: what all of them have in common."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class Command(TyperCommand):
    """A command whose flags stand in its help page without a type: they take no value."""

    def get_params(self, ctx: Any) -> Any:
        """Give the parameters."""
        return _without_types_of_flags(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands whose flags stand in its help page without a type."""

    def get_params(self, ctx: Any) -> Any:
        """Give the parameters."""
        return _without_types_of_flags(super().get_params(ctx))


def examples(*commands: str) -> str:
    """Write the end of a help page."""
    return "\n\n".join(("Examples:", *commands))


def _without_types_of_flags(params: Any) -> Any:
    """Take away the `<bool>` that newer versions of typer show beside every flag, --help included."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params
