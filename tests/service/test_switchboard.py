import json
import uuid
from dataclasses import dataclass
from typing import ClassVar

import pytest

from strep.analysis import Found
from strep.audio.formats import AudioFormat
from strep.plugins.base import Finding
from strep.service.calls import Act, Phase
from strep.service.config import read_config
from strep.service.events import ServiceEvent
from strep.service.switchboard import QUARANTINE_FOLDER, Switchboard, Wires, conversation_of
from strep.stream.events import (
    CloseReason,
    Direction,
    Leg,
    StreamClosed,
    StreamIdentity,
    StreamOpened,
    StreamReport,
    TelephoneEvent,
)
from strep.wire.batch import Endpoint
from tests.service.notices import LEG_ID, SECOND_NS, answered, hangup, initiated, notice

CONFIG = """
[webhooks]
public_key = "NRNButY+Mkeer4fgSmm0YQkrxLKWVfhuP4mOXNXG+lY="
[media]
target = "udp:127.0.0.1:0"
announce = "udp:127.0.0.1:0"
ports = "9100-9109"
[recordings]
out = "calls"
"""
SENDER = Endpoint("192.0.2.1:5000", "127.0.0.1:9000", "plain-192.0.2.1_5000", 0)
RULE = "[[rules]]\n"


class Board(Switchboard):
    """Is a switchboard whose decisions are kept, and whose clock goes when it is told to."""

    def __init__(self, text: str = RULE):
        self.now_ns = 1_000 * SECOND_NS
        self.acts, self.told, self.views, self.ended, self.readmitted = [], [], [], [], 0
        wires = Wires(self._done, self.told.append, self.views.append, self.ended.append, self._ask, lambda leg: 0)
        super().__init__(read_config(CONFIG + text), wires, lambda: self.now_ns)

    def _done(self, call, act):
        self.acts.append(act)
        self.done(call, act)

    def done(self, call, act):
        pass

    def _ask(self):
        self.readmitted += 1

    @property
    def kinds(self):
        return [event.kind for event in self.told]


def identity(leg_id=LEG_ID, leg=Leg.A, direction=Direction.INBOUND):
    return StreamIdentity(leg_id, leg, direction)


def opened(slot=0, of=None):
    return StreamOpened(0, slot, of or identity(), 1, "192.0.2.1:5000", "127.0.0.1:9000")


def closed(slot=0, of=None, reason=CloseReason.IDLE):
    report = StreamReport(of or identity(), 0, 0, 0, 8000, 8000, 0.0, {}, {}, 0)
    return StreamClosed(0, slot, reason, report)


def test_a_leg_is_admitted_once_its_call_is_forked():
    board = Board("[service]\nunknown = 'refuse'\n" + RULE)
    assert not board.admits(identity(), SENDER)
    board.take(answered())
    assert board.acts == [Act.FORK]
    assert board.readmitted == 1, "it was refused before"
    for leg in Leg:
        assert board.admits(identity(leg=leg), SENDER)
    assert not board.admits(identity(uuid.uuid4()), SENDER)


def test_a_call_that_was_forked_by_somebody_else_is_admitted_if_a_rule_says_so():
    for accept in (True, False):
        board = Board(f"[service]\nunknown = 'refuse'\n[[rules]]\nfork = false\naccept = {str(accept).lower()}\n")
        board.take(answered())
        assert board.acts == []
        assert board.admits(identity(), SENDER) is accept


def test_what_nobody_asked_for_is_quarantined_refused_or_accepted():
    for unknown, admitted, folder in (
        ("quarantine", True, QUARANTINE_FOLDER),
        ("refuse", False, QUARANTINE_FOLDER),
        ("accept", True, ""),
    ):
        board = Board(f"[service]\nunknown = '{unknown}'\n{RULE}")
        assert board.admits(identity(), SENDER) is admitted
        about = board.about(identity())
        assert (about.subfolder if about else "") == folder


