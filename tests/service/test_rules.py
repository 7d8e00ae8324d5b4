import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.control import StreamType
from strep.service.facts import CallFacts
from strep.service.rules import Decision, ForkMode, Pattern, Rule, decide

INCOMING = CallFacts(
    "v3:one",
    connection_id="7",
    from_="+493012345",
    to="+493055555",
    direction="incoming",
    headers=(("x-record", "yes"),),
    is_initiated=True,
    is_answered=True,
)


def rule(**keys) -> Rule:
    return Rule.model_validate(keys)


def forks(*rules: Rule, facts: CallFacts = INCOMING) -> bool:
    decision = decide(rules, facts, final=True)
    assert decision is not None
    return decision.fork is not ForkMode.NO


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"connection_id": "7"},
        {"connection_id": ["8", "7"]},
        {"from": "+4930*"},
        {"from": "re:\\+49(30|40)\\d+"},
        {"to": ["+1*", "+4930?????"]},
        {"direction": "incoming"},
        {"headers": {"X-Record": "y*"}},
        {"connection_id": "7", "from": "*", "to": "*", "direction": "incoming", "headers": {"x-record": "yes"}},
    ],
)
def test_a_rule_selects_the_calls_that_meet_all_its_criteria(keys):
    assert forks(rule(**keys))


@pytest.mark.parametrize(
    "keys",
    [
        {"connection_id": "77"},
        {"from": "+4930"},
        {"from": "re:\\+49"},
        {"to": "+493055555*x"},
        {"direction": "outgoing"},
        {"headers": {"X-Record": "no"}},
        {"headers": {"X-Other": "*"}},
        {"connection_id": "7", "direction": "outgoing"},
    ],
)
def test_a_rule_passes_over_calls_that_miss_one_criterion(keys):
    assert not forks(rule(**keys))


def test_the_first_rule_that_matches_decides():
    rules = [
        rule(name="not these", **{"from": "+4930*"}, fork=False),
        rule(name="all", fork="target", stream_type=StreamType.RAW, accept=True),
    ]
    assert decide(rules, INCOMING) == Decision("not these", ForkMode.NO)
    assert decide(rules, CallFacts("v3:two", from_="+1", is_initiated=True, is_answered=True)) == Decision(
        "all", ForkMode.TARGET, StreamType.RAW, accept=True
    )


def test_a_rule_without_a_name_goes_by_its_number():
    decision = decide([rule(direction="outgoing"), rule()], INCOMING)
    assert decision is not None
    assert decision.rule == "rules[1]"


def test_a_call_that_no_rule_selects_is_not_forked():
    assert decide([rule(direction="outgoing")], INCOMING) == Decision()


def test_what_is_not_known_yet_is_waited_for():
    unknown = CallFacts("v3:one", from_="+493012345")
    rules = [rule(direction="incoming")]
    assert decide(rules, unknown) is None
    assert decide(rules, unknown, final=True) == Decision()
    assert decide(rules, CallFacts("v3:one", direction="incoming")) == Decision("rules[0]", ForkMode.TARGET)


def test_what_cannot_matter_is_not_waited_for():
    unknown = CallFacts("v3:one", from_="+493012345")
    rules = [rule(**{"from": "+1*"}, direction="incoming"), rule(**{"from": "+49*"})]
    assert decide(rules, unknown) == Decision("rules[1]", ForkMode.TARGET)


def test_a_header_may_come_with_a_later_webhook():
    rules = [rule(headers={"X-Record": "yes"})]
    assert decide(rules, CallFacts("v3:one")) is None
    assert decide(rules, CallFacts("v3:one", is_initiated=True)) is None, "the callee's come with call.answered"
    assert decide(rules, CallFacts("v3:one", is_initiated=True, is_answered=True)) == Decision()


def test_fork_is_true_or_false_or_a_word():
    assert [rule(fork=value).fork for value in (True, False, "target", "rx_tx")] == [
        ForkMode.TARGET,
        ForkMode.NO,
        ForkMode.TARGET,
        ForkMode.RX_TX,
    ]


@given(st.text())
def test_a_pattern_without_signs_matches_itself_only(text):
    plain = "".join(c for c in text if c not in "*?[]") or "x"
    if not plain.startswith("re:"):
        assert Pattern(plain).matches(plain)
        assert not Pattern(plain).matches(plain + "x")


FACTS = st.builds(
    CallFacts,
    st.just("v3:one"),
    connection_id=st.sampled_from([None, "7", "8"]),
    from_=st.sampled_from([None, "+1", "+49"]),
    direction=st.sampled_from([None, "incoming", "outgoing"]),
    is_initiated=st.booleans(),
    is_answered=st.booleans(),
)
RULES = st.lists(
    st.builds(
        lambda **keys: rule(**{name: value for name, value in keys.items() if value is not None}),
        connection_id=st.sampled_from([None, "7", "8"]),
        direction=st.sampled_from([None, "incoming", "outgoing"]),
        fork=st.booleans(),
    ),
    max_size=4,
)


@given(RULES, FACTS, FACTS)
def test_a_decision_is_never_changed_by_what_comes_later(rules, facts, later):
    """What was decided before everything was known is what would have been decided with it."""
    decision = decide(rules, facts)
    merged = CallFacts(
        "v3:one",
        connection_id=facts.connection_id or later.connection_id,
        from_=facts.from_ or later.from_,
        direction=facts.direction or later.direction,
        is_initiated=True,
        is_answered=True,
    )
    if decision is not None and not facts.is_complete:
        assert decide(rules, merged) == decision


@pytest.mark.parametrize("pattern", ["*", "re:1*"])
def test_a_value_that_is_too_long_for_a_number_matches_nothing(pattern):
    assert Pattern(pattern).matches("1" * 256)
    assert not Pattern(pattern).matches("1" * 257)
