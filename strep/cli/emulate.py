"""`strep emulate`: a call platform on this machine, to develop an application against."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from strep.cli.demo import CodecName
from strep.cli.options import JsonOption
from strep.cli.output import Document, print_json, print_line
from strep.cli.signals import stop_event
from strep.errors import ConfigError

if TYPE_CHECKING:
    from strep.emulator import Platform, PlatformServer

# The platform's web server takes as long to import as all the rest: only this command and the demo need it.
_KEY, _SECRET = "KEY-EMULATOR", "SECRET-EMULATOR"
_LONGEST_S = 14_400
ValueT = TypeVar("ValueT")


def emulate(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Of the API; 0: one that is free.")] = 0,
    host: Annotated[str, typer.Option("--host", help="The address of this machine to listen on.")] = "127.0.0.1",
    webhook_url: Annotated[
        str, typer.Option("--webhook-url", metavar="URL", help="Your application, which is told of all that happens.")
    ] = "",
    calls: Annotated[int, typer.Option("--calls", min=0, max=10_000, help="How many calls come in.")] = 1,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0, max=3600, help="Time from one to the next.")
    ] = 0,
    hang_up_after: Annotated[
        float,
        typer.Option(
            "--hang-up-after",
            metavar="SECONDS",
            min=0,
            max=_LONGEST_S,
            help="When callers hang up, from the answer on; 0: never.",
        ),
    ] = 0,
    codec: Annotated[CodecName, typer.Option("--codec", case_sensitive=False, help="What callers speak.")] = (
        CodecName.PCMU
    ),
    callee: Annotated[
        str,
        typer.Option(
            "--callee", metavar="OUTCOME", help="Who is dialed: answers, busy, rejects, not_found, no_answer, silent."
        ),
    ] = "answers",
    faults: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME=SHARE", help="How the platform fails, such as rate_limited=0.1."),
    ] = None,
    impairments: Annotated[
        list[str] | None,
        typer.Option("--impair", metavar="NAME=NUMBER", help="What the network does to forks, such as loss=0.01."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, help="Repeats ids, keys, faults and impairments.", show_default="none"),
    ] = None,
    api_key: Annotated[str, typer.Option("--api-key", help="What commands must bring.")] = _KEY,
    api_secret: Annotated[str, typer.Option("--api-secret", help="Its secret, for the older API.")] = _SECRET,
    as_json: JsonOption = False,
) -> None:
    """Run a call platform on this machine.

    Point your application at it: it has the platform's API (v2 with a Bearer
    key, the older one with key and secret), signed webhooks, and calls of two
    parties who really speak: forks are real RTP. With --webhook-url, callers
    ring until your application answers; without, calls are answered already,
    and speak from their first fork on. Nothing leaves the machine unless you
    send it elsewhere. Stop with Ctrl-C.

    While it runs, it can be told more over HTTP, with the same key:
    POST /emulator/calls has somebody call, and /emulator/calls/ID/dtmf, /hold,
    /unhold, /hangup is what that party does. PUT /emulator/faults,
    /emulator/impairments, /emulator/callee change how the platform, the
    network, and whoever is dialed behave. GET /emulator/calls,
    /emulator/events, /emulator/webhooks tell what happened.

    --fault takes rate_limited, server_error, answer_lost, timeout,
    webhook_late, webhook_repeated, webhook_disordered (shares), timeout_s,
    late_s, rate_limit_reset_s. --impair takes loss, duplicate, reorder
    (shares), burst_packets, jitter_ms, clock_drift_ppm.
    """
    from strep.emulator import Callee, Faults, Impairments, Outcome, Platform

    if callee not in tuple(Outcome):
        raise ConfigError(f"--callee: expected one of {', '.join(Outcome)}, found {callee!r}")
    if webhook_url and not webhook_url.startswith(("http://", "https://")):
        raise ConfigError(f"--webhook-url: expected a URL like http://127.0.0.1:8080/webhooks, found {webhook_url!r}")
    platform = Platform(
        api_key=api_key,
        api_secret=api_secret,
        seed=seed,
        webhook_url=webhook_url,
        faults=_settings(Faults, "--fault", faults, seed),
        impairments=_settings(Impairments, "--impair", impairments, seed),
        callee=Callee(Outcome(callee)),
    )
    callers = _Callers(platform, codec.value, calls, every, hang_up_after)
    asyncio.run(_serve(platform, host, port, callers, (api_key, api_secret), as_json))


class _Callers:
    """Callers whose calls come in."""

    def __init__(self, platform: Platform, codec: str, calls: int, every_s: float, hang_up_after_s: float) -> None:
        self._platform, self._codec, self._left = platform, codec, calls
        self._every_s, self._hang_up_after_s = every_s, hang_up_after_s

    def begin(self) -> list[str]:
        """Have come in at once what does; give their ids."""
        return [self._call() for _ in range(min(self._left, 1) if self._every_s else self._left)]

    async def go_on(self) -> None:
        """Have the others come in, each after a while."""
        while self._left:
            await asyncio.sleep(self._every_s)
            try:
                self._call()
            except ConfigError as error:  # the platform is full: others have called, too
                print_line(f"nobody more calls: {error}")
                return

    def _call(self) -> str:
        self._left -= 1
        is_told = bool(self._platform.webhook_url)
        call = self._platform.add_call(self._codec, answered=not is_told, waits_for_fork=not is_told, repeats=None)
        if self._hang_up_after_s:
            after_ns = round(self._hang_up_after_s * 1e9)
            if call.lifecycle.is_answered:
                call.later(after_ns, call.hang_up)
            else:
                call.on_answer.append(lambda: call.later(after_ns, call.hang_up))
        return call.call_control_id


async def _serve(
    platform: Platform, host: str, port: int, callers: _Callers, key: tuple[str, str], as_json: bool
) -> None:
    from strep.emulator import PlatformServer

    with stop_event() as stopped:
        async with PlatformServer(platform, host=host, port=port) as server:
            document = _document(platform, server, callers.begin(), key)
            if as_json:
                print_json(document)
            else:
                _introduce(document)
            calling = asyncio.create_task(callers.go_on(), name="callers")
            await stopped.wait()
            calling.cancel()


def _document(platform: Platform, server: PlatformServer, calls: Sequence[str], key: tuple[str, str]) -> Document:
    return {
        "base_url": server.base_url,
        "emulator_url": server.emulator_url,
        "api_key": key[0],
        "api_secret": key[1],
        "public_key": platform.public_key,
        "webhook_url": platform.webhook_url or None,
        "calls": list(calls),
    }


def _introduce(document: Document) -> None:
    """Say where it is, and how to try it."""
    base_url, key = document["base_url"], document["api_key"]
    print_line(f"base URL    {base_url}")
    print_line(f"API key     {key}   (the older API: with the secret {document['api_secret']})")
    print_line(f"public key  {document['public_key']}   (webhooks are signed with it)")
    print_line(f"webhooks    {document['webhook_url'] or 'to nobody'}")
    variables = {
        "TELNYX_BASE_URL": base_url,
        "TELNYX_API_KEY": key,
        "TELNYX_PUBLIC_KEY": document["public_key"],
    }
    given = " ".join(f"{name}={shlex.quote(str(value))}" for name, value in variables.items())
    print_line(f"use it      export {given}")
    for call_control_id in document["calls"]:
        print_line(f"call        {call_control_id}")
    access = f"--base-url {base_url} --api-key {shlex.quote(str(key))}"
    if document["calls"]:
        print_line(f"fork it     strep fork start {document['calls'][0]} --target udp:127.0.0.1:9000 {access}")
    curl = f"curl -H {shlex.quote(f'Authorization: Bearer {key}')} {document['emulator_url']}"
    print_line(f'call in     {curl}/calls -d \'{{"from": "+13125550100"}}\'')
    print_line(f"fail        {curl}/faults -X PUT -d '{{\"rate_limited\": 0.2}}'")
    print_line("Ctrl-C stops it")


def _settings(kind: type[ValueT], option: str, texts: Sequence[str] | None, seed: int | None) -> ValueT:
    """Read NAME=NUMBER for a dataclass of numbers. Raises ConfigError when one cannot be."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # both are dataclasses
    given: dict[str, Any] = {"seed": seed or 0}
    for text in texts or ():
        name, _, value = text.partition("=")
        if name not in names:
            raise ConfigError(f"{option} {text}: expected one of {', '.join(names)}, each with =NUMBER")
        try:
            number = float(value)
        except ValueError:
            raise ConfigError(f"{option} {text}: expected a number after '=', found {value!r}") from None
        given[name] = int(number) if number.is_integer() else number
    try:
        return kind(**given)
    except ConfigError as error:
        raise ConfigError(f"{option} {error}") from None
