"""Each single value is read as what it is documented to be, or is none; nothing raises."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.control.webhooks import SipHeader, values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        ("", None),
        (7, "7"),
        (-7, "-7"),
        (True, None),
        (1.5, None),
        (10**30, None),
        ("\ud800", "?"),
        ([], None),
    ],
)
def test_text(value: object, expected: str | None) -> None:
    assert values.text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        ("7", 7),
        ("-7", -7),
        ("7.0", None),
        ("", None),
        ("-", None),
        ("٣", None),
        (True, None),
        (7.0, None),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        ("9" * 19, None),
        ("9" * 5000, None),
    ],
)
def test_a_whole_number(value: object, expected: int | None) -> None:
    assert values.integer(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(7, 7.0), (0.5, 0.5), ("0.5", None), (True, None), (math.nan, None), (math.inf, None), (10**400, None)],
)
def test_a_number(value: object, expected: float | None) -> None:
    assert values.number(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), (1, None), ("true", None)])
def test_a_truth(value: object, expected: bool | None) -> None:
    assert values.boolean(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("c3RhdGU=", b"state"), ("", None), ("c3RhdGU", None), ("c3R hdGU=", None), ("ä", None), (5, None)],
)
def test_bytes_in_base64(value: object, expected: bytes | None) -> None:
    assert values.base64_bytes(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2018-02-02T22:25:27.521992Z", datetime(2018, 2, 2, 22, 25, 27, 521992, UTC)),
        ("2018-02-02T23:25:27+01:00", datetime(2018, 2, 2, 22, 25, 27, tzinfo=UTC)),
        ("2018-02-02T22:25:27", datetime(2018, 2, 2, 22, 25, 27, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:59", None),
        ("yesterday", None),
        (1_517_610_327, None),
    ],
)
def test_a_time(value: object, expected: datetime | None) -> None:
    read = values.instant(value)
    assert read == expected
    assert read is None or read.tzinfo is UTC


def test_lists_leave_out_what_is_none() -> None:
    assert values.texts(["a", None, 7, [], ""]) == ("a", "7")
    assert values.documents([{"a": 1}, "b", None]) == ({"a": 1},)
    headers = [
        {"name": "User-to-User", "value": "1234"},
        {"name": "X-Empty", "value": ""},
        {"name": "X"},
        {"value": "v"},
        5,
    ]
    assert values.sip_headers(headers) == (SipHeader("User-to-User", "1234"), SipHeader("X-Empty", ""))
    assert values.texts("ab") == values.documents({}) == values.sip_headers(None) == ()


READERS = (
    values.text,
    values.integer,
    values.number,
    values.boolean,
    values.base64_bytes,
    values.instant,
    values.document,
    values.texts,
    values.documents,
    values.sip_headers,
)


@given(JSON)
def test_no_value_raises(value: object) -> None:
    for read in READERS:
        read(value)
