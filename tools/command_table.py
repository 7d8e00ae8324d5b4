"""Write the table of every documented command and parameter, and where strep has it.

    python tools/command_table.py ../shared/api/call_control.openapi.json > strep/control/commands/README.md

The one argument is today's description of the platform's API.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from strep.control.commands import COMMANDS, fields_of, wire_name
from strep.control.commands.part import Part

Schema = Mapping[str, Any]

HEAD = """# The platform's commands, and where strep has them

Every command and parameter that the platform's description names. A command is a class of `strep.control.commands`, a
method of both clients, and `strep call NAME`. Written by `tools/command_table.py`; a test holds it against both.

What is described as an object, an array of them, or one of several, is a class of its own here, or a dict of the same:
they follow the commands, with all their fields, which a test compares with the description's too.
"""
NOTES = {
    ("bridge", "call_control_id"): "not required: `queue` and `video_room_id` go without it",
    ("fork_start", "target"): "of the description before this one, still served",
    ("fork_start", "stream_type"): "always sent; `raw` is of the description before this one",
    ("fork_stop", "stream_type"): "required: the platform's default finds no decrypted fork",
    ("answer", "preferred_codecs"): "what is described is an example",
}


def write_table(description: Schema) -> str:
    """Write the table as Markdown."""
    return "\n".join([HEAD, *_lines(description), *_parts()]) + "\n"


def _lines(description: Schema) -> Iterator[str]:
    described = dict(_described(description))
    for name, model in COMMANDS.items():
        path, schema = described.pop(name, (None, {}))
        where = f"{model.__module__.removeprefix('strep.control.commands.')}.py"
        yield f"## {name}: [`{model.__name__}`]({where})\n"
        yield f"{path or 'GET /connections/{connection_id}/active_calls (not in the description)'}\n"
        rows = list(_rows(name, model, schema, description))
        if rows:
            yield "| parameter | described as | ours |"
            yield "|---|---|---|"
            yield from rows
            yield ""
    assert not described, f"expected every described command to be ours, found {sorted(described)} besides"


def _parts() -> Iterator[str]:
    """List the objects within parameters, and their fields."""
    yield "## Objects within parameters\n"
    yield "| object | fields, those required first |"
    yield "|---|---|"
    for made in sorted(_made_of(Part), key=lambda one: (one.__module__, one.__name__)):
        where = f"{made.__module__.rpartition('.')[2]}.py"
        fields = sorted(made.model_fields.items(), key=lambda item: not item[1].is_required())
        shown = ", ".join(f"`{info.alias or name}`" for name, info in fields)
        yield f"| [`{made.__name__}`]({where}) | {shown} |"


def _made_of(kind: type[Part]) -> Iterator[type[Part]]:
    for made in kind.__subclasses__():
        if made.__module__.startswith("strep.") and not made.__name__.startswith("_"):
            yield made
        yield from _made_of(made)


def _described(description: Schema) -> Iterator[tuple[str, tuple[str, Schema]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            if method not in ("get", "post", "put"):
                continue
            name = path.rpartition("/actions/")[2] if "/actions/" in path else ("dial", "retrieve_call")["{" in path]
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            yield name, (f"{method.upper()} {path}", _resolve(content.get("schema", {}), description))


def _rows(name: str, model: type, schema: Schema, description: Schema) -> Iterator[str]:
    ours = {wire_name(field, info): field for field, info in fields_of(model).items() if info.kw_only is not False}
    del ours["extra"]
    required = schema.get("required", ())
    for parameter, part in sorted(schema.get("properties", {}).items(), key=lambda item: item[0] not in required):
        told = _told(_resolve(part, description)) + (", required" if parameter in required else "")
        yield _row(name, parameter, told, f"`{ours.pop(parameter)}`")
    for parameter, field in ours.items():
        yield _row(name, parameter, "not", f"`{field}`")


def _row(name: str, parameter: str, told: str, ours: str) -> str:
    note = NOTES.get((name, parameter))
    return f"| `{parameter}` | {told} | {ours}{f': {note}' if note else ''} |"


def _told(schema: Schema) -> str:
    kind = schema.get("type", "one of several")
    words = schema.get("enum")
    if words and len(words) > 6:
        kind = f"one of {len(words)} words"
    elif words:
        kind = ", ".join(f"`{word}`" for word in words)
    bounds = [f"{name} {schema[name]}" for name in ("minimum", "maximum", "minLength", "maxLength") if name in schema]
    default = [f"default `{json.dumps(schema['default'])}`"] if "default" in schema else []
    return ", ".join([kind, *bounds, *default])


def _resolve(schema: Schema, description: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    target: Any = description
    for step in schema["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return _resolve({**target, **{key: value for key, value in schema.items() if key != "$ref"}}, description)


if __name__ == "__main__":
    sys.stdout.write(write_table(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
