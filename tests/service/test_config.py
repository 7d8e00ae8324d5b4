import json

import pytest

from strep.audio.formats import AudioFormat
from strep.control import StreamType
from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.service.config import ServiceConfig, load_config, read_config
from strep.service.example import EXAMPLE
from strep.service.rules import ForkMode
from strep.sinks.recordings import Container, FilePolicy, LargeFiles, Layout, QueueLimits

PUBLIC_KEY = 'public_key = "NRNButY+Mkeer4fgSmm0YQkrxLKWVfhuP4mOXNXG+lY="'
LEAST = f"""
[webhooks]
{PUBLIC_KEY}
[media]
target = "udp:0.0.0.0:9000"
announce = "udp:203.0.113.5:9000"
[recordings]
out = "calls"
[[rules]]
"""


def wrong(line: str, replacing: str = "") -> str:
    """Read the least configuration with a line more (or another one), and give what is wrong with it."""
    text = LEAST.replace(replacing, line) if replacing else f"{LEAST}{line}\n"
    with pytest.raises(ConfigError) as raised:
        read_config(text, "strep.toml")
    return str(raised.value)


def test_the_example_can_be_read():
    config = read_config(EXAMPLE)
    assert [rule.fork for rule in config.rules] == [ForkMode.NO, ForkMode.TARGET]
    assert config.media.announce == UdpAddress("203.0.113.5", 9000)


def test_the_example_shows_each_key_with_its_default():
    """What is commented out is the default: reading it changes nothing but what has no default."""
    commented = "\n".join(line.removeprefix("# ") if _is_key(line) else line for line in EXAMPLE.splitlines())
    full, config = read_config(commented), read_config(EXAMPLE)
    assert (full.limits, full.analysis) == (config.limits, config.analysis)
    assert full.service.model_copy(update={"state_file": None}) == config.service
    assert full.state_path == config.state_path
    assert full.webhooks == config.webhooks
    limits = dict.fromkeys(("keep_days", "keep_bytes", "min_free_bytes"))
    assert full.recordings.model_copy(update=limits) == config.recordings
    others = {"ports": None, "payload_types": {}, "allow": None, "spool": None}
    assert full.media.model_copy(update=others) == config.media
    shown = {"api": full.api, "webhooks": full.webhooks, "media": full.media, "recordings": full.recordings}
    shown |= {"service": full.service, "limits": full.limits, "analysis": full.analysis}
    for table, part in shown.items():
        for name in type(part).model_fields:
            assert f"{name} = " in EXAMPLE, f"{table}.{name} is not in the example"


def _key(config: ServiceConfig) -> str | None:
    key = config.api.read_key()
    return key and key.get_secret_value()


def _is_key(line: str) -> bool:
    # key_file and secret_file exclude key_env and secret_env; base_url has its default in the client.
    skipped = ("# key_file", "# secret_file", "# public_key_env", "# headers", "# stream_type")
    return line.startswith("# ") and " = " in line.split("#")[1] and not line.startswith(skipped)


def test_the_least_configuration_has_sensible_values():
    config = read_config(LEAST)
    assert config.webhooks.listen == ("127.0.0.1", 8080)
    assert config.recordings.layout is Layout.STEREO
    assert config.rules[0].fork is ForkMode.TARGET
    assert config.rules[0].stream_type is None


def test_how_files_are_kept_is_read():
    lines = 'file_mode = "640"\nlarge_files = "rf64"\nfsync = 10\nwrite_queue_s = 5.0\nwrite_queue_bytes = 2000000'
    recordings = read_config(LEAST.replace('out = "calls"', f'out = "calls"\n{lines}')).recordings
    assert recordings.files == FilePolicy(0o640, LargeFiles.RF64, 10)
    assert recordings.queue == QueueLimits(5.0, 2_000_000)
    least = read_config(LEAST).recordings
    assert (least.files, least.queue) == (FilePolicy(), QueueLimits())


def test_every_kind_of_value_is_read():
    text = LEAST.replace('out = "calls"', 'out = "calls"\nlayout = "mono"\nformat = "flac"').replace(
        "[recordings]", 'payload_types = ["116=opus/48000/2"]\nports = "9100-9199"\n[recordings]'
    )
    config = read_config(text + 'fork = "rx_tx"\nstream_type = "decrypted"\nheaders = {X-Record = "yes"}\n')
    assert config.media.payload_types == {116: AudioFormat("OPUS", 48_000, 48_000, 2)}
    assert config.media.ports == range(9100, 9200)
    assert config.recordings.format is Container.FLAC
    assert config.rules[0].fork is ForkMode.RX_TX
    assert config.rules[0].stream_type is StreamType.DECRYPTED


