"""Telephone events: the repeated packets of each are folded into one (RFC 4733), whatever of them is lost."""

import pytest

from strep.audio.block import SampleState
from strep.audio.formats import AudioFormat
from strep.stream.engine import EngineConfig
from strep.stream.events import TelephoneEvent
from strep.wire.telephone_event import TelephoneEventPayload
from tests.traffic import START_NS, Sender, every, pcmu, play

RECEIVED, SILENCE = SampleState.RECEIVED, SampleState.SILENCE


def digit(sender: Sender, event: int, reports: int = 5, ends: int = 3, volume_dbm0: int = -10) -> list[bytes]:
    """A key pressed: reports every 20 ms that share a timestamp, the last one sent three times."""
    durations = [160 * n for n in range(1, reports + 1)]
    payloads = [TelephoneEventPayload(event, False, volume_dbm0, duration) for duration in durations]
    payloads += [TelephoneEventPayload(event, True, volume_dbm0, 160 * (reports + 1))] * ends
    packets = [
        sender.packet(payload=payload.serialize(), payload_type=101, ticks=0, marker=n == 0)
        for n, payload in enumerate(payloads)
    ]
    sender.timestamp += 160 * (reports + ends)
    return packets


def names(result) -> list[str]:
    return [event.name for event in result.of(TelephoneEvent)]


def test_all_packets_of_an_event_are_one_event() -> None:
    sender = Sender()
    packets = [*sender.packets(10), *digit(sender, 5), *sender.packets(10)]
    (event,) = play(every(packets)).of(TelephoneEvent)
    assert (event.event, event.name, event.complete) == (5, "5", True)
    assert (event.duration_ms, event.volume_dbm0) == (120.0, -10)
    assert event.position == 1600
    assert event.time_ns == START_NS + 200_000_000


def test_the_audio_around_it_stays_where_it_was_and_the_time_of_the_event_is_silence() -> None:
    sender = Sender()
    before, event, after = sender.packets(10), digit(sender, 5), sender.packets(10)
    result = play(every(before + event + after))
    assert result.states() == [(RECEIVED, 1600), (SILENCE, 8 * 160), (RECEIVED, 1600)]
    assert result.audio()[-1600:].tolist() == pcmu(after).tolist()
    assert result.report.sources[0].lost == 0


def test_audio_may_go_on_between_its_packets() -> None:
    sender = Sender()
    packets = sender.packets(5)
    event = digit(sender, 7)
    sender.timestamp -= 8 * 160
    sequence = sender.sequence_number - len(event)
    mixed, audio = [], []
    for n, packet in enumerate(event):
        audio.append(sender.packet(sequence_number=(sequence + 2 * n + 1) & 0xFFFF))
        number = (sequence + 2 * n).to_bytes(2)
        mixed += [packet[:26] + number + packet[28:], audio[-1]]
    result = play(every(packets) + [(100 + 20 * (n // 2) + n % 2, packet) for n, packet in enumerate(mixed)])
    (heard,) = result.of(TelephoneEvent)
    assert (heard.name, heard.complete, heard.duration_ms) == ("7", True, 120.0)
    assert result.states() == [(RECEIVED, 13 * 160)]
    assert result.audio().tolist() == pcmu(packets + audio).tolist()
    assert result.report.sources[0].max_jitter_ms < 0.2, "an event's timestamp stands still; that is no jitter"


def test_the_same_digit_twice_is_two() -> None:
    sender = Sender()
    packets = [*sender.packets(5), *digit(sender, 1), *digit(sender, 1), *sender.packets(5)]
    events = play(every(packets)).of(TelephoneEvent)
    assert [event.name for event in events] == ["1", "1"]
    assert [event.position for event in events] == [800, 800 + 8 * 160]


def test_all_digits_have_their_names() -> None:
    sender = Sender()
    packets = sender.packets(3)
    for event in [*range(17), 64]:
        packets += digit(sender, event, reports=1, ends=1)
    assert "".join(names(play(every(packets)))) == "0123456789*#ABCDflash64"


@pytest.mark.parametrize("kept", [1, 5, 7])
def test_one_of_its_packets_is_enough(kept: int) -> None:
    sender = Sender()
    packets = [*sender.packets(5), *digit(sender, 9), *sender.packets(20)]
    arrivals = [a for n, a in enumerate(every(packets)) if not 5 <= n < 13 or n == 5 + kept]
    (event,) = play(arrivals).of(TelephoneEvent)
    assert (event.name, event.complete) == ("9", kept >= 5)
    assert event.duration_ms == 20 * min(kept + 1, 6)


def test_an_event_whose_end_was_lost_ends_when_audio_has_gone_on_for_a_while() -> None:
    sender = Sender()
    packets = [*sender.packets(5), *digit(sender, 9, ends=0), *sender.packets(30)]
    result = play(every(packets))
    (event,) = result.of(TelephoneEvent)
    assert (event.complete, event.duration_ms) == (False, 100.0)


def test_an_event_whose_end_was_lost_ends_when_the_next_begins() -> None:
    sender = Sender()
    packets = [*sender.packets(5), *digit(sender, 9, ends=0), *digit(sender, 8)]
    events = play(every(packets)).of(TelephoneEvent)
    assert [(event.name, event.complete) for event in events] == [("9", False), ("8", True)]


def test_an_event_whose_end_was_lost_is_told_when_the_stream_closes() -> None:
    sender = Sender()
    events = play(every([*sender.packets(5), *digit(sender, 9, ends=0)])).of(TelephoneEvent)
    assert [(event.name, event.complete) for event in events] == [("9", False)]


def test_packets_that_come_twice_do_not_make_it_two() -> None:
    sender = Sender()
    packets = [*sender.packets(5), *digit(sender, 9), *sender.packets(20)]
    arrivals = sorted([*every(packets), *every(packets, start_ms=7)])
    assert names(play(arrivals)) == ["9"]


def test_its_packets_may_overtake_each_other() -> None:
    sender = Sender()
    packets = [*sender.packets(5), *digit(sender, 9), *sender.packets(20)]
    arrivals = every(packets)
    arrivals[12], arrivals[6] = (130, packets[12]), (205, packets[6])
    (event,) = play(sorted(arrivals)).of(TelephoneEvent)
    assert (event.duration_ms, event.complete) == (120.0, True)


def test_a_stream_may_be_nothing_but_events() -> None:
    sender = Sender()
    packets = [packet for event in (4, 2) for packet in digit(sender, event)]
    result = play(every(packets))
    assert names(result) == ["4", "2"]
    assert result.report.length_samples == 0
    assert result.report.sources[0].payload_types == {101: "TELEPHONE-EVENT/8000"}


def test_an_event_that_is_cut_short_is_counted_and_no_event() -> None:
    sender = Sender()
    packets = [*sender.packets(5), sender.packet(payload=b"\x05\x0a\x00", payload_type=101, ticks=0)]
    result = play(every(packets))
    assert not names(result)
    assert result.report.sources[0].undecoded == 1


def test_events_may_have_another_payload_type_and_clock() -> None:
    told = {96: AudioFormat("TELEPHONE-EVENT", 48_000, 48_000), 97: AudioFormat("L16", 48_000, 48_000)}
    sender = Sender(payload_type=97)
    packets = sender.packets(5, samples=960, payload=bytes(1920))
    event = TelephoneEventPayload(3, True, -5, 4800).serialize()
    packets.append(sender.packet(payload=event, payload_type=96, ticks=0))
    (heard,) = play(every(packets), EngineConfig(max_streams=8).with_payload_types(told)).of(TelephoneEvent)
    assert (heard.duration_ms, heard.position) == (100.0, 4800)
