"""A timestamp that stands still, or steps back on what was said, while the sequence number goes on, is not believed."""

import pytest

from strep.stream.events import SourceChanged
from tests.traffic import Sender, every, pcmu, play


def freeze(sender: Sender, packets: int) -> list[bytes]:
    return [sender.packet(ticks=0) for _ in range(packets)]


@pytest.mark.parametrize("resumes_after", [0, 100 * 160, 12_345_678])
def test_what_comes_while_it_stands_still_is_all_there(resumes_after: int) -> None:
    sender = Sender()
    datagrams = [*sender.packets(50), *freeze(sender, 100)]
    sender.timestamp += resumes_after
    datagrams += sender.packets(50)
    result = play(every(datagrams))
    assert result.audio().tolist() == pcmu(datagrams).tolist()
    assert result.report.overlapped_samples == 0
    assert not result.of(SourceChanged)


def test_a_call_of_one_timestamp_is_as_long_as_it_was() -> None:
    datagrams = freeze(Sender(), 150)
    result = play(every(datagrams))
    assert result.audio().tolist() == pcmu(datagrams).tolist()


@pytest.mark.parametrize("back", [160, 161, 320, 1600])
def test_a_step_back_onto_what_was_said_joins_behind_it(back: int) -> None:
    sender = Sender()
    datagrams = sender.packets(50)
    sender.timestamp -= back
    datagrams += sender.packets(50)
    result = play(every(datagrams))
    assert result.audio().tolist() == pcmu(datagrams).tolist()


def test_after_a_pause_it_lies_where_it_arrived() -> None:
    sender = Sender()
    before, after = sender.packets(50), freeze(sender, 50)
    result = play([*every(before), *every(after, start_ms=3000)])
    assert result.audio()[: 50 * 160].tolist() == pcmu(before).tolist()
    assert result.audio()[3 * 8000 :].tolist() == pcmu(after).tolist()
