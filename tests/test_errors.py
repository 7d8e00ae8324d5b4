"""The tree of errors is drawn where a caller looks for it."""

import ast
from pathlib import Path

from strep import errors

ROOT = Path(errors.__file__).parent


def subclasses(of: str) -> set[str]:
    """Name the classes that are made directly from one of a name, wherever in strep."""
    trees = (ast.parse(path.read_text()) for path in ROOT.rglob("*.py"))
    classes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {made.name for made in classes if any(isinstance(base, ast.Name) and base.id == of for base in made.bases)}


def test_every_branch_of_the_tree_is_drawn() -> None:
    drawn = {line.split("\N{BOX DRAWINGS LIGHT HORIZONTAL} ")[1].split()[0] for line in drawing()}
    assert drawn == subclasses("StrepError")


def drawing() -> list[str]:
    assert errors.__doc__ is not None
    return [line for line in errors.__doc__.splitlines() if "\N{BOX DRAWINGS LIGHT HORIZONTAL} " in line]
