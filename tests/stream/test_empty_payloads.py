"""Packets without payload carry nothing: they are no loss to conceal, and no number of one is read as another's."""

from hypothesis import given
from hypothesis import strategies as st

from strep.audio.block import SampleState
from strep.audio.formats import parse_format
from strep.engine import Engine, EngineConfig
from strep.stream.events import Gap
from tests.traffic import MS, START_NS, Sender, every, feed, pcmu, play, run

RECEIVED, CONCEALED, SILENCE, LOST = (SampleState[name] for name in ("RECEIVED", "CONCEALED", "SILENCE", "LOST"))
CONFIG = EngineConfig(max_streams=8, probation=False).with_payload_types({108: parse_format("PCMU/8000")})


@st.composite
def mostly_empty(draw: st.DrawFn) -> list[tuple[float, bytes]]:
    """Packets of two streams, most without payload, out of order, with losses, pauses and steps of time."""
    arrivals, ms, number = [], draw(st.integers(0, 1000)), 0
    for _ in range(draw(st.integers(2, 25))):
        number += draw(st.sampled_from([1, 1, 1, 2, 5, 10, -1, -3]))
        ms += draw(st.sampled_from([0, 5, 20, 20, 40, 110, 230, 600]))
        length = draw(st.sampled_from([0, 0, 0, 160, 816]))
        sender = Sender(direction=draw(st.integers(0, 1)), payload_type=draw(st.sampled_from([0, 108, 108])))
        timestamp = 50_000 + 160 * number + draw(st.sampled_from([0, 0, 0, 80, 1000]))
        fields = {"sequence_number": (3000 + number) & 0xFFFF, "timestamp": timestamp}
        arrivals.append((ms, sender.packet(payload=b"\x36" * length, **fields)))
    return arrivals


@given(mostly_empty(), st.lists(st.integers(1, 3), max_size=25), st.sampled_from([5, 20, 100, None]))
def test_no_order_of_them_makes_a_rule_fail_and_batches_change_nothing(arrivals, portions, step_ms) -> None:
    result = run(arrivals, CONFIG, portions=[*portions, 100], step_ms=step_ms)  # which looks for faults
    assert result.counts == run(arrivals, CONFIG).counts


def test_a_payload_that_is_gone_is_not_read_from_what_lies_there_now() -> None:
    """Long after a stream's last audio, what other calls sent lies where its own did."""
    caller, other = Sender(), Sender(leg=1, seed=5)
    engine = Engine(CONFIG)
    feed(engine, every(caller.packets(4)))
    for n in range(100):
        feed(engine, [(100 + 20 * n, other.packet())])
        engine.advance(START_NS + (100 + 20 * n) * MS)
    sources = engine._sources
    (row,) = [row for row, state in enumerate(sources.state) if state and state.slot == 0]
    number = sources.payloads.oldest_number - 1
    assert sources.payloads.read(number, 160, row, 1000) is None
    assert sources.payloads.read(sources.payloads.next_number - 1, 160, row, 1000) is None, "another call's"
    assert sources.payloads.read(sources.payloads.next_number, 160, row, 1000) is None
    assert engine.faults == 0


def test_what_is_missing_before_any_audio_is_silence_and_nothing_is_made_up_for_it() -> None:
    sender = Sender()
    empty = sender.packets(4, payload=b"", ticks=160)
    sender.sequence_number += 5
    sender.timestamp += 5 * 160
    audio = sender.packets(3)
    outcome = play(every(empty) + every(audio, start_ms=9 * 20))
    assert outcome.states() == [(SILENCE, 9 * 160), (RECEIVED, 480)]
    assert outcome.audio()[-480:].tolist() == pcmu(audio).tolist()


def test_empty_packets_between_audio_are_a_pause_and_no_loss() -> None:
    sender = Sender()
    packets = [*sender.packets(5), *sender.packets(5, payload=b"", ticks=160), *sender.packets(5)]
    outcome = play(every(packets))
    assert outcome.states() == [(RECEIVED, 800), (SILENCE, 800), (RECEIVED, 800)]
    assert [gap.lost_packets for gap in outcome.of(Gap)] == [0]
    assert outcome.report.sources[0].lost == 0


def test_a_loss_before_empty_packets_is_concealed_by_what_was_heard_before_it() -> None:
    sender = Sender()
    packets = [*sender.packets(8), *sender.packets(2, payload=b"", ticks=160), *sender.packets(5)]
    arrivals = [arrival for n, arrival in enumerate(every(packets)) if n != 7]
    outcome = play(arrivals)
    assert outcome.states() == [(RECEIVED, 1120), (CONCEALED, 160), (SILENCE, 320), (RECEIVED, 800)]
    assert outcome.audio()[1120:1280].any()
