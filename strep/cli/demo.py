"""`strep demo`: a call platform, a call, a fork and a recording of it, all on this machine."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from strep.cli.errors import fail
from strep.cli.folder import fresh_folder, no_empty_folder
from strep.cli.options import JsonOption
from strep.cli.output import Document, fates_line, print_json, print_line
from strep.cli.progress import Bar
from strep.cli.recordings import describe_sink, print_recordings
from strep.cli.streams import print_streams
from strep.pictures.draw import check_picture, draw
from strep.pictures.of_recording import sheet_of_recording
from strep.sinks.recordings import RecordingSink

_FOLDER = "strep-demo"
_LONGEST_S = 3600


class CodecName(enum.StrEnum):
    """What --codec takes."""

    PCMU = "PCMU"
    PCMA = "PCMA"
    G722 = "G722"
    OPUS = "OPUS"


def demo(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the recording.", show_default="a new one, strep-demo")
    ] = None,
    codec: Annotated[CodecName, typer.Option("--codec", case_sensitive=False, help="What the parties speak.")] = (
        CodecName.PCMU
    ),
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=_LONGEST_S, help="How long the call is forked.")
    ] = 20,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the call too, as strep plot does; written anew.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show that it works: fork a call, record it, check the recording.

    A call platform runs on this machine, with a call of two parties. The call
    is forked over the platform's HTTP API, received over UDP, recorded, and
    held against what was sent, sample for sample. Nothing leaves the machine.
    """
    # The platform's web server takes as long to import as all the rest: no other command needs it.
    from strep.cli.demo_check import check_datagrams, check_recordings
    from strep.cli.demo_run import fork_and_record

    if plot is not None:
        check_picture(plot)
    folder = out or fresh_folder(_FOLDER)
    with no_empty_folder(folder):
        sink = RecordingSink(folder)
        with Bar(patience_s=0) as bar:
            run = asyncio.run(fork_and_record(codec, seconds, sink, lambda done: bar.show("the call", done, seconds)))
    if plot is not None:
        draw(sheet_of_recording(sink.recordings[0].path), plot)
    findings = check_recordings(tuple(sink.recordings), run.sent)
    findings.append(check_datagrams(run.sent, run.datagrams, run.kernel_drops))
    document = describe_sink(sink) | {
        "codec": codec.value,
        "base_url": run.base_url,
        "target": run.target,
        "datagrams": run.datagrams,
        "kernel_drops": run.kernel_drops,
        "checks": [asdict(finding) for finding in findings],
        "picture": str(plot) if plot else None,
        "passed": all(finding.passed for finding in findings),
    }
    if as_json:
        print_json(document)
    else:
        _print(document, folder)
    if not document["passed"]:
        fail("the recording is not what was sent")


def _print(document: Document, folder: Path) -> None:
    print_line(f"forked a {document['codec']} call over {document['base_url']} to {document['target']}", style="bold")
    print_streams([stream for recording in document["recordings"] for stream in recording["streams"]], title="streams")
    print_recordings(document["recordings"], document["recording_count"], folder)
    print_line(fates_line(document["datagrams"], document["kernel_drops"]))
    for check in document["checks"]:
        verdict = "ok    " if check["passed"] else "FAILED"
        print_line(f"{verdict}  {check['name']}: {check['detail']}", style="green" if check["passed"] else "bold red")
