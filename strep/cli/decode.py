"""`strep decode`: record the calls of a capture, or of a spool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from strep.audio.formats import AudioFormat
from strep.cli.compiling import compile_ahead
from strep.cli.errors import say
from strep.cli.folder import no_empty_folder
from strep.cli.options import (
    ENGINE,
    FILE_MODE,
    CaptureFiles,
    EncodingOption,
    FileFormat,
    FileModeOption,
    FormatOption,
    JsonOption,
    LayoutOption,
    OutFolder,
    PayloadTypes,
    new_sink,
    payload_types,
)
from strep.cli.output import Document
from strep.cli.progress import Bar
from strep.cli.recordings import describe_sink
from strep.cli.results import describe_capture, print_results, say_truncated
from strep.cli.signals import Interrupted, deferred_interrupt
from strep.live.offline import CaptureResult, read_capture
from strep.net.spool import captures_in
from strep.sinks.file_policy import parse_file_mode
from strep.sinks.recordings import Encoding, FilePolicy, Layout, RecordingSink
from strep.stream.engine import EngineConfig


def decode(
    files: CaptureFiles,
    out: OutFolder,
    layout: LayoutOption = Layout.STEREO,
    encoding: EncodingOption = Encoding.PCM16,
    file_format: FormatOption = FileFormat.WAV,
    pt: PayloadTypes = None,
    playout_delay_ms: Annotated[
        int | None,
        typer.Option(
            "--playout-delay-ms",
            help=f"How long a packet waits for an earlier one; by default {ENGINE.playout_delay_ms}, or as spooled.",
            show_default=False,
        ),
    ] = None,
    file_mode: FileModeOption = FILE_MODE,
    as_json: JsonOption = False,
) -> None:
    """Record the calls of a capture.

    STREP and plain RTP give the same files as a live recording of the same
    packets. SDP in the capture says what payload types mean; --pt goes first.

    A spool (strep record --spool) gives the very files that were recorded:

        strep decode spool --out again
    """
    told, policy = payload_types(pt), FilePolicy(parse_file_mode(file_mode))
    captures = captures_in(files)
    compile_ahead()
    config = None if playout_delay_ms is None else EngineConfig(playout_delay_ms=playout_delay_ms)
    total = _Total()
    with no_empty_folder(out):
        for paths in captures:
            sink = new_sink(out, layout, encoding, file_format, policy)
            result = _read(paths, sink, config, told)
            say_truncated(paths[-1], result)
            total.add(describe_sink(sink), result)
    print_results(total.document, out, as_json=as_json)


class _Total:
    """The document of several captures."""

    def __init__(self) -> None:
        self.document: Document = {
            "recordings": [],
            "recording_count": 0,
            "failures": [],
            "failure_count": 0,
            "datagrams": Counter[str](),
            "kernel_drops": None,
            "file": {"packets": 0, "fates": Counter[str](), "truncated": False, "stepped_back": 0, "duration_s": 0.0},
        }

    def add(self, recorded: Document, result: CaptureResult) -> None:
        """Add what became of a capture."""
        document, file, read = self.document, self.document["file"], describe_capture(result)
        for name in recorded:
            document[name] += recorded[name]
        document["datagrams"].update(result.datagrams)
        file["fates"].update(read.pop("fates"))
        file["truncated"] |= read.pop("truncated")
        for name, value in read.items():
            file[name] = round(file[name] + value, 3)


def _read(
    paths: Sequence[Path], sink: RecordingSink, config: EngineConfig | None, told: Mapping[int, AudioFormat]
) -> CaptureResult:
    """Read a capture into the sink. When interrupted, what was recorded so far is finished."""
    with Bar() as bar, deferred_interrupt() as check:

        def indexed(done: int, total: int) -> None:
            check()
            bar.indexed(done, total)

        def fed(done: int, total: int) -> None:
            check()
            bar.fed(done, total)

        try:
            return read_capture(paths, sinks=[sink], config=config, payload_types=told, indexed=indexed, fed=fed)
        except Interrupted:
            if sink.recording_count:
                ending = "1 recording ends" if sink.recording_count == 1 else f"{sink.recording_count} recordings end"
                say(f"{paths[0]}: not read to its end: {ending} where reading did")
            raise
