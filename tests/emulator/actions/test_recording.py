"""Recordings: when they begin and end, and what is told of them."""

DUAL = {"format": "wav", "channels": "dual"}


def saved(told):
    return [payload for event_type, payload in told() if event_type == "call.recording.saved"]


def test_a_recording_is_saved_when_it_is_stopped(call, do, told, wait):
    do(call, "record_start", **DUAL)
    wait(3)
    do(call, "record_stop")
    (payload,) = saved(told)
    (kind,) = payload["recording_urls"]
    assert (payload["channels"], kind) == ("dual", "wav")
    assert payload["recording_started_at"] <= payload["recording_ended_at"]


def test_a_recording_is_saved_when_the_call_ends(call, do, types):
    do(call, "record_start", **DUAL)
    call.hang_up()
    assert types() == ["call.recording.saved", "call.hangup"]


def test_a_recording_lasts_for_max_length(call, do, told, wait):
    do(call, "record_start", max_length=5, **DUAL)
    wait(4.9)
    assert not saved(told)
    wait(0.2)
    assert len(saved(told)) == 1


def test_one_of_several_can_be_stopped_by_its_id(platform, dial, do, refused, told, wait):
    call = dial(record="record-from-answer", record_format="mp3", record_channels="single")
    wait(1.5)
    do(call, "record_start", **DUAL)
    answer = platform.dial({"connection_id": "1", "from": "+13125550001", "to": "+13125550002"})
    assert "recording_id" not in answer
    (first, second) = [name.split()[1] for name in call.activities]
    do(call, "record_pause", recording_id=first)
    do(call, "record_resume", recording_id=first)
    do(call, "record_stop", recording_id=first)
    (payload,) = saved(told)
    assert payload["channels"] == "single" and first in payload["recording_urls"]["mp3"]
    assert refused(call, "record_stop", recording_id=first) == "90033"
    do(call, "record_stop", recording_id=second)
    assert len(saved(told)) == 1


def test_a_recording_that_begins_with_the_answer_has_its_id_told_at_once(platform, do, told, wait):
    call = platform.incoming_call()
    recording_id = do(call, "answer", record="record-from-answer")["recording_id"]
    call.hang_up()
    (payload,) = saved(told)
    assert recording_id in payload["recording_urls"]["mp3"]


def test_a_bridge_can_begin_a_recording(platform, call, do, told):
    other = platform.incoming_call()
    other.answer()
    do(call, "bridge", call_control_id=other.call_control_id, record="record-from-answer")
    call.hang_up()
    assert len(saved(told)) == 1


def test_a_call_has_so_many_recordings(call, do, refused):
    for _ in range(100):
        do(call, "record_start", **DUAL)
    assert refused(call, "record_start", **DUAL) == "90033"
