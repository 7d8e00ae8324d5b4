from dataclasses import replace

import pytest

from strep.stream.diagnosis import HIGH_JITTER_MS, Problem, audio_payload_type, problems
from strep.stream.events import SourceReport

HEALTHY = SourceReport(
    ssrc=1,
    payload_types={0: "PCMU/8000"},
    source="192.0.2.1:4000",
    destination="192.0.2.2:5000",
    first_arrival_ns=0,
    last_arrival_ns=10**9,
    packets=50,
    payload_bytes=8000,
    expected=50,
    lost=0,
    duplicates=0,
    late=0,
    reordered=0,
    rejected=0,
    undecoded=0,
    mean_jitter_ms=0.1,
    max_jitter_ms=0.2,
    max_delta_ms=21.0,
    restarts=0,
    false_header_claims=False,
)


def test_a_healthy_source_has_no_problem():
    assert problems(HEALTHY) == {}


@pytest.mark.parametrize(
    ("field", "value", "problem", "count"),
    [
        ("lost", 3, Problem.LOSS, 3),
        ("duplicates", 2, Problem.DUPLICATES, 2),
        ("late", 1, Problem.LATE, 1),
        ("reordered", 4, Problem.REORDERING, 4),
        ("rejected", 5, Problem.REJECTED, 5),
        ("restarts", 1, Problem.RESTART, 1),
        ("undecoded", 50, Problem.UNDECODED, 50),
        ("false_header_claims", True, Problem.FALSE_CLAIMS, 1),
        ("payload_types", {0: "PCMU/8000", 116: "unknown"}, Problem.UNKNOWN_TYPE, 1),
        ("max_jitter_ms", HIGH_JITTER_MS + 10.5, Problem.HIGH_JITTER, HIGH_JITTER_MS + 10),
    ],
)
def test_each_problem_has_a_name_and_a_count(field, value, problem, count):
    assert problems(replace(HEALTHY, **{field: value})) == {problem: count}


def test_an_unknown_payload_type_explains_what_was_not_decoded():
    source = replace(HEALTHY, payload_types={116: "unknown"}, undecoded=50)
    assert list(problems(source)) == [Problem.UNKNOWN_TYPE]


def test_jitter_up_to_the_recommendation_is_no_problem():
    assert problems(replace(HEALTHY, max_jitter_ms=float(HIGH_JITTER_MS))) == {}


@pytest.mark.parametrize(
    ("payload_types", "found"),
    [
        ({0: "PCMU/8000"}, (0, "PCMU")),
        ({101: "TELEPHONE-EVENT/8000", 13: "CN/8000", 8: "PCMA/8000", 0: "PCMU/8000"}, (8, "PCMA")),
        ({101: "TELEPHONE-EVENT/8000", 13: "CN/8000"}, (101, "TELEPHONE-EVENT")),
        ({116: "unknown"}, (116, "unknown")),
        ({116: "OPUS/48000/2"}, (116, "OPUS")),
    ],
)
def test_the_audio_payload_type_is_the_first_that_sounds(payload_types, found):
    assert audio_payload_type(replace(HEALTHY, payload_types=payload_types)) == found
