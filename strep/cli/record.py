"""`strep record`: receive forked calls and record them until told to stop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from strep.cli.errors import say
from strep.cli.folder import no_empty_folder
from strep.cli.options import (
    ENGINE,
    EncodingOption,
    FileFormat,
    FormatOption,
    JsonOption,
    LayoutOption,
    OutFolder,
    PayloadTypes,
    PlayoutDelay,
    new_sink,
    payload_types,
)
from strep.cli.recordings import describe_sink
from strep.cli.results import print_results
from strep.cli.signals import stop_event
from strep.cli.status import Tally, status_line
from strep.engine import EngineConfig
from strep.net.source import RECEIVE_BUFFER_BYTES
from strep.receiver import Receiver
from strep.sinks.recordings import Encoding, Layout

_ADDRESS = "udp:IP:PORT"


def record(
    out: OutFolder,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar=_ADDRESS, help="Where forks with `target` arrive: any number of calls."),
    ] = None,
    rx: Annotated[
        str | None, typer.Option("--rx", metavar=_ADDRESS, help="Where `rx` of one call arrives; needs --tx.")
    ] = None,
    tx: Annotated[
        str | None, typer.Option("--tx", metavar=_ADDRESS, help="Where `tx` of that call arrives; needs --rx.")
    ] = None,
    layout: LayoutOption = Layout.STEREO,
    encoding: EncodingOption = Encoding.PCM16,
    file_format: FormatOption = FileFormat.WAV,
    pt: PayloadTypes = None,
    playout_delay_ms: PlayoutDelay = ENGINE.playout_delay_ms,
    idle_timeout_s: Annotated[
        int, typer.Option("--idle-timeout-s", help="How long a call may be silent before its recording ends.")
    ] = ENGINE.idle_timeout_s,
    duration_s: Annotated[
        float | None, typer.Option("--duration", metavar="SECONDS", help="Stop after so long.", min=0)
    ] = None,
    receive_buffer_bytes: Annotated[
        int, typer.Option("--receive-buffer-bytes", help="What the kernel may hold for us.")
    ] = RECEIVE_BUFFER_BYTES,
    as_json: JsonOption = False,
) -> None:
    """Receive forked calls and record them.

    Every call leg becomes a WAV file (left is what the platform received, right
    what it transmitted) with a JSON file that says what happened to it. Stop
    with Ctrl-C: files are finished, and a table of them is printed.
    """
    told = payload_types(pt)
    config = EngineConfig(playout_delay_ms=playout_delay_ms, idle_timeout_s=idle_timeout_s)
    with no_empty_folder(out):
        sink, tally = new_sink(out, layout, encoding, file_format), Tally()
        receiver = Receiver(
            target,
            rx=rx,
            tx=tx,
            sinks=[sink, tally],
            config=config,
            payload_types=told,
            receive_buffer_bytes=receive_buffer_bytes,
        )
        asyncio.run(_receive(receiver, tally, out, duration_s))
    document = describe_sink(sink) | {"datagrams": receiver.counts(), "kernel_drops": receiver.kernel_drops}
    print_results(document, out, as_json=as_json)


async def _receive(receiver: Receiver, tally: Tally, out: Path, duration_s: float | None) -> None:
    async with receiver:
        with stop_event() as stopped:
            addresses = " and ".join(map(str, receiver.addresses))
            say(f"recording what arrives at {addresses} into {out}; stop with Ctrl-C")
            async with status_line(receiver, tally):
                await _until(stopped, receiver, duration_s)


async def _until(stopped: asyncio.Event, receiver: Receiver, duration_s: float | None) -> None:
    """Wait for a signal, the end of the time, or an error of the receiver, which is raised."""
    waiting = [asyncio.create_task(stopped.wait()), asyncio.create_task(receiver.wait())]
    try:
        done, _ = await asyncio.wait(waiting, timeout=duration_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
