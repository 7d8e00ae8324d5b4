from strep.emulator.recent import RecentCommands

OK = {"result": "ok"}


def test_a_command_is_remembered_for_a_minute_with_what_was_answered():
    recent = RecentCommands()
    recent.add("one", 0, OK)
    assert recent.answer("one", 59_999_999_999) is OK
    assert recent.answer("one", 60_000_000_000) is None
    assert recent.answer("two", 0) is None


def test_so_many_commands_are_remembered_and_the_oldest_go_first():
    recent = RecentCommands(1000)
    for number in range(1001):
        recent.add(str(number), 0, OK)
    assert recent.answer("0", 0) is None
    assert recent.answer("1", 0) is OK and recent.answer("1000", 0) is OK


def test_a_command_carried_out_again_after_its_minute_is_the_newest():
    recent = RecentCommands(1000)
    for number in range(1000):
        recent.add(str(number), 0, OK)
    recent.add("0", 61, OK)
    recent.add("1000", 61, OK)
    assert recent.answer("0", 61) is OK and recent.answer("1", 61) is None
