import io
import logging
import re
import signal
import warnings

import pytest
import typer
from rich.console import Console
from rich.live import Live
from typer.testing import CliRunner

from strep.cli.errors import OneLineErrors, fail, say
from strep.cli.signals import Interrupted
from strep.control import PrivateAddressWarning
from strep.errors import CaptureFileError, ConfigError, StrepError
from strep.live.receiver import ReceiveBufferWarning


def run(action):
    app = typer.Typer(cls=OneLineErrors, pretty_exceptions_enable=False)
    app.command("first")(action)
    app.command("second")(lambda: None)
    return CliRunner().invoke(app, ["first"])


def raising(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (CaptureFileError("x: expected this, found that"), "strep: x: expected this, found that\n"),
        (StrepError("one\n  two\ttwo"), "strep: one two two\n"),
        (StrepError("bell \x07 and \x1b[31m"), "strep: bell \\x07 and \\x1b[31m\n"),
        (StrepError("[red]no markup[/red] :smile:"), "strep: [red]no markup[/red] :smile:\n"),
        (StrepError("long " * 100), "strep: " + ("long " * 100).strip() + "\n"),
        (PermissionError(13, "Permission denied", "some/file"), "strep: some/file: Permission denied\n"),
        (OSError(28, "No space left on device"), "strep: No space left on device\n"),
        (OSError("of our own words"), "strep: of our own words\n"),
    ],
)
def test_what_a_user_can_do_wrong_is_one_line(error, line):
    result = run(raising(error))
    assert (result.stderr, result.stdout, result.exit_code) == (line, "", 1)


def test_what_cannot_be_asked_for_exits_as_a_wrong_use_of_the_command_line_does():
    result = run(raising(ConfigError("expected this, found that")))
    assert (result.stderr, result.stdout, result.exit_code) == ("strep: expected this, found that\n", "", 2)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted()])
def test_an_interruption_has_an_exit_code_of_its_own(error):
    result = run(raising(error))
    assert (result.stderr, result.exit_code) == ("strep: interrupted\n", 128 + signal.SIGINT)


def test_a_command_can_fail_by_itself():
    result = run(lambda: fail("no"))
    assert (result.stderr, result.exit_code) == ("strep: no\n", 1)


def test_a_fault_of_our_own_is_not_hidden():
    result = run(raising(AssertionError("a bug")))
    assert isinstance(result.exception, AssertionError)


@pytest.mark.parametrize("category", [ReceiveBufferWarning, PrivateAddressWarning])
def test_our_warnings_are_one_line_and_no_end(category):
    def action():
        warnings.warn("be careful", category, stacklevel=2)
        typer.echo("done")

    result = run(action)
    assert (result.stderr, result.stdout, result.exit_code) == ("strep: warning: be careful\n", "done\n", 0)


def test_what_is_logged_is_one_line_and_below_it_what_goes_with_a_fault():
    def action():
        log = logging.getLogger("strep.somewhere")
        log.info("nothing to see")
        log.warning("be\ncareful %d", 7)
        try:
            raise ValueError("ours")
        except ValueError:
            log.exception("failed")

    result = run(action)
    first, second, *more = result.stderr.splitlines()
    assert (first, second) == ("strep: warning: be careful 7", "strep: error: failed")
    assert more[0].startswith("Traceback") and more[-1] == "ValueError: ours"
    assert not logging.getLogger("strep").handlers


def test_what_is_said_beside_a_live_line_stands_above_it():
    terminal = io.StringIO()
    screen = Console(file=terminal, force_terminal=True, width=40)
    with Live("live", console=screen, auto_refresh=False) as live:
        live.refresh()
        say("something")
    assert re.search(r"live\r\x1b\[2K.*strep: .*something *\nlive", terminal.getvalue(), re.DOTALL)


def test_a_warning_of_others_is_shown_as_python_does():
    def action():
        warnings.simplefilter("always", DeprecationWarning)
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    with pytest.warns(DeprecationWarning, match="old"):
        result = run(action)
    assert (result.stderr, result.exit_code) == ("", 0)
