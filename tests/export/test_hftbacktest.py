"""What hftbacktest replays is the book that was stored, and the trades, in the order of both sides."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.export.export import export
from collector.export.hftbacktest import layout
from collector.export.hftbacktest.order import ordered, shift_ns

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import SYMBOL, insert, iso, prepare

pytest.importorskip("pyarrow")
DAY_NS = 86_400_000_000_000
MIDNIGHT_NS = 1_700_006_400_000_000_000 // DAY_NS * DAY_NS
MS = 1_000_000
FIRST = 2**62 + 1
Book = dict[str, dict[float, float]]


@pytest.fixture
def stored(any_database: str) -> str:
    return prepare(any_database)


def random_books(count: int, seed: int = 1) -> list[Book]:
    """Books with ten or fewer levels, most of which are as in the one before."""
    random = np.random.default_rng(seed)
    books: list[Book] = []
    for _ in range(count):
        mid = 1000 + int(random.integers(-3, 4))
        bids = {
            float(mid - 1 - place): float(random.integers(1, 4))
            for place in range(int(random.integers(0, 11)))
        }
        asks = {float(mid + 1 + place): float(random.integers(1, 4)) for place in range(10)}
        books.append({"bid": bids, "ask": asks})
    return books


def columns(books: list[Book], levels: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for side in ("bid", "ask"):
        told = [sorted(book[side].items(), reverse=side == "bid") for book in books]
        for level in range(levels):
            at = [one[level] if level < len(one) else (None, None) for one in told]
            found[f"{side}_price_{level + 1}"] = [price for price, _ in at]
            found[f"{side}_size_{level + 1}"] = [size for _, size in at]
    return found


def keep(
    url: str,
    books: list[Book],
    at_ns: list[int],
    segments: list[int],
    *,
    deep: bool = True,
    exchange_ms: list[int | None] | None = None,
    **facts: Any,
) -> None:
    """Store books as the collector does."""
    count = len(books)
    common = {
        "timestamp": [iso(at) for at in at_ns],
        "exchange": ["bybit"] * count,
        "symbol": [SYMBOL] * count,
        "depth": [facts.get("depth", 50)] * count,
        "sequence": list(range(count)),
        "received_at_ns": at_ns,
        "segment_id": segments,
        "data_source": [facts.get("source", "live")] * count,
    }
    told = exchange_ms or [at // MS - 5 for at in at_ns]
    insert(url, "hot", {**common, "exchange_timestamp": told, **columns(books, 1)})
    if deep:
        insert(url, "levels", {**common, **columns(books, 10)})


def trade(url: str, at_ns: list[int], exchange_ms: list[int | None], **more: list[Any]) -> None:
    count = len(at_ns)
    row: dict[str, list[Any]] = {
        "timestamp": [iso(at) for at in at_ns],
        "exchange": ["bybit"] * count,
        "symbol": [SYMBOL] * count,
        "received_at_ns": at_ns,
        "segment_id": [FIRST + 50] * count,
        "data_source": ["live"] * count,
        "kind": ["trade"] * count,
        "trade_id": [str(number) for number in range(count)],
        "price": [1000.0 + number for number in range(count)],
        "size": [2.0] * count,
        "side": ["buy"] * count,
        "marked": [None] * count,
        "exchange_timestamp": exchange_ms,
    }
    insert(url, "trades", {**row, **more})


def exported(url: str, folder: Path, **more: Any) -> list[Any]:
    export(url, folder, form="hftbacktest", **more)
    found = []
    for path in sorted(folder.rglob("*.npz")):
        with np.load(path) as file:
            assert file.files == ["data"]
            found.append(file["data"])
    return found


def replayed(data: Any, side_flag: int, clock: str) -> list[tuple[int, Book]]:
    """Apply the events that one of the two sees, and return the book after each instant."""
    book: Book = {"bid": {}, "ask": {}}
    states: list[tuple[int, Book]] = []
    for event in data[data["ev"] & side_flag != 0]:
        kind, sell = int(event["ev"]) & 0xFF, int(event["ev"]) & layout.SELL
        if kind == layout.TRADE:
            continue
        side = book["ask" if sell else "bid"]
        if kind == layout.DEPTH_CLEAR:
            assert not int(event["ev"]) & (layout.BUY | layout.SELL)  # with a side it ends at a price
            book["bid"].clear()
            book["ask"].clear()
        elif event["qty"] > 0:
            side[float(event["px"])] = float(event["qty"])
        else:
            del side[float(event["px"])]
        at = int(event[clock])
        if states and states[-1][0] == at:
            states.pop()
        states.append((at, {name: dict(levels) for name, levels in book.items()}))
    return states


def check_order(data: Any) -> None:
    """Hold hftbacktest's own rules, as its validate_event_order has them."""
    for flag, clock in ((layout.EXCHANGE, "exch_ts"), (layout.LOCAL, "local_ts")):
        assert (np.diff(data[clock][data["ev"] & flag != 0]) >= 0).all()
    assert (data["exch_ts"] <= data["local_ts"]).all()