@pytest.mark.parametrize(
    ("line", "replacing", "message"),
    [
        ("forc = true", "", "rules[0].forc: expected no such key; did you mean fork?"),
        ("[limits]\nforks = '9'", "", "limits.forks: expected a valid integer, found '9'"),
        ("[limits]\nforks = 0", "", "limits.forks: expected greater than or equal to 1, found 0"),
        ("[limits]\nfroks = 1", "", "limits.froks: expected no such key; did you mean forks?"),
        ("", PUBLIC_KEY, "webhooks: expected public_key or public_key_env, found neither"),
        ("public_key = 'AAAA'", PUBLIC_KEY, "webhooks.public_key: expected"),
        ('target = "9000"', 'target = "udp:0.0.0.0:9000"', "media.target: expected 'udp:IP:PORT' (an IPv6 address in"),
        ("", 'target = "udp:0.0.0.0:9000"', "media: expected a target, or ports, found neither"),
        (
            "[media]\nallow = ['here']",
            "[media]",
            "media.allow: expected a network as 192.0.2.0/24 or 2001:db8::/32, found",
        ),
        ("[media]\nallow = '::/0'", "[media]", "media.allow: expected a list as in ['192.76.120.0/22'], found '::/0'"),
        (
            "[media]\nports = '9100-9103'\nstrep_only = true",
            '[media]\ntarget = "udp:0.0.0.0:9000"',
            "media: strep_only",
        ),
        ('announce = "udp:0.0.0.0:1"', 'announce = "udp:203.0.113.5:9000"', "media.announce: expected the address"),
        (
            'out = "calls"\nlayout = "quad"',
            'out = "calls"',
            "recordings.layout: expected 'stereo' or 'mono', found 'quad'",
        ),
        (
            'out = "calls"\nfile_mode = 640',
            'out = "calls"',
            "recordings.file_mode: expected permissions in octal, as in '640', found 640",
        ),
        (
            'out = "calls"\nfsync = "often"',
            'out = "calls"',
            "recordings.fsync: expected never, end, or a number of seconds, found 'often'",
        ),
        ('fork = "yes"', "", 'rules[0].fork: expected true, false, "target" or "rx_tx", found \'yes\''),
        ('fork = "rx_tx"', "", 'rules[0].fork: expected "target" or false, for media.ports is not set'),
        ('from = "re:("', "", "rules[0].from[0]: expected a regular expression after re:, found 're:('"),
        ("from = []", "", "rules[0].from: expected at least one text to match, found none"),
        ('direction = "inbound"', "", "rules[0].direction: expected 'incoming' or 'outgoing', found 'inbound'"),
        ("[api]\nkey_env = 'A'\nkey_file = 'b'", "", "api: expected key_env or key_file, found both"),
        ("", "[[rules]]", "rules: expected a value, found none"),
        ("]", "", "expected TOML, found otherwise"),
        ("x = " + "9" * 5000, "", "expected TOML, found otherwise: Exceeds the limit"),
        ("[" + "a." * 5000 + "a]\nb = 1", "", "expected TOML, found otherwise: maximum recursion depth"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_its_key(line, replacing, message):
    said = wrong(line, replacing)
    assert said.startswith(f"strep.toml: {message}")
    assert "\n" not in said


def test_every_wrong_value_has_its_line():
    said = wrong("[limits]\nforks = 0\ncalls = 0\nquarantine_s = false")
    assert [line.split(": ")[1] for line in said.splitlines()] == [
        "limits.forks",
        "limits.calls",
        "limits.quarantine_s",
    ]


def test_a_key_that_was_put_into_the_file_is_not_repeated():
    for line in (
        'key = "KEY-SECRET"',
        'secret = "KEY-SECRET"',
        "key_env = ['KEY-SECRET']",
        "secret_file = 'KEY-SECRET'\nsecret_env = 'KEY-SECRET'",
    ):
        said = wrong(f"[api]\n{line}")
        assert "KEY-SECRET" not in said
    assert "api.key: expected key_env or key_file" in wrong('[api]\nkey = "KEY-SECRET"')


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "strep.toml").write_text("[api]\nkey_file = 'the.key'\n" + LEAST)
    (tmp_path / "the.key").write_text("KEY-1\n")
    config = load_config(tmp_path / "strep.toml")
    assert config.recordings.out == tmp_path / "calls"
    assert config.state_path == tmp_path / "calls" / ".strep-service.state"
    assert _key(config) == "KEY-1"
    assert "KEY-1" not in repr(config)


def test_a_key_comes_from_the_environment(monkeypatch):
    config = read_config("[api]\nkey_env = 'OUR_KEY'\n" + LEAST)
    with pytest.raises(ConfigError, match=r"api\.key_env: expected it in the environment variable OUR_KEY"):
        config.api.read_key()
    monkeypatch.setenv("OUR_KEY", "KEY-2")
    assert _key(config) == "KEY-2"
    assert config.api.read_secret() is None


def test_a_key_file_that_is_missing_or_empty_is_named(tmp_path):
    (tmp_path / "empty").write_text("\n")
    for name, reason in (("none", "cannot read"), ("empty", "found nothing")):
        config = read_config(f"[api]\nkey_file = '{name}'\n" + LEAST).relative_to(tmp_path)
        with pytest.raises(ConfigError, match=reason):
            config.api.read_key()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 200_000, b"#" * (2 << 20)])
