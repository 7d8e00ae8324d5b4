"""`strep fork`: start and stop forks over the call platform's API."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from strep.cli.help import Command, Group, examples
from strep.cli.options import JsonOption
from strep.cli.output import print_line
from strep.cli.platform import ApiKey, ApiSecret, BaseUrl, new_client, print_answer
from strep.control import ForkStart, ForkStop, StreamType

_EXAMPLE_ID = "v3:MdI91X"
_ADDRESS = "udp:IP:PORT"

fork = typer.Typer(
    cls=Group,
    add_completion=False,
    help="Start and stop forks of calls over the platform's API.",
    no_args_is_help=True,
    epilog=examples(
        f"strep fork start {_EXAMPLE_ID} --target udp:203.0.113.5:9000",
        f"strep fork stop {_EXAMPLE_ID} --stream-type raw",
    ),
)

CallControlId = Annotated[str, typer.Argument(metavar="CALL_CONTROL_ID", help="Which call.", show_default=False)]
ClientState = Annotated[
    str | None, typer.Option("--client-state", metavar="BASE64", help="Comes back in each later webhook of the call.")
]
CommandId = Annotated[
    str | None,
    typer.Option("--command-id", help="A command that is sent twice with one id is carried out once; else made up."),
]


@fork.command(
    cls=Command,
    epilog=examples(
        f"strep fork start {_EXAMPLE_ID} --target udp:203.0.113.5:9000",
        f"strep fork start {_EXAMPLE_ID} --rx udp:203.0.113.5:9002 --tx udp:203.0.113.5:9004",
    ),
)
def start(
    call_control_id: CallControlId,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar=_ADDRESS,
            help="Gets both directions, with STREP headers: an address of this machine that the platform can reach, "
            "not 0.0.0.0.",
        ),
    ] = None,
    rx: Annotated[
        str | None, typer.Option("--rx", metavar=_ADDRESS, help="Gets what the platform receives, as plain RTP.")
    ] = None,
    tx: Annotated[
        str | None, typer.Option("--tx", metavar=_ADDRESS, help="Gets what the platform transmits, as plain RTP.")
    ] = None,
    stream_type: Annotated[
        StreamType | None,
        typer.Option("--stream-type", help="By default raw with --target, decrypted with --rx and --tx."),
    ] = None,
    client_state: ClientState = None,
    command_id: CommandId = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a call's audio to an address of yours."""
    command = ForkStart(
        call_control_id,
        target=target,
        rx=rx,
        tx=tx,
        stream_type=stream_type,
        client_state=client_state,
        command_id=command_id,
    )
    with new_client(api_key, api_secret, base_url) as client:
        started = client.send(command)
    destinations = {name: str(address) for name in ("target", "rx", "tx") if (address := getattr(command, name))}
    document = {
        "result": started.result,
        "call_control_id": call_control_id,
        **destinations,
        "stream_type": started.stream_type.value,
        "command_id": command.command_id,
    }
    print_answer(document, as_json=as_json)
    if not as_json:
        platform = f" --base-url {shlex.quote(base_url)}" if base_url else ""
        stop_it = f"strep fork stop {call_control_id} --stream-type {started.stream_type.value}{platform}"
        print_line(f"stop it with: {stop_it}")


@fork.command(cls=Command, epilog=examples(f"strep fork stop {_EXAMPLE_ID} --stream-type raw"))
def stop(
    call_control_id: CallControlId,
    stream_type: Annotated[
        StreamType, typer.Option("--stream-type", help="The one that the fork was started with.", show_default=False)
    ],
    client_state: ClientState = None,
    command_id: CommandId = None,
    base_url: BaseUrl = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    as_json: JsonOption = False,
) -> None:
    """End the fork of a call."""
    command = ForkStop(call_control_id, stream_type=stream_type, client_state=client_state, command_id=command_id)
    with new_client(api_key, api_secret, base_url) as client:
        stopped = client.send(command)
    document = {
        "result": stopped.result,
        "call_control_id": call_control_id,
        "stream_type": stream_type.value,
        "command_id": command.command_id,
    }
    print_answer(document, as_json=as_json)
