"""Turn what a user can do wrong into one line and an exit code.

0 is done; 1 an error (a StrepError, or the file system's), or a closed pipe; 2 a wrong use: an option, an argument or
a configuration that is missing or cannot work (a ConfigError, or typer's own); 130 an interruption by SIGINT, SIGTERM
or SIGHUP before the command was done. A traceback means a bug in strep.
"""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TextIO

import typer
from rich.text import Text

from strep.cli.help import Group
from strep.cli.output import errors_console, printable
from strep.cli.signals import Interrupted
from strep.errors import ConfigError, StrepError, StrepWarning

_ERROR, _WRONG_USE, _INTERRUPTED = 1, 2, 130


class OneLineErrors(Group):
    """A group of commands whose errors are one line on stderr."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what a caller can do wrong ends it with an exit code of its kind."""
        try:
            with _warnings_in_one_line(), _log_in_one_line():
                return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")  # that is how pydantic begins, under typer
            raise
        except BrokenPipeError:
            raise  # nobody reads on (`strep inspect x | head`): typer ends quietly
        except ConfigError as error:
            fail_as_wrong_use(str(error))
        except StrepError as error:
            fail(str(error))
        except OSError as error:
            fail(_reason(error))
        except (KeyboardInterrupt, Interrupted):
            say("interrupted")
            raise typer.Exit(_INTERRUPTED) from None


def fail(message: str) -> NoReturn:
    """End the command with one line on stderr and exit code 1."""
    say(message)
    raise typer.Exit(_ERROR) from None


def fail_as_wrong_use(message: str) -> NoReturn:
    """End the command with one line on stderr and exit code 2."""
    say(message)
    raise typer.Exit(_WRONG_USE) from None


def say(message: str) -> None:
    """Put one line on stderr, however long it is and whatever is in it. Where that has gone, nobody wants to know."""
    line = Text("strep: ", style="bold").append(printable(" ".join(message.split())), style="not bold")
    console = errors_console()
    with console.capture() as shown:
        console.print(line, soft_wrap=True)
    with suppress(OSError):
        sys.stderr.write(shown.get())  # while a live line stands there, rich passes this on above it, but no console's
        sys.stderr.flush()


def _reason(error: OSError) -> str:
    if error.filename is None:
        return error.strerror or str(error)
    return f"{error.filename}: {error.strerror}"


class _LogLines(logging.Handler):
    """A handler of the log that shows each entry as `strep: warning: ...`; what goes with a fault of ours, below."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show an entry."""
        say(f"{record.levelname.lower()}: {record.getMessage()}")
        if record.exc_info:
            fault = "".join(traceback.format_exception(*record.exc_info)).rstrip()
            with suppress(OSError):
                errors_console().print(printable(fault), soft_wrap=True)


@contextmanager
def _log_in_one_line() -> Iterator[None]:
    """Show what strep logs, from warnings on."""
    log, handler = logging.getLogger("strep"), _LogLines(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Show our own warnings as `strep: warning: ...`; all others as Python does."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", StrepWarning)
        show = warnings.showwarning

        def show_in_one_line(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, StrepWarning):
                say(f"warning: {message}")
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = show_in_one_line
        yield
