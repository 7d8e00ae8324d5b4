"""RFC 4733 event payloads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.errors import WireError
from strep.wire.telephone_event import TelephoneEventPayload, event_name


@given(st.integers(0, 255), st.booleans(), st.integers(-63, 0), st.integers(0, 0xFFFF))
def test_an_event_survives_the_round_trip(event: int, end: bool, volume: int, duration: int) -> None:
    payload = TelephoneEventPayload(event, end, volume, duration)
    assert TelephoneEventPayload.parse(payload.serialize()) == payload


def test_a_real_end_packet_is_read() -> None:
    assert TelephoneEventPayload.parse(bytes.fromhex("018a03c0")) == TelephoneEventPayload(1, True, -10, 960)


def test_a_payload_cut_short_is_refused() -> None:
    with pytest.raises(WireError, match="needs 4 bytes, got 3"):
        TelephoneEventPayload.parse(b"\x01\x8a\x03")


@pytest.mark.parametrize(("event", "name"), [(0, "0"), (10, "*"), (11, "#"), (15, "D"), (16, "flash"), (194, "194")])
def test_events_have_names(event: int, name: str) -> None:
    assert event_name(event) == name
