"""Show streams, a row for each SSRC: what it is, what arrived of it, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from strep.audio.formats import parse_format
from strep.cli.options import is_of_use
from strep.cli.output import Column, Document, duration, print_table
from strep.sinks.sidecar import ssrc_text
from strep.stream.diagnosis import audio_payload_type, problems
from strep.stream.events import SourceReport, StreamReport
from strep.stream.formats import EVENT, NOISE
from strep.stream.sources import UNKNOWN_TYPE
from strep.utc import utc_text

#: RFC 4733 section 2.3: an event is so long.
_EVENT_BYTES = 4


def describe_streams(reports: Iterable[StreamReport]) -> list[Document]:
    """Make a document of every SSRC of every stream, in the order given."""
    return [_describe(report, source) for report in reports for source in report.sources]


def _describe(report: StreamReport, source: SourceReport) -> Document:
    payload_type, codec = audio_payload_type(source)
    identity = report.identity
    direction = identity.direction.name.lower()
    return {
        "identity": f"{identity.call} {direction}",
        "call": identity.call,
        "leg": identity.leg.name if identity.call_leg_id else None,
        "direction": direction,
        "ssrc": ssrc_text(source.ssrc),
        "source": source.source,
        "destination": source.destination,
        "payload_type": payload_type,
        "codec": codec,
        "payload_types": {str(number): name for number, name in source.payload_types.items()},
        "packets": source.packets,
        "expected": source.expected,
        "lost": source.lost,
        "duplicates": source.duplicates,
        "late": source.late,
        "reordered": source.reordered,
        "rejected": source.rejected,
        "undecoded": source.undecoded,
        "restarts": source.restarts,
        "payload_bytes": source.payload_bytes,
        "max_jitter_ms": _rounded(source.max_jitter_ms),
        "mean_jitter_ms": _rounded(source.mean_jitter_ms),
        "max_delta_ms": round(source.max_delta_ms, 3),
        "first_arrival": utc_text(source.first_arrival_ns),
        "duration_s": round((source.last_arrival_ns - source.first_arrival_ns) / 1e9, 3),
        "problems": [problem.value for problem in problems(source)],
    }


def print_streams(streams: Sequence[Document], title: str = "") -> None:
    """Print a table of streams; on a narrow terminal a row has several lines."""
    print_table(streams, _FULL, _WIDE, _NARROW, title=title)


def unknown_payload_types(streams: Iterable[Document]) -> list[int]:
    """List the payload types that nobody said the meaning of."""
    unknown = {
        int(number) for stream in streams for number, name in stream["payload_types"].items() if name == UNKNOWN_TYPE
    }
    return sorted(unknown)


def undecodable_encodings(streams: Iterable[Document]) -> list[str]:
    """List the encodings that somebody named and that nothing here decodes."""
    names = {name for stream in streams if stream["undecoded"] for name in stream["payload_types"].values()}
    formats = [parse_format(name) for name in names - {UNKNOWN_TYPE}]
    return sorted({format.encoding for format in formats if not is_of_use(format)})


def suggested_meaning(streams: Iterable[Document], payload_type: int) -> str:
    """Write a --pt for a payload type that nobody named, with what its first stream tells of it."""
    stream = next(s for s in streams if s["payload_types"].get(str(payload_type)) == UNKNOWN_TYPE)
    names = [name.partition("/")[0] for name in stream["payload_types"].values()]
    heard = [name for name in names if name not in (UNKNOWN_TYPE, EVENT, NOISE)]
    if stream["payload_bytes"] == _EVENT_BYTES * stream["packets"]:
        return f"{payload_type}=telephone-event/8000 ({_EVENT_BYTES}-byte payloads)"
    if heard and 2 * stream["undecoded"] < stream["packets"]:
        return f"{payload_type}=telephone-event/8000 (a few packets beside {heard[0]})"
    return f"{payload_type}=opus/48000/2"


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)


def _jitter(milliseconds: float | None, unit: str = "") -> str:
    """Write a jitter; an en dash for none, as where nobody knows the clock."""
    return "\N{EN DASH}" if milliseconds is None else f"{milliseconds:.2f}{unit}"


def _lost(stream: Document) -> str:
    share = 100 * stream["lost"] / stream["expected"] if stream["expected"] else 0
    return f"{stream['lost']} ({share:.1f} %)" if stream["lost"] else "0"


def _name(stream: Document) -> str:
    """Shorten a call_leg_id to where it differs from others; of plain RTP, tell who sent it to whom."""
    if stream["leg"] is None:
        return f"{stream['source']}\nto {stream['destination']}"
    return f"{stream['call'][:8]}-{stream['leg']}"


def _direction(stream: Document) -> str:
    return {"inbound": "in", "outbound": "out"}[stream["direction"]]


def _counted_problems(stream: Document) -> str:
    counts = {"loss": "lost", "duplicates": "duplicates", "late": "late", "reordering": "reordered"}
    return "\n".join(
        f"{stream[counts[name]]} {counts[name]}" if name in counts else name for name in stream["problems"]
    )


_WIDE: Sequence[Column[Document]] = (
    Column("stream", _name),
    Column("dir", _direction),
    Column("SSRC", lambda s: s["ssrc"]),
    Column("codec", lambda s: f"{s['payload_type']} {s['codec']}"),
    Column("packets", lambda s: str(s["packets"]), is_number=True),
    Column("lost", _lost, is_number=True),
    Column("dup", lambda s: str(s["duplicates"]), is_number=True),
    Column("late", lambda s: str(s["late"]), is_number=True),
    Column("reord", lambda s: str(s["reordered"]), is_number=True),
    Column("jitter max", lambda s: _jitter(s["max_jitter_ms"], " ms"), is_number=True),
    Column("mean", lambda s: _jitter(s["mean_jitter_ms"], " ms"), is_number=True),
    Column("max delta", lambda s: f"{s['max_delta_ms']:.1f} ms", is_number=True),
    Column("duration", lambda s: duration(s["duration_s"]), is_number=True),
    Column("problems", lambda s: ", ".join(s["problems"])),
)
_FULL: Sequence[Column[Document]] = (Column("stream", lambda s: s["call"]), *_WIDE[1:])
_NARROW: Sequence[Column[Document]] = (
    Column("stream", lambda s: f"{_name(s)}\n{s['ssrc']} {_direction(s)}"),
    Column("codec", lambda s: f"{s['payload_type']} {s['codec']}\n{duration(s['duration_s'])}"),
    Column("packets", lambda s: f"{s['packets']}\n{s['lost']} lost", is_number=True),
    Column(
        "jitter ms", lambda s: f"max {_jitter(s['max_jitter_ms'])}\nmean {_jitter(s['mean_jitter_ms'])}", is_number=True
    ),
    Column("delta ms", lambda s: f"max {s['max_delta_ms']:.1f}", is_number=True),
    Column("problems", _counted_problems),
)
