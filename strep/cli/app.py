"""Put the commands together."""

from __future__ import annotations

import signal
from importlib.metadata import version
from typing import Annotated

import typer

from strep.cli.call import call_commands
from strep.cli.decode import decode
from strep.cli.demo import demo
from strep.cli.emulate import emulate
from strep.cli.errors import OneLineErrors
from strep.cli.fork import fork
from strep.cli.help import Command, examples
from strep.cli.inspect import inspect
from strep.cli.plot import plot
from strep.cli.record import record
from strep.cli.replay import replay
from strep.cli.serve import serve
from strep.cli.signals import ending_signals
from strep.control.commands import COMMANDS

app = typer.Typer(
    cls=OneLineErrors,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # what reaches the user as a traceback is our own fault: the plain one tells most
    epilog=examples(
        "strep demo",
        "strep record --target udp:0.0.0.0:9000 --out calls",
        "strep inspect call.pcap",
    ),
)
app.command(
    cls=Command,
    epilog=examples("strep demo", "strep demo --codec OPUS --seconds 10 --out /tmp/demo"),
)(demo)
app.command(
    cls=Command,
    epilog=examples(
        "strep emulate",
        "strep emulate --webhook-url http://127.0.0.1:8080/webhooks --calls 50",
        "strep emulate --calls 3 --codec OPUS --impair loss=0.02 --seed 1",
        "strep emulate --fault server_error=0.2 --fault webhook_late=0.1",
    ),
)(emulate)
app.command(
    cls=Command,
    epilog=examples(
        "strep record --target udp:0.0.0.0:9000 --out calls",
        "strep record --target udp:0.0.0.0:9000 --pt 116=opus/48000/2 --out calls",
        "strep record --rx udp:0.0.0.0:9002 --tx udp:0.0.0.0:9004 --out calls",
    ),
)(record)
app.command(
    cls=Command,
    epilog=examples(
        "strep decode call.pcap --out calls",
        "strep decode call.pcap --out calls --pt 116=opus/48000/2 --format flac",
    ),
)(decode)
app.command(cls=Command, epilog=examples("strep inspect call.pcap", "strep inspect call.pcap --json"))(inspect)
app.command(
    cls=Command,
    epilog=examples(
        "strep replay call.pcap udp:127.0.0.1:9000",
        "strep replay sip.pcap udp:127.0.0.1:9000 --encapsulate --speed max",
    ),
)(replay)
app.command(
    cls=Command,
    epilog=examples("strep serve --example > strep.toml", "strep serve --config strep.toml"),
)(serve)
app.command(
    cls=Command,
    epilog=examples("strep plot call.pcap --out call.png", "strep plot calls/2dc6fc34-A.wav --out call.svg"),
)(plot)
app.add_typer(fork, name="fork")
app.add_typer(call_commands(COMMANDS), name="call")


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
    """Receive forked call audio and keep it right."""


def main() -> None:
    """Run the command line, and exit."""
    for number in ending_signals():
        signal.signal(number, signal.default_int_handler)  # so that it unwinds, and leaves nothing half-written
    app(prog_name="strep")
