"""Print what was recorded, and say what did not go well."""

from __future__ import annotations

from pathlib import Path

from strep.cli.errors import fail, say
from strep.cli.output import Document, counted, fates_line, print_json, print_line
from strep.cli.recordings import print_recordings
from strep.cli.streams import suggested_meaning, undecodable_encodings, unknown_payload_types
from strep.live.offline import CaptureResult


def print_results(document: Document, directory: Path, *, as_json: bool) -> None:
    """Print the document of a run: a table and a line, or JSON. Raises Exit(1) when a recording lacks something.

    document: what describe_sink gives, with "datagrams" (fates) and "kernel_drops" (None for a capture).
    """
    recordings = document["recordings"]
    if as_json:
        print_json(document)
    else:
        if recordings:
            print_recordings(recordings, document["recording_count"], directory)
        else:
            print_line("no recordings")
        print_line(fates_line(document["datagrams"], document["kernel_drops"], document.get("kernel_refused", 0)))
    say_unknown([stream for recording in recordings for stream in recording["streams"]])
    if document["failure_count"]:
        failures = document["failures"]
        first, calls = failures[0], len({failure["call"] for failure in failures})
        more = "at least " if document["failure_count"] > len(failures) else ""  # only the last ones are remembered
        fail(f"{more}{counted(calls, 'call')} could not be written in full, first {first['call']}: {first['reason']}")


def say_unknown(streams: list[Document]) -> None:
    """Tell what stays silent: how to go on where nobody said what a payload type means, and what is not decoded."""
    unknown = unknown_payload_types(streams)
    if unknown:
        numbers, example = ", ".join(map(str, unknown)), suggested_meaning(streams, unknown[0])
        which = (
            f"payload types {numbers} are unknown: name them"
            if len(unknown) > 1
            else (f"payload type {numbers} is unknown: name it")
        )
        say(f"{which}, such as --pt {example}")
    undecodable = undecodable_encodings(streams)
    if undecodable:
        are = "is" if len(undecodable) == 1 else "are"
        say(f"{', '.join(undecodable)} {are} not decoded here: a recording is silent there")


def describe_capture(result: CaptureResult) -> Document:
    """Say what was in a capture file besides the datagrams' fates: what became of its packets, and its own faults."""
    reader = result.reader
    return {
        "packets": reader.counts.packets,
        "fates": reader.counts.by_fate(),
        "truncated": reader.truncated,
        "stepped_back": reader.stepped_back,
        "duration_s": round(reader.duration_ns / 1e9, 3),
    }


def say_truncated(path: Path, result: CaptureResult) -> None:
    """Tell where a capture was cut short."""
    if result.reader.truncated:
        say(f"{path}: warning: expected whole packets to the end, found one cut short or damaged; read up to there")
