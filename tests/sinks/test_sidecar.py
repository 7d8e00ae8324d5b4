import json
from dataclasses import replace
from pathlib import Path

import pytest

from strep.audio.block import SampleState
from strep.audio.formats import AudioFormat
from strep.sinks.sidecar import MAX_LISTED, StreamNotes, write_sidecar
from strep.stream.events import FormatChanged, Gap, SourceChanged, TelephoneEvent
from strep.utc import utc_text
from tests.sinks.recordings.calls import PCMU, SECOND, T0, closed, format_changed, opened


def place(position: int, sample_rate_hz: int) -> float:
    return 10 + position / sample_rate_hz


def gap(position: int, rate_hz: int = 8000) -> Gap:
    return Gap(T0, 0, position, 320, rate_hz, 2, SampleState.LOST)


def digit(position: int) -> TelephoneEvent:
    return TelephoneEvent(T0, 0, position, 5, "5", 100.0, 10, True)


def test_every_event_is_listed_with_its_place_in_the_recording() -> None:
    notes = StreamNotes(opened(0, 1), max_gaps=10)
    notes.note(format_changed(0))
    notes.note(gap(800))
    notes.note(digit(1600))
    notes.note(FormatChanged(T0, 0, 16_000, 9, AudioFormat("G722", 8000, 16_000)))
    notes.note(SourceChanged(T0, 0, 32_000, 99))
    notes.note(FormatChanged(T0, 0, 48_000, 116, None))
    document = notes.describe(place)
    assert document["formats"] == {
        "count": 3,
        "listed": [
            {"at_s": 10.0, "position": 0, "sample_rate_hz": 8000, "payload_type": 0, "format": "PCMU/8000"},
            {"at_s": 11.0, "position": 16_000, "sample_rate_hz": 16_000, "payload_type": 9, "format": "G722/8000"},
            {"at_s": 13.0, "position": 48_000, "sample_rate_hz": 16_000, "payload_type": 116, "format": None},
        ],
    }
    assert document["gaps"] == {
        "count": 1,
        "listed": [
            {
                "at_s": 10.1,
                "duration_s": 0.04,
                "position": 800,
                "length_samples": 320,
                "sample_rate_hz": 8000,
                "lost_packets": 2,
                "state": "lost",
            }
        ],
    }
    assert document["telephone_events"] == {
        "count": 1,
        "listed": [
            {
                "at_s": 10.2,
                "position": 1600,
                "sample_rate_hz": 8000,
                "event": 5,
                "name": "5",
                "duration_ms": 100.0,
                "volume_dbm0": 10,
                "complete": True,
            }
        ],
    }
    assert document["source_changes"]["listed"] == [
        {"at_s": 12.0, "position": 32_000, "sample_rate_hz": 16_000, "ssrc": "0x00000063"}
    ]
    assert notes.encodings == {"PCMU", "G722", ""}


def test_lists_are_bounded_and_tell_how_many_there_were() -> None:
    notes = StreamNotes(opened(0), max_gaps=3)
    for number in range(MAX_LISTED + 5):
        notes.note(gap(number * 1000))
        notes.note(digit(number))
    document = notes.describe(None)
    assert [entry["position"] for entry in document["gaps"]["listed"]] == [0, 1000, 2000]
    assert document["gaps"]["count"] == MAX_LISTED + 5
    assert len(document["telephone_events"]["listed"]) == MAX_LISTED
    assert document["telephone_events"]["count"] == MAX_LISTED + 5
    assert document["gaps"]["listed"][0]["at_s"] is None, "nobody has decided yet where the stream lies"


def test_no_more_gaps_are_listed_than_are_asked_for() -> None:
    notes = StreamNotes(opened(0), max_gaps=10)
    for number in range(20):
        notes.note(gap(number * 1000))
    notes.note(digit(0))
    assert len(notes.describe(place)["gaps"]["listed"]) == 10
    gaps = notes.describe(place, most_gaps=4)["gaps"]
    assert gaps["count"] == 20
    assert [entry["position"] for entry in gaps["listed"]] == [0, 1000, 2000, 3000]
    assert (notes.listed_count(100), notes.listed_count(4)) == (11, 5)


