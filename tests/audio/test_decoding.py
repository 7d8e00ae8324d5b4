"""Many streams decoded together: the same samples, in the same place, by however many threads."""

import threading

import numpy as np
import pytest

from strep.audio import decoding
from strep.audio.decoders import Decoder, new_decoder
from strep.audio.decoding import MOST_THREADS, PAYLOADS_A_THREAD, Decoding
from strep.audio.formats import parse_format
from tests.audio.signals import random_payloads

ROWS = 4 * PAYLOADS_A_THREAD


def decoders(count: int = ROWS) -> list[Decoder]:
    return [new_decoder(parse_format("G722")) for _ in range(count)]


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Give the names of the threads that decode."""
    names: set[str] = set()

    def decode(*arguments: object) -> None:
        names.add(threading.current_thread().name)
        decode_before(*arguments)

    decode_before = decoding._decode
    monkeypatch.setattr(decoding, "_decode", decode)
    return names


@pytest.mark.parametrize("count", [2, 3, MOST_THREADS])
@pytest.mark.parametrize("rows", [ROWS, ROWS - 1, 2 * PAYLOADS_A_THREAD + 1])
def test_threads_decode_as_one_does(count: int, rows: int, threads: set[str]) -> None:
    alone, together = decoders(rows), decoders(rows)
    one, several = Decoding(1), Decoding(count)
    for turn in range(3):
        payloads = random_payloads(rows, 160, seed=turn)
        expected = one.decode(alone, payloads, 320)
        assert (several.decode(together, payloads, 320) == expected).all()
        assert expected.any(axis=1).all()
    assert len(threads) > 1


def test_what_is_refused_is_zeros_in_its_own_row() -> None:
    some = [new_decoder(parse_format("opus")) for _ in range(3)]
    payloads = [b"\x78", b"\x79\x00\x00\x00"[:2], b"\x78"]
    rows = Decoding(1).decode(some, payloads, 960)
    assert rows.shape == (3, 960)
    assert [decoder.errors for decoder in some] == [0, 1, 0]


def test_no_thread_is_begun_for_few_payloads_nor_where_one_core_is_allowed(
    threads: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = 2 * PAYLOADS_A_THREAD - 1
    Decoding(2).decode(decoders(few), random_payloads(few, 160, seed=1), 320)
    monkeypatch.setattr(decoding, "_allowed_cores", lambda: 1)
    Decoding().decode(decoders(), random_payloads(ROWS, 160, seed=1), 320)
    assert threads == {threading.current_thread().name}


def test_there_are_no_more_threads_than_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_allowed_cores", lambda: 64)
    assert Decoding().threads == MOST_THREADS


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding.os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert decoding._allowed_cores() == 2
    monkeypatch.delattr(decoding.os, "sched_getaffinity")
    monkeypatch.setattr(decoding.os, "cpu_count", lambda: None)
    assert decoding._allowed_cores() == 1


def test_nothing_decodes_to_no_rows() -> None:
    assert Decoding(2).decode([], [], 320).shape == (0, 320)
    assert Decoding(2).decode([], [], 320).dtype == np.int16