def test_the_book_is_the_one_that_was_stored(stored: str, tmp_path: Path) -> None:
    books = random_books(60)
    at = [MIDNIGHT_NS + place * 7 * MS for place in range(60)]
    keep(stored, books, at, [FIRST + place // 25 for place in range(60)])
    (data,) = exported(stored, tmp_path)
    check_order(data)
    wanted = dict(zip(at, books, strict=True))
    for flag, clock, early in ((layout.LOCAL, "local_ts", 0), (layout.EXCHANGE, "exch_ts", 5 * MS)):
        for at_ns, book in replayed(data, flag, clock):
            assert book == wanted[at_ns + early]
    kinds = data["ev"] & 0xFF
    assert (kinds == layout.DEPTH_CLEAR).sum() == 3
    assert set(data["local_ts"][kinds == layout.DEPTH_SNAPSHOT]) == {at[0], at[25], at[50]}
    assert (kinds == layout.DEPTH).sum() < 60 * 20  # what did not change is not told again
    assert "best 10 of 50" in (tmp_path / "README.md").read_text()


def test_best_level_where_no_more_is_stored(stored: str, tmp_path: Path) -> None:
    books = random_books(30, 2)
    at = [MIDNIGHT_NS + place * MS for place in range(30)]
    keep(stored, books[:10], at[:10], [FIRST] * 10, deep=False)
    keep(stored, books[10:], at[10:], [FIRST + 1] * 20)
    (data,) = exported(stored, tmp_path)
    states = dict(replayed(data, layout.LOCAL, "local_ts"))
    best = {
        "bid": dict(sorted(books[9]["bid"].items())[-1:]),
        "ask": dict(sorted(books[9]["ask"].items())[:1]),
    }
    assert max(len(states[one]["ask"]) for one in at[:10]) == 1
    assert states[max(one for one in states if one <= at[9])] == best
    assert states[at[-1]] == books[-1]
    assert "best 10 of 50; in 10 rows the best" in (tmp_path / "README.md").read_text()
    (data,) = exported(stored, tmp_path / "best", kinds=["features", "trades"])
    assert max(len(book["ask"]) for _, book in replayed(data, layout.LOCAL, "local_ts")) == 1
    assert "best level only of 50" in (tmp_path / "best" / "README.md").read_text()


def test_trades(stored: str, tmp_path: Path) -> None:
    at = [MIDNIGHT_NS + place * 10 * MS for place in range(1, 5)]
    trade(
        stored,
        at,
        [at[0] // MS - 3, at[0] // MS - 2, None, at[3] // MS - 1],
        side=["buy", "sell", None, "buy"],
        marked=[None, None, None, "ADL"],
    )
    (data,) = exported(stored, tmp_path)
    both = layout.EXCHANGE | layout.LOCAL | layout.TRADE
    assert data["ev"].tolist() == [both | layout.BUY, both | layout.SELL, both]
    assert data["px"].tolist() == [1000.0, 1001.0, 1002.0]
    assert data["qty"].tolist() == [2.0] * 3
    assert data["exch_ts"].tolist() == [at[0] - 3 * MS, at[0] - 2 * MS, at[2]]
    card = (tmp_path / "README.md").read_text()
    assert "| none | 3 | 0.000 | 1 | 0 | 0 | 1 marked trades |" in card


def test_a_trade_comes_before_the_book_that_it_changed(stored: str, tmp_path: Path) -> None:
    """The bot heard of the book first; at the exchange the trade was what changed it."""
    books = random_books(3, 3)
    at = [MIDNIGHT_NS + place * 100 * MS for place in range(1, 4)]
    keep(stored, books, at, [FIRST] * 3)
    told = at[1] // MS - 5
    trade(stored, [at[1] + 1, at[1] + 2], [told, told])
    (data,) = exported(stored, tmp_path)
    check_order(data)
    by_bot = data[data["ev"] & layout.LOCAL != 0]
    by_exchange = data[data["ev"] & layout.EXCHANGE != 0]
    at_bot = np.flatnonzero(by_bot["ev"] & 0xFF == layout.TRADE)
    at_exchange = np.flatnonzero(by_exchange["ev"] & 0xFF == layout.TRADE)
    assert len(by_bot) == len(by_exchange)
    assert by_bot["local_ts"][at_bot[0] - 1] == at[1]
    assert by_exchange["local_ts"][at_exchange[0] - 1] == at[0]
    assert len(data) == len(by_bot) + 2


def test_a_local_clock_that_is_behind_is_put_forward(stored: str, tmp_path: Path) -> None:
    at = [MIDNIGHT_NS + place * 10 * MS for place in range(1, 4)]
    trade(stored, at, [at[0] // MS + 7, at[1] // MS + 2, None])
    (data,) = exported(stored, tmp_path)
    check_order(data)
    assert data["local_ts"].tolist() == [one + 7 * MS for one in at]
    assert data["exch_ts"].tolist() == [at[0] + 7 * MS, at[1] + 2 * MS, at[2] + 7 * MS]
    assert "| 7.000 | 1 |" in (tmp_path / "README.md").read_text()


def test_a_book_never_goes_back_at_the_exchange(stored: str, tmp_path: Path) -> None:
    books = random_books(4, 4)
    at = [MIDNIGHT_NS + place * 10 * MS for place in range(1, 5)]
    keep(stored, books, at, [FIRST] * 4, exchange_ms=[at[0] // MS, None, at[1] // MS - 3, at[3] // MS])
    (data,) = exported(stored, tmp_path)
    check_order(data)
    assert replayed(data, layout.EXCHANGE, "exch_ts")[-1][1] == books[3]
    assert replayed(data, layout.LOCAL, "local_ts")[-2][1] == books[2]


def test_one_source_one_book_one_kind(stored: str, tmp_path: Path) -> None:
    books = random_books(12, 5)
    at = [MIDNIGHT_NS + place * 10 * MS for place in range(12)]
    keep(stored, books, at, [FIRST] * 12)
    keep(stored, books[::-1], [one + 1 for one in at], [FIRST + 1] * 12, depth=1, deep=False)
    keep(stored, books[:5], [one + 2 for one in at[:5]], [FIRST + 2] * 5, source="replay")
    trade(stored, at[:2], [None, None])
    trade(stored, at[:3], [None] * 3, kind=["agg"] * 3)
    (data,) = exported(stored, tmp_path)
    assert replayed(data, layout.LOCAL, "local_ts")[-1] == (at[-1], books[-1])
    assert (data["ev"] & 0xFF == layout.TRADE).sum() == 2
    card = (tmp_path / "README.md").read_text()
    for told in (
        "12 features of depth 1, source live",
        "5 features of depth 50, source replay",
        "3 trades of kind agg",
    ):
        assert told in card


def test_day_after_day_resumed_and_the_same_bytes(stored: str, tmp_path: Path) -> None:
    books = random_books(20, 6)
    at = [MIDNIGHT_NS + place * DAY_NS // 8 for place in range(20)]
    keep(stored, books, at, [FIRST] * 20)
    found = exported(stored, tmp_path / "a")
    assert len(found) == 3
    for day in found:
        assert int(day["ev"][0]) & 0xFF == layout.DEPTH_CLEAR  # each day can be replayed alone
    assert replayed(np.concatenate(found), layout.LOCAL, "local_ts")[-1][1] == books[-1]
    exported(stored, tmp_path / "b", jobs=2)

    def sums(name: str) -> list[str]:
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]

    assert sums("a") == sums("b")
    assert export(stored, tmp_path / "a", form="hftbacktest").written == 0
    trade(stored, [MIDNIGHT_NS + DAY_NS + 5], [None])
    assert export(stored, tmp_path / "a", form="hftbacktest").written == 1


moments = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.booleans()), max_size=40)


@given(moments)
def test_any_order_becomes_both_orders(rows: list[tuple[int, int, bool]]) -> None:
    data = layout.events(
        [layout.TRADE if is_trade else layout.DEPTH for _, _, is_trade in rows],
        [exchange for exchange, _, _ in rows],
        [local for _, local, _ in rows],
        np.arange(len(rows), dtype=np.float64),
        np.ones(len(rows)),
    )
    data["local_ts"] += shift_ns(data)
    found = ordered(data)
    check_order(found)
    for flag in (layout.EXCHANGE, layout.LOCAL):
        assert sorted(found["px"][found["ev"] & flag != 0].tolist()) == list(range(len(rows)))
