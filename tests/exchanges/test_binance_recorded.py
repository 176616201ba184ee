"""Books rebuilt from what Binance sent, held against what Binance itself said of them."""

import gzip
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from collector.book.book import OrderBook
from collector.book.verified import Verdict
from collector.errors import FrameError
from collector.events.messages import Ack, Candle, Delta, Other, Snapshot, TopOfBook, Trade
from collector.exchanges.binance import continuity, read_frame, read_snapshot
from collector.exchanges.venues import Kind

RECORDED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "binance"
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded frames are not on this machine")

Recorded = Snapshot | Delta | TopOfBook | Trade | Candle


class Rebuilt:
    """A book rebuilt by the rules alone: deltas wait for the snapshot, are dropped or join, then continue."""

    def __init__(self, kind: Kind) -> None:
        self.rule = continuity(kind, 1000)
        self.book = OrderBook()
        self.last: int | None = None
        self.snapshot: int | None = None
        self.waiting: list[Delta] = []
        self.verdicts: Counter[tuple[str, Verdict]] = Counter()

    def take(self, message: Snapshot | Delta) -> None:
        if isinstance(message, Snapshot):
            self.book.replace(message.bids, message.asks)
            self.snapshot = message.sequence
            waiting, self.waiting = self.waiting, []
            for delta in waiting:
                self.apply(delta)
        elif self.snapshot is None:
            self.waiting.append(message)
        else:
            self.apply(message)

    def apply(self, delta: Delta) -> None:
        if self.last is None:
            step, verdict = "bridge", self.rule.bridge(self.snapshot, delta)
        else:
            step, verdict = "delta", self.rule.judge_delta(self.last, delta)
        self.verdicts[step, verdict] += 1
        if verdict is Verdict.CONTINUES:
            self.book.update(delta.bids, delta.asks)
            self.last = delta.sequence

    @property
    def top(self) -> tuple[float, ...]:
        """Best bid, its size, best ask, its size."""
        bid, bid_size, ask, ask_size = self.book.top(1)
        return bid, bid_size, ask, ask_size


def hftbacktest(*names: str) -> Iterator[Recorded]:
    for name in names:
        with gzip.open(RECORDED / "nkaz001-hftbacktest" / name, "rt") as lines:
            for line in lines:
                text = line.rstrip("\n").split(None, 1)[1]
                if text.startswith('{"lastUpdateId"'):
                    yield read_snapshot(text, "in-line")
                else:
                    yield from read_frame(text)


@pytest.mark.parametrize(
    ("kind", "names", "applied", "comparable"),
    [
        ("spot", ("spot_ethusdt_20240808.gz", "spot_ethusdt_20240809.gz"), 6_468, 6_170),
        ("linear", ("usdm_btcusdt_20240718.gz", "usdm_btcusdt_20240719.gz"), 9_016, 8_861),
    ],
)
def test_the_top_of_a_rebuilt_book_is_the_recorded_one_at_every_comparable_id(
    kind: Kind, names: tuple[str, ...], applied: int, comparable: int
) -> None:
    """The top as of a delta is the last `bookTicker` by id that is not beyond it, whenever it arrives.

    On USD-M it may arrive after the delta. Comparable: no `bookTicker` beyond it came first. Those where one
    did agree as well.
    """
    rebuilt, tops, states = Rebuilt(kind), [], []
    for message in hftbacktest(*names):
        if isinstance(message, TopOfBook):
            tops.append(message)
        elif isinstance(message, Snapshot | Delta):
            rebuilt.take(message)
            if isinstance(message, Delta) and rebuilt.last == message.sequence:
                is_comparable = tops[-1].sequence <= message.sequence
                states.append((message.sequence, rebuilt.top, is_comparable))
    compared = Counter()
    for sequence, state, is_comparable in states:
        top = tops[bisect_right(tops, sequence, key=lambda each: each.sequence) - 1]
        is_equal = state == (top.bid_price, top.bid_size, top.ask_price, top.ask_size)
        compared["comparable" if is_comparable else "beyond came first", is_equal] += 1
    assert compared == {("comparable", True): comparable, ("beyond came first", True): applied - comparable}
    assert ("delta", Verdict.BREAKS) not in rebuilt.verdicts
    assert rebuilt.verdicts["bridge", Verdict.CONTINUES] == 1


@pytest.mark.parametrize(
    ("kind", "names", "prefix", "deltas"),
    [
        ("spot", ("spot_ethusdt_20240808.gz", "spot_ethusdt_20240809.gz"), 2, 6_470),
        ("linear", ("usdm_btcusdt_20240718.gz", "usdm_btcusdt_20240719.gz"), 5, 9_022),
    ],
)
def test_a_recorded_stream_has_a_prefix_to_drop_one_join_and_no_gap(
    kind: Kind, names: tuple[str, ...], prefix: int, deltas: int
) -> None:
    rebuilt = Rebuilt(kind)
    for message in hftbacktest(*names):
        if isinstance(message, Snapshot | Delta):
            rebuilt.take(message)
    assert rebuilt.verdicts == {
        ("bridge", Verdict.REPEATS): prefix,
        ("bridge", Verdict.CONTINUES): 1,
        ("delta", Verdict.CONTINUES): deltas - prefix - 1,
    }


