"""A webhook is believed when the platform signed just this body, lately; all else is refused."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from strep.control.webhooks import Reason, UnverifiedWebhook, sign, verify
from strep.control.webhooks.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, TOLERANCE_S
from strep.errors import ConfigError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
NOW_S = 1_700_000_000


def reason_of(body: bytes, headers, now_s: float = NOW_S) -> Reason:
    with pytest.raises(UnverifiedWebhook) as caught:
        verify(body, headers, PUBLIC_KEY, now_s)
    return caught.value.reason


@given(st.binary(max_size=200), st.floats(-TOLERANCE_S + 1, TOLERANCE_S - 1))
def test_what_was_signed_lately_is_believed(body: bytes, later_s: float) -> None:
    verify(body, sign(body, KEY, NOW_S), PUBLIC_KEY, NOW_S + later_s)


@given(st.binary(min_size=1, max_size=60), st.data())
def test_any_altered_byte_of_the_body_is_refused(body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(body) - 1))
    altered = body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :]
    assert reason_of(altered, sign(body, KEY, NOW_S)) is Reason.FORGED


@given(st.integers(0, 63), st.integers(1, 255))
def test_any_altered_byte_of_the_signature_is_refused(at: int, by: int) -> None:
    headers = sign(b"body", KEY, NOW_S)
    raw = bytearray(base64.b64decode(headers[SIGNATURE_HEADER]))
    raw[at] ^= by
    assert reason_of(b"body", headers | {SIGNATURE_HEADER: base64.b64encode(raw).decode()}) is Reason.FORGED


def test_another_time_is_refused_though_it_is_a_fresh_one() -> None:
    headers = sign(b"body", KEY, NOW_S) | {TIMESTAMP_HEADER: str(NOW_S + 1)}
    assert reason_of(b"body", headers) is Reason.FORGED


@pytest.mark.parametrize("later_s", [TOLERANCE_S + 1, -TOLERANCE_S - 1, float("nan"), 1e9])
def test_what_is_too_old_or_of_the_future_is_refused(later_s: float) -> None:
    assert reason_of(b"body", sign(b"body", KEY, NOW_S), NOW_S + later_s) is Reason.STALE


@given(st.text(max_size=90), st.text(max_size=14))
def test_headers_of_any_text_are_refused_without_another_error(signature: str, timestamp: str) -> None:
    headers = {SIGNATURE_HEADER: signature, TIMESTAMP_HEADER: timestamp}
    assert reason_of(b"body", headers) in Reason


@pytest.mark.parametrize("missing", [SIGNATURE_HEADER, TIMESTAMP_HEADER])
def test_a_header_that_is_missing_is_refused(missing: str) -> None:
    headers = {name: value for name, value in sign(b"", KEY, NOW_S).items() if name != missing}
    assert reason_of(b"", headers) is Reason.UNSIGNED


def test_another_key_is_refused() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert reason_of(b"body", sign(b"body", other, NOW_S)) is Reason.FORGED


@pytest.mark.parametrize("key", ["", "no base64!", base64.b64encode(bytes(31)).decode()])
def test_a_public_key_that_is_none_is_the_callers_fault(key: str) -> None:
    with pytest.raises(ConfigError, match="public_key: expected 32 bytes in Base64"):
        verify(b"", sign(b"", KEY, NOW_S), key, NOW_S)
