"""A leg is fed by the address that it was learnt from, and by another only when that has fallen silent."""

import uuid

import pytest

from strep.stream import source_lock
from strep.stream.engine import EngineConfig
from strep.stream.events import StreamClosed, StreamOpened
from strep.wire.batch import Endpoint
from tests.traffic import SMALL, Sender, every, pcmu, per_stream, play, run

OWNER, SAME_HOST, ELSEWHERE = 0, 1, 2
ENDPOINTS = tuple(
    Endpoint(source, "192.0.2.2:9", f"plain-{source}")
    for source in ("192.0.2.1:1000", "192.0.2.1:2000", "198.51.100.7:1000")
)
PORT_MS, HOST_MS = source_lock.PORT_SILENT_NS // 1_000_000, source_lock.HOST_SILENT_NS // 1_000_000


def sent(packets: list[bytes], source: int, start_ms: float = 0, step_ms: float = 20) -> list[tuple]:
    return [(ms, packet, source) for ms, packet in every(packets, start_ms, step_ms)]


def audio_of(outcome, direction: int = 0) -> list[int]:
    (slot,) = [event.slot for event in outcome.of(StreamOpened) if event.identity.direction == direction]
    return outcome.audio(slot).tolist()


ATTACKS = {
    "the same numbers": Sender(seed=9),
    "numbers ahead": Sender(seed=9, sequence_number=1100, timestamp=60_000),
    "numbers far away": Sender(seed=9, sequence_number=60_000, timestamp=1 << 31),
    "another SSRC": Sender(seed=9, ssrc=77),
}


@pytest.mark.parametrize("source", [SAME_HOST, ELSEWHERE])
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_another_address_sends_into_a_leg_changes_nothing(attack: str, source: int) -> None:
    packets = Sender().packets(100)
    attacker = Sender(
        **{name: getattr(ATTACKS[attack], name) for name in ("seed", "sequence_number", "timestamp", "ssrc")}
    )
    quiet = play(sent(packets, OWNER), endpoints=ENDPOINTS)
    arrivals = sorted(sent(packets, OWNER) + sent(attacker.packets(150), source, 45, 11))
    outcome = play(arrivals, endpoints=ENDPOINTS)
    assert (outcome.counts["accepted"], outcome.counts["rejected_source"]) == (100, 150)
    assert audio_of(outcome) == audio_of(quiet) == pcmu(packets).tolist()
    assert outcome.report.refused_senders == {ENDPOINTS[source].source: 150}
    assert outcome.report.sources == quiet.report.sources


def test_64_sources_of_another_address_take_no_place_from_the_owners() -> None:
    packets = Sender().packets(50)
    spoofed = [packet for n in range(64) for packet in Sender(ssrc=n, seed=n).packets(4)]
    later = Sender(ssrc=5000, timestamp=160 * 50 + 50_000, seed=4).packets(10)
    arrivals = sorted(sent(packets, OWNER) + sent(spoofed, ELSEWHERE, 100, 3) + sent(later, OWNER, 1000))
    outcome = play(arrivals, endpoints=ENDPOINTS)
    assert len(outcome.report.sources) == 2
    assert audio_of(outcome) == pcmu(packets + later).tolist()


def test_the_other_direction_may_come_from_another_port_of_the_host_but_not_from_another_host() -> None:
    inbound, outbound = Sender().packets(20), Sender(direction=1, ssrc=2, seed=2).packets(20)
    outcome = play(sorted(sent(inbound, OWNER) + sent(outbound, SAME_HOST, 5)), endpoints=ENDPOINTS)
    assert (audio_of(outcome, 0), audio_of(outcome, 1)) == (pcmu(inbound).tolist(), pcmu(outbound).tolist())
    outcome = play(sorted(sent(inbound, OWNER) + sent(outbound, ELSEWHERE, 5)), endpoints=ENDPOINTS)
    assert outcome.counts["rejected_source"] == 20
    assert outcome.report.refused_senders == {ENDPOINTS[ELSEWHERE].source: 20}


@pytest.mark.parametrize(("source", "silent_ms"), [(SAME_HOST, PORT_MS), (ELSEWHERE, HOST_MS)])
def test_another_address_takes_over_when_the_owner_has_been_silent(source: int, silent_ms: int) -> None:
    before, after = Sender().packets(60), Sender(ssrc=2, seed=2).packets(200)
    moved_ms = 60 * 20 + silent_ms
    outcome = play(sent(before, OWNER) + sent(after, source, moved_ms), endpoints=ENDPOINTS)
    assert outcome.counts["accepted"] == 260, "held back until the whole second, and taken then"
    assert audio_of(outcome)[-len(pcmu(after)) :] == pcmu(after).tolist()
    assert [report.source for report in outcome.report.sources] == [ENDPOINTS[n].source for n in (OWNER, source)]


