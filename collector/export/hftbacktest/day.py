"""Make the events of one symbol's day from the stored rows, and write them to a file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from collector.database import Tables
from collector.export.day_file import whole_file
from collector.export.hftbacktest.book import Book, exchange_ns
from collector.export.hftbacktest.choice import Choice, chosen
from collector.export.hftbacktest.clocks import by_clock
from collector.export.hftbacktest.layout import (
    BUY,
    KIND,
    SELL,
    TRADE,
    Events,
    events,
    far_ahead,
    ordered,
    shift_ns,
    write_npz,
)
from collector.export.utc_days import Day, midnight_ms
from collector.query import DAY_NS, NO_INT, Series, Span, joined

FORM = "hftbacktest"
ENDING = "npz"
KINDS = ("features", "levels", "trades")
_MS_NS = 1_000_000
_TRADE_COLUMNS = ("exchange_timestamp", "price", "size", "side", "marked")


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about one file, for the card of the data set."""

    events: int
    book: str
    shift_ns: int  # added to every local time
    untimed: int  # events without a time of the exchange, or with one far off: that of receipt stands there
    raised: int  # book events whose time of the exchange went back
    split: int  # events that stand apart for exchange and bot
    left_out: tuple[str, ...]

    def entry(self) -> dict[str, Any]:
        """Return the facts as an entry of the manifest."""
        return {**asdict(self), "left_out": list(self.left_out)}


def joined_days(found: Sequence[Day]) -> dict[Day, tuple[Day, ...]]:
    """Return the days of replay, each with the stored days that it is made of; it changes when they do."""
    joined = {}
    for (symbol, exchange, date), days in groupby(sorted(found, key=_key), _key):
        own = tuple(days)
        mark = " ".join(f"{day.kind}:{day.rows}:{day.last_id}" for day in own)
        rows = sum(day.rows for day in own)
        joined[Day(FORM, exchange, symbol, date, rows, max(day.last_id for day in own), mark)] = own
    return joined


def write_events(
    connection: sa.Connection, tables: Tables, sources: Sequence[Day], path_of: Callable[[int], Path]
) -> Iterator[dict[str, Any]]:
    """Write the files of one day, one for each stretch of its clock, and yield the facts about each."""
    choice = chosen(connection, tables, sources)
    begin = midnight_ms(sources[0].date) * _MS_NS
    span = Span(begin, begin + DAY_NS)
    of_kind = {day.kind: day for day in sources}
    for part, own in enumerate(by_clock(connection, tables, choice, of_kind, span)):
        data, facts = _events(connection, tables, own, of_kind, span)
        with whole_file(path_of(part)) as unfinished:
            write_npz(unfinished, data)
        yield facts.entry()


def _events(
    connection: sa.Connection, tables: Tables, choice: Choice, of_kind: Mapping[str, Day], span: Span
) -> tuple[Events, Facts]:
    """Return the events in order, and the facts about them."""
    traded, marked = _trades(connection, tables, choice, of_kind.get("trades"), span)
    book = Book(connection, tables, choice, of_kind, span)
    data = np.concatenate([traded, *book.events()])
    is_untimed = data["exch_ts"] == NO_INT
    is_untimed[~is_untimed] = far_ahead(data[~is_untimed])
    shift = shift_ns(data[~is_untimed])
    data["local_ts"] += shift
    data["exch_ts"][is_untimed] = data["local_ts"][is_untimed]
    raised = _never_back(data)
    whole = ordered(data)
    left_out = (*choice.left_out, *([f"{marked:,} marked trades"] if marked else []))
    facts = Facts(
        len(whole), book.summary, shift, int(is_untimed.sum()), raised, len(whole) - len(data), left_out
    )
    return whole, facts


def _trades(
    connection: sa.Connection, tables: Tables, choice: Choice, day: Day | None, span: Span
) -> tuple[Events, int]:
    """Return the trades of the market, and the number of those that were not."""
    if day is None:
        return events([], [], [], [], np.empty(0)), 0
    series = Series(choice.stream(connection, tables, day), _TRADE_COLUMNS)
    rows = joined(list(series.read(connection, span)), series.kinds)
    is_market = np.array([mark is None for mark in rows["marked"].tolist()], dtype=np.bool_)
    side = rows["side"]
    flag = np.where(side == "buy", BUY, np.where(side == "sell", SELL, 0))
    made = events(flag | TRADE, exchange_ns(rows), rows[series.at], rows["price"], rows["size"])
    return made[is_market], int((~is_market).sum())


def _never_back(data: Events) -> int:
    """Raise exchange times of book events that go back, and count them: differences must keep their order."""
    is_book = data["ev"] & KIND != TRADE
    exchange_ns = data["exch_ts"][is_book]
    raised = np.maximum.accumulate(exchange_ns) if len(exchange_ns) else exchange_ns
    data["exch_ts"][is_book] = raised
    return int((raised != exchange_ns).sum())


def _key(day: Day) -> tuple[str, str, str]:
    return (day.symbol, day.exchange, day.date)
