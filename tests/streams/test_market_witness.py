"""A book beside the best prices of its market: how many disagreements end it, and who hears of them."""

from dataclasses import dataclass, field

from collector.book import Outcome, VerifiedBook, WholeBooks
from collector.buffer.buffer import Buffer
from collector.events.batch import Liveness, StreamKey
from collector.events.bus import EventBus
from collector.events.messages import Snapshot
from collector.events.notices import SegmentChanged, WitnessDisagreed
from collector.ids import SegmentIds
from collector.streams.book_stream import BookStream
from collector.streams.market_witness import MarketWitness
from collector.streams.stream import Outlet, Topic

MARKET = "BTC/USDT:USDT"


@dataclass
class Desk:
    """A book and the best prices of a market, which share numbers of some kind."""

    numbers: str
    buffer: Buffer = field(default_factory=lambda: Buffer(levels_per_row=1, max_rows=1000, flush_rows=1000))
    events: EventBus = field(default_factory=EventBus)
    doubts: list[str] = field(default_factory=list)
    told: list[WitnessDisagreed] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    now_ns: int = 0

    def __post_init__(self) -> None:
        self.events.attach(WitnessDisagreed, self.told.append)
        self.events.attach(SegmentChanged, lambda one: None if one.verified else self.ended.append(one.cause))
        self.outlet = Outlet(self.buffer, self.events, SegmentIds().next)
        self.witness = MarketWitness(self.numbers)
        self.book, self.bbo = self._stream("book.50"), self._stream("bbo")
        self.book.on_doubt = self._doubted

    def _stream(self, channel: str) -> BookStream:
        place = Topic(channel, channel, "BTCUSDT", "linear", 1)
        book = VerifiedBook(WholeBooks(), 1)
        stream = BookStream(StreamKey("bybit", MARKET, channel), place, self.outlet, book, levels_per_row=1)
        self.witness.watch(stream)
        return stream

    def _doubted(self, _stream: BookStream, outcome: Outcome) -> None:
        self.doubts.append(outcome.detail)

    def tell(self, stream: BookStream, number: int, size: float) -> None:
        self.now_ns += 10
        levels = [(100.0, size)], [(101.0, 1.0)]
        message = Snapshot(stream.topic, number, 1, *levels, cross_sequence=number)
        stream.take(message, self.now_ns, Liveness(self.now_ns))

    def compare(self, *agrees: bool) -> None:
        for is_same in agrees:
            number = self.now_ns + 1
            self.tell(self.bbo, number, 1.0)
            self.tell(self.book, number, 1.0 if is_same else 2.0)

    def counted(self) -> tuple[int, int]:
        witnessed = self.buffer.swap().witnessed.values()
        return sum(one.compared for one in witnessed), sum(one.disagreed for one in witnessed)


def test_disagreements_under_a_number_across_channels_end_a_book_only_when_three_come_in_a_row() -> None:
    desk = Desk("cross")
    desk.compare(True, False, False, True, False, False)
    assert (desk.doubts, desk.ended) == ([], [])
    assert desk.counted() == (6, 4)
    desk.compare(False)
    assert desk.ended == ["witness"]
    assert "best prices (100.0, 2.0, 101.0, 1.0) here, (100.0, 1.0, 101.0, 1.0) told" in desk.doubts[0]
    assert desk.counted() == (1, 1)


def test_the_first_of_a_segment_is_told() -> None:
    desk = Desk("cross")
    desk.compare(False, True, False, True)
    (told,) = desk.told
    assert (told.exchange, told.symbol, told.channel, told.at_ns) == ("bybit", MARKET, "book.50", 20)
    assert told.detail.startswith("at 1: best prices (100.0, 2.0")
    desk.compare(False, False, False)  # the third ends it
    desk.compare(False, False)  # another segment counts anew
    assert len(desk.told) == 2
    assert desk.ended == ["witness"]


def test_one_is_enough_under_the_number_of_an_update() -> None:
    desk = Desk("update")
    desk.compare(False)
    assert desk.ended == ["witness"]
    assert desk.told == []  # its end tells
