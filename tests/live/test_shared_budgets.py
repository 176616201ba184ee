"""What happens to a request budget is published by the feed of its exchange, whoever asked."""

import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from feed_rig import FeedRig, Listing, market

from collector.events.notices import RequestsPaused, RequestsWait
from collector.network.allowance import Need
from collector.network.budget import LongWait
from collector.network.budgets import BUDGETS


def test_a_refusal_of_a_request_that_another_thread_made_is_published_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = FeedRig(monkeypatch, "BTC/USDT", answers=[Listing(market("BTC/USDT"))])
    paused, waits = list[RequestsPaused](), list[RequestsWait]()
    rig.events.attach(RequestsPaused, paused.append)
    rig.events.attach(RequestsWait, waits.append)
    source = rig.feed._wanted.source
    budget = source.budgets(BUDGETS)["spot"]

    async def scene() -> None:
        await rig.until(lambda: rig.streams)
        for _ in range(2):
            other = threading.Thread(target=lambda: budget.refused(600.0, "http_403"))
            other.start()
            other.join()
        budget._tell(LongWait(Need.BACKFILL, 12.0, 3))
        (now,) = rig.feed.budgets
        assert (now.used_share, now.cause) == (1.0, "http_403")
        assert 590.0 < now.closed_for_s <= 600.0

    rig.run(scene)
    (one,) = paused
    assert (one.exchange, one.cause) == ("bybit", "http_403")
    assert one.until_ns - one.at_ns == 600_000_000_000
    assert abs(one.at_ns - time.time_ns()) < 60e9
    assert [(one.need, one.waited_s, one.waiting) for one in waits] == [("backfill", 12.0, 3)]
    budget.refused(9999.0, "http_403")  # nobody listens any more
    assert len(paused) == 1
