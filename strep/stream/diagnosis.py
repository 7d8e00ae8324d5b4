"""Name what is wrong with a source, by its report: what one looks for first when a recording sounds bad."""

from __future__ import annotations

import enum

from strep.stream.events import SourceReport
from strep.stream.formats import EVENT, NOISE
from strep.stream.sources import UNKNOWN_TYPE

#: ITU-T Y.1541 table 1, classes 0 and 1: the variation of delay that a network for speech keeps to.
HIGH_JITTER_MS = 50


class Problem(enum.StrEnum):
    """One thing that can be wrong with a source."""

    LOSS = "loss"
    DUPLICATES = "duplicates"
    LATE = "late"
    REORDERING = "reordering"
    REJECTED = "rejected packets"  #: wild sequence numbers that no successor confirmed
    RESTART = "sequence restart"
    UNKNOWN_TYPE = "unknown payload type"  #: nobody said what it means
    UNDECODED = "undecoded"  #: it is known, but nothing here decodes it
    FALSE_CLAIMS = "false header claims"  #: X or CC bits of what is not there any more
    HIGH_JITTER = "high jitter"


def problems(source: SourceReport) -> dict[Problem, int]:
    """List a source's problems, with how many packets (restarts, payload types, milliseconds of jitter) each has."""
    jitter_ms = int(source.max_jitter_ms or 0)
    unknown = sum(name == UNKNOWN_TYPE for name in source.payload_types.values())
    counts = {
        Problem.LOSS: source.lost,
        Problem.DUPLICATES: source.duplicates,
        Problem.LATE: source.late,
        Problem.REORDERING: source.reordered,
        Problem.REJECTED: source.rejected,
        Problem.RESTART: source.restarts,
        Problem.UNKNOWN_TYPE: unknown,
        Problem.UNDECODED: 0 if unknown else source.undecoded,
        Problem.FALSE_CLAIMS: int(source.false_header_claims),
        Problem.HIGH_JITTER: jitter_ms if (source.max_jitter_ms or 0) > HIGH_JITTER_MS else 0,
    }
    return {problem: count for problem, count in counts.items() if count}


def audio_payload_type(source: SourceReport) -> tuple[int, str]:
    """Give the payload type that carries the sound, and its encoding name ("unknown" when nobody said).

    That is the first one heard that is neither telephone events nor comfort noise; else the first of all.
    """
    encodings = {number: name.partition("/")[0] for number, name in source.payload_types.items()}
    sounding = (number for number, name in encodings.items() if name not in (EVENT, NOISE))
    number = next(sounding, next(iter(encodings)))
    return number, encodings[number]
