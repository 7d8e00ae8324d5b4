"""Be the command line: `strep --help`. One file a command group; what several of them share has files of its own."""

from strep.cli.app import app, main

__all__ = ["app", "main"]
