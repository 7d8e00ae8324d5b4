"""Queues: who is in them, in what order, for how long, and how calls leave."""

from strep.emulator import CallState


def answered(platform):
    call = platform.incoming_call()
    call.answer()
    return call


def left(told):
    return [
        (payload["queue_position"], payload["reason"], payload["wait_time_secs"])
        for event_type, payload in told()
        if event_type == "call.dequeued"
    ]


def test_calls_line_up_and_leave(platform, call, do, told, wait):
    second = answered(platform)
    do(call, "enqueue", queue_name="support")
    do(second, "enqueue", queue_name="support")
    assert [p["current_position"] for kind, p in told() if kind == "call.enqueued"] == [1, 2]
    wait(7)
    do(second, "leave_queue")
    do(call, "leave_queue")
    assert left(told) == [(2, "leave", 7), (1, "leave", 7)]
    assert not platform._exchange.queues


def test_a_queue_is_as_long_as_it_may_be(platform, call, do, refused):
    do(call, "enqueue", queue_name="support", max_size=1)
    assert refused(answered(platform), "enqueue", queue_name="support", max_size=1) == "90036"
    assert do(answered(platform), "enqueue", queue_name="sales", max_size=1)["result"] == "ok"


def test_a_call_is_in_one_queue_at_a_time(call, do, refused):
    do(call, "enqueue", queue_name="support")
    assert refused(call, "enqueue", queue_name="support") == refused(call, "enqueue", queue_name="sales") == "90038"


def test_nobody_waits_longer_than_allowed(call, do, refused, told, wait):
    do(call, "enqueue", queue_name="support", max_wait_time_secs=10)
    wait(11)
    assert left(told) == [(1, "timeout", 10)]
    assert refused(call, "leave_queue") == "90033"


def test_a_call_that_ends_leaves(call, do, told):
    do(call, "enqueue", queue_name="support")
    call.hang_up()
    assert left(told) == [(1, "hangup", 0)]


def test_a_call_is_bridged_to_the_first_in_the_queue_which_leaves_it(platform, call, do, told):
    first, second = answered(platform), answered(platform)
    for waiting in (first, second):
        do(waiting, "enqueue", queue_name="support")
    do(call, "bridge", queue="support")
    assert left(told) == [(1, "bridged", 0)]
    assert call.bridged_to is first and second.state is CallState.ACTIVE


def test_an_empty_queue_or_one_with_the_call_alone_has_nobody_to_bridge_to(call, do, refused):
    assert refused(call, "bridge", queue="support") == "90033"
    do(call, "enqueue", queue_name="support")
    assert refused(call, "bridge", queue="support") == "90033"
