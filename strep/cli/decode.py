"""`strep decode`: record the calls of a capture file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from strep.audio.formats import AudioFormat
from strep.cli.compiling import compile_ahead
from strep.cli.errors import say
from strep.cli.folder import no_empty_folder
from strep.cli.options import (
    ENGINE,
    CaptureFile,
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
from strep.cli.progress import Bar
from strep.cli.recordings import describe_sink
from strep.cli.results import describe_capture, print_results, say_truncated
from strep.cli.signals import Interrupted, deferred_interrupt
from strep.engine import EngineConfig
from strep.offline import CaptureResult, read_capture
from strep.sinks.recordings import Encoding, Layout, RecordingSink


def decode(
    file: CaptureFile,
    out: OutFolder,
    layout: LayoutOption = Layout.STEREO,
    encoding: EncodingOption = Encoding.PCM16,
    file_format: FormatOption = FileFormat.WAV,
    pt: PayloadTypes = None,
    playout_delay_ms: PlayoutDelay = ENGINE.playout_delay_ms,
    as_json: JsonOption = False,
) -> None:
    """Record the calls of a capture file.

    STREP and plain RTP give the same files as a live recording of the same
    packets. SDP in the capture says what payload types mean; --pt goes first.
    """
    told = payload_types(pt)
    compile_ahead()
    config = EngineConfig(playout_delay_ms=playout_delay_ms)
    with no_empty_folder(out):
        sink = new_sink(out, layout, encoding, file_format)
        result = _read(file, sink, config, told)
    say_truncated(file, result)
    document = describe_sink(sink) | {
        "datagrams": result.datagrams,
        "kernel_drops": None,
        "file": describe_capture(result),
    }
    print_results(document, out, as_json=as_json)


def _read(file: Path, sink: RecordingSink, config: EngineConfig, told: Mapping[int, AudioFormat]) -> CaptureResult:
    """Read the capture into the sink. When interrupted, what was recorded so far is finished."""
    with Bar() as bar, deferred_interrupt() as check:

        def indexed(done: int, total: int) -> None:
            check()
            bar.indexed(done, total)

        def fed(done: int, total: int) -> None:
            check()
            bar.fed(done, total)

        try:
            return read_capture(file, sinks=[sink], config=config, payload_types=told, indexed=indexed, fed=fed)
        except Interrupted:
            if sink.recording_count:
                ending = "1 recording ends" if sink.recording_count == 1 else f"{sink.recording_count} recordings end"
                say(f"{file}: not read to its end: {ending} where reading did")
            raise
