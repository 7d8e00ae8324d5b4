"""Run a call platform on this machine, to try commands on: `python -m strep.emulator`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from strep.emulator.codec import CODECS
from strep.emulator.platform import DEFAULT_API_KEY, MAX_REPEATS, Platform
from strep.emulator.server import PlatformServer
from strep.errors import StrepError


def main() -> None:
    """Read the arguments, and serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m strep.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of the API on 127.0.0.1 (default: one that is free)")
    parser.add_argument("--codec", choices=list(CODECS), default="PCMU", help="what the parties speak (default: PCMU)")
    parser.add_argument("--calls", type=int, default=1, metavar="N", help="calls that wait for a fork (default: 1)")
    given = parser.parse_args()
    if not 0 <= given.port <= 65535:
        parser.error(f"--port: expected 0 to 65535, found {given.port}")
    if given.calls < 1:
        parser.error(f"--calls: expected at least 1, found {given.calls}")
    try:
        asyncio.run(_serve(given.port, given.codec, given.calls))
    except StrepError as error:
        sys.exit(f"strep: {error}")


async def _serve(port: int, codec: str, calls: int) -> None:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    platform = Platform()
    # The parties speak from the first fork on, again and again for hours.
    waiting = [platform.add_call(codec, waits_for_fork=True, repeats=MAX_REPEATS) for _ in range(calls)]
    async with PlatformServer(platform, port=port) as server:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        sys.stdout.write(_introduction(server.base_url, [call.call_control_id for call in waiting]))
        sys.stdout.flush()
        await stopped.wait()


def _introduction(base_url: str, call_control_ids: list[str]) -> str:
    options = f"--target udp:127.0.0.1:9000 --base-url {base_url} --api-key {DEFAULT_API_KEY}"
    return "\n".join(
        (
            f"base URL  {base_url}",
            f"API key   {DEFAULT_API_KEY}",
            *(f"call      {call_control_id}" for call_control_id in call_control_ids),
            f"fork it   strep fork start {call_control_ids[0]} {options}",
            "Ctrl-C stops it\n",
        )
    )


if __name__ == "__main__":
    main()
