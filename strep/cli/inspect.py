"""`strep inspect`: say what is in a capture file, and what is wrong with it."""

from __future__ import annotations

from strep.cli.compiling import compile_ahead
from strep.cli.options import CaptureFile, JsonOption, PayloadTypes, payload_types
from strep.cli.output import fates_line, print_json, print_line
from strep.cli.progress import Bar
from strep.cli.results import describe_capture, say_truncated, say_unknown
from strep.cli.streams import describe_streams, print_streams
from strep.live.offline import read_capture


def inspect(file: CaptureFile, pt: PayloadTypes = None, as_json: JsonOption = False) -> None:
    """Show the streams of a capture file, and what is wrong with them.

    One row for each SSRC. Loss and jitter are those of RFC 3550; delta is the
    longest time from one packet to the next.
    """
    told = payload_types(pt)
    compile_ahead()
    with Bar() as bar:
        result = read_capture(file, payload_types=told, indexed=bar.indexed, fed=bar.fed)
    streams = describe_streams(result.streams)
    if as_json:
        print_json({"streams": streams, "datagrams": result.datagrams, "file": describe_capture(result)})
    else:
        if streams:
            print_streams(streams)
        else:
            print_line("no streams")
        print_line(fates_line(result.datagrams))
    say_truncated(file, result)
    say_unknown(streams)
