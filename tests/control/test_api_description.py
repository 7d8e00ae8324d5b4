"""Hold the commands' bodies against the API descriptions that the platform published, where those are at hand."""

import json
from pathlib import Path

import pytest

from strep.control import ForkStart, ForkStop

API = Path(__file__).resolve().parents[2].parent / "shared" / "api"
pytestmark = pytest.mark.skipif(not API.is_dir(), reason="the platform's API descriptions are not here")

RX, TX = "udp:192.0.2.1:9000", "udp:192.0.2.1:9001"
WITH_RX_TX = ForkStart("v3:x", rx=RX, tx=TX, client_state=b"state")
WITH_TARGET = ForkStart("v3:x", target=RX, client_state=b"state")
STOPS = [ForkStop("v3:x", stream_type=kind, client_state=b"state") for kind in ("raw", "decrypted")]


def today():
    return json.loads((API / "call_control.openapi.json").read_text())


def schemas(when):
    if when == "today":
        return today()["components"]["schemas"]
    return json.loads((API / "fork_with_target.legacy.openapi.json").read_text())["schemas"]


def faults(body, schema):
    """List what a flat body has that its schema does not allow."""
    for name, value in body.items():
        known = schema["properties"].get(name)
        if known is None:
            yield f"{name} is unknown"
        elif known["type"] != "string" or not isinstance(value, str):
            yield f"{name} should be a {known['type']}"
        elif value not in known.get("enum", [value]):
            yield f"{name} is none of {known['enum']}"
    yield from (f"{name} is missing" for name in schema.get("required", []) if name not in body)


@pytest.mark.parametrize(
    ("when", "schema", "command"),
    [
        ("today", "StartForkingRequest", WITH_RX_TX),
        ("legacy", "StartForkingRequest", WITH_RX_TX),
        ("legacy", "StartForkingRequest", WITH_TARGET),
        *((when, "StopForkingRequest", stop) for when in ("today", "legacy") for stop in STOPS),
    ],
)
def test_a_body_is_what_the_description_asks_for(when, schema, command):
    assert list(faults(command.body(), schemas(when)[schema])) == []


def test_the_check_finds_what_is_not_allowed():
    found = list(faults(WITH_TARGET.body(), schemas("today")["StartForkingRequest"]))
    assert found == ["target is unknown", "stream_type is none of ['decrypted']"]


@pytest.mark.parametrize("command", [WITH_RX_TX, STOPS[0]])
def test_a_command_goes_where_the_description_says(command):
    request = command.request("")
    path = request.url.replace("v3:x", "{call_control_id}")
    assert request.method.lower() in today()["paths"][path]


def test_the_descriptions_defaults_differ_and_so_the_stream_type_is_always_sent():
    defaults = [
        schemas(when)[name]["properties"]["stream_type"]["default"]
        for when, name in [("today", "StartForkingRequest"), ("today", "StopForkingRequest")]
    ]
    assert defaults == ["decrypted", "raw"]
    assert all("stream_type" in command.body() for command in (WITH_RX_TX, WITH_TARGET, *STOPS))
