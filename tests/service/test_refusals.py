from collections import Counter

from strep.control.webhooks import RefusalReason
from strep.service.refusals import RefusalReport

MINUTE_NS = 60_000_000_000


def test_each_reason_is_told_at_once_and_then_once_a_minute_with_what_came_since():
    report, refused = RefusalReport(), Counter({RefusalReason.FORGED: 1})
    (line,) = report.lines(refused, 5)
    assert line == "1 webhooks were refused as forged: is webhooks.public_key the platform's?"
    refused[RefusalReason.FORGED] += 3
    assert report.lines(refused, MINUTE_NS + 4) == []
    (line,) = report.lines(refused, MINUTE_NS + 5)
    assert line.startswith("3 webhooks")
    assert report.lines(refused, 9 * MINUTE_NS) == []


def test_reasons_do_not_wait_for_each_other():
    report, refused = RefusalReport(), Counter({RefusalReason.FORGED: 1})
    report.lines(refused, 0)
    refused[RefusalReason.STALE] += 1
    (line,) = report.lines(refused, 1)
    assert line.endswith("is this machine's clock right?")
