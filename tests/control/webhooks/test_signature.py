"""A webhook is believed when the platform signed just this body, lately; all else is refused."""

import base64
import math

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from strep.control.webhooks import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    TOLERANCE_S,
    ForgedWebhook,
    StaleWebhook,
    UnsignedWebhook,
    WebhookError,
    read_public_key,
    sign,
    verify,
    write_public_key,
)
from strep.errors import ConfigError
from tests.control.webhooks.signed import KEY, NOW_S, OTHER_KEY, PUBLIC_KEY

BODY = b'{"data":{}}'
SIGNED = sign(BODY, KEY, NOW_S)
#: Of the points of order 4, 1, 2, 8 and 8; then what is read as the first two, but is written with the prime added.
WEAK_Y = [
    0,
    1,
    2**255 - 20,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    2**255 - 19,
    2**255 - 18,
]


def refused(kind: type[WebhookError], headers, body: bytes = BODY, now_s: float = NOW_S, **tolerance) -> None:
    with pytest.raises(WebhookError) as caught:
        verify(body, headers, PUBLIC_KEY, now_s, **tolerance)
    assert type(caught.value) is kind


def resigned(timestamp: str) -> dict[str, str]:
    """Give headers with a time of any text, which the platform's key did sign."""
    signature = KEY.sign(timestamp.encode() + b"|" + BODY)
    return {SIGNATURE_HEADER: base64.b64encode(signature).decode(), TIMESTAMP_HEADER: timestamp}


@given(st.binary(max_size=200), st.floats(-TOLERANCE_S, TOLERANCE_S))
def test_what_was_signed_lately_is_believed(body: bytes, later_s: float) -> None:
    verify(body, sign(body, KEY, NOW_S), PUBLIC_KEY, NOW_S + later_s)


def test_what_is_signed_is_the_time_in_seconds_a_bar_and_the_body() -> None:
    headers = sign(BODY, KEY, NOW_S + 0.9)
    assert headers[TIMESTAMP_HEADER] == str(NOW_S)
    KEY.public_key().verify(base64.b64decode(headers[SIGNATURE_HEADER]), b"1700000000|" + BODY)


def test_upper_and_lower_case_of_header_names_are_the_same() -> None:
    verify(BODY, {name.title(): value for name, value in SIGNED.items()}, PUBLIC_KEY, NOW_S)


def test_a_key_that_was_read_before_is_as_good_as_its_text() -> None:
    verify(BODY, SIGNED, read_public_key(PUBLIC_KEY), NOW_S)
    verify(BODY, SIGNED, f" {PUBLIC_KEY}\n", NOW_S)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_any_altered_byte_of_the_body_is_refused(body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(body) - 1))
    altered = body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :]
    refused(ForgedWebhook, sign(body, KEY, NOW_S), altered)


@given(st.integers(0, 63), st.integers(1, 255))
def test_any_altered_byte_of_the_signature_is_refused(at: int, by: int) -> None:
    raw = bytearray(base64.b64decode(SIGNED[SIGNATURE_HEADER]))
    raw[at] ^= by
    refused(ForgedWebhook, SIGNED | {SIGNATURE_HEADER: base64.b64encode(raw).decode()})


def test_another_time_is_refused_though_it_is_a_fresh_one() -> None:
    refused(ForgedWebhook, SIGNED | {TIMESTAMP_HEADER: str(NOW_S + 1)})


def test_a_bar_that_moves_from_the_time_into_the_body_is_refused() -> None:
    refused(ForgedWebhook, SIGNED | {TIMESTAMP_HEADER: "170000000"}, b"0|" + BODY)


def test_what_another_key_signed_is_refused() -> None:
    refused(ForgedWebhook, sign(BODY, OTHER_KEY, NOW_S))


@pytest.mark.parametrize("later_s", [TOLERANCE_S + 1, -TOLERANCE_S - 1, 1e9, -1e9, math.nan, math.inf])
def test_what_is_too_old_or_of_the_future_is_refused(later_s: float) -> None:
    refused(StaleWebhook, SIGNED, now_s=NOW_S + later_s)


def test_the_tolerance_is_the_callers() -> None:
    verify(BODY, SIGNED, PUBLIC_KEY, NOW_S + 10, tolerance_s=10)
    refused(StaleWebhook, SIGNED, now_s=NOW_S + 11, tolerance_s=10)


def test_only_what_the_platform_signed_can_be_stale() -> None:
    refused(ForgedWebhook, sign(BODY, OTHER_KEY, NOW_S), now_s=NOW_S + TOLERANCE_S + 1)


