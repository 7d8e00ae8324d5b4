"""Do webhooks that are late, a platform that refuses, and connections that ask nothing cost a call? Over loopback.

Everything is real but the platform, which is strep.emulator's: HTTP, signatures, forked RTP, recordings.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.claims import Claim
from strep.control.client import AsyncClient
from strep.control.webhooks import sign, webhook_app, write_public_key
from strep.emulator import Platform, PlatformServer
from strep.emulator.call import EmulatedCall
from strep.emulator.faults import Faults
from strep.service import Service, read_config

_KEY = "KEY-OF-THE-BENCH-0123456789"
#: What a fork command has: after that nobody tries any more.
_WITHIN_S = 60.0
_POLL_S = 0.05
#: The platform gives a webhook up after so long.
_PLATFORM_WAITS_S = 2.0
_WEBHOOKS_EACH = 100
_RULES = """
[[rules]]
headers = { "X-Record" = "yes" }
[[rules]]
from = "+44*"
[[rules]]
direction = "incoming"
to = "+49*"
"""
#: A call for each of the rules.
_CALLS: tuple[dict[str, Any], ...] = (
    {"from_": "+1555", "to": "+1556", "custom_headers": [{"name": "X-Record", "value": "yes"}]},
    {"from_": "+44201", "to": "+1556"},
    {"from_": "+1555", "to": "+49301"},
)


def measure(
    calls: int = 50, late_s: float = 60.0, limited_calls: int = 300, refused: float = 0.9, half_open: int = 1000
) -> dict[str, Any]:
    """Measure in some 70 s: calls whose webhooks are up to late_s late, calls whose commands are refused, a flood."""

    async def all_of_them() -> dict[str, Any]:
        flood = await measure_flood(half_open)
        unruly = Faults(webhook_late=1.0, webhook_repeated=0.5, late_s=late_s, seed=1)
        limited = Faults(rate_limited=refused, rate_limit_reset_s=1, seed=2)
        late, limits = await asyncio.gather(
            measure_forks(calls, unruly, late_s + _WITHIN_S / 4), measure_forks(limited_calls, limited, _WITHIN_S)
        )
        return {"late": late | {"late_s": late_s}, "limited": limits | {"refused": refused}, "flood": flood}

    return asyncio.run(all_of_them())


def rows(report: dict[str, Any]) -> list[Claim]:
    """Say of a report what was promised, and whether it was kept."""
    late, limited, flood = report["late"], report["limited"], report["flood"]
    least = limited["calls"] * 29 // 30
    found = [
        Claim(
            f"calls forked, webhooks up to {late['late_s']:g} s late, half of them twice",
            f"{late['forked']} of {late['calls']}, the last after {late['last_s']:.1f} s",
            "all",
            late["forked"] == late["calls"],
        ),
        Claim(
            f"calls forked within {_WITHIN_S:g} s, {limited['refused']:.0%} of commands refused (429)",
            f"{limited['forked']} of {limited['calls']}, the last after {limited['last_s']:.1f} s",
            f"{least} of {limited['calls']}",
            limited["forked"] >= least,
        ),
    ]
    for where, one in flood["from"].items():
        found.append(
            Claim(
                f"webhooks taken beside {flood['half_open']} half-open connections, from {where}",
                f"{one['taken']} of {one['sent']}, the slowest in {one['slowest_s'] * 1e3:.0f} ms",
                f"all, in {_PLATFORM_WAITS_S:g} s",
                one["taken"] == one["sent"] and one["slowest_s"] <= _PLATFORM_WAITS_S,
            )
        )
    return found


async def measure_forks(calls: int, faults: Faults, within_s: float) -> dict[str, Any]:
    """Have calls come in and be answered together; count those that are forked in time. A forked one is hung up."""
    with tempfile.TemporaryDirectory() as folder:
        async with _serving(Path(folder), faults) as (platform, service):
            began_s = time.monotonic()
            waiting = [_call(platform, number) for number in range(calls)]
            times_s: list[float] = []
            while waiting and time.monotonic() - began_s < within_s:
                await asyncio.sleep(_POLL_S)
                forked = [call for call in waiting if call.is_forked]
                times_s += [time.monotonic() - began_s] * len(forked)
                waiting = [call for call in waiting if not call.is_forked]
                for call in forked:
                    call.hang_up()
            counts = service.counts()
            struck = {fault.value: count for fault, count in platform.fault_counts.items() if count}
    return {
        "calls": calls,
        "forked": len(times_s),
        "last_s": max(times_s, default=0.0),
        "faults": struck,
        "undecided": counts["undecided"],
    }


async def measure_flood(half_open: int) -> dict[str, Any]:
    """Send webhooks from another address and from the same one, while connections are opened that ask nothing."""
    key = Ed25519PrivateKey.generate()
    inbox = webhook_app(write_public_key(key))
    sources = {"another address": "127.0.0.2", "the same address": "127.0.0.1"}
    async with inbox.serve() as server:
        flood = asyncio.create_task(_open_halves(server.port, half_open))
        found = await asyncio.gather(*(_tell(server.port, source, key) for source in sources.values()))
        for sock in await flood:
            sock.close()
        displaced = server.counts.displaced
    return {"half_open": half_open, "displaced": displaced, "from": dict(zip(sources, found, strict=True))}


async def _open_halves(port: int, count: int) -> list[socket.socket]:
    loop, socks = asyncio.get_running_loop(), []
    for _ in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        with contextlib.suppress(OSError):  # closed for another already
            await loop.sock_sendall(sock, b"POST /webhooks HTTP/1.1\r\nHost: strep\r\n")
        socks.append(sock)
    return socks


async def _tell(port: int, source: str, key: Ed25519PrivateKey) -> dict[str, Any]:
    """Send webhooks one after another, each on a connection of its own."""
    taken, slowest_s = 0, 0.0
    for number in range(_WEBHOOKS_EACH):
        began_s = time.monotonic()
        body = json.dumps(
            {"data": {"event_type": "call.initiated", "id": f"{source} {number}", "payload": {}}}
        ).encode()
        headers = sign(body, key, time.time()) | {"Host": "strep", "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            writer.write(f"POST /webhooks HTTP/1.1\r\n{lines}\r\n".encode() + body)
            taken += (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()
        slowest_s = max(slowest_s, time.monotonic() - began_s)
    return {"sent": _WEBHOOKS_EACH, "taken": taken, "slowest_s": slowest_s}


def _call(platform: Platform, number: int) -> EmulatedCall:
    call = platform.incoming_call(waits_for_fork=True, **_CALLS[number % len(_CALLS)])
    call.answer()
    return call


@contextlib.asynccontextmanager
async def _serving(folder: Path, faults: Faults) -> AsyncIterator[tuple[Platform, Service]]:
    """Run a platform and a service of it."""
    platform = Platform(api_key=_KEY, seed=7, faults=faults)
    async with PlatformServer(platform) as server:
        config = read_config("\n".join(_configuration(platform, folder)))
        async with (
            AsyncClient(_KEY, base_url=server.base_url, max_connections=config.api.commands) as client,
            Service(config, client=client) as service,
        ):
            platform.webhook_url = f"http://127.0.0.1:{service.webhook_port}/webhooks"
            yield platform, service


def _configuration(platform: Platform, folder: Path) -> Iterator[str]:
    yield f'[webhooks]\nlisten = "127.0.0.1:0"\npublic_key = "{platform.public_key}"'
    yield '[media]\ntarget = "udp:127.0.0.1:0"\nannounce = "udp:127.0.0.1:0"'
    yield f"[recordings]\nout = {json.dumps(str(folder / 'calls'))}"
    yield _RULES
