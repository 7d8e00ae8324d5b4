"""How both senders carry a command: what goes out, what is tried again, and what comes back."""

import asyncio
from email.utils import formatdate

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.control.account import Account
from strep.control.errors import (
    CommandFailed,
    InvalidParameter,
    PlatformUnreachable,
    RateLimited,
    ServerError,
    UnexpectedAnswer,
)
from strep.control.retries import Outcome, RetryPolicy
from strep.control.sending import AsyncSender
from strep.errors import ConfigError
from tests.control.scripted import KEY, WALL_S, AsyncRun, Order, Script, SyncRun, run

both = pytest.mark.parametrize("kind", [SyncRun, AsyncRun])
REFUSED, TIMED_OUT, GONE = httpx.ConnectError("refused"), httpx.ReadTimeout(""), httpx.RemoteProtocolError("gone")
#: An attempt's longest way to the platform with the usual time-outs: three times 5 s to connect, 10 s to write.
REACH_S = 25.0


def no_chance():
    return 0.0


def limited(**headers):
    fields = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return lambda: httpx.Response(429, headers=fields)


@both
@pytest.mark.parametrize("failure", [REFUSED, TIMED_OUT, GONE, 429, 500, 502, 503, 504])
def test_a_command_is_sent_again_under_the_same_id_until_it_is_done(kind, failure):
    script = Script(failure, failure, 200)
    sender = run(kind, script, jitter=no_chance)
    assert sender.send(Order()) == {"data": "yes"}
    assert script.ids == ["one"] * 3
    assert script.waits == [0.25, 0.5]


@both
@pytest.mark.parametrize("failure", [TIMED_OUT, GONE, httpx.WriteError("broken pipe"), 500, 503])
def test_a_post_without_an_id_is_not_sent_again_when_it_may_have_acted(kind, failure):
    script = Script(failure, 200)
    with pytest.raises(CommandFailed) as caught:
        run(kind, script).send(Order(command_id=None))
    assert len(script.requests) == 1
    assert caught.value.may_have_acted and caught.value.attempts == 1


@both
@pytest.mark.parametrize("failure", [REFUSED, httpx.ConnectTimeout(""), httpx.PoolTimeout(""), 429])
def test_a_post_without_an_id_is_sent_again_when_it_cannot_have_acted(kind, failure):
    script = Script(failure, 200)
    run(kind, script).send(Order(command_id=None))
    assert len(script.requests) == 2


@both
@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("failure", [TIMED_OUT, 500])
def test_what_is_idempotent_is_sent_again_without_an_id(kind, method, failure):
    script = Script(failure, 200)
    run(kind, script).send(Order(method, command_id=None))
    assert len(script.requests) == 2


@both
@pytest.mark.parametrize("status", [301, 400, 401, 404, 409, 422])
def test_an_answer_that_will_not_change_is_told_at_once(kind, status):
    script = Script(status, 200)
    with pytest.raises(CommandFailed) as caught:
        run(kind, script).send(Order())
    assert len(script.requests) == 1 and caught.value.may_have_acted is (status == 301)


@both
def test_the_last_failure_is_raised_and_says_how_often_it_was_sent(kind):
    script = Script(TIMED_OUT, 429)
    with pytest.raises(RateLimited, match="HTTP 429, sent 3 times") as caught:
        run(kind, script, policy=RetryPolicy(attempts=3)).send(Order())
    assert len(script.requests) == 3
    assert caught.value.attempts == 3 and caught.value.may_have_acted, "the first may have acted"


@both
def test_a_platform_that_never_answers_is_unreachable(kind):
    with pytest.raises(PlatformUnreachable, match=r"to order: ConnectError refused \(sent 8 times\)$") as caught:
        run(kind, Script(REFUSED)).send(Order())
    assert not caught.value.may_have_acted


@both
def test_one_attempt_means_no_retry(kind):
    script = Script(503)
    with pytest.raises(ServerError):
        run(kind, script, policy=RetryPolicy(attempts=1)).send(Order())
    assert len(script.requests) == 1 and script.waits == []


