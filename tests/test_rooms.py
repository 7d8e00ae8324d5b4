"""The house: bytes flow down one way, and only `net` and what lies above the data path touch sockets and clocks."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Each room may import from itself and from the rooms named before it.
ROOMS = [
    "errors",
    "audio.formats",
    "wire",
    "audio.block",
    "audio",
    "stream",
    "engine",
    "sinks",
    "plugins",
    "overload",
    "pipeline",
    "net",
    "listening",
    "analysis",
    "offline",
    "pictures",
    "receiver",
    "workers",
    "control",
    "emulator",
    "monitor",
    "service",
    "cli",
]
DATA_PATH = ("errors", "wire", "audio", "stream", "engine", "plugins")
FORBIDDEN = {"socket", "time", "asyncio", "threading", "select", "datetime", "random", "secrets"}


def modules() -> list[tuple[str, Path]]:
    files = sorted((ROOT / "strep").rglob("*.py"))
    return [(".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), f) for f in files]


def room(module: str) -> int:
    name = module.removeprefix("strep.")
    for index, prefix in enumerate(ROOMS):
        if name == prefix or name.startswith(prefix + "."):
            return index
    return len(ROOMS)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_room_imports_only_from_rooms_above_it(module: str, path: Path) -> None:
    known = {name for name, _ in modules()}
    for imported in imports(path) & known - {"strep", module}:
        assert room(imported) <= room(module), f"{module} imports {imported}"


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_the_data_path_reads_no_clock_and_opens_no_socket(module: str, path: Path) -> None:
    if module.removeprefix("strep.").split(".")[0] in DATA_PATH:
        assert not imports(path) & FORBIDDEN


def test_no_two_modules_import_each_other() -> None:
    graph = {name: imports(path) & {other for other, _ in modules()} - {name} for name, path in modules()}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for other in graph[name]:
                if not name.startswith(other + "."):  # a package's own __init__ is imported with its modules
                    walk(other, (*trail, name))
            done.add(name)

    for name in graph:
        walk(name, ())


def test_sinks_do_not_import_each_other() -> None:
    siblings = [(m, p) for m, p in modules() if m.startswith("strep.sinks.") and m.endswith("sink")]
    for module, path in siblings:
        assert not imports(path) & {other for other, _ in siblings if other != module}
