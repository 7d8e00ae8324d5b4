import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.control import errors
from strep.control.errors import refusal
from strep.errors import ControlError

API = Path(__file__).resolve().parents[2].parent / "shared" / "api"


def answer(code, title="Title", detail="Detail.", pointer=None):
    source = {"source": {"pointer": pointer}} if pointer else {}
    return json.dumps({"errors": [{"code": code, "title": title, "detail": detail, **source}]}).encode()


@pytest.mark.parametrize(
    ("status", "code", "pointer", "kind"),
    [
        (401, "10009", None, errors.NotAuthorised),
        (403, "10010", None, errors.NotAuthorised),
        (404, "10005", None, errors.NotFound),
        (404, "", None, errors.NotFound),
        (422, "10005", None, errors.NotFound),
        (422, "90018", None, errors.CallEnded),
        (404, "90018", None, errors.CallEnded),
        (422, "90034", None, errors.NotAnswered),
        (422, "90031", None, errors.NotForked),
        (422, "90045", None, errors.StreamingInUse),
        (422, "90015", "/call_control_id", errors.InvalidParameter),
        (422, "10004", "/rx", errors.InvalidParameter),
        (400, "10015", None, errors.InvalidParameter),
        (422, "10032", "/stream_type", errors.InvalidParameter),
        (422, "12345", "/something_new", errors.InvalidParameter),
        (422, "90036", None, errors.LimitReached),
        (422, "90032", None, errors.LimitReached),
        (422, "90019", None, errors.ConferenceEnded),
        (422, "90020", None, errors.AudioNotStarted),
        (422, "90033", None, errors.AlreadyActive),
        (422, "90038", None, errors.AlreadyActive),
        (422, "90054", None, errors.AlreadyActive),
        (422, "90061", None, errors.AlreadyActive),
        (400, "90040", None, errors.MediaUnavailable),
        (400, "10028", None, errors.InvalidParameter),
        (400, "90050", None, errors.CommandRefused),
        (429, "10011", None, errors.RateLimited),
        (422, "10011", "/media_encryption", errors.InvalidParameter),
        (422, "10011", None, errors.InvalidParameter),
        (500, "10007", None, errors.ServerError),
        (503, "90018", None, errors.ServerError),
    ],
)
def test_status_and_code_tell_the_kind(status, code, pointer, kind):
    error = refusal(status, {}, answer(code, pointer=pointer))
    assert type(error) is kind
    assert isinstance(error, ControlError)
    assert (error.http_status, error.code, error.title, error.detail) == (status, code, "Title", "Detail.")
    assert error.pointer == (pointer or "")


def test_code_10011_means_what_the_http_status_says():
    assert isinstance(refusal(429, {}, answer("10011", "Too many requests")), errors.RateLimited)
    assert not isinstance(refusal(422, {}, answer("10011", "Media encryption not supported")), errors.RateLimited)


def test_a_message_says_it_all():
    text = str(refusal(422, {}, answer(10004, "Missing required parameter", "The 'tx' parameter is required.", "/tx")))
    assert text == "Missing required parameter: The 'tx' parameter is required. (/tx) [HTTP 422, code 10004]"


def test_every_problem_is_kept_and_the_first_names_the_kind():
    document = {"errors": [{"code": "90031", "title": "One"}, {"code": "10004", "title": "Two"}, "junk"]}
    error = refusal(422, {}, json.dumps(document).encode())
    assert isinstance(error, errors.NotForked)
    assert [problem.title for problem in error.problems] == ["One", "Two"]
    assert str(error) == "One; Two [HTTP 422, code 90031]"


def test_a_proxys_page_is_quoted_but_not_whole():
    error = refusal(502, {}, b"<html>\n  <h1>Bad gateway</h1>" + b"x" * 10_000)
    assert isinstance(error, errors.ServerError)
    assert str(error).startswith("Bad Gateway: <html> <h1>Bad gateway</h1>xxx") and len(str(error)) < 600