@both
@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"x_ratelimit_reset": 3}, 3.0),
        ({"retry_after": 3}, 3.0),
        ({"retry_after": formatdate(WALL_S + 3, usegmt=True)}, 3.0),
        ({"retry_after": formatdate(5003, usegmt=True), "date": formatdate(5000, usegmt=True)}, 3.0),
        ({"retry_after": formatdate(WALL_S - 3, usegmt=True)}, 0.0),
        ({"retry_after": 2, "x_ratelimit_reset": 5}, 5.0),
        ({"retry_after": 5, "x_ratelimit_reset": 2}, 5.0),
        ({"retry_after": "soon", "x_ratelimit_reset": "-1"}, 0.0),
        ({}, 0.0),
    ],
)
def test_the_wait_that_a_rate_limit_asks_for_is_kept(kind, headers, wait_s):
    script = Script(limited(**headers), 200)
    run(kind, script, jitter=no_chance).send(Order())
    assert script.waits == [max(wait_s, 0.25)]


@both
def test_a_server_error_may_ask_for_a_wait_but_its_rate_limit_headers_do_not(kind):
    script = Script(httpx.Response(503, headers={"Retry-After": "2", "x-ratelimit-reset": "20"}), 200)
    run(kind, script, jitter=no_chance).send(Order())
    assert script.waits == [2.25]


@both
def test_a_limit_that_lasts_too_long_is_told_instead_of_waited_for(kind):
    script = Script(limited(x_ratelimit_reset=45), 200)
    with pytest.raises(RateLimited) as caught:
        run(kind, script).send(Order())
    assert caught.value.retry_after_s == 45 and script.waits == []


@both
def test_retries_end_before_the_command_ids_sixty_seconds_do(kind):
    script = Script((10.0, TIMED_OUT))
    policy = RetryPolicy(attempts=100, total_s=1000.0)
    with pytest.raises(PlatformUnreachable) as caught:
        run(kind, script, policy=policy).send(Order())
    assert script.began_s[-1] + REACH_S <= script.began_s[0] + 60
    assert caught.value.attempts == len(script.requests) == 4 and caught.value.may_have_acted


@both
def test_a_value_sent_again_in_time_is_the_same_command_and_later_is_refused(kind):
    script = Script(200)
    sender = run(kind, script)
    sender.send(Order())
    script.now_s += 60 - REACH_S
    sender.send(Order())
    script.now_s += 0.1
    with pytest.raises(ConfigError, match=r"command_id: expected .* found 'one', first sent 35 s ago: order could be"):
        sender.send(Order())
    assert len(script.requests) == 2
    sender.send(Order(command_id="two"))
    sender.send(Order("PUT"))


@both
def test_a_value_that_never_acted_can_be_sent_again_any_time(kind):
    script = Script(422, 200)
    sender = run(kind, script)
    with pytest.raises(CommandFailed):
        sender.send(Order())
    script.now_s += 1000
    assert sender.send(Order()) == {"data": "yes"}


@both
def test_an_interruption_counts_as_one_that_may_have_acted(kind):
    script = Script(KeyboardInterrupt(), 200)
    sender = run(kind, script)
    with pytest.raises(KeyboardInterrupt):
        sender.send(Order())
    assert sender.counts.outcomes[Outcome.INTERRUPTED] == 1
    script.now_s += 60
    with pytest.raises(ConfigError):
        sender.send(Order())


@both
def test_a_wait_that_the_machine_slept_through_ends_it(kind):
    script = Script(REFUSED)
    wait = script.wait
    script.wait = lambda seconds: wait(seconds + 100)
    sender = run(kind, script)
    with pytest.raises(PlatformUnreachable):
        sender.send(Order())
    assert len(script.requests) == sender.counts.given_up == 1


@both
def test_an_answer_without_end_is_not_read_to_its_end(kind):
    taken = []

    def parts():
        for _ in range(1000):
            taken.append(1)
            yield bytes(100_000)

    async def async_parts():
        for part in parts():
            yield part

    answer = httpx.Response(200, content=parts() if kind is SyncRun else async_parts())
    with pytest.raises(UnexpectedAnswer, match=r"expected a short answer .* found one of more than 1048576 bytes"):
        run(kind, Script(answer)).send(Order())
    assert len(taken) < 20