def test_quarantine_has_bounds():
    board = Board("[limits]\nquarantine_legs = 2\nquarantine_s = 5\n" + RULE)
    legs = [identity(uuid.UUID(int=n)) for n in range(4)]
    assert [board.admits(leg, SENDER) for leg in legs] == [True, True, False, False]
    assert board.admits(identity(uuid.UUID(int=0), direction=Direction.OUTBOUND), SENDER), "it is the same leg"
    board.now_ns += 5 * SECOND_NS
    board.tick()
    assert board.ended == [leg.call for leg in legs[:2]]
    assert board.kinds.count("leg.cut_off") == 2
    assert board.admits(legs[2], SENDER)


def test_a_leg_in_quarantine_that_is_over_makes_room():
    board = Board("[limits]\nquarantine_legs = 1\n" + RULE)
    one, two = identity(uuid.UUID(int=1)), identity(uuid.UUID(int=2))
    other = identity(uuid.UUID(int=1), direction=Direction.OUTBOUND)
    board.admits(one, SENDER)
    board.watch(1, opened(0, one))
    board.watch(1, opened(1, other))
    board.watch(1, closed(0, one))
    assert not board.admits(two, SENDER), "its other direction goes on"
    board.watch(1, closed(1, other))
    assert board.admits(two, SENDER)


def test_a_leg_in_quarantine_is_released_when_its_call_becomes_known():
    board = Board()
    assert board.admits(identity(), SENDER)
    board.watch(1, opened())
    assert board.kinds[-1] == "leg.quarantined"
    board.take(answered())
    assert "leg.released" in board.kinds
    about = board.about(identity())
    assert about is not None
    assert about.subfolder == ""
    board.now_ns += 3600 * SECOND_NS
    board.tick()
    assert board.ended == [], "its time is no longer bounded"
    assert board.calls.get("v3:one").open_streams == 1


def test_what_is_known_of_the_call_goes_into_the_sidecar():
    board = Board("[[rules]]\nname = 'all'\n")
    board.take(initiated(client_state="c3RhdGU="))
    board.take(answered())
    about = board.about(identity())
    assert about is not None
    assert about.subfolder == ""
    assert about.document == {
        "call_control_id": "v3:one",
        "call_leg_id": str(LEG_ID),
        "call_session_id": "session",
        "connection_id": "7",
        "from": "+493012345",
        "to": "+493055555",
        "direction": "incoming",
        "client_state": "c3RhdGU=",
        "rule": "all",
        "ended_by": None,
    }
    board.take(hangup())
    assert board.about(identity()).document["ended_by"] == "hangup"


def test_a_call_that_is_over_is_closed_and_its_rest_refused():
    board = Board()
    board.take(answered())
    call = board.calls.get("v3:one")
    board.apply(call, lambda: call.fork_done(board.now_ns))
    board.take(hangup())
    assert board.acts == [Act.FORK, Act.CLOSE]
    assert board.admits(identity(), SENDER), "the last packets are on their way"
    board.close(call)
    assert board.ended == [f"{LEG_ID}-A", f"{LEG_ID}-B"]
    assert not board.admits(identity(), SENDER)
    assert board.about(identity()).subfolder == "", "what was recorded of it stays in its place"


def unforked(text):
    board = Board(text)
    for event in (answered(), notice("call.fork.started", at_s=2), notice("call.fork.stopped", at_s=3)):
        board.take(event)
    call = board.calls.get("v3:one")
    board.close(call)
    return board, call


def test_what_comes_of_a_call_after_our_fork_is_quarantined():
    board, call = unforked(RULE)
    assert board.kinds[-1] == "call.unforked"
    assert board.about(identity()).subfolder == "", "what was recorded of it stays in its place"
    assert board.admits(identity(), SENDER)
    assert board.about(identity()).subfolder == QUARANTINE_FOLDER
    assert board.about(identity()).document["call_control_id"] == "v3:one"
    board.take(hangup())
    board.close(call)
    assert not board.admits(identity(leg=Leg.B), SENDER)


