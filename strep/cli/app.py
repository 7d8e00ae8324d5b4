"""Put the commands together."""

from __future__ import annotations

import functools
import importlib
import signal
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any

import typer

from strep.cli.errors import OneLineErrors
from strep.cli.help import Command, examples
from strep.cli.signals import ending_signals


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: where its function (or its group) is, and its examples."""

    module: str
    name: str
    examples: tuple[str, ...] = ()


#: Each is imported when it is asked for: `strep record` needs nothing of the platform's API, and starts at once.
COMMANDS = {
    "demo": Entry(
        "strep.cli.demo",
        "demo",
        ("strep demo", "strep demo --codec OPUS --seconds 10 --out /tmp/demo", "strep demo --plot call.png"),
    ),
    "emulate": Entry(
        "strep.cli.emulate",
        "emulate",
        (
            "strep emulate",
            "strep emulate --webhook-url http://127.0.0.1:8080/webhooks --calls 50",
            "strep emulate --calls 3 --codec OPUS --impair loss=0.02 --seed 1",
            "strep emulate --fault server_error=0.2 --fault webhook_late=0.1",
        ),
    ),
    "record": Entry(
        "strep.cli.record",
        "record",
        (
            "strep record --target udp:0.0.0.0:9000 --out calls",
            "strep record --target udp:0.0.0.0:9000 --pt 116=opus/48000/2 --out calls",
            "strep record --rx udp:0.0.0.0:9002 --tx udp:0.0.0.0:9004 --out calls",
            "strep record --target udp:0.0.0.0:9000 --out calls --file-mode 640 --fsync end",
            "strep record --target udp:0.0.0.0:9000 --out calls --recover --keep-days 30",
        ),
    ),
    "decode": Entry(
        "strep.cli.decode",
        "decode",
        (
            "strep decode call.pcap --out calls",
            "strep decode call.pcap --out calls --pt 116=opus/48000/2 --format flac",
        ),
    ),
    "inspect": Entry("strep.cli.inspect", "inspect", ("strep inspect call.pcap", "strep inspect call.pcap --json")),
    "replay": Entry(
        "strep.cli.replay",
        "replay",
        (
            "strep replay call.pcap udp:127.0.0.1:9000",
            "strep replay sip.pcap udp:127.0.0.1:9000 --encapsulate --speed max",
        ),
    ),
    "serve": Entry(
        "strep.cli.serve", "serve", ("strep serve --example > strep.toml", "strep serve --config strep.toml")
    ),
    "plot": Entry(
        "strep.cli.plot",
        "plot",
        ("strep plot call.pcap --out call.png", "strep plot calls/2dc6fc34-A.wav --out call.svg"),
    ),
    "analyze": Entry(
        "strep.cli.analyze",
        "analyze",
        ("strep analyze call.pcap", "strep analyze calls/*.wav --plugins voice,dtmf --json"),
    ),
    "recover": Entry(
        "strep.cli.recover",
        "recover",
        ("strep recover calls --check", "strep recover calls", "strep recover calls --json"),
    ),
    "retain": Entry(
        "strep.cli.retain",
        "retain",
        (
            "strep retain calls --keep-days 30",
            "strep retain calls --keep-bytes 500GB --min-free-bytes 20GB --dry-run",
        ),
    ),
    "fork": Entry("strep.cli.fork", "fork"),
    "call": Entry("strep.cli.call", "call"),
}


class Root(OneLineErrors):
    """The group of all commands, of which it imports those that are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Give the commands' names, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; None: there is no such one."""
        entry = COMMANDS.get(cmd_name)
        return entry and load_command(cmd_name, entry)


@functools.cache
def load_command(name: str, entry: Entry) -> Any:
    """Import a command, and have typer read it."""
    found = getattr(importlib.import_module(entry.module), entry.name)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(name, cls=Command, epilog=examples(*entry.examples))(found)
        found = single
    command = typer.main.get_command(found)
    command.name = name
    return command


app = typer.Typer(
    cls=Root,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # what reaches the user as a traceback is our own fault: the plain one tells most
    epilog=examples(
        "strep demo",
        "strep record --target udp:0.0.0.0:9000 --out calls",
        "strep inspect call.pcap",
    ),
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"strep {version('strep')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Receive forked call audio and keep it right.

    Exit codes: 0 done, 1 an error, 2 a wrong use (an option or a configuration
    that is missing or cannot work), 130 interrupted.
    """


def main() -> None:
    """Run the command line, and exit."""
    for number in ending_signals():
        signal.signal(number, signal.default_int_handler)  # so that it unwinds, and leaves nothing half-written
    app(prog_name="strep")
