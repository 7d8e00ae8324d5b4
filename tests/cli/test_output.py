import pytest

from strep.cli.output import Column, duration, fates_line, print_json, print_table, printable
from strep.wire.fate import Fate

ROWS = [{"name": "a" * 30, "size": 1}, {"name": "[b]", "size": 20}]
NAME, SIZE = Column("name", lambda row: row["name"]), Column("size", lambda row: str(row["size"]), is_number=True)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 s"), (25.48, "25.48 s"), (60, "1:00.0"), (142.19, "2:22.1"), (119.99, "1:59.9"), (4325, "1:12:05")],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_only_fates_that_occurred_are_named():
    fates = {fate.label: 0 for fate in Fate} | {"accepted": 40, "not_audio_sip": 2}
    assert fates_line(fates) == "42 datagrams: 40 accepted, 2 not audio sip"
    assert fates_line(fates, 3) == "42 datagrams: 40 accepted, 2 not audio sip; the kernel dropped 3"


def test_no_datagrams_have_no_fates():
    assert fates_line({"accepted": 0}, 0) == "0 datagrams; the kernel dropped 0"


def test_the_first_layout_that_fits_is_taken(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "36")
    print_table(ROWS, (NAME, SIZE), (SIZE,))
    assert "a" * 30 in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "35")
    print_table(ROWS, (NAME, SIZE), (SIZE,))
    assert "a" not in capsys.readouterr().out


def test_nothing_is_left_out_when_even_the_last_layout_does_not_fit(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    print_table(ROWS, (NAME, SIZE))
    assert capsys.readouterr().out.count("a") == 30 + 1  # and the one in "name"


def test_what_is_piped_is_not_cut_at_eighty_columns(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table([{"name": "a" * 300, "size": 1}], (NAME, SIZE), title="b" * 300)
    assert ["a" * 300 in line for line in capsys.readouterr().out.splitlines()].count(True) == 1


def test_names_are_not_taken_for_markup_and_nothing_is_coloured_without_a_terminal(capsys):
    print_table(ROWS, (NAME, SIZE), title="[red]title[/red]")
    printed = capsys.readouterr().out
    assert "[b]" in printed
    assert "[red]title[/red]" in printed
    assert "\x1b" not in printed


def test_a_name_that_is_no_text_can_be_shown():
    assert printable("b\udcff\x1b[31m.pcap") == "b\\udcff\\x1b[31m.pcap"


def test_a_number_that_json_has_no_word_for_is_our_own_fault():
    with pytest.raises(ValueError, match="JSON"):
        print_json({"value": float("nan")})
