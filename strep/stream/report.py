"""Add up what a stream and its sources did: RFC 3550 A.3 loss, A.8 jitter, and the counts of conservation."""

from __future__ import annotations

from collections.abc import Sequence

from strep.audio.block import SampleState
from strep.stream.clock import NS, skew_ppm
from strep.stream.events import SourceReport, StreamReport
from strep.stream.records import DISBELIEVED, Records
from strep.stream.sources import Sources
from strep.stream.state import StreamState
from strep.wire.batch import Endpoint
from strep.wire.fate import Fate

_MS = 1e6


def report_source(sources: Sources, row: int, endpoints: Sequence[Endpoint]) -> SourceReport:
    """Report one source so far."""
    state = sources.state[row]
    assert state is not None
    source = sources.records[row]
    packets, duplicates, rejected = int(source.packets), int(source.duplicates), int(source.rejected)
    expected = int(source.expected_before + source.highest_sequence - source.base_sequence + 1)
    mean_jitter_ms = float(source.jitter_sum_ns) / max(int(source.jitter_count), 1) / _MS
    return SourceReport(
        ssrc=state.ssrc,
        payload_types=dict(state.payload_types),
        source=endpoints[state.sender].source,
        destination=endpoints[state.sender].destination,
        first_arrival_ns=state.first_arrival_ns,
        last_arrival_ns=int(source.latest_arrival_ns),
        packets=packets,
        payload_bytes=int(source.payload_bytes),
        expected=expected,
        lost=expected - (packets - duplicates - rejected),
        duplicates=duplicates,
        late=int(source.late),
        reordered=int(source.reordered),
        rejected=rejected,
        undecoded=int(source.undecoded),
        mean_jitter_ms=mean_jitter_ms if source.has_known_type else None,
        max_jitter_ms=float(source.jitter_max_ns) / _MS if source.has_known_type else None,
        max_delta_ms=int(source.delta_max_ns) / _MS,
        restarts=int(source.run),
        false_header_claims=bool(source.claims == DISBELIEVED),
        earlier_sources=tuple(endpoints[sender].source for sender in state.moved_from),
    )


def report_stream(
    sources: Sources, streams: Records, stream: StreamState, endpoints: Sequence[Endpoint]
) -> StreamReport:
    """Report one stream so far, its sources included."""
    reports = [report_source(sources, row, endpoints) for row in stream.rows]
    record = streams[stream.slot]
    length, rate_hz = int(record.end_position), int(record.sample_rate_hz)
    by_state = dict(zip((state.name.lower() for state in SampleState), record.samples_by_state.tolist(), strict=True))
    by_state["received"] = length - sum(by_state.values())
    refused = {
        Fate.DUPLICATE.label: sum(r.duplicates for r in reports),
        Fate.LATE.label: sum(r.late for r in reports),
        Fate.REJECTED_SEQUENCE.label: sum(r.rejected for r in reports),
    }
    accepted = sum(r.packets for r in reports) - sum(refused.values())
    first, last = stream.first_window, stream.last_window
    anchor_ns = int(record.anchor_ns)
    return StreamReport(
        identity=stream.identity,
        anchor_ns=anchor_ns,
        start_ns=stream.start_ns,
        end_ns=anchor_ns + length * NS // rate_hz,
        length_samples=length,
        sample_rate_hz=rate_hz,
        skew_ppm=skew_ppm(first[0], first[1], last[0], last[1]) if first and last else 0.0,
        samples_by_state=by_state,
        fates={Fate.ACCEPTED.label: accepted, **refused},
        overlapped_samples=int(record.overlapped_samples),
        sources=reports,
        refused_senders=dict(stream.refused_senders),
    )
