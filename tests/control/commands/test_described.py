"""Hold every command against the descriptions of its API that the platform published."""

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strep.control.commands import COMMANDS
from tests.control.commands.described import (
    commands,
    legacy,
    needs_descriptions,
    operations,
    own_schema,
    resolve,
    today,
)

pytestmark = needs_descriptions

OPERATIONS = operations()
WITH_BODY = [(name, schema) for name, _, _, schema in OPERATIONS if schema]
#: Where we know better than today's description, and why.
DEPARTURES = {
    "fork_start.target: not described": "of the description before, still served",
    "fork_start.stream_type: enum ['decrypted'], ours None": "raw is of the description before",
    "fork_start.stream_type: default 'decrypted', ours None": "it depends on what else is given",
    "fork_stop.stream_type: required": "the platform's default finds no decrypted fork",
    "fork_stop.stream_type: enum ['raw', 'decrypted'], ours None": "checked by StreamType",
    "fork_stop.stream_type: default 'raw', ours None": "the platform's default finds no decrypted fork",
    "bridge.call_control_id: not required": "it also says that queue goes without it",
    "answer.preferred_codecs: enum ['G722,PCMU,PCMA,G729,OPUS,VP8,H264'], ours None": "that is an example",
}


def differences(name, theirs, ours, document, own):
    """List what one schema says and the other does not: names, what is required, words, bounds and defaults."""
    theirs, ours = (_plain(resolve(schema, whose), whose) for schema, whose in ((theirs, document), (ours, own)))
    if "properties" in theirs or "properties" in ours:
        yield from _differing_objects(name, theirs, ours, document, own)
    for word in ("oneOf", "anyOf"):
        if "discriminator" in theirs and word in theirs:
            yield from _differing_alternatives(name, theirs, ours, document, own)
            return
    if "items" in theirs and "items" in ours:
        yield from differences(f"{name}[]", theirs["items"], ours["items"], document, own)
    if _words(theirs) != _words(ours) and theirs.get("type") != "boolean":
        yield f"{name}: enum {theirs.get('enum')}, ours {_words(ours) and sorted(_words(ours))}"
    for bound in ("minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern"):
        if bound in theirs and theirs[bound] != ours.get(bound):
            yield f"{name}: {bound} {theirs[bound]}, ours {ours.get(bound)}"
    if (theirs.get("default") or None) != (ours.get("default") or None):
        yield f"{name}: default {theirs.get('default')!r}, ours {ours.get('default')!r}"


def _differing_objects(name, theirs, ours, document, own):
    described, known = theirs.get("properties", {}), ours.get("properties", {})
    prefix = f"{name}." if name else ""
    yield from (f"{prefix}{field}: not ours" for field in described.keys() - known.keys())
    yield from (f"{prefix}{field}: not described" for field in known.keys() - described.keys())
    required, demanded = set(theirs.get("required", [])), set(ours.get("required", []))
    yield from (f"{prefix}{field}: not required" for field in required - demanded)
    yield from (f"{prefix}{field}: required" for field in demanded - required)
    for field in described.keys() & known.keys():
        yield from differences(f"{prefix}{field}", described[field], known[field], document, own)


def _differing_alternatives(name, theirs, ours, document, own):
    """Compare alternatives that a field tells apart, by the words of that field."""
    by, own_by = (_by_word(schema, whose) for schema, whose in ((theirs, document), (ours, own)))
    yield from (f"{name}: {word} not ours" for word in by.keys() - own_by.keys())
    for word in by.keys() & own_by.keys():
        found = differences(f"{name}({word})", by[word], own_by[word], document, own)
        field = theirs["discriminator"]["propertyName"]
        # Which alternative is meant must be said; the description leaves it out here and there.
        yield from (one for one in found if one != f"{name}({word}).{field}: required")


def _by_word(schema, document):
    field = schema["discriminator"]["propertyName"]
    found = {}
    for alternative in schema.get("oneOf", schema.get("anyOf", ())):
        alternative = resolve(alternative, document)
        if "discriminator" in alternative:
            found |= _by_word(alternative, document)
        else:
            found |= dict.fromkeys(_words(alternative["properties"][field]), alternative)
    return found


