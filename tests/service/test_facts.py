import json

from hypothesis import given
from hypothesis import strategies as st

from strep.service.facts import CallFacts
from tests.service.notices import LEG_ID, answered, hangup, initiated, notice


def gathered(*events) -> CallFacts:
    facts = CallFacts("v3:one")
    for event in events:
        facts = facts.with_event(event)
    return facts


EVENTS = [
    initiated(
        sip_headers=[{"name": "User-to-User", "value": "1234"}],
        offered_codecs="G722,opus",
        client_state="Zmlyc3Q=",
    ),
    answered(custom_headers=[{"name": "X-Record", "value": "yes"}], client_state="c2Vjb25k"),
    notice("call.fork.started", at_s=2, stream_type="raw"),
    hangup(client_state="dGhpcmQ="),
]


def test_what_webhooks_say_is_gathered():
    facts = gathered(*EVENTS)
    assert facts.call_leg_id == LEG_ID
    assert facts.call_session_id == "session"
    assert (facts.from_, facts.to, facts.direction) == ("+493012345", "+493055555", "incoming")
    assert set(facts.headers) == {("user-to-user", "1234"), ("x-record", "yes")}
    assert facts.codecs == ("G722", "OPUS")
    assert facts.is_complete


@given(st.permutations([*EVENTS, *EVENTS]))
def test_order_and_repetition_make_no_difference(events):
    facts, expected = gathered(*events), gathered(*EVENTS)
    assert facts.describe() == expected.describe()
    assert set(facts.headers) == set(expected.headers)
    assert facts.is_complete


def test_the_client_state_is_that_of_the_latest_event():
    assert gathered(EVENTS[3], EVENTS[0]).client_state == b"third"
    assert gathered(EVENTS[0], EVENTS[1]).describe()["client_state"] == "c2Vjb25k"


def test_what_was_described_is_read_again():
    facts = gathered(*EVENTS)
    assert CallFacts.read(json.loads(json.dumps(facts.document()))) == facts


def test_a_leg_id_that_is_none_is_not_known():
    assert gathered(notice("call.answered", leg=None)).call_leg_id is None


def test_endless_values_are_bounded():
    event = initiated(
        caller="x",
        sip_headers=[{"name": f"h{n}", "value": "v" * 5000} for n in range(500)],
        offered_codecs=",".join(f"c{n}" for n in range(5000)),
        client_state="AAAA" * 100_000,
    )
    assert len(json.dumps(gathered(event).document())) < 100_000


def test_headers_of_no_sense_are_left_out():
    facts = gathered(initiated(sip_headers=[1, {"name": 3, "value": "x"}, {"name": "a"}], custom_headers="none"))
    assert facts.headers == ()
