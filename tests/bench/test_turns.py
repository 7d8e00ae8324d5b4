"""Contenders take turns at the same load, and a round that is not as it should be is repeated."""

from collections.abc import Callable

import pytest

from bench import BenchError
from bench.turns import MOST_INVALID_ROUNDS, Entry, Progress, run_rounds, take_turn
from strep.net.address import UdpAddress

PACKETS_A_PERIOD = 10


class Counter:
    """A contender that counts what it is told is queued; `spoil` may change that, given the number of the drain."""

    def __init__(self, name: str, log: list[str], spoil: Callable[[int, Progress], Progress] | None = None) -> None:
        self.address = UdpAddress("127.0.0.1", 9)
        self.name, self.log, self.spoil = name, log, spoil
        self.drains: list[int] = []
        self.done = Progress(0, 0, 0, 0, (0, 0))

    def drain(self, queued: int) -> None:
        self.log.append(self.name)
        self.drains.append(queued)
        done = self.done
        stages = (done.stage_ns[0] + 1, done.stage_ns[1] + 2)
        all_taken = (done.received + queued, done.accepted + queued, done.decoded + queued)
        self.done = Progress(*all_taken, done.kernel_drops, stages)
        if self.spoil:
            self.done = self.spoil(len(self.drains), self.done)

    def progress(self) -> Progress:
        return self.done

    def close(self) -> None:
        pass


class Sender:
    """Sends nothing, and says that it did; late for the first `late` periods."""

    def __init__(self, late: int = 0) -> None:
        self.begun: list[bool] = []
        self.sent: list[int] = []
        self.late = late

    @property
    def is_late(self) -> bool:
        return len(self.sent) <= self.late

    def begin(self, target: UdpAddress, *, paced: bool, gso: bool = False) -> None:
        self.begun.append(paced)

    def send(self, periods: int) -> int:
        self.sent.append(periods)
        return periods * PACKETS_A_PERIOD


def test_only_what_follows_the_prelude_is_counted() -> None:
    contender, sender = Counter("a", []), Sender()
    turn = take_turn(Entry("a", contender, 6, fills=3, prelude_periods=2, paced=False), sender)
    assert sender.sent == [1, 1, 2, 2, 2]
    assert sender.begun == [False]
    assert (turn.packets, turn.stage_ns, turn.fault) == (60, (3, 6), "")
    assert turn.wall_ns > 0
    assert turn.wall_ns_per_packet == turn.wall_ns / 60
    assert turn.cpu_ns_per_packet == turn.cpu_ns / 60


def test_the_prelude_goes_on_until_enough_periods_in_a_row_came_on_time() -> None:
    sender = Sender(late=3)
    assert not take_turn(Entry("a", Counter("a", []), 4, prelude_periods=2), sender).fault
    assert sender.sent == [1, 1, 1, 1, 1, 4]


def test_a_sender_that_never_keeps_pace_spoils_the_turn() -> None:
    assert "keep pace" in take_turn(Entry("a", Counter("a", []), 4), Sender(late=10**6)).fault


@pytest.mark.bench
def test_contenders_are_interleaved_and_the_first_round_does_not_count() -> None:
    log: list[str] = []
    entries = [Entry(name, Counter(name, log), 1, prelude_periods=0) for name in "abc"]
    rounds = run_rounds(entries, Sender(), 3)
    assert log == list("abc") * 4
    assert {name: len(turns) for name, turns in rounds.turns.items()} == {"a": 3, "b": 3, "c": 3}
    assert not rounds.invalid


SPOILS = {
    "the kernel dropped 1": lambda p: Progress(p.received, p.accepted, p.decoded, p.kernel_drops + 1, p.stage_ns),
    "expected 100 received, found 99": lambda p: Progress(p.received - 1, p.accepted, p.decoded, 0, p.stage_ns),
    "expected 100 accepted, found 99": lambda p: Progress(p.received, p.accepted - 1, p.decoded, 0, p.stage_ns),
    "expected about 100 decoded, found 79": lambda p: Progress(p.received, p.accepted, p.decoded - 21, 0, p.stage_ns),
}


@pytest.mark.bench
@pytest.mark.parametrize("fault", SPOILS)
def test_a_round_in_which_something_is_missing_is_repeated_as_a_whole(fault: str) -> None:
    log: list[str] = []

    def spoil(drain: int, progress: Progress) -> Progress:
        return SPOILS[fault](progress) if drain == 2 else progress  # the first round that counts

    entries = [Entry("a", Counter("a", log, spoil), 10, prelude_periods=0)]
    entries.append(Entry("b", Counter("b", log), 10, prelude_periods=0))
    told: list[str] = []
    rounds = run_rounds(entries, Sender(), 1, told.append)
    assert rounds.invalid == [f"a: {fault}"]
    assert told == [f"a round is repeated: a: {fault}"]
    assert log == ["a", "b"] * 3
    assert [len(turns) for turns in rounds.turns.values()] == [1, 1]


@pytest.mark.bench
def test_a_few_packets_may_come_out_in_the_next_turn() -> None:
    def hold_five_back(drain: int, progress: Progress) -> Progress:
        kept = 5 if drain == 1 else 0
        return Progress(progress.received, progress.accepted, progress.decoded - kept, 0, progress.stage_ns)

    assert not take_turn(Entry("a", Counter("a", [], hold_five_back), 10, prelude_periods=0), Sender()).fault


@pytest.mark.bench
def test_too_many_invalid_rounds_end_the_measurement() -> None:
    def always(drain: int, progress: Progress) -> Progress:
        return SPOILS["the kernel dropped 1"](progress)

    contender = Counter("a", [], always)
    with pytest.raises(BenchError, match=r"expected 1 valid rounds, found 6 others.*kernel dropped"):
        run_rounds([Entry("a", contender, 1, prelude_periods=0)], Sender(), 1)
    assert len(contender.drains) == 1 + MOST_INVALID_ROUNDS + 1


def test_periods_must_divide_into_fillings() -> None:
    with pytest.raises(BenchError, match="divide by 3"):
        Entry("a", Counter("a", []), 10, fills=3)