@pytest.mark.parametrize(("source", "silent_ms"), [(SAME_HOST, PORT_MS), (ELSEWHERE, HOST_MS)])
def test_but_not_before(source: int, silent_ms: int) -> None:
    packets = Sender().packets(120)
    arrivals = sent(packets[:60], OWNER) + sent(packets[60:], OWNER, 59 * 20 + silent_ms - 1)
    intruder = sent(Sender(ssrc=2).packets(40), source, 60 * 20, (silent_ms - 30) / 40)
    outcome = play(sorted(arrivals + intruder), endpoints=ENDPOINTS)
    assert (outcome.counts["accepted"], outcome.counts["rejected_source"]) == (120, 40)


def test_another_host_waits_for_both_directions_to_be_silent() -> None:
    inbound, outbound = Sender().packets(20), Sender(direction=1, ssrc=2, seed=2).packets(500)
    intruder = sent(Sender(ssrc=3).packets(100), ELSEWHERE, 5000)
    outcome = play(sorted(sent(inbound, OWNER) + sent(outbound, OWNER, 5) + intruder), endpoints=ENDPOINTS)
    assert (outcome.counts["accepted"], outcome.counts["rejected_source"]) == (520, 100)


def test_another_host_takes_over_also_when_it_begins_with_the_other_direction() -> None:
    """That it is heard itself by then does not say that the owner is there."""
    owner, inbound = Sender().packets(10), Sender(ssrc=2)
    outbound = Sender(direction=1, ssrc=3)
    arrivals = (
        sent(owner, OWNER) + sent(outbound.packets(100), ELSEWHERE, 4001) + sent(inbound.packets(100), ELSEWHERE, 4010)
    )
    outcome = play(sorted(arrivals), endpoints=ENDPOINTS)
    assert outcome.counts["accepted"] == 210


@pytest.mark.parametrize("source", [SAME_HOST, ELSEWHERE])
def test_what_was_held_back_before_the_leg_began_takes_no_part_of_it_over(source: int) -> None:
    """Nor does it when its sender may begin the other direction, here because of its host or because all is silent."""
    owner, intruder, outbound = Sender(), Sender(ssrc=9, seed=9), Sender(ssrc=8, direction=1)
    owned = owner.packets(5)
    wait_ms = 200 if source == SAME_HOST else 3100
    arrivals = [(0, intruder.packet(), source), *sent(owned, OWNER, 10), *sent(outbound.packets(2), source, wait_ms)]
    arrivals += sent(owner.packets(1), OWNER, wait_ms + 50) + sent(intruder.packets(20), source, wait_ms + 60)
    outcome = run(arrivals, EngineConfig(max_streams=8), endpoints=ENDPOINTS)
    assert outcome.counts["accepted"] == 8
    assert [
        report.source
        for event in outcome.of(StreamClosed)
        if event.report.identity.direction == 0
        for report in event.report.sources
    ] == [ENDPOINTS[OWNER].source]


def test_one_packet_takes_nothing_over() -> None:
    packets = Sender().packets(60)
    outcome = play(
        [*sent(packets, OWNER), (60_000, Sender(ssrc=3).packet(), ELSEWHERE)], endpoints=ENDPOINTS, until_ms=70_000
    )
    assert outcome.counts["accepted"] == 60


def test_who_owned_a_stream_takes_it_back_from_who_used_a_pause() -> None:
    owner, intruder = Sender(), Sender(ssrc=2, seed=2)
    before = owner.packets(60)
    owner.timestamp += 8 * 10_000
    after = owner.packets(200)
    arrivals = sent(before, OWNER) + sent(intruder.packets(500), ELSEWHERE, 5000) + sent(after, OWNER, 11_200)
    outcome = play(sorted(arrivals), endpoints=ENDPOINTS)
    assert outcome.counts["rejected_source"] > 100
    assert audio_of(outcome)[-160 * 100 :] == pcmu(after[100:]).tolist()
    assert {report.source: report.packets for report in outcome.report.sources}[ENDPOINTS[OWNER].source] == 260


