import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.service.calls import Act, Call, Phase, Status
from strep.service.facts import CallFacts
from strep.service.rules import ForkMode, Rule
from tests.service.notices import SECOND_NS, answered, hangup, initiated, notice

ALL = (Rule(),)
INCOMING = (Rule(direction="incoming"),)
SILENCE_NS = 60 * SECOND_NS


def new_call() -> Call:
    return Call(CallFacts("v3:one"), 0)


def take(call: Call, *events, rules=ALL, now_ns: int = 0) -> list[Act]:
    return [act for event in events for act in call.take(event, rules, now_ns)]


def forked() -> Call:
    call = new_call()
    take(call, initiated(), answered())
    call.fork_done(SECOND_NS)
    return call


def test_a_call_goes_its_way_from_initiated_to_ended():
    call = new_call()
    assert take(call, initiated()) == []
    assert call.phase is Phase.INITIATED
    assert take(call, answered()) == [Act.FORK]
    assert call.phase is Phase.FORKING
    assert call.takes_media
    call.fork_done(SECOND_NS)
    assert call.phase is Phase.FORKED
    assert call.stop(2 * SECOND_NS) == [Act.STOP]
    assert call.phase is Phase.STOPPING
    assert call.stop_done(3 * SECOND_NS) == [Act.CLOSE]
    assert call.phase is Phase.UNFORKED
    assert not call.is_forked
    assert call.takes_media, "what is on its way still belongs to it"
    call.close()
    assert not call.takes_media
    assert take(call, hangup()) == [Act.CLOSE]
    assert call.phase is Phase.ENDED
    assert call.ended_by == "hangup"


def test_a_call_that_no_rule_selects_is_left_alone():
    call = new_call()
    assert take(call, initiated(), answered(), rules=(Rule(fork=ForkMode.NO),)) == []
    assert call.phase is Phase.ANSWERED
    assert not call.takes_media
    assert take(call, hangup()) == [Act.CLOSE]


def test_a_webhook_that_comes_twice_forks_once():
    call = new_call()
    assert take(call, answered(), answered(), initiated(), answered()) == [Act.FORK]


def test_a_hangup_before_all_else_is_the_end():
    call = new_call()
    assert take(call, hangup()) == [Act.CLOSE]
    assert take(call, initiated(), answered(), hangup()) == []
    assert call.phase is Phase.ENDED
    assert call.facts.direction == "incoming"


def test_a_hangup_while_the_fork_command_is_under_way_is_the_end():
    call = new_call()
    assert take(call, answered(), hangup()) == [Act.FORK, Act.CLOSE]
    assert call.fork_done(SECOND_NS) == []
    assert call.phase is Phase.ENDED


def test_fork_started_tells_that_the_command_was_carried_out():
    call = new_call()
    take(call, answered(), notice("call.fork.started"))
    assert call.phase is Phase.FORKED


def test_fork_stopped_is_the_end_of_the_fork_in_whichever_order_it_comes():
    call = new_call()
    assert take(call, answered(), notice("call.fork.stopped")) == [Act.FORK, Act.CLOSE]
    assert take(call, notice("call.fork.started"), notice("call.fork.stopped"), answered()) == []
    assert call.phase is Phase.UNFORKED
    assert call.ended_by == "fork.stopped"


@pytest.mark.parametrize("accept", [True, False])
def test_a_fork_after_ours_is_taken_if_a_rule_accepts_it_until_the_call_ends(accept):
    call = new_call()
    take(call, answered(), notice("call.fork.stopped"), rules=(Rule(accept=accept),))
    call.close()
    assert call.takes_media is accept
    take(call, notice("call.fork.started", at_s=5))
    assert call.takes_media is accept
    assert take(call, hangup()) == [Act.CLOSE]
    call.close()
    assert not call.takes_media


def test_a_fork_that_was_refused_is_not_tried_by_the_next_webhook():
    call = new_call()
    take(call, answered())
    assert call.fork_failed("refused", SECOND_NS) == []
    assert call.phase is Phase.ANSWERED
    assert call.failure == "refused"
    assert take(call, answered(), initiated()) == []


def test_a_fork_that_was_carried_out_after_all_is_taken():
    call = new_call()
    take(call, answered())
    call.fork_failed("no answer", SECOND_NS)
    assert call.takes_media
    take(call, notice("call.fork.started"))
    assert call.phase is Phase.FORKED


def test_a_fork_of_a_call_that_is_gone_is_the_end():
    call = new_call()
    take(call, answered())
    assert call.fork_failed("call has ended", SECOND_NS, is_gone=True) == [Act.CLOSE]


