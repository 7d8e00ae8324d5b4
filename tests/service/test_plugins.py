"""Plugins listen to the calls of a service, and what they find is told with whose it is."""

import re
import socket

import pytest

from strep.errors import ConfigError
from strep.service import read_config
from tests.service.scene import Settings, free_port, scene
from tests.service.test_config import LEAST

LISTENING = """
[analysis]
plugins = ["level", "voice=thread"]
settings = { level = { interval_s = 0.2 } }
"""


@pytest.mark.parametrize("fork", ["target", "rx_tx"])
async def test_what_plugins_find_is_told_with_the_call_that_it_is_in(tmp_path, fork):
    port = free_port(socket.SOCK_DGRAM)
    settings = Settings(media=f'ports = "{port}-{port + 1}"', rule=f'fork = "{fork}"', limits=LISTENING)
    async with scene(tmp_path, settings) as stage:
        call = stage.call()
        await stage.told("finding.level", 4)
        counts = stage.service.counts()["plugins"]
        call.hang_up()
        await stage.told("finding.talk")
    found = [event for event in stage.events if event.kind == "finding.level"]
    assert {event.call["call_control_id"] for event in found} == {call.call_control_id}
    assert {event.detail["direction"] for event in found} == {"inbound", "outbound"}
    assert (found[0].detail["plugin"], found[0].detail["duration_ms"]) == ("level", 200)
    assert found[0].detail["at"].endswith("Z")
    assert '"event": "finding.level"' in found[0].line()
    (talk, *_) = (event for event in stage.events if event.kind == "finding.talk")
    assert talk.detail["direction"] == "both"
    assert counts["level"]["hops"] >= 40
    assert counts["voice"]["errors"] == 0


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('plugins = ["nonsense"]', "analysis: expected a plugin, dtmf"),
        ('plugins = ["level", "level=thread"]', "plugins: expected each once, found level more than once"),
        ('plugins = ["level=fast"]', "analysis: expected a plugin as NAME or NAME=inline|thread|process, found"),
        ('plugins = ["level"]\nsettings = { level = { interval = 3 } }', "configuration of plugin level: interval"),
        ('plugins = ["level"]\nsettings = { voice = { interval_s = 3 } }', "plugins that listen, found voice"),
    ],
)
def test_what_cannot_listen_is_said(lines, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        read_config(LEAST.replace("[[rules]]", f"[analysis]\n{lines}\n[[rules]]"))