@both
def test_an_answer_that_trickles_in_is_given_up(kind):
    def parts():
        for _ in range(1000):
            script.now_s += 3
            yield b" "

    async def async_parts():
        for part in parts():
            yield part

    script = Script(httpx.Response(200, content=parts() if kind is SyncRun else async_parts()))
    with pytest.raises(PlatformUnreachable, match="it was not complete after 10 s"):
        run(kind, script, policy=RetryPolicy(attempts=1)).send(Order())


@both
def test_every_attempt_is_counted_by_how_it_ended(kind):
    script = Script(REFUSED, TIMED_OUT, 429, 503, 200, 422, 302, 500)
    sender = run(kind, script, policy=RetryPolicy(attempts=6), jitter=no_chance)
    sender.send(Order())
    for command_id in "abc":
        with pytest.raises(CommandFailed):
            sender.send(Order(command_id=command_id))
    counts = sender.counts
    assert dict(counts.outcomes) == {
        Outcome.DONE: 1,
        Outcome.REFUSED: 1,
        Outcome.UNEXPECTED: 1,
        Outcome.RATE_LIMITED: 1,
        Outcome.SERVER_ERROR: 1 + 6,
        Outcome.NOT_SENT: 1,
        Outcome.NO_ANSWER: 1,
        Outcome.INTERRUPTED: 0,
    }
    assert (counts.commands, counts.retries, counts.given_up) == (4, 4 + 5, 1)
    assert counts.attempts == sum(counts.outcomes.values()) == len(script.requests)
    assert counts.waited_s == pytest.approx(sum(script.waits))


FAILURES = st.lists(
    st.tuples(st.floats(0, 15), st.sampled_from([REFUSED, TIMED_OUT, GONE, 429, 500, 503, limited(retry_after=9)])),
    min_size=1,
    max_size=12,
)


@given(FAILURES, st.sampled_from([SyncRun, AsyncRun]), st.sampled_from(["POST", "PUT"]), st.sampled_from(["one", None]))
def test_whatever_fails_the_sum_of_outcomes_is_right_and_nothing_acts_twice(failures, kind, method, command_id):
    script = Script(*failures, 200)
    sender = run(kind, script, policy=RetryPolicy(attempts=10, total_s=100))
    try:
        sender.send(Order(method, command_id))
        is_done = True
    except CommandFailed as error:
        is_done = False
        assert error.attempts == len(script.requests)
    counts = sender.counts
    assert counts.attempts == sum(counts.outcomes.values()) == len(script.requests) <= 10
    assert (counts.commands, counts.outcomes[Outcome.DONE], counts.given_up) == (1, is_done, not is_done)
    assert sum(script.waits) <= 100
    acted = [t for t, (_, f) in zip(script.began_s, failures, strict=False) if f in (TIMED_OUT, GONE, 500, 503)]
    later = [t for t in script.began_s if acted and t > acted[0]]
    if method == "POST" and later:
        assert command_id and later[-1] + REACH_S <= acted[0] + 60


@pytest.mark.parametrize(("settings", "name"), [({"timeout_s": 0}, "timeout_s"), ({"max_connections": 0}, "max_conn")])
@both
def test_what_cannot_be_is_refused(kind, settings, name):
    with pytest.raises(ConfigError, match=name):
        run(kind, Script(200), **settings)


@both
def test_the_key_is_sent(kind):
    script = Script(200)
    run(kind, script).send(Order())
    assert script.requests[0].headers["authorization"] == f"Bearer {KEY}"


@both
def test_a_refusal_names_the_parameter(kind):
    body = {"errors": [{"code": "10004", "title": "Missing", "source": {"pointer": "/to"}}]}
    with pytest.raises(InvalidParameter) as caught:
        run(kind, Script(httpx.Response(422, json=body))).send(Order())
    assert caught.value.pointer == "/to"


async def test_a_server_that_hangs_up_without_an_answer_may_have_acted_and_gets_the_same_id_again():
    bodies = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        bodies.append(await reader.readexactly(length))
        if len(bodies) > 1:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        account = Account.resolve(KEY, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        sender = AsyncSender(account, RetryPolicy(), sleep=sleep)
        assert await sender.send(Order()) == {}
        await sender.aclose()
    assert bodies[0] == bodies[1] == b'{"command_id": "one"}'
    assert sender.counts.outcomes[Outcome.NO_ANSWER] == len(waits) == 1
