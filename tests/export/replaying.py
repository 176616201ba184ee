"""Store books and trades, export them for hftbacktest, and replay the events slowly and obviously."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from collector.database.engine import make_engine
from collector.database.tables import DEFAULT_TABLE_NAME
from collector.database.url import database_url
from collector.export.exporter import export
from collector.export.hftbacktest import layout
from collector.retention.move import Retention, archive_slices

sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from stored import SYMBOL, insert, iso

DAY_NS = 86_400_000_000_000
MIDNIGHT_NS = 1_700_006_400_000_000_000 // DAY_NS * DAY_NS
MS = 1_000_000
FIRST = 2**62 + 1
Book = dict[str, dict[float, float]]


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


def move(url: str, folder: Path, now_ns: int, *, files: int = 6) -> None:
    """Move the days that are older than one."""
    engine = make_engine(database_url(url), synchronous="OFF")
    now = datetime.fromtimestamp(now_ns / 1e9, UTC)
    try:
        for one in archive_slices(url, DEFAULT_TABLE_NAME, Retention(1.0, folder), lambda: now):
            with engine.connect() as connection:
                one(connection)
    finally:
        engine.dispose()
    assert len(list(folder.rglob("*.parquet"))) == files


def cover(url: str, spans: dict[int, tuple[str, int, int]], session: str = "s") -> None:
    """Store segments: the channel of each, and from when to when it was alive."""
    count = len(spans)
    alike = {"session_id": session, "exchange": "bybit", "symbol": SYMBOL, "verification": "sequence"}
    columns: dict[str, list[Any]] = {name: [value] * count for name, value in alike.items()}
    columns |= {name: [0] * count for name in ("rows", "witnessed", "disagreed")}
    columns |= {"segment_id": list(spans), "channel": [channel for channel, _, _ in spans.values()]}
    columns |= {"start_ns": [start for _, start, _ in spans.values()], "end_cause": ["clock_step"] * count}
    untils = [until for _, _, until in spans.values()]
    columns |= {"end_ns": untils, "alive_until_ns": untils}
    insert(url, "coverage", columns)
