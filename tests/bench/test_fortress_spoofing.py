import sys

import numpy as np
import pytest

from bench.flooding import speech_packet
from bench.fortress_spoofing import SSRCS, Forger, measure_engine, measure_live, rows
from tests.naive_datagram import parse_datagram


def report(*, identical=10, refused=500, exact=10, faults=()):
    engine = {"calls": 10, "files": 10, "identical": identical, "forged": 500, "refused": refused}
    return {"engine": engine, "live": {"calls": 10, "exact": exact, "forged": 500, "faults": list(faults)}}


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ({}, [True, True, True]),
        ({"identical": 9}, [False, True, True]),
        ({"refused": 499}, [True, False, True]),
        ({"exact": 9}, [True, True, False]),
        ({"faults": ["another file"]}, [True, True, False]),
    ],
)
def test_each_claim_is_held_against_its_bound(found, kept):
    assert [claim.is_kept for claim in rows(report(**found))] == kept


def test_a_forger_sends_other_ssrcs_next_numbers_and_shifted_timestamps():
    forger, true = Forger(np.random.default_rng(1)), parse_datagram(speech_packet())
    forged = [parse_datagram(forger.forge(speech_packet(), number)) for number in range(6 * SSRCS)]
    assert {one.strep for one in forged} == {true.strep}
    assert len({one.rtp.ssrc for one in forged[::3]}) == SSRCS
    assert {one.rtp.sequence_number - true.rtp.sequence_number for one in forged[1::3]} == {1, 2, 3}
    shifted = forged[2::3]
    assert {(one.rtp.ssrc, one.rtp.sequence_number) for one in shifted} == {(true.rtp.ssrc, true.rtp.sequence_number)}
    assert len({one.rtp.timestamp for one in shifted}) > SSRCS
    assert all(one.rtp.payload != true.rtp.payload for one in forged)


def test_forged_packets_leave_no_trace_in_a_recording():
    found = measure_engine(calls=2, seconds=2)
    assert found["files"] == found["identical"] == 2
    assert found["forged"] == found["refused"] > 300


@pytest.mark.bench
@pytest.mark.skipif(sys.platform != "linux", reason="the generator is Linux's")
def test_forged_packets_cost_no_sample_over_sockets():
    found = measure_live(2, 4, pinned=False)
    assert (found["exact"], found["faults"]) == (2, [])
    assert found["fates"]["rejected_source"] > 0
