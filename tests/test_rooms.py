"""The house: bytes flow down one way, and only `net` and what lies above the data path touch sockets and clocks."""

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Each room may import from itself and from the rooms named before it.
ROOMS = [
    "errors",
    "utc",
    "compiler",
    "wire",
    "audio",
    "stream",
    "net",
    "sinks",
    "plugins",
    "alarms",
    "analysis",
    "live",
    "pictures",
    "control",
    "emulator",
    "monitor",
    "service",
    "cli",
]
DATA_PATH = ("errors", "compiler", "wire", "audio", "stream", "plugins")
#: A secret decides where keys lie in memory, a thread when what is compiled is there: and never what comes out.
EXEMPT = {("strep.stream.index", "secrets"), ("strep.compiler.background", "threading")}
FORBIDDEN = {"socket", "time", "asyncio", "threading", "select", "datetime", "random", "secrets"}


@functools.cache
def modules() -> dict[str, Path]:
    """Find the file of each of our modules."""
    files = sorted((ROOT / "strep").rglob("*.py"))
    return {".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): f for f in files}


def room(module: str) -> int:
    name = module.removeprefix("strep.")
    for index, prefix in enumerate(ROOMS):
        if name == prefix or name.startswith(prefix + "."):
            return index
    return len(ROOMS)


@functools.cache
def imports(module: str) -> frozenset[str]:
    """Read what a module imports: modules, and what might be one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(modules()[module].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def ours(module: str) -> set[str]:
    """Give those of our modules that a module imports, but for itself."""
    return set(imports(module) & modules().keys() - {module})


def test_a_room_imports_only_from_rooms_above_it() -> None:
    found = [f"{module} imports {other}" for module in modules() for other in ours(module) if is_below(other, module)]
    assert not found, "\n".join(sorted(found))


def is_below(other: str, module: str) -> bool:
    return other != "strep" and room(other) > room(module)


def test_the_data_path_reads_no_clock_and_opens_no_socket() -> None:
    inside = [module for module in modules() if module.removeprefix("strep.").split(".")[0] in DATA_PATH]
    assert len(inside) > len(DATA_PATH)
    used = {(module, name) for module in inside for name in imports(module) & FORBIDDEN} - EXEMPT
    found = [f"{module} imports {name}" for module, name in used]
    assert not found, "\n".join(sorted(found))


def test_no_two_modules_import_each_other() -> None:
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for other in ours(name):
                if not name.startswith(other + "."):  # a package's own __init__ is imported with its modules
                    walk(other, (*trail, name))
            done.add(name)

    for name in modules():
        walk(name, ())
