import json
import pickle

import pytest

from strep.control import errors
from strep.control.errors import refusal
from strep.errors import ControlError


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
        (422, "90036", None, errors.CommandRefused),
        (429, "10011", None, errors.RateLimited),
        (422, "10011", "/media_encryption", errors.InvalidParameter),
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


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("", None), ("soon", None), ("9" * 400, None)])
def test_a_wait_that_the_platform_asks_for_is_told(value, seconds):
    assert refusal(429, {"retry-after": value}, b"").retry_after_s == seconds


def test_a_refusal_survives_the_way_to_another_process():
    error = pickle.loads(pickle.dumps(refusal(422, {}, answer("90031"))))
    assert type(error) is errors.NotForked and error.code == "90031"
