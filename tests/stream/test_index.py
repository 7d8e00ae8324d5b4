"""The index of keys is a dictionary, whatever the mixes do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.stream import index
from strep.stream.index import UNKNOWN, KeyIndex

WORDS = st.sampled_from([0, 1, 2, 1 << 32, (1 << 63) + 1, (1 << 64) - 1])
KEYS = st.tuples(WORDS, WORDS, WORDS)
CAPACITY = 12


def look_up(table: KeyIndex, keys: list[tuple[int, int, int]]) -> list[int]:
    return table.look_up(np.array(keys, np.uint64).reshape(-1, 3)).tolist()


ALL_IN_ONE_PLACE = np.zeros_like(index.ODD)


@given(
    st.lists(st.tuples(st.booleans(), st.lists(KEYS, min_size=1, max_size=6, unique=True)), max_size=12), st.booleans()
)
def test_it_answers_as_a_dictionary_would_also_when_all_places_collide(steps, collide: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if collide:
            patch.setattr(index, "ODD", ALL_IN_ONE_PLACE)
        table, model, free = KeyIndex(CAPACITY), {}, list(range(CAPACITY))
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
            asked = [*keys, *model, (9, 9, 9)]
            assert look_up(table, asked) == [model.get(key, UNKNOWN) for key in asked]
            assert [table.get(key) for key in asked] == [model.get(key, UNKNOWN) for key in asked]
            assert len(table) == len(model)


def test_two_keys_of_one_mix_are_never_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "ODD", ALL_IN_ONE_PLACE)
    table = KeyIndex(4)
    table.add([(1, 2, 3), (3, 2, 1)], [0, 1])
    assert look_up(table, [(1, 2, 3), (3, 2, 1), (2, 2, 2)]) == [0, 1, UNKNOWN]


def test_a_key_that_differs_in_one_bit_is_another() -> None:
    table = KeyIndex(4)
    table.add([(1, 2, 3)], [0])
    others = [tuple(w ^ (1 << bit) * (k == n) for n, w in enumerate((1, 2, 3))) for k in range(3) for bit in range(64)]
    assert set(look_up(table, others)) == {UNKNOWN}


def test_a_removed_row_can_serve_another_key() -> None:
    table = KeyIndex(1)
    table.add([(1, 1, 1)], [0])
    table.remove([0])
    assert look_up(table, [(1, 1, 1)]) == [UNKNOWN]
    table.add([(2, 2, 2)], [0])
    assert look_up(table, [(1, 1, 1), (2, 2, 2)]) == [UNKNOWN, 0]


def test_an_empty_index_knows_nothing_and_nothing_is_known_of_no_keys() -> None:
    table = KeyIndex(1)
    assert look_up(table, [(0, 0, 0)]) == [UNKNOWN]
    table.add([(0, 0, 0)], [0])
    assert look_up(table, []) == []
