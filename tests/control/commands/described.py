"""Read the descriptions of its API that the platform published, and make command values at random."""

import functools
import json
from pathlib import Path

import pytest
from hypothesis import strategies as st
from pydantic import TypeAdapter

from strep.control.commands import COMMANDS, fields_of, wire_name

API = Path(__file__).resolve().parents[3].parent / "shared" / "api"
needs_descriptions = pytest.mark.skipif(not API.is_dir(), reason="the platform's API descriptions are not here")

#: Parameters of which a command takes just one.
ONE_OF = {
    "bridge": ("call_control_id_to_bridge_with", "queue", "video_room_id"),
    "playback_start": ("audio_url", "media_name", "playback_content"),
    "gather_using_audio": ("audio_url", "media_name"),
    "conversation_relay_start": ("url", "conversation_relay_url", "conversation_relay_settings"),
    "fork_start": ("target", "rx"),
}
#: Parameters that need another one beside them.
NEEDING = {
    "dial": {"bridge_intent": "link_to", "bridge_on_answer": "link_to", "park_after_unbridge": "link_to"},
    "fork_start": {"rx": "tx"},
}


@functools.cache
def today():
    return json.loads((API / "call_control.openapi.json").read_text())


@functools.cache
def legacy():
    return json.loads((API / "fork_with_target.legacy.openapi.json").read_text())


def operations():
    """List (command's name, method, path, schema of the body or None) as today's description has them."""
    if not API.is_dir():
        return []
    found = []
    for path, methods in today()["paths"].items():
        for method in methods.keys() & {"get", "post", "put"}:
            content = methods[method].get("requestBody", {}).get("content", {}).get("application/json")
            name = path.rpartition("/actions/")[2] if "/actions/" in path else ("dial", "retrieve_call")["{" in path]
            found.append((name, method.upper(), path, content and content["schema"]))
    return found


def resolve(schema, document):
    """Follow a schema's reference."""
    while "$ref" in schema:
        target = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


@functools.cache
def own_schema(name):
    """Give what a command takes as a JSON schema, under the names that are sent."""
    model = COMMANDS[name]
    document = TypeAdapter(model).json_schema()
    names = {field: wire_name(field, info) for field, info in fields_of(model).items()}
    placed = {field for field, info in fields_of(model).items() if info.kw_only is False} | {"extra"}
    return {
        **document,
        "properties": {names[field]: part for field, part in document["properties"].items() if field not in placed},
        "required": [names[field] for field in document.get("required", []) if field not in placed],
    }


def values(schema, document):
    """Make values that a schema allows, of the kinds that pydantic writes."""
    schema = resolve(schema, document)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return st.one_of([values(one, document) for one in schema[word] if one.get("type") != "null"])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    return _OF_TYPE[schema.get("type", "object")](schema, document)


def _strings(schema, _):
    if schema.get("format") == "uuid":
        return st.uuids().map(str)
    if schema.get("format") == "udp":
        return st.integers(1, 65535).map(lambda port: f"udp:192.0.2.1:{port}")
    if schema.get("contentEncoding") == "base64":
        return st.binary(max_size=8)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"))
    shortest = schema.get("minLength", 0)
    return st.text(min_size=shortest, max_size=min(schema.get("maxLength", 20), max(20, shortest)))


def _numbers(of):
    def make(schema, _):
        low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
        if of is st.integers:
            return st.integers(low, high)
        settings = {"exclude_min": "exclusiveMinimum" in schema, "allow_nan": False, "allow_infinity": False}
        return st.floats(low, high, **settings)

    return make


def _objects(schema, document):
    known = schema.get("properties", {})
    if known:
        required = schema.get("required", [])
        return st.fixed_dictionaries(
            {name: values(known[name], document) for name in required},
            optional={name: values(part, document) for name, part in known.items() if name not in required},
        )
    entry = schema.get("additionalProperties")
    entries = values(entry, document) if isinstance(entry, dict) else st.integers() | st.text(max_size=5)
    return st.dictionaries(st.text(min_size=1, max_size=5), entries, max_size=2)


_OF_TYPE = {
    "string": _strings,
    "integer": _numbers(st.integers),
    "number": _numbers(st.floats),
    "boolean": lambda schema, document: st.booleans(),
    "array": lambda schema, document: st.lists(
        values(schema["items"], document),
        min_size=schema.get("minItems", 0),
        max_size=min(3, schema.get("maxItems", 3)),
    ),
    "object": _objects,
    "null": lambda schema, document: st.nothing(),
}


@functools.cache
def _fields(name):
    """Give how to make a value of each field of a command, and which fields it must have."""
    document = TypeAdapter(COMMANDS[name]).json_schema()
    known = {field: values(part, document) for field, part in document["properties"].items()}
    return known, document.get("required", [])


@st.composite
def commands(draw, name):
    """Make a command of this name."""
    model = COMMANDS[name]
    known, required = _fields(name)
    placed = [field for field, info in fields_of(model).items() if info.kw_only is False]
    one_of = ONE_OF.get(name, ())
    optional = set(known) - set(required) - set(one_of) - {"extra"} - set(NEEDING.get(name, {}).values())
    chosen = draw(st.lists(st.sampled_from(sorted(optional)), unique=True)) if optional else []
    if one_of:
        chosen.append(draw(st.sampled_from(one_of)))
    chosen += [needed for field, needed in NEEDING.get(name, {}).items() if field in chosen]
    given = {field: draw(known[field]) for field in {*chosen, *required} - set(placed)}
    for field in {*one_of, *NEEDING.get(name, {}).values()} & set(given):
        given[field] = given[field] or "some"
    if "invalid_media_name" in given:
        given.pop("invalid_audio_url", None)
    if {"minimum_digits", "maximum_digits"} <= set(given):
        given["minimum_digits"] = min(given["minimum_digits"], given["maximum_digits"])
    elif "maximum_digits" in given:
        given["maximum_digits"] = max(1, given["maximum_digits"])
    if name == "fork_start" and "stream_type" in given:
        given["stream_type"] = "raw" if "target" in given else draw(st.sampled_from(["raw", "decrypted"]))
    if "stream_type" in given and name == "fork_stop":
        given["stream_type"] = draw(st.sampled_from(["raw", "decrypted"]))
    return model(*("v3:x" for _ in placed), **given)