@pytest.mark.parametrize("missing", [SIGNATURE_HEADER, TIMESTAMP_HEADER])
def test_a_header_that_is_missing_is_refused(missing: str) -> None:
    refused(UnsignedWebhook, {name: value for name, value in SIGNED.items() if name != missing})


@pytest.mark.parametrize("twice", [SIGNATURE_HEADER, TIMESTAMP_HEADER])
@pytest.mark.parametrize("second", ["", "of another"])
def test_a_header_that_is_there_twice_is_refused(twice: str, second: str) -> None:
    pairs = [*SIGNED.items(), (twice, second or SIGNED[twice])]
    refused(UnsignedWebhook, Headers(raw=[(name.encode(), value.encode()) for name, value in pairs]))


@pytest.mark.parametrize(
    "time", ["", "-1", "+1700000000", "1700000000.0", " 1700000000", "1700000000\n", "1_7", "٣" * 10]
)
def test_a_time_that_is_written_in_another_way_is_refused_though_it_is_signed(time: str) -> None:
    refused(ForgedWebhook, resigned(time))


def test_a_time_of_many_digits_is_refused() -> None:
    refused(ForgedWebhook, resigned("1" * 5000))


@pytest.mark.parametrize("change", [lambda text: text[:-2], lambda text: text + "\n", lambda text: text[:-2] + "A="])
def test_a_signature_that_is_written_in_another_way_is_refused(change) -> None:
    refused(ForgedWebhook, SIGNED | {SIGNATURE_HEADER: change(SIGNED[SIGNATURE_HEADER])})


def test_the_spare_bits_of_a_signature_are_not_free() -> None:
    text, alphabet = SIGNED[SIGNATURE_HEADER], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    same_bytes = text[:85] + alphabet[alphabet.index(text[85]) + 1] + "=="
    assert base64.b64decode(same_bytes) == base64.b64decode(text)
    refused(ForgedWebhook, SIGNED | {SIGNATURE_HEADER: same_bytes})


@given(st.text(max_size=90), st.text(max_size=14))
def test_headers_of_any_text_are_refused_without_another_error(signature: str, timestamp: str) -> None:
    refused(ForgedWebhook, {SIGNATURE_HEADER: signature, TIMESTAMP_HEADER: timestamp})


def test_a_refusal_repeats_nothing_of_what_was_sent() -> None:
    for headers, now_s in (({}, NOW_S), (sign(BODY, OTHER_KEY, NOW_S), NOW_S), (SIGNED, 0)):
        with pytest.raises(WebhookError) as caught:
            verify(BODY, headers, PUBLIC_KEY, now_s)
        assert all(value not in str(caught.value) for value in (*headers.values(), BODY.decode()))


@pytest.mark.parametrize("key", ["", "no base64!", base64.b64encode(bytes(31)).decode(), "ä" * 44])
def test_a_public_key_that_is_none_is_the_callers_fault(key: str) -> None:
    with pytest.raises(ConfigError, match="public_key: expected"):
        verify(BODY, SIGNED, key, NOW_S)


@pytest.mark.parametrize("y", WEAK_Y)
@pytest.mark.parametrize("sign_bit", [0, 2**255])
def test_a_key_under_which_anybody_could_sign_is_the_callers_fault(y: int, sign_bit: int) -> None:
    key = Ed25519PublicKey.from_public_bytes((y | sign_bit).to_bytes(32, "little"))
    with pytest.raises(ConfigError, match="anybody could sign"):
        read_public_key(key)
    with pytest.raises(ConfigError, match="anybody could sign"):
        verify(BODY, SIGNED, base64.b64encode(key.public_bytes_raw()).decode(), NOW_S)


@pytest.mark.parametrize("y", WEAK_Y[:5])
def test_the_library_takes_what_nobody_signed_under_such_a_key(y: int) -> None:
    key, nobodys_signature = Ed25519PublicKey.from_public_bytes(y.to_bytes(32, "little")), bytes([1]) + bytes(63)

    def is_taken(number: int) -> bool:
        try:
            key.verify(nobodys_signature, b"%d" % number)
        except InvalidSignature:
            return False
        return True

    assert any(map(is_taken, range(200)))


def test_a_public_key_is_written_as_it_is_read() -> None:
    assert read_public_key(write_public_key(KEY)).public_bytes_raw() == KEY.public_key().public_bytes_raw()
