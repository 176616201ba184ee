"""The short way of the usual frame, and the general way beside it: whatever comes, both do the same."""

import json
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.book.verified import Outcome
from collector.buffer.buffer import Buffer
from collector.events.batch import Liveness
from collector.events.bus import EventBus
from collector.events.market import L2Update
from collector.events.messages import Ack, Snapshot
from collector.events.notices import SegmentChanged, State
from collector.exchanges.limits import MarketKind
from collector.exchanges.registry import exchange_of
from collector.streams.book_stream import BookStream
from collector.streams.maker import StreamMaker
from collector.streams.router import Router, UnknownFrames
from collector.streams.stream import Outlet, Stream

Text = tuple[str, str]  # price and size, as exchanges write them
BEGINS_AT = 10  # the number of the first snapshot
FEW_ROWS = 6  # of room in the buffer between two swaps
MOST_KEPT = 7  # levels of a side


class Change(NamedTuple):
    """A message that changes levels."""

    last: int  # the number that it claims to follow
    by: int  # how much further it goes
    bids: Sequence[Text]
    asks: Sequence[Text]
    odd: dict[str, Any]  # keys that are written otherwise


def bybit(change: Change) -> dict[str, Any]:
    number = change.last + 1
    data = {"s": "BTCUSDT", "b": change.bids, "a": change.asks, "u": number, "seq": number * 7}
    return {
        "topic": "orderbook.50.BTCUSDT",
        "type": "delta",
        "ts": 5,
        "data": data,
        "cts": number,
    } | change.odd


def spot(change: Change) -> dict[str, Any]:
    first, last = change.last + 1, change.last + 1 + change.by
    numbers = {"e": "depthUpdate", "E": last, "s": "BTCUSDT", "U": first, "u": last}
    return numbers | {"b": change.bids, "a": change.asks} | change.odd


def usdm(change: Change) -> dict[str, Any]:
    last = change.last + change.by
    numbers = {"e": "depthUpdate", "E": 1, "T": last, "s": "BTCUSDT", "U": change.last - 3, "u": last}
    return numbers | {"pu": change.last, "b": change.bids, "a": change.asks} | change.odd


class Kind(NamedTuple):
    exchange: str
    market: MarketKind
    write: Callable[[Change], dict[str, Any]]


KINDS = {
    "bybit": Kind("bybit", "linear", bybit),
    "binance spot": Kind("binance", "spot", spot),
    "binance usdm": Kind("binance", "linear", usdm),
}


class Way:
    """A router of one market's book, trades and best prices, and everything that can be seen of it."""

    def __init__(self, kind: Kind, *, is_short: bool, max_rows: int = FEW_ROWS) -> None:
        protocol = exchange_of(kind.exchange)
        read_next = protocol.read_next(kind.market)
        assert read_next is not None
        self.buffer = Buffer(levels_per_row=3, max_rows=max_rows, flush_rows=max_rows)
        self.events = EventBus()
        self.seen: list[object] = []
        self.updates: list[L2Update] = []
        self.events.attach(SegmentChanged, self.seen.append)
        self.liveness = Liveness(1)
        self.router = Router(
            protocol.read_frame,
            UnknownFrames(kind.exchange, self.buffer),
            self.liveness,
            self,
            read_next if is_short else None,
        )
        outlet = Outlet(self.buffer, self.events, count(1).__next__)
        maker = StreamMaker(
            kind.exchange, outlet, levels_per_row=3, levels_shown=2, most_off_s=1e12, max_jump=0.2
        )
        symbol = "BTC/USDT" if kind.market == "spot" else "BTC/USDT:USDT"
        self.streams = [
            maker.make(kind.market, {"id": "BTCUSDT", "symbol": symbol}, channel)
            for channel in ("book.50", "trade", "bbo")
        ]
        for stream in self.streams:
            self.router.add(stream)
            stream.on_doubt = self._on_doubt
            stream.asked()
        book = self.streams[0]
        assert isinstance(book, BookStream)
        book._book._most_kept = MOST_KEPT
        self.book = book
        self.now_ns = 1_000

    def on_ack(self, ack: Ack) -> bool:
        self.seen.append(ack)
        return True

    def on_status(self, state: State, text: str) -> None:
        self.seen.append((state, text))

    def on_pong(self) -> None:
        self.seen.append("pong")

    def on_mistake(self, what: str) -> None:
        self.seen.append(what)

    def _on_doubt(self, stream: Stream, outcome: Outcome) -> None:
        self.seen.append((stream.topic.name, outcome))

    def hear(self, text: str) -> None:
        self.now_ns += 1_000
        self.seen.append(self.router.take(text, self.now_ns))

    def begin(self, number: int) -> None:
        """Give the book a snapshot: by REST where it wants one so."""
        levels = [(100.0 - step, 1.0) for step in range(5)], [(101.0 + step, 1.0) for step in range(5)]
        self.now_ns += 1_000
        self.book.expect_snapshot(True)
        snapshot = Snapshot(self.book.topic.route, number, 1, *levels, cross_sequence=number * 7)
        self.seen.append(self.book.take(snapshot, self.now_ns, self.liveness))
        self.book.expect_snapshot(False)

    def listen(self) -> None:
        self.events.attach(L2Update, self.updates.append)

    def all_that_shows(self) -> list[object]:
        """Swap the buffer, and return all that can be known."""
        batch, book = self.buffer.swap(), self.book
        told = [msgspec.structs.replace(update, id=0) for update in self.updates]
        shown = [self.seen, told, batch.levels.tobytes(), batch.integers.tobytes(), batch.counts]
        shown += [batch.opened, batch.closed, batch.witnessed, book.verified, book.sequence, book.top()]
        shown += [book.last_update_at_ns, book._exchange_ms, book._last_row_ns, book._top]
        now = book.book_now(10)
        shown.append(now if now is None else msgspec.structs.replace(now, id=0))
        self.seen, self.updates[:] = [], []
        return [repr(one) for one in shown]