def test_what_comes_of_a_call_after_our_fork_is_recorded_in_its_place_if_a_rule_accepts_it():
    board, _ = unforked("[service]\nunknown = 'refuse'\n[[rules]]\naccept = true\n")
    assert board.admits(identity(), SENDER)
    assert board.about(identity()).subfolder == ""


def test_a_leg_that_is_refused_is_told_once_and_why():
    board, call = unforked("[service]\nunknown = 'refuse'\n" + RULE)
    for direction in Direction:
        assert not board.admits(identity(direction=direction), SENDER)
    assert board.counts["leg.refused"] == 1
    assert board.told[-1].detail == {"leg": f"{LEG_ID}-A", "reason": "service.unknown"}
    board.take(hangup())
    board.close(call)
    assert not board.admits(identity(leg=Leg.B), SENDER)
    assert board.told[-1].detail == {"leg": f"{LEG_ID}-B", "reason": "the call has ended"}


def test_legs_that_are_refused_are_told_within_bounds_and_all_counted():
    board = Board("[limits]\nquarantine_legs = 0\n" + RULE)
    for number in range(1_200):
        assert not board.admits(identity(uuid.UUID(int=number)), SENDER)
    assert board.counts["leg.refused"] == 1_200
    assert board.kinds.count("leg.refused") == 1_000
    assert board.told[-1].detail["reason"] == "limits of quarantine"


def test_what_changes_of_a_call_that_is_kept_has_it_written():
    board, changes = Board("[[rules]]\nto = '+4930*'\n"), []
    board.changed = lambda: changes.append(board.calls.get("v3:one").phase)
    for event in (initiated(), initiated(), answered(), answered(), hangup(), hangup()):
        board.take(event)
    assert changes == [Phase.INITIATED, Phase.FORKING, Phase.ENDED]
    board.tick()
    assert len(changes) == 3


def test_plain_rtp_is_tied_to_its_call_by_the_ports():
    board = Board("[[rules]]\nfork = 'rx_tx'\n")
    board.take(answered())
    call = board.calls.get("v3:one")
    call.pair = (9100, 9101)
    board.calls.allot(call, conversation_of(call.pair))
    plain = StreamIdentity(None, Leg.A, Direction.INBOUND, "rx-9100+tx-9101")
    assert board.admits(plain, SENDER)
    assert board.about(plain).document["call_control_id"] == "v3:one"
    board.close(call)
    assert board.ended == ["rx-9100+tx-9101"]


def test_each_phase_of_a_call_is_told_once():
    board = Board()
    for event in (initiated(), answered(), answered(), notice("call.fork.started"), hangup(), hangup()):
        board.take(event)
    assert board.kinds == ["call.initiated", "call.forking", "call.forked", "call.ended"]
    assert [view.phase for view in board.views] == [Phase.INITIATED, Phase.FORKING, Phase.FORKED, Phase.ENDED]
    assert board.told[-1].call["ended_by"] == "hangup"


def test_a_fork_that_failed_is_told_and_logged(caplog):
    board = Board()
    board.take(answered())
    call = board.calls.get("v3:one")
    board.apply(call, lambda: call.fork_failed("not today", board.now_ns))
    assert board.kinds[-2:] == ["call.fork_failed", "call.answered"]
    assert board.told[-2].detail == {"reason": "not today"}
    assert board.counts["call.fork_failed"] == 1
    assert [(it.levelname, it.message) for it in caplog.records] == [
        ("WARNING", "call v3:one is not recorded: not today")
    ]


def test_a_call_that_cannot_be_decided_yet_is_decided_in_time():
    board = Board("[[rules]]\ndirection = 'outgoing'\n[[rules]]\nconnection_id = '7'\n")
    board.take(answered())
    assert board.acts == []
    board.now_ns += 120 * SECOND_NS
    board.tick()
    assert board.acts == [Act.FORK]
    (event,) = (it for it in board.told if it.kind == "call.undecided")
    assert (event.detail["is_forked"], event.call["rule"]) == (True, "rules[1]")


