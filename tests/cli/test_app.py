import subprocess
import sys
from importlib.metadata import entry_points, version

import pytest
import typer

from strep import control
from strep.cli.app import app, main
from tests.receiving import BOUND_S

COMMANDS = [
    ("demo",),
    ("emulate",),
    ("record",),
    ("decode",),
    ("inspect",),
    ("replay",),
    ("serve",),
    ("plot",),
    ("analyze",),
    ("recover",),
    ("retain",),
    ("fork",),
    ("fork", "start"),
    ("fork", "stop"),
    ("call",),
    *(("call", name) for name in control.COMMANDS),
]


def test_the_version_is_the_package_s(strep):
    outcome = strep("--version")
    assert (outcome.stdout, outcome.exit_code) == (f"strep {version('strep')}\n", 0)


def test_the_commands_are_these():
    assert typer.main.get_command(app).list_commands(None) == [name for name, *more in COMMANDS if not more]


@pytest.mark.parametrize("command", [(), *COMMANDS], ids=" ".join)
def test_every_help_page_ends_with_examples_that_fit_a_terminal(strep, command):
    outcome = strep(*command, "--help", columns=80)
    assert outcome.exit_code == 0
    examples = [line.strip() for line in outcome.stdout.partition("Examples:")[2].splitlines() if line.strip()]
    assert examples
    assert all(line.startswith(" ".join(("strep", *command))) for line in examples)
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    assert "<bool>" not in outcome.stdout


def test_the_help_says_what_exit_codes_mean(strep):
    assert "2 a wrong use" in strep("--help").stdout


def test_no_command_at_all_shows_the_help(strep):
    assert "Examples:" in strep().stdout


@pytest.mark.parametrize("args", [("nonsense",), ("record",), ("decode", "x.pcap"), ("inspect", "x", "--nonsense")])
def test_a_wrong_use_of_the_command_line_is_told_apart_from_an_error(strep, args):
    outcome = strep(*args)
    assert outcome.exit_code == 2
    assert "Usage:" in outcome.stderr


@pytest.mark.parametrize("missing", [("--out", "calls"), ("--target", "udp:127.0.0.1:0")], ids=" ".join)
def test_an_option_that_is_missing_exits_alike_whichever_it_is(strep, missing):
    assert strep("record", *missing).exit_code == 2


def test_the_installed_program_is_this_one():
    (program,) = entry_points(group="console_scripts", name="strep")
    assert program.load() is main


WITH_RESULTS = [
    ("--help",),
    ("inspect", "call.pcap"),
    ("decode", "call.pcap", "--out", "calls", "--json"),
    ("analyze", "call.pcap"),
    ("analyze", "call.pcap", "--json"),
    ("replay", "call.pcap", "udp:127.0.0.1:9", "--speed", "max"),
    ("serve", "--example"),
    ("emulate",),
]


@pytest.mark.thorough
@pytest.mark.parametrize("command", WITH_RESULTS, ids=" ".join)
def test_a_closed_pipe_ends_a_command_quietly(capture, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    run = [sys.executable, "-m", "strep", *command]
    with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read().splitlines()
        assert [line for line in said if not line.startswith(b"strep: compiling")] == []  # where nothing is kept yet
        assert process.wait(BOUND_S) == 1