def test_a_peers_words_cannot_steer_the_terminal():
    error = refusal(422, {}, answer("1", "red \x1b[31m", "two\nlines \ud800"))
    assert error.title == "red [31m" and error.detail == "two lines"


def test_a_problem_without_a_title_gets_the_statuss():
    assert str(refusal(422, {}, b'{"errors": [{}]}')) == "Unprocessable Entity [HTTP 422]"
    assert str(refusal(599, {}, b"")) == "Unknown problem [HTTP 599]"


def test_a_wrong_parameter_of_the_query_is_named_too():
    body = {"errors": [{"code": "10015", "title": "Bad", "source": {"parameter": "page[limit]"}}]}
    assert refusal(400, {}, json.dumps(body).encode()).pointer == "page[limit]"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("0.25", 0.25),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("inf", None),
        ("9" * 400, None),
    ],
)
def test_a_wait_that_the_platform_asks_for_is_told(value, seconds):
    assert refusal(429, {"retry-after": value}, b"").retry_after_s == seconds
    assert refusal(429, {"x-ratelimit-reset": value}, b"").retry_after_s == seconds


NOON = "Sun, 06 Nov 1994 12:00:00 GMT"


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Sun, 06 Nov 1994 12:00:37 GMT", 37.0),
        ("Sunday, 06-Nov-94 12:00:37 GMT", 37.0),
        ("Sun Nov  6 12:00:37 1994", 37.0),
        ("Sun, 06 Nov 1994 11:59:00 GMT", 0.0),
        ("Sun, 06 Nov 99999 12:00:37 GMT", None),
        ("Sun, 06 Nov 1994 12:00:37 +999999", None),
        ("tomorrow", None),
    ],
)
def test_a_date_to_come_back_at_is_measured_from_the_answers_own_date(date, seconds):
    assert refusal(503, {"retry-after": date, "date": NOON}, b"").retry_after_s == seconds


def test_a_date_without_one_to_measure_it_from_is_no_wait():
    assert refusal(503, {"retry-after": NOON}, b"").retry_after_s is None


def test_the_longer_of_two_waits_is_told_and_a_limits_reset_only_with_a_429():
    headers = {"retry-after": "2", "x-ratelimit-reset": "5"}
    assert refusal(429, headers, b"").retry_after_s == 5
    assert refusal(500, headers, b"").retry_after_s == 2


@given(st.text(), st.text())
def test_any_header_will_do(retry_after, date):
    wait_s = refusal(429, {"retry-after": retry_after, "date": date, "x-ratelimit-reset": date}, b"").retry_after_s
    assert wait_s is None or wait_s >= 0


def test_attempts_are_told_when_there_were_several():
    error = refusal(500, {}, b"")
    assert not error.may_have_acted and "sent" not in str(error)
    error.attempts = 3
    assert str(error) == "Internal Server Error [HTTP 500, sent 3 times]"


@pytest.mark.skipif(not API.is_dir(), reason="the platform's API descriptions are not here")
def test_every_error_of_the_description_about_a_command_has_a_kind_of_its_own():
    responses = json.loads((API / "call_control.openapi.json").read_text())["components"]["responses"]
    statuses = {"BadRequestResponse": 400, "UnprocessableEntityResponse": 422}
    plain = set()
    for name, status in statuses.items():
        for example in responses[name]["content"]["application/json"]["examples"].values():
            error = refusal(status, {}, json.dumps(example["value"]).encode())
            if type(error) is errors.CommandRefused:
                plain.add(error.code)
    assert plain == {"90050"}, "deleting a queue is no command for a call"


def test_a_refusal_survives_the_way_to_another_process():
    sent = refusal(422, {}, answer("90031"))
    sent.attempts = 2
    error = pickle.loads(pickle.dumps(sent))
    assert type(error) is errors.NotForked and (error.code, error.attempts) == ("90031", 2)
