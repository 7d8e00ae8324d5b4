"""Add up what a stream and its sources did: RFC 3550 A.3 loss, A.8 jitter, and the counts of conservation."""

from __future__ import annotations

from collections.abc import Sequence

from strep.audio.block import SampleState
from strep.stream import table as t
from strep.stream.clock import NS, skew_ppm
from strep.stream.events import SourceReport, StreamReport
from strep.stream.state import StreamState
from strep.wire.batch import Endpoint
from strep.wire.fate import Fate

_MS = 1e6


def report_source(sources: t.Sources, row: int, endpoints: Sequence[Endpoint]) -> SourceReport:
    """Report one source so far."""
    state = sources.state[row]
    assert state is not None
    intake, intake_f = sources.intake[row], sources.intake_f[row]
    packets, measured = int(intake[t.PACKETS]), int(intake[t.JITTER_COUNT])
    known_clock = state.has_known_type
    expected = state.expected_before + int(intake[t.HIGHEST_SEQUENCE]) - state.base_sequence + 1
    return SourceReport(
        ssrc=state.ssrc,
        payload_types=dict(state.payload_types),
        source=endpoints[state.sender].source,
        destination=endpoints[state.sender].destination,
        first_arrival_ns=state.first_arrival_ns,
        last_arrival_ns=int(intake[t.LATEST_ARRIVAL_NS]),
        packets=packets,
        payload_bytes=int(intake[t.PAYLOAD_BYTES]),
        expected=expected,
        lost=expected - (packets - state.duplicates - state.rejected),
        duplicates=state.duplicates,
        late=state.late,
        reordered=state.reordered,
        rejected=state.rejected,
        undecoded=state.undecoded,
        mean_jitter_ms=float(intake_f[t.JITTER_SUM_NS]) / max(measured, 1) / _MS if known_clock else None,
        max_jitter_ms=float(intake_f[t.JITTER_MAX_NS]) / _MS if known_clock else None,
        max_delta_ms=int(intake[t.DELTA_MAX_NS]) / _MS,
        restarts=state.restarts,
        false_header_claims=bool(intake[t.CLAIM_MODE] == t.DISBELIEVED),
        earlier_sources=tuple(endpoints[sender].source for sender in state.moved_from),
    )


def report_stream(
    sources: t.Sources, streams: t.Streams, stream: StreamState, endpoints: Sequence[Endpoint]
) -> StreamReport:
    """Report one stream so far, its sources included."""
    reports = [report_source(sources, row, endpoints) for row in stream.rows]
    columns = streams.release[stream.slot]
    length = int(columns[t.END_POSITION])
    by_state = {state.name.lower(): count for state, count in stream.samples_by_state.items()}
    by_state["received"] = length - sum(stream.samples_by_state.values())
    refused = {
        Fate.DUPLICATE.label: sum(r.duplicates for r in reports),
        Fate.LATE.label: sum(r.late for r in reports),
        Fate.REJECTED_SEQUENCE.label: sum(r.rejected for r in reports),
    }
    accepted = sum(r.packets for r in reports) - sum(refused.values())
    first, last = stream.first_window, stream.last_window
    anchor_ns = int(columns[t.ANCHOR_NS])
    return StreamReport(
        identity=stream.identity,
        anchor_ns=anchor_ns,
        start_ns=stream.start_ns,
        end_ns=anchor_ns + length * NS // stream.sample_rate_hz,
        length_samples=length,
        sample_rate_hz=stream.sample_rate_hz,
        skew_ppm=skew_ppm(first[0], first[1], last[0], last[1]) if first and last else 0.0,
        samples_by_state={state.name.lower(): by_state[state.name.lower()] for state in SampleState},
        fates={Fate.ACCEPTED.label: accepted, **refused},
        overlapped_samples=stream.overlapped_samples,
        sources=reports,
        refused_senders=dict(stream.refused_senders),
    )