def test_a_call_that_somebody_else_forked_is_not_forked_again():
    call = new_call()
    assert take(call, notice("call.fork.started"), answered()) == []
    assert not call.takes_media
    assert take(call, notice("call.fork.stopped")) == []
    assert call.phase is Phase.ANSWERED


def test_media_of_a_call_that_somebody_else_forked_is_taken_if_a_rule_accepts_it():
    call = new_call()
    assert take(call, notice("call.fork.started"), answered(), rules=(Rule(accept=True),)) == []
    assert call.takes_media


def test_a_rule_that_asks_for_the_direction_waits_for_it():
    call = new_call()
    assert take(call, answered(), rules=INCOMING) == []
    assert call.phase is Phase.ANSWERED
    assert take(call, initiated(), rules=INCOMING, now_ns=SECOND_NS) == [Act.FORK]


def test_what_is_not_waited_for_any_longer_leaves_the_call_to_a_later_rule():
    call = new_call()
    rules = (*INCOMING, Rule())
    assert take(call, answered(), rules=rules) == []
    assert call.give_up(rules, SECOND_NS) == [Act.FORK]
    assert take(call, initiated(), rules=rules) == [], "once"


def test_a_call_that_was_given_up_is_forked_still_when_what_it_waited_for_comes():
    call = new_call()
    take(call, answered(), rules=INCOMING)
    assert call.give_up(INCOMING, SECOND_NS) == []
    assert call.is_provisional and call.is_kept
    assert take(call, answered(), rules=INCOMING) == []
    assert take(call, initiated(), rules=INCOMING, now_ns=3600 * SECOND_NS) == [Act.FORK]
    assert not call.is_provisional


def test_a_call_that_was_given_up_and_then_is_not_selected_is_left_alone():
    call = new_call()
    take(call, answered(), rules=INCOMING)
    call.give_up(INCOMING, SECOND_NS)
    assert take(call, initiated(direction="outgoing"), rules=INCOMING) == []
    assert not call.is_provisional and not call.is_kept


@pytest.mark.parametrize("kind", ["call.dtmf.received", "call.speak.started", "call.bridged", "streaming.started"])
def test_that_it_was_answered_other_webhooks_tell_too(kind):
    call = new_call()
    assert take(call, initiated(), notice(kind), rules=INCOMING) == [Act.FORK]


def test_the_platform_is_asked_ever_more_seldom_whether_a_call_that_rings_was_answered():
    call = new_call()
    take(call, initiated(), rules=INCOMING)
    asked_s = [s for s in range(5000) if call.pass_time(SILENCE_NS, s * SECOND_NS) == [Act.CHECK]]
    assert asked_s == [10, 30, 70, 150, 310, 630]


def test_a_call_whose_answer_no_webhook_told_is_forked_when_the_platform_says_so():
    call = new_call()
    take(call, initiated(), rules=INCOMING)
    assert call.checked(Status(is_alive=False), INCOMING, 0) == [], "of one that rings it need not say more"
    assert call.checked(Status(is_alive=True), INCOMING, 0) == []
    assert call.checked(Status(is_alive=True, is_answered=True), INCOMING, 0) == [Act.FORK]


def test_a_call_that_turns_out_to_ring_still_is_forked_when_it_is_answered():
    call = new_call()
    take(call, initiated(), rules=INCOMING)
    call.checked(Status(is_alive=True, is_answered=True), INCOMING, 0)
    call.command_id = "id"
    assert call.fork_early(SECOND_NS) == []
    assert (call.phase, call.is_ours, call.command_id) == (Phase.INITIATED, False, None)
    assert take(call, answered(), rules=INCOMING) == [Act.FORK]


def test_a_forked_call_that_is_silent_is_looked_after_once_a_while():
    call = forked()
    assert call.pass_time(SILENCE_NS, SILENCE_NS - 1) == []
    assert call.pass_time(SILENCE_NS, SILENCE_NS) == [Act.CHECK]
    assert call.pass_time(SILENCE_NS, SILENCE_NS + 1) == []
    assert call.pass_time(SILENCE_NS, 2 * SILENCE_NS) == [Act.CHECK]
    assert call.checked(Status(is_alive=True), ALL, 2 * SILENCE_NS) == []
    assert call.checked(Status(is_alive=False), ALL, 3 * SILENCE_NS) == [Act.CLOSE]
    assert call.ended_by == "gone"


