"""Rows are as new when they are taken, whoever had them before."""

import numpy as np
import pytest

from strep.stream.rows import Rows


def test_every_row_is_made_new_before_it_is_taken_and_the_last_one_given_back_serves_first() -> None:
    table = np.full(200, 7)
    rows = Rows(200, lambda numbers: table.__setitem__(numbers, 0))
    taken = [rows.take() for _ in range(100)]
    assert taken == list(range(100))
    assert not table[taken].any()
    table[taken] = 7
    rows.give_back(taken[:3])
    assert len(rows) == 97
    assert [rows.take() for _ in range(4)] == [2, 1, 0, 100]
    assert table[:3].tolist() == [0, 0, 0]


def test_there_are_no_more_rows_than_the_table_has() -> None:
    rows = Rows(3, lambda numbers: None)
    assert [rows.take() for _ in range(3)] == [0, 1, 2]
    assert not rows.has_room
    assert len(rows) == rows.capacity
    with pytest.raises(IndexError):
        rows.take()
