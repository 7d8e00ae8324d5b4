"""`strep serve`: what it says of configurations. What it does is tested in tests/service."""

import pytest

from strep.service.example import EXAMPLE

LEAST = """
[api]
key_env = "OUR_KEY"
base_url = "http://127.0.0.1:1/v2"
[webhooks]
listen = "127.0.0.1:0"
public_key = "NRNButY+Mkeer4fgSmm0YQkrxLKWVfhuP4mOXNXG+lY="
[media]
target = "udp:127.0.0.1:0"
announce = "udp:127.0.0.1:0"
[recordings]
out = "calls"
[[rules]]
"""


def test_the_example_is_printed_and_can_be_checked(strep, tmp_path):
    outcome = strep("serve", "--example")
    assert (outcome.exit_code, outcome.stdout) == (0, EXAMPLE)
    (tmp_path / "strep.toml").write_text(outcome.stdout)
    outcome = strep("serve", "--config", "strep.toml", "--check", env={"TELNYX_API_KEY": "KEY-1"})
    assert outcome.exit_code == 0
    warning, verdict = outcome.stderr.splitlines()
    assert "public_key is the example's" in warning
    assert verdict == "strep: strep.toml: 2 rules, nothing wrong"


def test_no_configuration_is_a_wrong_use(strep):
    outcome = strep("serve")
    assert outcome.exit_code == 2
    assert "--example" in outcome.stderr


def test_each_wrong_value_is_a_line(strep, tmp_path):
    (tmp_path / "strep.toml").write_text(LEAST + "forc = true\ndirection = 'in'\n")
    outcome = strep("serve", "--config", "strep.toml")
    assert outcome.exit_code == 2
    assert outcome.stderr.splitlines() == [
        "strep: strep.toml: rules[0].direction: expected 'incoming' or 'outgoing', found 'in'",
        "strep: strep.toml: rules[0].forc: expected no such key; did you mean fork?",
    ]


@pytest.mark.parametrize("args", [("--check",), ()])
def test_a_key_that_is_not_there_is_said_before_anything_is_opened(strep, tmp_path, args):
    (tmp_path / "strep.toml").write_text(LEAST)
    outcome = strep("serve", "--config", "strep.toml", *args)
    assert outcome.exit_code == 2
    assert outcome.error == "api.key_env: expected it in the environment variable OUR_KEY, found nothing"
    assert not (tmp_path / "calls").exists()


def test_an_address_of_another_machine_is_an_error_of_one_line(strep, tmp_path):
    (tmp_path / "strep.toml").write_text(LEAST.replace("udp:127.0.0.1:0", "udp:192.0.2.1:9", 1))
    outcome = strep("serve", "--config", "strep.toml", env={"OUR_KEY": "KEY-1"})
    assert outcome.exit_code == 1
    assert "192.0.2.1" in outcome.error
