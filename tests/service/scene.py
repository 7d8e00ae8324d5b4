"""Set a service up beside a local call platform, over real HTTP and UDP on loopback; and judge what it recorded."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from strep.audio.g711 import Law, decode
from strep.emulator import Platform, PlatformServer
from strep.emulator.call import EmulatedCall
from strep.emulator.faults import Faults
from strep.service import Service, ServiceConfig, read_config
from strep.service.events import ServiceEvent
from strep.stream.events import Direction, Leg
from tests.receiving import RECEIVE_BUFFER_BYTES, until

API_KEY = "KEY-OF-THE-SCENE-0123456789"
SECRET = "SECRET-OF-THE-SCENE-0123456789"
CONFIG = """
[api]
key_file = {key_file}
base_url = {base_url}
{api}
[webhooks]
listen = "127.0.0.1:{webhook_port}"
public_key = {public_key}
[media]
target = "udp:127.0.0.1:{media_port}"
announce = "udp:127.0.0.1:0"
receive_buffer_bytes = {receive_buffer_bytes}
linger_ms = 200
{media}
[recordings]
out = {out}
[service]
{service}
[limits]
{limits}
[[rules]]
{rule}
"""


@dataclass(frozen=True)
class Settings:
    """Is what a test asks for: lines of the configuration, and how the platform behaves."""

    api: str = ""
    media: str = ""
    service: str = ""
    limits: str = ""
    rule: str = ""
    faults: Faults = field(default_factory=Faults)
    speed: float = 1.0
    webhook_port: int = 0
    media_port: int = 0


@dataclass
class Scene:
    """Is a platform and a service. events: what the service told."""

    platform: Platform
    service: Service
    out: Path
    config_text: str
    events: list[ServiceEvent]

    def call(self, *, answered: bool = True, **given: Any) -> EmulatedCall:
        """Have somebody call, and be answered. The conversation begins with the fork, so that nothing is missed."""
        call = self.platform.incoming_call(**{"waits_for_fork": True, **given})
        if answered:
            call.answer()
        return call

    def count(self, kind: str) -> int:
        return sum(event.kind == kind for event in self.events)

    async def told(self, kind: str, times: int = 1) -> None:
        """Wait until the service has told something so often."""
        await until(lambda: self.count(kind) >= times)


def configure(text: Settings, folder: Path, server: PlatformServer, api_key: str = API_KEY) -> str:
    (folder / "api.key").write_text(api_key + "\n")
    return CONFIG.format(
        key_file=json.dumps(str(folder / "api.key")),
        base_url=json.dumps(server.base_url),
        public_key=json.dumps(server.platform.public_key),
        out=json.dumps(str(folder / "calls")),
        receive_buffer_bytes=RECEIVE_BUFFER_BYTES,
        **{name: getattr(text, name) for name in ("api", "media", "service", "limits", "rule")},
        webhook_port=text.webhook_port,
        media_port=text.media_port,
    )


@contextlib.asynccontextmanager
async def emulated(settings: Settings) -> AsyncIterator[PlatformServer]:
    """Run a platform alone."""
    platform = Platform(api_key=API_KEY, api_secret=SECRET, seed=7, faults=settings.faults, speed=settings.speed)
    async with PlatformServer(platform) as server:
        yield server


@contextlib.asynccontextmanager
async def scene(
    folder: Path, settings: Settings | None = None, api_key: str = API_KEY, **hooks: Any
) -> AsyncIterator[Scene]:
    """Run both, the platform to the end."""
    settings = settings or Settings()
    events: list[ServiceEvent] = []
    async with emulated(settings) as server:
        text = configure(settings, folder, server, api_key)
        async with Service(read(text), **{"on_event": events.append, **hooks}) as service:
            server.platform.webhook_url = f"http://127.0.0.1:{service.webhook_port}/webhooks"
            yield Scene(server.platform, service, folder / "calls", text, events)


def read(text: str) -> ServiceConfig:
    return read_config(text)


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def sidecars(folder: Path) -> list[dict[str, Any]]:
    """Read the sidecars in a folder, by name."""
    return [json.loads(path.read_text()) | {"path": path} for path in sorted(folder.glob("*.json"))]


def of_call(folder: Path, call: EmulatedCall) -> list[dict[str, Any]]:
    """Read the sidecars of a call's recordings, in the order in which they were begun."""
    return sorted(
        (it for it in sidecars(folder) if (it["call"] or {}).get("call_control_id") == call.call_control_id),
        key=lambda it: it["start"],
    )


def assert_recorded(document: dict[str, Any], call: EmulatedCall) -> None:
    """Compare a recording with what the platform sent: each sample of both directions, and whose it is."""
    assert document["complete"]
    about, call_about = document["call"], call.about
    assert about["call_control_id"] == call.call_control_id
    assert about["call_leg_id"] == document["call_leg_id"] == str(call.call_leg_id)
    assert about["call_session_id"] == call_about.call_session_id
    assert (about["from"], about["to"]) == (call_about.from_, call_about.to)
    for direction in Direction:
        sent = call.sent[Leg.A, direction]
        (stream,) = (it for it in document["streams"] if it["direction"] == direction.name.lower())
        assert stream["packets"] == sent.packets, "every packet that was sent, and none but those"
        np.testing.assert_array_equal(heard(document, direction), expected(call, direction))


def heard(document: dict[str, Any], direction: Direction) -> NDArray[np.int16]:
    """Read what was recorded of one direction, from its first sample to its last."""
    folder = document["path"].parent
    frames = np.concatenate(
        [soundfile.read(folder / name, dtype="int16", always_2d=True)[0] for name in document["files"]]
    )
    (stream,) = (it for it in document["streams"] if it["direction"] == direction.name.lower())
    start = round(stream["start_s"] * document["sample_rate_hz"])
    return frames[start : start + stream["length_samples"], int(direction)]


def expected(call: EmulatedCall, direction: Direction) -> NDArray[np.int16]:
    """Decode what was sent of one direction of a PCMU call."""
    return decoded(call.sent[Leg.A, direction].payloads())


def decoded(payloads: Iterable[bytes]) -> NDArray[np.int16]:
    return decode(np.frombuffer(b"".join(payloads), np.uint8), Law.MU)


def times_forked(platform: Platform) -> dict[str, int]:
    """Count how often each call was forked, by what the platform did."""
    times: dict[str, int] = {}
    for event in platform.events:
        data: Any = event["data"]
        if data["event_type"] == "call.fork.started":
            call = data["payload"]["call_control_id"]
            times[call] = times.get(call, 0) + 1
    return times