def test_a_call_whose_streams_are_heard_is_not_looked_after():
    call = forked()
    call.stream_opened(SECOND_NS)
    call.stream_opened(SECOND_NS)
    assert call.pass_time(SILENCE_NS, 10 * SILENCE_NS) == []
    assert call.stream_closed(SILENCE_NS, is_idle=True) == []
    assert call.stream_closed(SILENCE_NS, is_idle=True) == [Act.CHECK]


def test_only_what_is_forked_can_be_stopped():
    call = new_call()
    assert call.stop(0) == []
    take(call, answered(), hangup())
    assert call.stop(0) == []


@pytest.mark.parametrize("phase", [Phase.FORKING, Phase.FORKED, Phase.STOPPING])
def test_a_call_is_taken_up_again_from_its_document(phase):
    call = new_call()
    take(call, initiated(), answered(), rules=(Rule(name="all", fork=ForkMode.TARGET),))
    call.command_id, call.sent_ns, call.pair = "id", 7 * SECOND_NS, (9100, 9101)
    if phase is not Phase.FORKING:
        call.fork_done(0)
    if phase is Phase.STOPPING:
        call.stop(0)
    again = Call.resume(json.loads(json.dumps(call.document())), 0)
    assert again.document() == call.document()
    assert again.takes_media
    assert again.is_resumed


def test_a_call_that_is_not_decided_yet_is_taken_up_again_with_what_is_known_of_it():
    call = new_call()
    take(call, initiated(), rules=INCOMING)
    assert call.is_kept
    again = Call.resume(json.loads(json.dumps(call.document())), 0)
    assert again.phase is Phase.INITIATED
    assert again.decision is None
    assert again.facts.direction == "incoming"
    assert take(again, answered(), rules=INCOMING) == [Act.FORK]


def test_a_call_that_somebody_else_forked_is_taken_up_again_as_such():
    call = new_call()
    take(call, notice("call.fork.started"), rules=())
    call.decision = None
    again = Call.resume(json.loads(json.dumps(call.document())), 0)
    assert take(again, answered(), rules=(Rule(accept=True),)) == []
    assert again.takes_media
    last = Call.resume(json.loads(json.dumps(again.document())), 0)
    assert (last.takes_media, last.is_kept, last.is_forked) == (True, True, False)


def test_what_is_over_or_none_of_ours_is_not_kept_for_the_next_service():
    call = new_call()
    assert call.is_kept
    take(call, answered(), rules=())
    assert not call.is_kept
    call = forked()
    take(call, hangup())
    assert call.is_kept, "the last packets are on their way"
    call.close()
    assert not call.is_kept


def test_a_fork_command_that_was_under_way_is_sent_again_while_the_platform_knows_it():
    for now_ns, acts in ((50 * SECOND_NS, [Act.FORK]), (80 * SECOND_NS, [])):
        call = new_call()
        take(call, answered())
        call.command_id, call.sent_ns = "id", 20 * SECOND_NS
        again = Call.resume(call.document(), now_ns)
        assert again.resumed(50 * SECOND_NS, now_ns) == acts
        assert again.command_id == "id"
        assert again.phase is (Phase.FORKING if acts else Phase.ANSWERED)


@pytest.mark.parametrize("change", [{"phase": "odd"}, {"pair": [1]}, {"call_control_id": None}, {"sent_ns": "x"}])
def test_a_document_of_no_sense_is_refused(change):
    call = new_call()
    take(call, answered())
    with pytest.raises((ValueError, TypeError, KeyError)):
        Call.resume(call.document() | change, 0)


COMMON = [initiated(), answered(), notice("call.fork.started", at_s=2), notice("call.fork.stopped", at_s=8)]


@given(st.permutations([*COMMON, *COMMON]), st.integers(0, 8))
def test_after_hangup_every_order_comes_to_the_same_end(events, place):
    """However webhooks come: at most one fork command, a close at the end, and one at that of the fork at most."""
    call = new_call()
    acts = take(call, *events[:place], hangup(), *events[place:], hangup())
    assert acts.count(Act.FORK) <= 1
    assert 1 <= acts.count(Act.CLOSE) <= 1 + acts.count(Act.FORK)
    assert acts[-1] is Act.CLOSE
    assert call.phase is Phase.ENDED
    assert call.facts.direction == "incoming"


@given(st.permutations([initiated(), initiated(), answered(), answered()]))
def test_in_every_order_an_answered_call_is_forked_once(events):
    call = new_call()
    assert take(call, *events, rules=INCOMING) == [Act.FORK]