def test_where_only_allowed_networks_are_heard_a_sender_may_move_in_mid_sentence() -> None:
    packets = Sender().packets(100)
    arrivals = sent(packets[:50], OWNER) + sent(packets[50:], ELSEWHERE, 50 * 20)
    config = EngineConfig(max_streams=8, probation=False, senders_may_move=True)
    outcome = play(arrivals, config, endpoints=ENDPOINTS)
    assert audio_of(outcome) == pcmu(packets).tolist()
    (source,) = outcome.report.sources
    assert (source.packets, source.source) == (100, ENDPOINTS[ELSEWHERE].source)
    assert source.earlier_sources == (ENDPOINTS[OWNER].source,)
    outcome = play(arrivals, endpoints=ENDPOINTS)
    assert outcome.counts["accepted"] < 100


def test_even_there_numbers_that_do_not_go_on_prove_nothing() -> None:
    packets, config = Sender().packets(100), EngineConfig(max_streams=8, probation=False, senders_may_move=True)
    intruder = Sender(sequence_number=40_000, seed=7).packets(50)
    outcome = play(sorted(sent(packets, OWNER) + sent(intruder, ELSEWHERE, 300)), config, endpoints=ENDPOINTS)
    assert (outcome.counts["accepted"], outcome.counts["rejected_source"]) == (100, 50)


def test_no_more_than_eight_other_senders_are_named() -> None:
    endpoints = tuple(Endpoint(f"198.51.100.{n}:9", "192.0.2.2:9", "") for n in range(30))
    spoofed = [(100 + n, Sender(ssrc=n).packet(), n) for n in range(1, 30)]
    outcome = play(sorted(sent(Sender().packets(20), 0) + spoofed), endpoints=endpoints)
    assert len(outcome.report.refused_senders) == 9
    assert (outcome.report.refused_senders["others"], sum(outcome.report.refused_senders.values())) == (21, 29)


def test_batches_change_nothing_in_who_owns_what() -> None:
    owner = Sender().packets(300)
    arrivals = sent(owner[:50], OWNER) + sent(owner[50:], OWNER, 9000)
    arrivals += sent(Sender(ssrc=2).packets(300), ELSEWHERE, 500) + sent(Sender(ssrc=3).packets(300), SAME_HOST, 2500)
    arrivals.sort(key=lambda arrival: arrival[0])
    one_by_one = run(arrivals, SMALL, endpoints=ENDPOINTS)
    assert one_by_one.counts["rejected_source"] > 0
    for portions in ([17] * 100, [1000]):
        assert per_stream(run(arrivals, SMALL, endpoints=ENDPOINTS, portions=portions, step_ms=None)) == per_stream(
            one_by_one
        )


@pytest.mark.parametrize(("source", "silent_ms"), [(SAME_HOST, PORT_MS), (ELSEWHERE, HOST_MS)])
@pytest.mark.parametrize("portion", [1, 100])
def test_an_owner_that_spoke_in_the_same_batch_was_not_silent(source: int, silent_ms: int, portion: int) -> None:
    """So nobody takes a call over by sending right behind the packet that ends its pause."""
    owner, attacker = Sender(), Sender(seed=9)
    packets = owner.packets(3)
    arrivals = sent(packets, OWNER) + sent(owner.packets(1), OWNER, silent_ms + 100)
    arrivals += sent(attacker.packets(3), source, silent_ms + 101)
    outcome = run(arrivals, SMALL, endpoints=ENDPOINTS, portions=[3, *[portion] * 10], until_ms=silent_ms + 3000)
    assert outcome.counts["accepted"] == 4
    assert outcome.counts["rejected_source"] + outcome.counts["rejected_probation"] == 3


def test_a_conversation_of_plain_rtp_is_its_senders_own() -> None:
    packets = Sender(strep=False).packets(20)
    other = Sender(strep=False, seed=2).packets(20)
    outcome = play(sorted(sent(packets, OWNER) + sent(other, ELSEWHERE, 5)), endpoints=ENDPOINTS)
    assert len(outcome.of(StreamClosed)) == 2
    assert outcome.counts["rejected_source"] == 0


def test_a_leg_that_has_ended_may_begin_anew_from_anywhere() -> None:
    call = uuid.UUID(int=3)
    before, after = Sender(call_leg_id=call).packets(20), Sender(call_leg_id=call, seed=2).packets(20)
    config = EngineConfig(max_streams=8, probation=False, idle_timeout_s=2)
    outcome = play(sent(before, OWNER) + sent(after, ELSEWHERE, 4000), config, endpoints=ENDPOINTS)
    assert outcome.counts["accepted"] == 40
    assert len(outcome.of(StreamClosed)) == 2
