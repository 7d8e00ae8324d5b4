"""The index of keys is a dictionary, whatever the mixes do."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.compiler import compiled_twin
from strep.stream.index import TABLES, UNKNOWN, KeyIndex, find_place, find_row

WORDS = st.sampled_from([0, 1, 2, 1 << 32, (1 << 63) + 1, (1 << 64) - 1])
CAPACITY = 12


def key(*words: int) -> bytes:
    return np.array(words, np.uint64).tobytes()


KEYS = st.builds(key, WORDS, WORDS, WORDS)


@functools.cache
def compiled() -> Callable[..., int]:
    table, word = KeyIndex(1), np.uint64(0)
    return compiled_twin(find_row, table.keys, table.places, table.multipliers, table.shift, (word, word, word))


def look_up(table: KeyIndex, keys: list[bytes]) -> list[int]:
    """Ask for keys by the rule as it stands, and compiled."""
    arguments = table.keys, table.places, table.multipliers, table.shift
    words = [tuple(np.frombuffer(key, np.uint64)) for key in keys]
    with np.errstate(over="ignore"):
        found = [find_row(*arguments, some) for some in words]
    assert [compiled()(*arguments, some) for some in words] == found
    return found


ALL_IN_ONE_PLACE = np.zeros((TABLES, 6), np.uint64)


@given(
    st.lists(st.tuples(st.booleans(), st.lists(KEYS, min_size=1, max_size=6, unique=True)), max_size=12), st.booleans()
)
def test_it_answers_as_a_dictionary_would_also_when_all_places_collide(steps, collide: bool) -> None:
    table, model = KeyIndex(CAPACITY, ALL_IN_ONE_PLACE if collide else None), {}
    free = list(range(CAPACITY))
    for is_addition, keys in steps:
        if is_addition:
            new = [key for key in keys if key not in model][: len(free)]
            if new:
                rows = [free.pop() for _ in new]
                table.add(new, rows)
                model.update(zip(new, rows, strict=True))
        elif gone := [key for key in keys if key in model]:
            rows = [model.pop(key) for key in gone]
            table.remove(rows)
            free += rows
        asked = [*keys, *model, key(9, 9, 9)]
        assert look_up(table, asked) == [model.get(key, UNKNOWN) for key in asked]
        assert [table.get(key) for key in asked] == [model.get(key, UNKNOWN) for key in asked]
        assert len(table) == len(model)


def test_two_keys_of_one_mix_are_never_joined() -> None:
    table = KeyIndex(4, ALL_IN_ONE_PLACE)
    table.add([key(1, 2, 3), key(3, 2, 1)], [0, 1])
    assert look_up(table, [key(1, 2, 3), key(3, 2, 1), key(2, 2, 2)]) == [0, 1, UNKNOWN]


@pytest.mark.parametrize("at_once", [True, False])
def test_where_more_keys_than_tables_have_one_place_all_are_mixed_anew(at_once: bool) -> None:
    table, keys = KeyIndex(50, ALL_IN_ONE_PLACE), [key(n, 0, 0) for n in range(50)]
    rows = list(range(50))
    for some in [rows] if at_once else [[row] for row in rows]:
        table.add([keys[row] for row in some], some)
    assert table.multipliers.all(), "they are secret again"
    assert look_up(table, keys) == rows
    table.remove(rows[::2])
    assert look_up(table, keys) == [row if row % 2 else UNKNOWN for row in rows]


@pytest.mark.parametrize("varied", [range(0, 64, 8), range(56, 64), range(24, 32)])
def test_keys_chosen_to_differ_in_few_bits_spread_over_the_places(varied: range) -> None:
    bits = [(word, bit) for word in (0, 1) for bit in varied]
    numbers = np.arange(1 << len(bits), dtype=np.uint64)
    keys = np.zeros((len(numbers), 3), np.uint64)
    for n, (word, bit) in enumerate(bits):
        keys[:, word] |= (numbers >> np.uint64(n) & np.uint64(1)) << np.uint64(bit)
    secret = np.random.default_rng(1).integers(0, 1 << 64, (TABLES, 6), np.uint64)
    taken = find_place(secret, 0, KeyIndex(1).shift, tuple(keys.T))  # 65,536 keys in 4,096 places: 16 each
    assert np.bincount(taken).max() <= 16 * 16


def test_no_two_tables_have_one_secret() -> None:
    assert not (KeyIndex(1).multipliers == KeyIndex(1).multipliers).any()


def test_a_key_that_differs_in_one_bit_is_another() -> None:
    table = KeyIndex(4)
    table.add([key(1, 2, 3)], [0])
    others = [key(*(w ^ (1 << bit) * (k == n) for n, w in enumerate((1, 2, 3)))) for k in range(3) for bit in range(64)]
    assert set(look_up(table, others)) == {UNKNOWN}


def test_a_removed_row_can_serve_another_key() -> None:
    table = KeyIndex(1)
    table.add([key(1, 1, 1)], [0])
    table.remove([0])
    assert look_up(table, [key(1, 1, 1)]) == [UNKNOWN]
    table.add([key(2, 2, 2)], [0])
    assert look_up(table, [key(1, 1, 1), key(2, 2, 2)]) == [UNKNOWN, 0]


def test_an_empty_index_knows_nothing_and_nothing_is_known_of_no_keys() -> None:
    table = KeyIndex(1)
    assert look_up(table, [key(0, 0, 0)]) == [UNKNOWN]
    table.add([key(0, 0, 0)], [0])
    assert look_up(table, []) == []
