"""Labels lie beside their marks, and never over each other."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.pictures.labels import CHARACTER_SHARE, Label, labels
from strep.pictures.sheet import Mark

END_S = 20.0


def texts(*marks):
    return [label.text for label in labels([Mark(at_s, text) for at_s, text in marks], END_S)]


def width_s(label):
    return (len(label.text) + 1) * CHARACTER_SHARE * END_S


def test_keys_that_are_pressed_quickly_are_one_word():
    assert texts((1.0, "4"), (1.02, "2"), (1.04, "#"), (9.0, "7")) == ["42#", "7"]


def test_words_are_told_apart():
    assert texts((1.0, "4"), (1.1, "flash"), (1.2, "2"), (1.3, "3")) == ["4, flash, 23"]


def test_what_is_more_than_can_be_written_is_told():
    assert texts(*((1 + n / 100, "1") for n in range(60))) == ["1" * 48 + "…"]
    assert texts((1, "payload type 100"), (1.1, "PCMA/8000"), (1.2, "new source"), (1.3, "PCMU/8000")) == [
        "payload type 100, PCMA/8000, new source…"
    ]


def test_a_label_at_the_end_lies_before_the_end():
    (label,) = labels([Mark(END_S, "event 32 (ANS)")], END_S)
    assert label.at_s + width_s(label) == pytest.approx(END_S)


def test_a_label_that_would_lie_over_the_one_before_joins_it():
    assert texts((19.0, "4"), (19.95, "new source")) == ["4, new source"]


@given(st.lists(st.tuples(st.floats(0, END_S), st.sampled_from(["1", "#", "flash", "event 32 (ANS)", "PCMU/8000"]))))
def test_no_label_lies_over_another_or_out_of_the_picture(marks):
    found = labels([Mark(*mark) for mark in sorted(marks)], END_S)
    assert bool(found) == bool(marks)
    assert all(isinstance(label, Label) and label.at_s >= 0 for label in found)
    assert all(label.at_s + width_s(label) <= END_S + 1e-9 for label in found)
    for left, right in pairwise(found):
        assert left.at_s + width_s(left) <= right.at_s + 1e-9