def _plain(schema, document):
    """Take the only alternative, or the one beside null, which is how an optional field is written."""
    alternatives = [one for word in ("anyOf", "oneOf") for one in schema.get(word, ()) if one.get("type") != "null"]
    if len(alternatives) != 1:
        return schema
    inner = _plain(resolve(alternatives[0], document), document)
    return {**inner, **{key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}}


def _words(schema):
    words = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return words and {word for word in words if word is not None}


def test_the_description_names_as_many_commands_as_we_have_but_for_the_list_of_calls():
    assert {name for name, *_ in OPERATIONS} == COMMANDS.keys() - {"list_active_calls"}


@pytest.mark.parametrize(("name", "method", "path", "schema"), OPERATIONS, ids=[name for name, *_ in OPERATIONS])
def test_a_command_goes_where_the_description_says(name, method, path, schema):
    @settings(max_examples=1)
    @given(commands(name))
    def check(command):
        request = command.request("")
        assert (request.method, request.url.replace("v3:x", "{call_control_id}")) == (method, path)
        assert bool(request.content) == bool(schema)

    check()


@pytest.mark.parametrize(("name", "schema"), WITH_BODY, ids=[name for name, _ in WITH_BODY])
def test_a_command_takes_what_the_description_says(name, schema):
    own = own_schema(name)
    found = set(differences(name, schema, own, today(), own))
    if name == "fork_start":
        found -= {"fork_start: anyOf"}
    assert found - DEPARTURES.keys() == set()


def test_the_departures_are_still_there():
    found = set()
    for name, schema in WITH_BODY:
        own = own_schema(name)
        found |= set(differences(name, schema, own, today(), own))
    assert DEPARTURES.keys() <= found


@pytest.mark.parametrize(("name", "schema"), WITH_BODY, ids=[name for name, _ in WITH_BODY])
def test_every_body_that_is_sent_is_valid_by_the_description(name, schema):
    validator = jsonschema.Draft202012Validator({**schema, "components": today()["components"]})
    before = jsonschema.Draft202012Validator({**_legacy_schema(name), "schemas": legacy()["schemas"]})

    @settings(max_examples=15, deadline=None)
    @given(commands(name))
    def check(command):
        body = command.body()
        if name == "bridge" and "call_control_id" not in body:
            body["call_control_id"] = "v3:y"  # required by mistake: see DEPARTURES
        if name == "answer":
            body.pop("preferred_codecs", None)  # likewise
        of_before = "target" in body or (name == "fork_start" and body["stream_type"] == "raw")
        faults = list((before if of_before else validator).iter_errors(body))
        assert [(fault.json_path, fault.message) for fault in faults] == []

    check()


def _legacy_schema(name):
    schemas = {"fork_start": "StartForkingRequest", "fork_stop": "StopForkingRequest"}
    return {"$ref": f"#/schemas/{schemas[name]}"} if name in schemas else {}


@settings(max_examples=50, deadline=None)
@given(commands("fork_start"))
def test_a_fork_is_valid_by_the_description_before_whatever_it_goes_to(command):
    body = command.body()
    validator = jsonschema.Draft202012Validator({**_legacy_schema("fork_start"), "schemas": legacy()["schemas"]})
    assert list(validator.iter_errors(body)) == []


@pytest.mark.parametrize(("name", "schema"), WITH_BODY, ids=[name for name, _ in WITH_BODY])
def test_the_description_refuses_a_body_that_lacks_what_is_required(name, schema):
    required = resolve(schema, today()).get("required", [])
    validator = jsonschema.Draft202012Validator({**schema, "components": today()["components"]})

    @settings(max_examples=3, deadline=None)
    @given(commands(name), st.data())
    def check(command, data):
        if required:
            body = command.body()
            body.pop(data.draw(st.sampled_from(required)), None)
            assert not validator.is_valid(body)

    check()


@settings(max_examples=15, deadline=None)
@given(commands("speak"), st.dictionaries(st.from_regex(r"new_[a-z]{1,5}\Z"), st.integers(), min_size=1, max_size=3))
def test_what_the_description_does_not_know_passes_through(command, extra):
    shown = type(command)("v3:x", payload="a", voice="b", extra=extra).body()
    assert shown.items() >= extra.items()
