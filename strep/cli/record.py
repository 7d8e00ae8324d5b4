"""`strep record`: receive forked calls and record them until told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from strep.cli.errors import say
from strep.cli.folder import no_empty_folder
from strep.cli.options import (
    ENGINE,
    FILE_MODE,
    EncodingOption,
    FileFormat,
    FileModeOption,
    FormatOption,
    JsonOption,
    LayoutOption,
    OutFolder,
    PayloadTypes,
    PlayoutDelay,
)
from strep.cli.output import Document
from strep.cli.plugins import EventsFile, PluginNames, PluginSettings, say_counts
from strep.cli.recorder import STDOUT, Recorder, bind_inputs, check_addresses, until
from strep.cli.recorder_options import Listening, Reception, RecorderOptions
from strep.cli.recordings import describe_sink
from strep.cli.recover import recovery
from strep.cli.results import print_results
from strep.cli.retention import KeepBytes, KeepDays, MinFreeBytes, retention, retention_limits
from strep.cli.signals import stop_event
from strep.cli.status import status_line
from strep.cli.worker_group import bind_worker_group, record_in_workers
from strep.errors import ConfigError
from strep.live.receiver import Receiver, warn_of_receive_buffer
from strep.net.opening import Receive, ring_hint
from strep.net.source import RECEIVE_BUFFER_BYTES
from strep.net.spool import SPOOL_BYTES
from strep.net.steering import MAX_SOCKETS
from strep.sinks.file_policy import parse_file_mode, parse_fsync
from strep.sinks.recordings import Encoding, FilePolicy, LargeFiles, Layout, QueueLimits

_ADDRESS = "udp:IP:PORT"
#: What waits to be written unless told otherwise.
QUEUE = QueueLimits()


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
        int,
        typer.Option(
            "--idle-timeout-s",
            help="How long a call may be silent before its recording ends; its file stays incomplete until then.",
        ),
    ] = ENGINE.idle_timeout_s,
    max_calls: Annotated[
        int,
        typer.Option(
            "--max-calls",
            help="Call legs at one time, for each worker. Beyond that, those that sent next to nothing make way for "
            "new ones; calls that are heard never do.",
        ),
    ] = ENGINE.max_calls,
    duration_s: Annotated[
        float | None, typer.Option("--duration", metavar="SECONDS", help="Stop after so long.", min=0)
    ] = None,
    receive_buffer_bytes: Annotated[
        int,
        typer.Option(
            "--receive-buffer-bytes",
            help="What the kernel may hold for us, for each worker (more than net.core.rmem_max needs root).",
        ),
    ] = RECEIVE_BUFFER_BYTES,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="CIDR",
            help="Take datagrams from this network only, such as 192.76.120.0/22; all others are counted, and nothing "
            "else. Give it as often as needed.",
            show_default=False,
        ),
    ] = None,
    receive: Annotated[
        Receive,
        typer.Option(
            "--receive",
            envvar="STREP_RECEIVE",
            help="How to receive. A ring (Linux, CAP_NET_RAW) takes a third of the time, but has datagrams before the "
            "host's firewall: auto takes it where --allow says whom to hear, or on the loopback; socket never.",
        ),
    ] = Receive.SOCKET,
    strep_only: Annotated[
        bool,
        typer.Option(
            "--strep-only",
            help="Take nothing but STREP at --target; Linux refuses the rest before it costs anything.",
        ),
    ] = False,
    spool: Annotated[
        Path | None,
        typer.Option(
            "--spool",
            metavar="DIR",
            help="Keep every datagram as it came, too, in pcapng files: strep decode DIR records them again.",
            show_default=False,
        ),
    ] = None,
    spool_bytes: Annotated[
        int, typer.Option("--spool-bytes", help="How much of it: beyond that, the oldest files are removed.")
    ] = SPOOL_BYTES,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            metavar="N",
            help="Processes that share the target's port, each with call legs of its own. Linux only: elsewhere, one "
            "worker receives all.",
            min=1,
            max=MAX_SOCKETS,
        ),
    ] = 1,
    recovers: Annotated[
        bool, typer.Option("--recover", help="First finish what a killed recorder left in the folder (strep recover).")
    ] = False,
    keep_days: KeepDays = None,
    keep_bytes: KeepBytes = None,
    min_free_bytes: MinFreeBytes = None,
    plugins: PluginNames = None,
    settings: PluginSettings = None,
    events: EventsFile = None,
    file_mode: FileModeOption = FILE_MODE,
    large_files: Annotated[
        LargeFiles, typer.Option("--large-files", help="What a WAV file of 4 GB becomes: several files, or RF64.")
    ] = LargeFiles.PARTS,
    fsync: Annotated[
        str,
        typer.Option(
            "--fsync",
            metavar="never|end|SECONDS",
            help="When to wait until a recording is on the disk: against power cuts, and slow with many calls.",
        ),
    ] = "never",
    write_queue_s: Annotated[
        float, typer.Option("--write-queue-s", help="How long audio may wait for a slow disk before some is left out.")
    ] = QUEUE.seconds,
    write_queue_bytes: Annotated[
        int, typer.Option("--write-queue-bytes", help="How much audio may wait for it, for each worker.")
    ] = QUEUE.bytes,
    as_json: JsonOption = False,
) -> None:
    """Receive forked calls and record them.

    Every call leg becomes a WAV file (left is what the platform received, right
    what it transmitted) with a JSON file that says what happened to it. Stop
    with Ctrl-C: files are finished, and a table of them is printed. A disk that
    stalls holds nothing up: audio waits in memory meanwhile.
    """
    options = RecorderOptions(
        out=out,
        layout=layout,
        encoding=encoding,
        file_format=file_format,
        pt=tuple(pt or ()),
        playout_delay_ms=playout_delay_ms,
        idle_timeout_s=idle_timeout_s,
        max_calls=max_calls,
        reception=Reception(None if allow is None else tuple(allow), strep_only, spool, spool_bytes, receive=receive),
        listening=Listening(plugins, tuple(settings or ()), _events(events, out, plugins, workers, as_json=as_json)),
        files=FilePolicy(parse_file_mode(file_mode), large_files, parse_fsync(fsync)),
        queue=QueueLimits(write_queue_s, write_queue_bytes),
        retention=retention_limits(keep_days, keep_bytes, min_free_bytes),
    )
    check_addresses(target, rx, tx)
    inputs = {"target": target, "rx": rx, "tx": tx}
    with no_empty_folder(out), recovery(out) if recovers else nullcontext():
        if workers > 1:
            document = _record_in_workers(options, workers, inputs, receive_buffer_bytes, duration_s)
        else:
            document = _record_here(options, inputs, receive_buffer_bytes, duration_s)
    error = document.get("error")
    if error:
        say(error)
    if str(options.listening.events) != STDOUT:
        print_results(document, out, as_json=as_json)
    if error:
        raise typer.Exit(1)


def _record_in_workers(
    options: RecorderOptions,
    workers: int,
    inputs: Mapping[str, str | None],
    receive_buffer_bytes: int,
    duration_s: float | None,
) -> Document:
    if options.reception.receive is Receive.RING:
        raise ConfigError("workers share a port, which a packet ring cannot: expected --receive auto, found ring")
    with (
        bind_worker_group(options, workers, **inputs, receive_buffer_bytes=receive_buffer_bytes) as group,
        retention(options.out, options.retention, group.tell_removed),
    ):
        return asyncio.run(record_in_workers(group, duration_s))


def _record_here(
    options: RecorderOptions, inputs: Mapping[str, str | None], receive_buffer_bytes: int, duration_s: float | None
) -> Document:
    with bind_inputs(receive_buffer_bytes, strep_only=options.reception.strep_only, **inputs) as bound:
        recorder = Recorder(options, bound.get("target"), bound.get("rx"), bound.get("tx"))
        warn_of_receive_buffer(next(iter(bound.values())))
        return asyncio.run(_record(recorder, options, duration_s))


def _events(events: Path | None, out: Path, plugins: str | None, workers: int, *, as_json: bool) -> Path | None:
    """Tell where events go to. Raises ConfigError for standard output, where that is needed otherwise."""
    if str(events) == STDOUT and (as_json or workers > 1):
        raise ConfigError(f"--events - has stdout to itself, so not with {'--json' if as_json else '--workers'}")
    return out / "events.jsonl" if events is None and plugins is not None else events


def _by(receiver: Receiver) -> str:
    """Say how it receives."""
    return f", by {' and '.join(dict.fromkeys(receiver.ways))}"


async def _record(recorder: Recorder, options: RecorderOptions, duration_s: float | None) -> Document:
    receiver = recorder.receiver
    async with receiver:
        recorder.write_events()
        with retention(options.out, options.retention, recorder.tell_removed), stop_event() as stopped:
            addresses = " and ".join(map(str, receiver.addresses))
            say(f"recording what arrives at {addresses} into {options.out}{_by(receiver)}; stop with Ctrl-C")
            if hint := ring_hint(receiver.addresses[0], receiver.ways[0], options.reception.receive):
                say(f"hint: {hint}")
            async with status_line(receiver, recorder.tally, recorder.watch):
                try:
                    await until(stopped, receiver.wait(), duration_s)
                finally:
                    recorder.announcements.end()
    listened = receiver.analysis.counts()
    say_counts(listened)
    sink = recorder.sink
    return describe_sink(sink) | {
        "write_queue": {
            "left_out_samples": sink.left_out_samples,
            "dropped_events": sink.dropped_events,
            "refused_streams": sink.refused_streams,
        },
        "datagrams": receiver.counts(),
        "kernel_drops": receiver.kernel_drops,
        "kernel_refused": receiver.kernel_refused,
        "receive": [str(way) for way in receiver.ways],
        "spool": recorder.describe_spool(),
        "socket_errors": receiver.socket_errors,
        "plugins": {name: asdict(counts) for name, counts in listened.items()},
        "error": recorder.events_problem,
    }
