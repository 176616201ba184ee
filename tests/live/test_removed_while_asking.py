"""A stream may be removed, and another come under its name, while an answer about it is on its way."""

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "streams"))
from connection_rig import levels_around
from test_refused_subscriptions import BUSY, NO_SYMBOL, RATE, Rig, begun, break_book, verified_book, worked

from collector.events.messages import Snapshot


@pytest.mark.parametrize("words", [None, RATE, "Currency pair not supported BTC/USD", "The moon is full"])
@pytest.mark.parametrize("at_request", [2, 3], ids=["while left", "while asked for"])
def test_a_book_removed_during_its_resync_is_gone_whatever_the_answer(
    words: str | None, at_request: int
) -> None:
    async def scene() -> None:
        rig = Rig("kraken")
        subscriptions, book = await verified_book(rig)
        break_book(rig)
        rig.words = [None, words]

        def remove() -> None:
            if len(rig.sent) == at_request:
                subscriptions.remove(book)

        rig.before_answer = remove
        await worked(rig, subscriptions)
        rig.now_s += 100.0
        await worked(rig, subscriptions)
        assert subscriptions.streams == []
        assert rig.asked[-1][0] == "UNSUBSCRIBE"
        assert (rig.halts, rig.context.refused.words) == ([], [])

    asyncio.run(scene())


@pytest.mark.parametrize("words", [BUSY, NO_SYMBOL])
def test_a_refusal_of_one_removed_does_not_touch_what_came_under_its_name(words: str) -> None:
    async def scene() -> None:
        rig = Rig()
        old, new = rig.trades("BTC/USDT"), rig.trades("BTC/USDT")
        subscriptions = await begun(rig)
        rig.words = [words]

        def exchange_them() -> None:
            if len(rig.sent) == 1:
                subscriptions.remove(old)
                subscriptions.add(new)

        rig.before_answer = exchange_them
        subscriptions.add(old)
        await worked(rig, subscriptions)
        assert subscriptions.streams == [new]
        assert (new.verified, old.verified) == (True, False)
        assert [method for method, _ in rig.asked] == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]
        assert rig.halts == []

    asyncio.run(scene())


def test_what_opens_while_its_topic_is_left_ends_with_it() -> None:
    """A whole message mends a book before the new subscription goes out: what is missed then is a hole."""

    async def scene() -> None:
        rig = Rig("kraken")
        subscriptions, book = await verified_book(rig)
        break_book(rig)
        whole = Snapshot("book.10:BTC/USD", None, 1, *levels_around(1001.0))
        rig.before_answer = lambda: rig.hear(whole) if len(rig.sent) == 2 else None
        await worked(rig, subscriptions)
        assert [method for method, _ in rig.asked] == ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"]
        assert rig.outlet.causes() == ["crossed", "restart"]
        assert not book.verified
        rig.hear(whole)
        assert book.verified

    asyncio.run(scene())
