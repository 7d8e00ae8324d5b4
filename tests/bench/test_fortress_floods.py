import sys
import uuid

import numpy as np
import pytest

from bench.flooding import _KNOWN_MULTIPLIERS, ID_BYTES, colliding_ids, speech_packet
from bench.fortress_floods import FLOODS, measure, measure_collisions, rows, small
from tests.naive_datagram import parse_datagram


def one(**changes):
    found = {"calls": 200, "exact": 200, "begun": 20, "begun_exact": 20, "faults": [], "rate": 100}
    return found | {"reached": 99.0, "kernel_drops": 0, "preempted_s": 0.1, "resident_most_kib": 110_000} | changes


def kept(**changes):
    cost = {"legs": 10, "ratio": 1.2, "colliding_ns": 300.0}
    quiet = one(resident_most_kib=100_000)
    return [claim.is_kept for claim in rows({"quiet": quiet, "floods": {"x": one(**changes)}, "collisions": cost})]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [True, True, True, True, True]),
        ({"reached": 97.0}, [True, False, True, True, True]),
        ({"exact": 199}, [True, True, False, True, True]),
        ({"begun_exact": 19}, [True, True, False, True, True]),
        ({"faults": ["another file"]}, [True, True, False, True, True]),
        ({"resident_most_kib": 121_000}, [True, True, True, False, True]),
    ],
)
def test_each_claim_is_held_against_its_bound(changes, expected):
    assert kept(**changes) == expected


def test_the_ids_collide_as_they_did_where_hashes_had_no_secret():
    ids = colliding_ids(1000)
    assert len(np.unique(ids, axis=0)) == 1000
    assert len({hash(uuid.UUID(bytes=some.tobytes()).int) for some in ids[:500]}) == 1
    words = np.ascontiguousarray(ids[500:]).view(np.uint64)
    first, second = (np.uint64(multiplier) for multiplier in _KNOWN_MULTIPLIERS)
    assert len(np.unique(words[:, 0] * first + words[:, 1] * second)) == 1


def test_what_floods_is_valid_with_any_id():
    packet = bytearray(speech_packet())
    packet[ID_BYTES] = bytes(range(16))
    assert parse_datagram(bytes(packet)).strep.call_leg_id == uuid.UUID(bytes=bytes(range(16)))


def test_ids_that_collide_are_compared_with_random_ones():
    found = measure_collisions(legs=200, rounds=2)
    assert found["legs"] == 200
    assert min(found["colliding_ns"], found["random_ns"], found["ratio"]) > 0


@pytest.mark.bench
@pytest.mark.skipif(sys.platform != "linux", reason="the generator is Linux's")
def test_what_is_measured_is_what_the_claims_are_of():
    scene, floods = small()
    found = measure(scene, floods)
    assert len(rows(found)) == 2 + 3 * len(FLOODS)
    for name, flood in found["floods"].items():
        assert (flood["exact"], flood["begun_exact"], flood["faults"]) == (4, 2, []), name
        assert flood["flood_sent"] > 0