@pytest.mark.parametrize("lost", [0, 1000, 6_000])
def test_one_delta_lost_is_a_gap_at_the_next(lost: int) -> None:
    names = ("spot_ethusdt_20240808.gz", "spot_ethusdt_20240809.gz")
    deltas = [message for message in hftbacktest(*names) if isinstance(message, Delta)]
    rule = continuity("spot", 10)
    assert rule.judge_delta(deltas[lost].sequence, deltas[lost + 1]) is Verdict.CONTINUES
    assert rule.judge_delta(deltas[lost].sequence, deltas[lost + 2]) is Verdict.BREAKS


def test_a_stream_joined_in_the_middle_serves_no_book() -> None:
    rebuilt = Rebuilt("spot")
    for message in hftbacktest("spot_btcusdt_20230405.dat.gz"):
        if isinstance(message, Delta):
            rebuilt.take(message)
    assert len(rebuilt.waiting) == 3_929
    assert not rebuilt.verdicts
    assert len(rebuilt.book.bids) == 0


def test_a_stale_prefix_is_dropped_before_the_snapshot_joins() -> None:
    folder = RECORDED / "lgoyal6-tickvault"
    rebuilt = Rebuilt("spot")
    for line in (folder / "binance_us_depth.jsonl").read_text().splitlines():
        rebuilt.take(read_frame(line)[0])
    rebuilt.take(read_snapshot((folder / "binance_us_snapshot.json").read_text(), "btcusdt@depth"))
    assert rebuilt.verdicts == {
        ("bridge", Verdict.REPEATS): 9,
        ("bridge", Verdict.CONTINUES): 1,
        ("delta", Verdict.CONTINUES): 15,
    }
    assert rebuilt.last == 3_297_892_634
    assert rebuilt.top[0] < rebuilt.top[2]


def cryptofeed(name: str) -> Iterator[Recorded]:
    """Yield a client's start-up by the time of receipt: REST books named as their streams are."""
    with gzip.open(RECORDED / "bmoscon-cryptofeed" / f"{name}.jsonl.gz", "rt") as lines:
        entries = [json.loads(line) for line in lines]
    for entry in sorted((each for each in entries if "ts" in each), key=lambda each: each["ts"]):
        if entry["t"] == "recv":
            yield from read_frame(entry["data"])
        elif entry["t"] == "http" and "/depth?" in entry["url"]:
            market = entry["url"].partition("symbol=")[2].partition("&")[0]
            yield read_snapshot(entry["data"], f"{market.lower()}@depth")


@pytest.mark.parametrize(
    ("name", "kind", "messages"),
    [
        ("BINANCE", "spot", {Snapshot: 4, Delta: 177, TopOfBook: 84, Trade: 2, Candle: 2}),
        ("BINANCE_FUTURES", "linear", {Snapshot: 4, Delta: 764, TopOfBook: 613, Trade: 91, Candle: 67}),
    ],
)
def test_the_recorded_start_of_a_client_joins_every_book(
    name: str, kind: Kind, messages: dict[type, int]
) -> None:
    books: dict[str, Rebuilt] = {}
    seen = Counter()
    for message in cryptofeed(name):
        seen[type(message)] += 1
        if isinstance(message, Snapshot | Delta):
            books.setdefault(message.topic, Rebuilt(kind)).take(message)
    assert seen == messages
    assert len(books) == 4
    for book in books.values():
        assert book.verdicts["bridge", Verdict.CONTINUES] == 1
        assert not any(verdict is Verdict.BREAKS for _, verdict in book.verdicts)
        assert book.top[0] < book.top[2]


def parse_samples() -> Iterable[str]:
    for name in ("crypto-crawler-crypto-msg-parser", "tardis-dev-tardis-node"):
        for path in sorted((RECORDED / name).glob("*.jsonl")):
            yield from path.read_text().splitlines()


def test_single_frames_of_many_kinds_are_read_or_left_to_others() -> None:
    """One is refused: an aggregate of 2019 without its id."""
    read, refused = Counter(), []
    for text in parse_samples():
        try:
            message = read_frame(text)[0]
        except FrameError as error:
            refused.append(str(error))
        else:
            read[type(message)] += 1
    assert refused == ["malformed: Object missing required field `a`"]
    assert read == {Delta: 13, Trade: 12, TopOfBook: 8, Candle: 5, Ack: 1, Other: 48}