def test_silence_has_the_platform_asked():
    board = Board()
    board.take(answered())
    call = board.calls.get("v3:one")
    board.apply(call, lambda: call.fork_done(board.now_ns))
    board.watch(1, opened())
    board.watch(1, closed())
    assert board.acts[-1] is Act.CHECK
    board.now_ns += 60 * SECOND_NS
    board.tick()
    assert board.acts == [Act.FORK, Act.CHECK, Act.CHECK]


def test_streams_are_told_with_their_call():
    board = Board()
    board.take(answered())
    board.watch(1, opened())
    board.watch(1, TelephoneEvent(0, 0, 0, 5, "5", 100.0, -10, True))
    board.watch(1, closed(reason=CloseReason.ENDED))
    opened_, digit, closed_ = board.told[-3:]
    assert (opened_.kind, digit.kind, closed_.kind) == ("stream.opened", "digit", "stream.closed")
    assert all(event.call["call_control_id"] == "v3:one" for event in (opened_, digit, closed_))
    assert digit.detail["digit"] == "5"
    assert closed_.detail["reason"] == "ended"


def test_slots_of_two_receivers_are_not_mixed_up():
    board = Board()
    other = identity(uuid.uuid4())
    board.take(answered())
    board.watch(1, opened(0))
    board.watch(2, opened(0, other))
    board.watch(2, closed(0, other))
    assert board.calls.get("v3:one").open_streams == 1


def test_codecs_that_a_webhook_named_say_what_payload_types_mean():
    board = Board()
    assert board.payload_types_of(identity(), SENDER) is None
    board.take(initiated(offered_codecs="OPUS,PCMU"))
    types = board.payload_types_of(identity(), SENDER)
    assert types is not None
    assert types[111] == AudioFormat("OPUS", 48_000, 48_000, 2)
    assert types[0] == AudioFormat("PCMU", 8000, 8000)


def test_an_event_of_no_call_changes_nothing():
    board = Board()
    board.take(notice("call.answered", ""))
    assert board.told == []
    assert len(board.calls) == 0


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)])
def test_fork_and_close_do_not_depend_on_the_order_of_webhooks(order):
    board = Board()
    for number in order:
        board.take((initiated(), answered(), hangup())[number])
    assert board.acts.count(Act.CLOSE) == 1
    assert board.acts[-1] is Act.CLOSE
    assert board.calls.get("v3:one").phase is Phase.ENDED


def test_an_event_is_a_line_of_json():
    import json

    board = Board()
    board.take(answered())
    line = json.loads(board.told[-1].line())
    assert line["event"] == "call.forking"
    assert line["call"]["from"] == "+493012345"
    assert line["time"] == "1970-01-01T00:16:40.000000Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Awkward(Finding):
    """Has fields of names that mean something else where it is told."""

    KIND: ClassVar[str] = "awkward"
    kind: str = "mine"
    time: str = "noon"


def test_what_a_plugin_finds_is_told_with_its_call_whatever_its_fields_are_called():
    board = Board()
    board.take(initiated())
    board.take(answered())
    board.take_found(Found("mine", identity(), True, 10**18, 2.5, 20.0, Awkward(row=0, position=20_000)))
    (event,) = (event for event in board.told if event.kind == "finding.awkward")
    assert event.call["call_leg_id"] == str(LEG_ID)
    assert (event.detail["direction"], event.detail["start_s"], event.detail["kind"]) == ("both", 2.5, "mine")
    assert event.detail["at"] == "2001-09-09T01:46:40.000000Z"
    assert json.loads(event.line())["time"] == json.loads(ServiceEvent(event.time_ns, "x").line())["time"]


def test_what_is_found_when_its_stream_is_over_is_told_all_the_same():
    board = Board()
    board.take_found(Found("mine", identity(), False, 0, 0.0, 0.0, Awkward(row=0, position=0)))
    assert (board.told[-1].kind, board.told[-1].call) == ("finding.awkward", {})