prices = st.integers(94, 107).map(str) | st.sampled_from(["300", "0.5", "1e16", "0", "nan", "-1"])
usual_prices = st.integers(94, 107).map(str)
sizes = st.sampled_from(["1", "2.5", "0", "0", "7"])
odd_sizes = st.sampled_from(["1e17", "-1", "nan", "x", ""])
levels = st.lists(st.tuples(usual_prices, sizes), max_size=4)
odd_levels = st.lists(st.tuples(prices, sizes | odd_sizes), max_size=4)
ODD_KEYS: Sequence[dict[str, Any]] = [
    *({}, {"ts": -1, "cts": None}, {"cts": -5}, {"cts": "soon"}, {"type": "snapshot"}, {"type": "?"}),
    *({"E": -1}, {"T": -2}, {"T": None}, {"pu": 10}, {"pu": None}, {"U": -4}, {"u": 2**63}, {"s": ""}),
    *({"s": "ETHUSDT"}, {"topic": "orderbook.50.ETHUSDT"}, {"topic": "orderbook.1.BTCUSDT"}, {"data": 1}),
    *({"data": {"b": [], "a": [], "u": 1}}, {"pu": None, "U": 12, "u": 12}, {"pu": 12, "U": 5}),
]
odd_keys = st.sampled_from([{}, {}, *ODD_KEYS])
steps = st.one_of(
    *[st.tuples(st.just("next"), st.integers(1, 3), levels, levels, st.just({}))] * 4,
    st.tuples(st.just("next"), st.integers(0, 3), odd_levels, odd_levels, odd_keys),
    st.tuples(st.just("off"), st.integers(-12, 3), levels, levels, odd_keys),
    st.sampled_from(["snapshot", "swap", "listen", "best price", "trade", "cut", "fetch"]).map(
        lambda one: (one,)
    ),
)


def play(way: Way, kind: Kind, script: Sequence[Any]) -> list[object]:
    """Let what a script says happen; return all that shows of it."""
    shown: list[object] = []
    way.begin(BEGINS_AT)
    for number, (step, *details) in enumerate(script):
        last = BEGINS_AT if way.book.sequence is None else way.book.sequence
        if step in {"next", "off"}:
            by, bids, asks, odd = details
            change = Change(last if step == "next" else last + by, abs(by), bids, asks, odd)
            way.hear(json.dumps(kind.write(change), separators=(",", ":")))
        elif step == "snapshot":
            way.begin(details[0] if details else last + 1)
        elif step == "swap":
            shown += way.all_that_shows()
        elif step == "listen":
            way.listen()
        elif step == "fetch":
            way.book.expect_snapshot(number % 2 == 0)
        elif step == "cut":
            way.hear(json.dumps(kind.write(Change(last, 1, [("99", "1")], [], {})))[:-9])
        elif kind.exchange == "bybit":
            way.hear(bybit_aside(step, last))
        else:
            way.hear(binance_aside(step, last))
    return shown + way.all_that_shows()


