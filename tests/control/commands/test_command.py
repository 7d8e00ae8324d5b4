"""What all commands have in common."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.control.commands import (
    COMMANDS,
    Answer,
    Bridge,
    ConversationRelayStart,
    Dial,
    Gather,
    GatherUsingAudio,
    Hangup,
    PlaybackStart,
    SendDtmf,
    SendSipInfo,
    SiprecStart,
    Speak,
    StreamingStart,
    SwitchSupervisorRole,
    Transfer,
    fields_of,
)
from strep.control.errors import UnexpectedAnswer
from strep.errors import ConfigError
from tests.control.commands.described import commands

SECRET = "hunter2-and-more"
DIAL = {"to": "+13125550100", "from_": "+13125550101", "connection_id": "123"}


def test_commands_are_found_by_name():
    assert all(name == made.ACTION for name, made in COMMANDS.items())


def test_what_is_not_given_is_not_sent_and_has_its_documented_default():
    command = Gather("v3:x", maximum_digits=4, command_id="one")
    assert (command.minimum_digits, command.terminating_digit, command.timeout_millis) == (1, "#", 60000)
    assert command.body() == {"maximum_digits": 4, "command_id": "one"}


def test_a_default_that_is_given_is_sent():
    assert Gather("v3:x", minimum_digits=1, command_id="one").body() == {"minimum_digits": 1, "command_id": "one"}


def test_none_is_as_good_as_not_given():
    assert "webhook_url" not in Answer("v3:x", webhook_url=None).body()


def test_words_of_pythons_lose_their_underscore():
    assert Dial(**DIAL).body().keys() == {"to", "from", "connection_id", "command_id"}
    assert SendSipInfo("v3:x", content_type="a/b", body_="c").body().keys() == {"content_type", "body", "command_id"}


def test_the_other_call_of_a_bridge_has_a_name_of_its_own():
    assert Bridge("v3:x", call_control_id_to_bridge_with="v3:y", command_id="a").body() == {
        "call_control_id": "v3:y",
        "command_id": "a",
    }


def test_unknown_parameters_are_sent_as_they_are_and_go_before_known_ones():
    body = Hangup("v3:x", command_id="one", extra={"new": [1], "command_id": "two"}).body()
    assert body == {"new": [1], "command_id": "two"}


def test_parts_can_be_given_as_dicts_or_as_values_and_keep_what_they_do_not_know():
    settings = {"type": "telnyx", "voice_speed": 1.5, "new": True}
    assert Speak("v3:x", payload="a", voice="b", voice_settings=settings).body()["voice_settings"] == settings


def test_parts_may_have_words_of_pythons_too():
    tool = {"type": "transfer", "transfer": {"from": "+1", "targets": [{"to": "+2"}]}}
    assistant = {"id": "a", "tools": [tool]}
    assert Answer("v3:x", assistant=assistant).body()["assistant"] == assistant


@pytest.mark.parametrize("made", [SiprecStart("v3:x"), SwitchSupervisorRole("v3:x", role="monitor")])
def test_a_command_that_takes_no_command_id_sends_none(made):
    assert "command_id" not in made.body()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Hangup(""), "call_control_id: expected the id of a call, found ''"),
        (lambda: Hangup(7), "call_control_id: expected a valid string, found 7"),
        (lambda: Hangup(), "call_control_id: expected a value, found none"),
        (lambda: Hangup("a", 1), "argument 2: "),
        (lambda: Hangup("a", colour="red"), "colour: expected a documented parameter"),
        (lambda: Dial(**(DIAL | {"timeout_secs": 4})), "timeout_secs: expected greater than or equal to 5, found 4"),
        (lambda: Dial(**(DIAL | {"timeout_secs": "soon"})), "timeout_secs: expected a valid integer"),
        (lambda: Dial(**(DIAL | {"to": []})), "to: expected "),
        (lambda: Dial(**(DIAL | {"to": ["+1", ""]})), r"to\[1\]: expected at least 1 character"),
        (lambda: Dial(**(DIAL | {"bridge_on_answer": True})), "link_to: expected another call's"),
        (lambda: Dial(**(DIAL | {"record": "later"})), "record: expected 'record-from-answer', found 'later'"),
        (lambda: Dial(**(DIAL | {"billing_group_id": "x"})), "billing_group_id: expected a UUID, found 'x'"),
        (lambda: Answer("a", client_state="ä"), "client_state: expected valid Base64"),
        (
            lambda: Answer("a", custom_headers=[{"name": "x"}]),
            r"custom_headers\[0\].value: expected a value",
        ),
        (
            lambda: Bridge("a"),
            "call_control_id_to_bridge_with: expected one of it, queue and video_",
        ),
        (lambda: Bridge("a", queue="b", video_room_id="x" * 8), "video_room_id: expected a UUID"),
        (lambda: PlaybackStart("a", audio_url="b", media_name="c"), "found audio_url and media_name"),
        (lambda: GatherUsingAudio("a", audio_url="b", media_name="c"), "audio_url: expected either it or media_name"),
        (lambda: Gather("a", minimum_digits=9, maximum_digits=8), "minimum_digits: expected at most maximum_digits, 8"),
        (lambda: SendDtmf("a", digits="12x"), "digits: expected pattern"),
        (lambda: SendDtmf("a", digits="1", duration_millis=99), "duration_millis: expected greater than"),
        (lambda: ConversationRelayStart("a"), "url: expected the URL of a WebSocket, found none"),
        (lambda: ConversationRelayStart("a", url="https://x"), "url: expected pattern"),
        (lambda: Speak("a", payload="b", voice="c", loop=101), "loop: expected "),
        (lambda: Transfer("a", to="b", webhook_retries_policies={"x": {"retries_ms": [1] * 6}}), "retries_ms: "),
    ],
)
def test_a_wrong_value_is_refused_by_name_before_anything_is_sent(build, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None  # no second traceback


def test_a_long_value_is_not_shown_whole():
    with pytest.raises(ConfigError) as caught:
        Speak("a", payload="b" * 4000, voice="c")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda value: Dial(**DIAL, sip_auth_password=value), "sip_auth_password"),
        (lambda value: Dial(**DIAL, stream_auth_token=value), "stream_auth_token"),
        (lambda value: StreamingStart("a", stream_auth_token=value), "stream_auth_token"),
        (lambda value: Transfer("a", to="b", sip_auth_password=value), "sip_auth_password"),
    ],
)
def test_a_secret_is_sent_but_never_shown(build, field):
    command = build(SECRET)
    assert command.body()[field] == SECRET
    assert SECRET not in repr(command) + str(command)
    with pytest.raises(ConfigError, match=f"^{field}: expected") as caught:
        build([SECRET])
    assert SECRET not in str(caught.value)


def test_a_value_shows_what_was_given():
    assert repr(SendDtmf("v3:x", digits="1", command_id="one")) == (
        "SendDtmf(call_control_id='v3:x', command_id='one', digits='1')"
    )


@given(st.sampled_from(sorted(COMMANDS)).flatmap(commands))
def test_every_body_is_json_and_has_an_id_where_the_command_takes_one(command):
    body = command.body()
    assert json.loads(json.dumps(body)) == body
    assert ("command_id" in fields_of(type(command))) == bool(body.get("command_id"))


@pytest.mark.parametrize("command", [Dial(**DIAL), Bridge("v3:x", queue="a")], ids=lambda command: command.ACTION)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"data": 1}', b'{"data": {"call_leg_id": 1}}'])
def test_an_answer_in_another_form_is_told_or_read_as_empty(command, body):
    try:
        assert command.read_response(200, {}, body).raw == {"call_leg_id": 1}
    except UnexpectedAnswer as error:
        assert command.ACTION in str(error)
