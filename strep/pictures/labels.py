"""Lay out what is written beside the marks, so that no label lies over another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from strep.pictures.sheet import Mark

#: How much of the picture's width a character takes, at most.
CHARACTER_SHARE = 0.0055
#: What happens too quickly to be written is cut short here, or one label would fill the picture.
_LONGEST = 48


@dataclass(frozen=True, slots=True)
class Label:
    """A word in the picture. at_s: where it begins."""

    at_s: float
    text: str


def labels(marks: Sequence[Mark], end_s: float) -> list[Label]:
    """Say what to write, by time. Keys that are pressed quickly are one word, as "42#"; all that is near joins too."""
    groups: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.at_s):
        groups.append([mark])
        while len(groups) > 1 and _label(groups[-1], end_s).at_s < _right_s(_label(groups[-2], end_s), end_s):
            last = groups.pop()
            groups[-1] += last
    return [_label(group, end_s) for group in groups]


def _label(group: Sequence[Mark], end_s: float) -> Label:
    text = group[0].text
    for before, mark in pairwise(group):
        between = "" if len(before.text) == len(mark.text) == 1 else ", "
        if len(text) + len(between) + len(mark.text) > _LONGEST:
            text += "…"
            break
        text += between + mark.text
    return Label(max(min(group[0].at_s, end_s - _width_s(text, end_s)), 0.0), text)


def _right_s(label: Label, end_s: float) -> float:
    return label.at_s + _width_s(label.text, end_s)


def _width_s(text: str, end_s: float) -> float:
    return (len(text) + 1) * CHARACTER_SHARE * end_s
