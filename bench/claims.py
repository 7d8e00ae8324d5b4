"""Say what was promised, what was found, and whether that was kept: the lines of the benches that are about bounds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rich.table import Table


class Claim(NamedTuple):
    """One line: what it is of, the figure that was found, the bound that is promised, and whether it was kept."""

    what: str
    found: str
    bound: str
    is_kept: bool


def table_of(title: str, claims: Iterable[Claim]) -> Table:
    """Show claims."""
    table = Table("what", "found", "bound", "kept", title=title, title_justify="left")
    for claim in claims:
        table.add_row(claim.what, claim.found, claim.bound, "yes" if claim.is_kept else "NO")
    return table
