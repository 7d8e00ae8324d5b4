"""`strep serve`: fork and record calls by itself, as a configuration says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from strep.cli.collecting import spare_collector
from strep.cli.compiling import compile_ahead
from strep.cli.errors import fail_as_wrong_use, say
from strep.cli.output import counted
from strep.cli.plugins import import_from_here
from strep.cli.recorder import until
from strep.cli.signals import stop_event
from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.service import Service, ServiceConfig, load_config
from strep.service.example import EXAMPLE, EXAMPLE_PUBLIC_KEY


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="What to fork, and where to.", show_default=False)
    ] = None,
    example: Annotated[bool, typer.Option("--example", help="Print an example of a configuration.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the configuration, and do nothing else.")] = False,
) -> None:
    """Fork and record the calls that a configuration selects.

    Receives the platform's webhooks, forks each answered call that a rule
    selects, and records its audio as what call it is. A service that was killed
    finds its calls again when it is started. Stop with Ctrl-C or SIGTERM: every
    file is finished within 5 s, but for FLAC and Ogg, which are converted.
    """
    if example:
        typer.echo(EXAMPLE, nl=False)
        return
    if config is None:
        raise typer.BadParameter(
            "expected a file, found none (strep serve --example prints one)", param_hint="--config"
        )
    import_from_here()
    given = _load(config)
    if check:
        given.check_surroundings()
        if given.webhooks.public_key == EXAMPLE_PUBLIC_KEY:
            say(f"{config}: warning: webhooks.public_key is the example's: no webhook will be believed")
        say(f"{config}: {counted(len(given.rules), 'rule')}, nothing wrong")
        return
    compile_ahead()
    spare_collector()
    asyncio.run(_serve(given))


def _load(path: Path) -> ServiceConfig:
    try:
        return load_config(path)
    except ConfigError as error:
        *first, last = str(error).splitlines()
        for line in first:
            say(line)
        fail_as_wrong_use(last)


async def _serve(config: ServiceConfig) -> None:
    with stop_event() as stopped:
        async with Service(config) as service:
            say(_introduction(config, service.webhook_port, service.media_address))
            await until(stopped, service.wait(), None)


def _introduction(config: ServiceConfig, port: int, address: UdpAddress | None) -> str:
    host = config.webhooks.listen[0]
    host = f"[{host}]" if ":" in host else host
    media = f"audio at {address}" if address else "audio at two ports for each call"
    return (
        f"webhooks at http://{host}:{port}{config.webhooks.path}, {media}, "
        f"recording into {config.recordings.out}; stop with Ctrl-C"
    )