def test_a_file_that_is_no_configuration_is_one_error(tmp_path, content):
    (tmp_path / "strep.toml").write_bytes(content)
    with pytest.raises(ConfigError):
        load_config(tmp_path / "strep.toml")


def test_a_file_that_is_not_there_is_one_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path / "none.toml")


def test_a_configuration_cannot_be_changed():
    config = read_config(LEAST)
    with pytest.raises(ValueError, match="frozen"):
        config.limits.forks = 5
    assert isinstance(config, ServiceConfig)


@pytest.mark.parametrize("place", ["key_env", "key_file", "secret_env", "secret_file"])
@pytest.mark.parametrize("secret", ["KEY0123456789_liveSecretValue", "s3cret/of+the=key", "KEY019A0C5D7E31"])
def test_a_key_that_was_put_where_its_place_belongs_is_not_shown(place, secret):
    api = read_config(f"[api]\n{place} = '{secret}'\n" + LEAST).api
    with pytest.raises(ConfigError) as caught:
        api.read_key() or api.read_secret()
    assert secret not in str(caught.value)
    assert f"{place.partition('_')[0]}_{place.partition('_')[2]}" in str(caught.value)


def test_the_public_key_may_be_in_the_environment(monkeypatch):
    config = read_config(LEAST.replace(PUBLIC_KEY, 'public_key_env = "THEIR_KEY"'))
    with pytest.raises(ConfigError, match=r"webhooks\.public_key_env: expected it in .* THEIR_KEY, found nothing"):
        config.webhooks.read_public_key()
    monkeypatch.setenv("THEIR_KEY", "nonsense")
    with pytest.raises(ConfigError, match=r"^webhooks\.public_key_env: "):
        config.webhooks.read_public_key()
    key = PUBLIC_KEY.partition('"')[2].rstrip('"')
    monkeypatch.setenv("THEIR_KEY", key)
    assert config.webhooks.read_public_key() == key


def test_only_the_documented_spelling_of_a_key_is_read():
    with pytest.raises(ConfigError, match="from_: expected no such key"):
        read_config(LEAST + '\n[[rules]]\nfrom_ = "+1"')


@pytest.mark.parametrize("name", ["X Record", "X-Record:", "", "X\n"])
def test_a_header_has_the_name_of_one(name):
    with pytest.raises(ConfigError, match="expected the name of a SIP header"):
        read_config(LEAST + f"headers = {{ {json.dumps(name)} = 'yes' }}")


@pytest.mark.parametrize("base_url", ["telnyx", "ftp://x", "http://user:secret-word@127.0.0.1"])
def test_surroundings_in_which_it_could_not_start_are_told(base_url, monkeypatch):
    monkeypatch.setenv("OUR_KEY", "KEY-of-ours")
    config = read_config(f"[api]\nkey_env = 'OUR_KEY'\nbase_url = '{base_url}'\n" + LEAST)
    with pytest.raises(ConfigError) as caught:
        config.check_surroundings()
    assert "secret-word" not in str(caught.value)
    read_config("[api]\nkey_env = 'OUR_KEY'\n" + LEAST).check_surroundings()


def test_a_folder_that_cannot_be_made_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("OUR_KEY", "KEY-of-ours")
    (tmp_path / "text").write_text("")
    for out, says in (("text/calls", "recordings.out: expected a folder"), ("calls", None)):
        text = "[api]\nkey_env = 'OUR_KEY'\n" + LEAST.replace('out = "calls"', f'out = "{tmp_path}/{out}"')
        if says is None:
            read_config(text).check_surroundings()
            continue
        with pytest.raises(ConfigError, match=says):
            read_config(text).check_surroundings()