def bybit_aside(what: str, last: int) -> str:
    if what == "trade":
        data = [{"i": f"{last}", "T": 1, "p": "100", "v": "1", "S": "Buy", "BT": False}]
        return json.dumps({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1, "data": data})
    top = {"s": "BTCUSDT", "b": [["100", "1"]], "a": [["101", "1"]], "u": last + 9, "seq": last * 7}
    frame = {"topic": "orderbook.1.BTCUSDT", "type": "snapshot", "ts": 1, "data": top, "cts": 1}
    return json.dumps(frame, separators=(",", ":"))


def binance_aside(what: str, last: int) -> str:
    if what == "trade":
        return json.dumps({"e": "trade", "s": "BTCUSDT", "t": last, "T": 1, "p": "100", "q": "1", "m": True})
    return json.dumps({"u": last, "s": "BTCUSDT", "b": "100", "B": "1", "a": "101", "A": "1"})


def following(bids: Sequence[Text] = (), asks: Sequence[Text] = (), by: int = 1, **odd: Any) -> Any:
    return "next", by, bids, asks, odd


ALL_BIDS, ALL_ASKS = (
    [(f"{100 - step}", "0") for step in range(5)],
    [(f"{101 + step}", "0") for step in range(5)],
)
MORE_BIDS = [(f"{99 - step / 10}", "1") for step in range(9)]
SCRIPTS: dict[str, Sequence[Any]] = {
    "nothing": [following(), following()],
    "the middle jumps": [following(asks=[*ALL_ASKS, ("300", "1")]), following()],
    "it crosses": [following([("104", "1")]), following()],
    "a side empties": [following([("99", "3"), *ALL_BIDS]), following([("99", "1")])],
    "the price leaves what is known": [following([*ALL_BIDS, ("50", "1")]), following()],
    "more levels than are kept": [
        following(MORE_BIDS, [(f"{101 + step / 10}", "1") for step in range(9)]),
        following([("100", "0"), *((price, "0") for price, _ in MORE_BIDS), ("97", "1")]),
        following(),
    ],
    "the same number again": [following([("99", "2")], by=0), following([("99", "3")])],
    "numbers begin again": [("snapshot", 0), following([("99", "2")]), following()],
    "no room": [*[following([("99", f"{size}")]) for size in range(1, 9)], ("swap",), following()],
    "best prices": [("best price",), following([("99", "2")]), ("best price",), following(), ("best price",)],
    "trades": [("trade",), following([("99", "2")]), ("trade",)],
    "somebody listens later": [following(), ("listen",), following([("100", "2")]), following()],
    "an impossible level": [following([("99", "1"), ("98", "nan")]), following()],
    "a size as large as none": [following([("99", "1e17")]), following()],
    **{f"odd: {odd}": [following([("99", "2")], **odd), following()] for odd in ODD_KEYS},
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("happens", SCRIPTS)
def test_both_ways_do_the_same_where(happens: str, name: str) -> None:
    kind, script = KINDS[name], [following(), *SCRIPTS[happens]]  # a first one joins a snapshot of REST
    short, general = Way(kind, is_short=True), Way(kind, is_short=False)
    assert play(short, kind, script) == play(general, kind, script)


@pytest.mark.parametrize("name", KINDS)
@given(script=st.lists(steps, max_size=14))
def test_both_ways_do_the_same_whatever_comes(name: str, script: Sequence[Any]) -> None:
    kind = KINDS[name]
    short, general = Way(kind, is_short=True), Way(kind, is_short=False)
    assert play(short, kind, script) == play(general, kind, script)


@pytest.mark.parametrize("name", KINDS)
def test_usual_frames_take_the_short_way_alone(name: str) -> None:
    kind, way = KINDS[name], Way(KINDS[name], is_short=True, max_rows=100)
    way.begin(BEGINS_AT)
    way.hear(json.dumps(kind.write(Change(BEGINS_AT, 1, [("99", "2")], [], {})), separators=(",", ":")))
    way.router._read_frame = lambda text: pytest.fail(f"read again: {text}")
    for size in range(20):
        change = Change(way.book.sequence or 0, 1, [("99", str(size)), ("50", "1")], [("102", "0")], {})
        way.hear(json.dumps(kind.write(change), separators=(",", ":")))
    assert way.buffer.swap().rows == 22
    assert way.seen[-20:] == [True] * 20
