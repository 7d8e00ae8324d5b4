import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.live.workers.messages import Counts, Entry, EntryKind, decode, encode

numbers = st.integers(0, 2**63)
counts = st.builds(
    Counts,
    received=numbers,
    fates=st.dictionaries(st.sampled_from(["accepted", "late", "duplicate"]), numbers),
    lost_packets=numbers,
    recordings=numbers,
    failures=numbers,
    calls=numbers,
    streams=numbers,
    open_recordings=numbers,
    unproven_packets=numbers,
)
texts = st.text(st.characters())  # surrogates too: a path can hold them
entries = st.builds(Entry, st.sampled_from(EntryKind), st.dictionaries(texts, texts | st.integers() | st.none()))


@given(counts | entries)
def test_a_message_is_one_line_and_comes_out_as_it_went_in(message):
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == message


@given(st.binary())
def test_any_other_line_is_refused_as_one(line):
    with pytest.raises(ValueError, match="expected a worker's message, found b"):
        decode(line)


@pytest.mark.parametrize(
    "value", [{}, [], {"counts": {"unheard": 1}}, {"counts": 1}, {"song": {}}, {"counts": {}, "a": 1}]
)
def test_json_that_is_no_message_is_refused(value):
    with pytest.raises(ValueError, match="expected a worker's message"):
        decode(json.dumps(value).encode())


@given(counts, counts)
def test_counts_add_up_name_by_name(one, other):
    both = one + other
    assert both.received == one.received + other.received
    assert both.calls == one.calls + other.calls
    for fate in {*one.fates, *other.fates}:
        assert both.fates[fate] == one.fates.get(fate, 0) + other.fates.get(fate, 0)


def test_a_fate_that_nothing_met_stays_named():
    assert (Counts(fates={"late": 0}) + Counts()).fates == {"late": 0}


def test_of_a_worker_that_is_gone_remains_what_it_did_and_not_what_it_held():
    gone = Counts(
        9, {"accepted": 9}, 1, 2, 3, calls=4, streams=5, open_recordings=6, unproven_packets=7
    ).without_the_living()
    assert gone == Counts(9, {"accepted": 9}, 1, 2, 3)
