"""Declare what every command has that talks to the call platform: the options, the client, how answers are shown."""

from __future__ import annotations

from typing import Annotated

import typer

from strep.cli.output import Document, print_json, print_line
from strep.control import Client, RetryPolicy
from strep.control.account import BASE_URL_VARIABLE, KEY_VARIABLE, SECRET_VARIABLE

#: Somebody waits in front of a terminal, and can tell better than we whether to try again: some 2 s, then it is said.
RETRY = RetryPolicy(attempts=4)

BaseUrl = Annotated[
    str | None, typer.Option("--base-url", envvar=BASE_URL_VARIABLE, help="Another platform, such as an emulator.")
]
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", help=f"By default {KEY_VARIABLE}, where others on this machine do not see it."),
]
ApiSecret = Annotated[
    str | None,
    typer.Option("--api-secret", help=f"The key's secret, for the older API only. By default {SECRET_VARIABLE}."),
]


def new_client(api_key: str | None, api_secret: str | None, base_url: str | None) -> Client:
    """Make a client for one command. Raises ConfigError."""
    return Client(api_key, api_secret=api_secret, base_url=base_url, retry=RETRY)


def print_answer(document: Document, *, as_json: bool) -> None:
    """Show an answer: a line for each value, or one JSON document."""
    if as_json:
        print_json(document)
        return
    shown = {name: value for name, value in document.items() if value is not None}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        print_line(f"{name.ljust(width)}  {value}")
