from collections import Counter

from strep.control.webhooks import RefusalReason
from strep.control.webhooks.app import WebhookCounts
from strep.net.http_limits import ConnectionCounts
from strep.service.refusals import RefusalReport, Refused, refusals_of

MINUTE_NS = 60_000_000_000


def test_each_reason_is_told_at_once_and_then_once_a_minute_with_what_came_since():
    report, refused = RefusalReport(), Counter({RefusalReason.FORGED: 1})
    (told,) = report.due(refused, 5)
    assert str(told) == "1 webhooks were refused as forged: is webhooks.public_key the platform's?"
    refused[RefusalReason.FORGED] += 3
    assert report.due(refused, MINUTE_NS + 4) == []
    assert report.due(refused, MINUTE_NS + 5) == [Refused("forged", 3)]
    assert report.due(refused, 9 * MINUTE_NS) == []


def test_reasons_do_not_wait_for_each_other():
    report, refused = RefusalReport(), Counter({RefusalReason.FORGED: 1})
    report.due(refused, 0)
    refused[RefusalReason.STALE] += 1
    (told,) = report.due(refused, 1)
    assert str(told).endswith("is this machine's clock right?")


def test_a_reason_without_words_of_its_own_is_told_by_its_name():
    assert str(Refused("wrong_path", 2)) == "2 webhooks were refused as wrong_path"


def test_connections_that_were_closed_and_webhooks_that_were_put_off_are_told_too():
    webhooks = WebhookCounts(overflowed=2, refused=Counter({RefusalReason.STALE: 1}))
    counts = refusals_of(webhooks, ConnectionCounts(accepted=9, displaced=4))
    told = RefusalReport().due(counts, 0)
    assert {it.reason: it.count for it in told} == {"stale": 1, "overflowed": 2, "connections_displaced": 4}
    assert not any("refused as" in str(it) for it in told if it.reason != "stale")
