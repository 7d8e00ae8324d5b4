"""The table of commands says what the description and the code say."""

import json
import re
from pathlib import Path

import strep.control.commands
from strep.control.commands import COMMANDS, fields_of
from tests.control.commands.described import API, needs_descriptions
from tools.command_table import write_table

TABLE = Path(strep.control.commands.__file__).with_name("README.md")


@needs_descriptions
def test_the_table_is_up_to_date():
    description = json.loads((API / "call_control.openapi.json").read_text(encoding="utf-8"))
    assert TABLE.read_text(encoding="utf-8") == write_table(description)


def test_every_parameter_of_ours_is_in_the_table():
    commands = TABLE.read_text(encoding="utf-8").partition("## Objects within parameters")[0]
    sections = re.split(r"^## ", commands, flags=re.MULTILINE)[1:]
    assert [section.partition(":")[0] for section in sections] == list(COMMANDS)
    for section, model in zip(sections, COMMANDS.values(), strict=True):
        ours = [name for name, info in fields_of(model).items() if info.kw_only is not False and name != "extra"]
        assert all(re.search(rf"`{name}`(:.*)? \|$", section, re.MULTILINE) for name in ours)
