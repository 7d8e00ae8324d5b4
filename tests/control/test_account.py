import base64
import html
import json
from urllib.parse import quote

import httpx
import pytest
from pydantic import SecretStr

from strep.control.account import Account
from strep.errors import ConfigError
from tests.control.scripted import KEY, SECRET


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    """Take the environment of whoever runs this away, and set other variables by name."""
    for name in ("TELNYX_API_KEY", "TELNYX_API_SECRET", "TELNYX_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch.setenv


def authorization(account):
    """Give what a request of this account says."""
    return account.authorize(httpx.Request("GET", "https://x")).headers["Authorization"]


def basic(key, secret):
    return "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()


def test_a_key_alone_is_a_bearer_of_the_newer_api():
    account = Account.resolve(KEY, None)
    assert authorization(account) == f"Bearer {KEY}"
    assert account.base_url == "https://api.telnyx.com/v2"


def test_a_key_with_a_secret_goes_by_basic_to_the_older_api():
    account = Account.resolve(KEY, None, SECRET)
    assert authorization(account) == basic(KEY, SECRET)
    assert account.base_url == "https://api.telnyx.com"


def test_a_base_url_goes_before_the_default_of_either():
    assert Account.resolve(KEY, "https://elsewhere.example/v2/", SECRET).base_url == "https://elsewhere.example/v2"


def test_both_come_from_the_environment(variables):
    variables("TELNYX_API_KEY", KEY)
    variables("TELNYX_API_SECRET", f"{SECRET}\n")
    assert authorization(Account.resolve(None, None)) == basic(KEY, SECRET)


def test_a_given_secret_goes_with_the_environments_key_and_before_its_secret(variables):
    variables("TELNYX_API_KEY", KEY)
    variables("TELNYX_API_SECRET", "another")
    assert authorization(Account.resolve(None, None, SECRET)) == basic(KEY, SECRET)


def test_a_given_key_is_not_paired_with_the_environments_secret(variables):
    variables("TELNYX_API_SECRET", SECRET)
    assert authorization(Account.resolve(KEY, None)) == f"Bearer {KEY}"


def test_secrets_may_come_wrapped():
    account = Account.resolve(SecretStr(KEY), None, SecretStr(SECRET))
    assert authorization(account) == basic(KEY, SECRET)


def test_a_secret_without_a_key_is_not_enough():
    with pytest.raises(ConfigError, match="expected an API key"):
        Account.resolve(None, None, SECRET)


@pytest.mark.parametrize(
    ("key", "secret", "message"),
    [(f"{KEY}:", SECRET, "without ':'"), (KEY, f"{SECRET} x", "API secret of printable"), (KEY, "ä" * 9, "secret of")],
)
def test_a_pair_that_fits_no_header_is_refused_and_not_repeated(key, secret, message):
    with pytest.raises(ConfigError, match=message) as refused:
        Account.resolve(key, None, secret)
    assert KEY not in str(refused.value) and SECRET not in str(refused.value)


@pytest.mark.parametrize("base_url", ["https://user:hunter2@host/v2", "https://user:hunter2@ho st/v2"])
def test_a_password_in_a_base_url_is_not_repeated(base_url):
    with pytest.raises(ConfigError) as refused:
        Account.resolve(KEY, base_url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "form", [str, html.escape, lambda s: quote(s, safe=""), lambda s: json.dumps(s).replace("/", r"\/")]
)
def test_what_an_answer_repeats_of_the_secrets_is_struck_out(form):
    account = Account.resolve(KEY, None, 'quo"te/<&+secret')
    for text in (KEY, 'quo"te/<&+secret', basic(KEY, 'quo"te/<&+secret').split()[1]):
        redacted = account.redact(f"before {form(text)} after".encode()).decode()
        assert redacted.startswith("before ") and redacted.endswith(" after")
        assert form(text) not in redacted and text not in redacted


def test_a_made_up_key_does_not_take_its_word_out_of_every_answer():
    assert Account.resolve("test", None).redact(b"a test") == b"a test"
