"""Whoever stopped at an alarm, or at a break, is told when the stream is verified again."""

import pytest

from collector.app.recovery import Recovery
from collector.events.batch import StreamKey
from collector.events.bus import EventBus
from collector.events.notices import BookVerified, PotentialHalt, SegmentChanged, StreamVerified

BOOK = StreamKey("bybit", "BTC/USDT", "book.50")
TRADES = StreamKey("bybit", "BTC/USDT", "trade")


class Rig:
    def __init__(self) -> None:
        self.bus = EventBus()
        self.told: list[StreamVerified] = []
        self.bus.attach(BookVerified, self.told.append)
        self.bus.attach(StreamVerified, self.told.append)
        Recovery(self.bus)

    def begins(self, key: StreamKey, at_ns: int = 9) -> None:
        self.bus.publish(SegmentChanged(*key, 1, at_ns, True))

    def ends(self, key: StreamKey, cause: str, at_ns: int = 5) -> None:
        self.bus.publish(SegmentChanged(*key, 1, at_ns, False, cause))


def test_a_start_without_trouble_is_no_recovery() -> None:
    rig = Rig()
    rig.begins(BOOK)
    assert rig.told == []


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (BOOK, BookVerified),
        (BOOK._replace(channel="bbo"), BookVerified),
        (TRADES, StreamVerified),
        (BOOK._replace(channel="ohlcv.1m"), StreamVerified),
    ],
)
def test_a_stream_that_broke_is_told_once_when_it_is_verified_again(
    key: StreamKey, kind: type[StreamVerified]
) -> None:
    rig = Rig()
    rig.begins(key)
    rig.ends(key, "sequence_gap")
    assert rig.told == []
    rig.begins(key)
    assert rig.told == [kind(*key, at_ns=9, lost_at_ns=5, cause="sequence_gap")]
    assert (type(rig.told[0]), rig.told[0].key) == (kind, key)
    rig.ends(key, "stop")
    rig.begins(key)
    assert len(rig.told) == 1


@pytest.mark.parametrize(("symbol", "is_told"), [("BTC/USDT", True), (None, True), ("ETH/USDT", False)])
def test_a_first_beginning_after_an_alarm_ends_it(symbol: str | None, is_told: bool) -> None:
    rig = Rig()
    rig.bus.publish(PotentialHalt("bybit", "unreachable", "why", 3, symbol))
    rig.begins(BOOK)
    expected = [BookVerified(*BOOK, at_ns=9, lost_at_ns=3, cause="unreachable")]
    assert rig.told == (expected if is_told else [])
    rig.ends(BOOK, "unsubscribed")
    rig.begins(BOOK)
    assert len(rig.told) == is_told