def test_payload_types_that_carry_no_audio_do_not_change_the_rate_of_positions() -> None:
    notes = StreamNotes(opened(0), max_gaps=3)
    notes.note(format_changed(0, AudioFormat("L16", 16_000, 16_000), 111))
    notes.note(format_changed(0, AudioFormat("TELEPHONE-EVENT", 8000, 8000), 101))
    notes.note(digit(8000))
    assert notes.describe(place)["telephone_events"]["listed"][0]["at_s"] == 10.5
    assert notes.encodings == {"L16"}


def test_all_of_a_stream_report_is_told() -> None:
    notes = StreamNotes(opened(0), max_gaps=3)
    notes.note(closed(0, length=8000, at_ns=2 * SECOND))
    document = notes.describe(place)
    expected = {
        "closed": "2023-11-14T22:13:22.000000Z",
        "close_reason": "ended",
        "sample_rate_hz": 8000,
        "length_samples": 8000,
        "skew_ppm": 12.5,
        "samples_by_state": {"received": 8000},
        "fates": {"accepted": 49, "duplicate": 1},
        "overlapped_samples": 3,
        "start": "2023-11-14T22:13:20.000000Z",
        "end": "2023-11-14T22:13:22.000000Z",
        "packets": 49,
        "expected_packets": 50,
        "lost_packets": 1,
        "loss_percent": 2.0,
        "mean_jitter_ms": 1.5,
        "max_jitter_ms": 2.5,
        "refused_senders": {"198.51.100.7:9": 3},
    }
    assert expected.items() <= document.items()
    source = document["sources"][0]
    assert document["ssrc"] == source["ssrc"] == "0x00000007"
    assert source["payload_types"] == {0: PCMU.__str__()}
    assert source["last_arrival"] == "2023-11-14T22:13:21.000000Z"
    assert set(source) == {
        "ssrc", "payload_types", "source", "destination", "packets", "payload_bytes", "expected", "lost", "duplicates",
        "late", "reordered", "rejected", "undecoded", "mean_jitter_ms", "max_jitter_ms", "max_delta_ms", "restarts",
        "false_header_claims", "first_arrival", "last_arrival", "earlier_sources",
    }  # fmt: skip


def test_jitter_is_that_of_the_sources_whose_clock_is_known_and_null_where_none_is() -> None:
    def described(*jitters: tuple[float | None, float | None]) -> tuple[object, object]:
        event = closed(0)
        sources = [
            replace(event.report.sources[0], mean_jitter_ms=mean, max_jitter_ms=most, packets=10 * (n + 1))
            for n, (mean, most) in enumerate(jitters)
        ]
        notes = StreamNotes(opened(0), 3)
        notes.note(replace(event, report=replace(event.report, sources=sources)))
        document = notes.describe(place)
        return document["mean_jitter_ms"], document["max_jitter_ms"]

    assert described((1.0, 4.0), (None, None), (2.0, 3.0)) == (1.75, 4.0)
    assert described((None, None)) == (None, None)


def test_an_open_stream_has_the_same_keys_and_no_totals() -> None:
    before, after = StreamNotes(opened(0), 3), StreamNotes(opened(0), 3)
    after.note(closed(0))
    document = before.describe(None)
    assert document.keys() == after.describe(None).keys()
    assert document["packets"] is document["fates"] is document["closed"] is None


def test_what_is_no_number_is_null_in_the_file(tmp_path: Path) -> None:
    notes = StreamNotes(opened(0), 3)
    notes.note(closed(0, skew_ppm=float("nan")))
    write_sidecar(tmp_path / "x.json", notes.describe(place))
    assert json.loads((tmp_path / "x.json").read_text())["skew_ppm"] is None


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (T0 + 1_999, "2023-11-14T22:13:20.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (10**30, "1000000000000000000000.000000 s since 1970-01-01T00:00:00Z"),
    ],
)
def test_times_are_utc_to_the_microsecond(time_ns: int, text: str) -> None:
    assert utc_text(time_ns) == text
