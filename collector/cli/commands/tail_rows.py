"""Set rows of each table as lines of a table that goes on."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any, TypeVar

from collector.cli.table import Column, Layout

AT_ONCE = 200  # rows that are set as one table
LEVELS_SHOWN = 3
SIDES = ("bid", "ask")
Row = Mapping[str, Any]
Text = Callable[[Row], str]
Shown = Sequence[tuple[Column, Text]]
Some = TypeVar("Some")


def batched(rows: Iterable[Some], most: int) -> Iterator[list[Some]]:
    """Yield the rows in lists of at most so many."""
    rest = iter(rows)
    while found := list(islice(rest, most)):
        yield found


@dataclass(slots=True)
class RowsAsTheyCome:
    """Sets rows as they come: headings at first and where the widths change, a line for each new day."""

    what: str
    _layout: Layout | None = None
    _day: str = ""
    _widest: list[str] = field(default_factory=list)

    @property
    def has_begun(self) -> bool:
        """Return whether there was a row."""
        return self._layout is not None

    def lines(self, rows: Sequence[Row], within: int) -> Iterator[str]:
        """Yield the lines of the rows that came."""
        columns, texts = zip(*SHOWN[self.what], strict=True)
        at = BEGINS.get(self.what, _received)
        cells = [[text(row) for text in texts] for row in rows]
        if self._layout is None or self._layout.within != within or not self._layout.holds(cells):
            # The widths only grow, so that the headings are soon said for the last time.
            seen = [self._widest, *cells] if self._widest else cells
            self._widest = [max(column, key=len) for column in zip(*seen, strict=True)]
            self._layout = Layout.fitting(columns, [self._widest], within)
            yield from self._layout.lines([], headings=True)
        for day, group in groupby(zip(map(at, rows), cells, strict=True), key=lambda one: one[0][:10]):
            if day != self._day:
                self._day = day
                yield f"{day} UTC"
            yield from self._layout.lines([own for _, own in group], headings=False)


def _received(row: Row) -> str:
    return str(row["timestamp"])


def _opened(row: Row) -> str:
    return _text_of(row["open_time"] * 1_000_000)


def _happened(row: Row) -> str:
    return _text_of(row["at_ns"])


def _text_of(at_ns: int) -> str:
    from collector.events import iso_text  # noqa: PLC0415  (numpy: not for the help)

    return iso_text(at_ns)


BEGINS: dict[str, Text] = {
    **dict.fromkeys(("ohlcv", "ohlcv_corrections"), _opened),
    **dict.fromkeys(("rejected", "events"), _happened),
}


def _time(at: Text, digits: int = 12) -> Text:
    """Return what writes the time of a row; its day stands above it."""
    return lambda row: at(row)[11 : 11 + digits]


def _value(name: str) -> Text:
    return lambda row: _number(row.get(name))


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)


def _rounded(name: str, digits: int) -> Text:
    return lambda row: "-" if row.get(name) is None else f"{row[name]:.{digits}g}"


def _levels(row: Row) -> str:
    """Write the best levels, a line for each side: price and size."""
    return "\n".join(f"{side}s {_side(row, side)}" for side in SIDES)


def _side(row: Row, side: str) -> str:
    found = (
        (row.get(f"{side}_price_{one}"), row.get(f"{side}_size_{one}")) for one in range(1, LEVELS_SHOWN + 1)
    )
    return ", ".join(f"{_number(price)} x {size:.6g}" for price, size in found if price is not None)


def _final(row: Row) -> str:
    return "yes" if row["confirmed"] else "no"


STREAM: Shown = [(Column(name, "name"), _value(name)) for name in ("exchange", "symbol")]
BOOK: Shown = [
    (Column("time", "text"), _time(_received)),
    *STREAM,
    (Column("depth"), _value("depth")),
]
BARS: Shown = [
    (Column("opened", "text"), _time(_opened, 5)),
    *STREAM,
    (Column("bar", "text"), _value("interval")),
    *((Column(name), _value(name)) for name in ("open", "high", "low", "close")),
    (Column("volume"), _rounded("volume", 6)),
    (Column("final", "text"), _final),
    (Column("count", wide=True), _value("count")),
    (Column("received", "text", wide=True), _received),
]
# What a person wants to see of a row, table by table.
SHOWN: dict[str, Shown] = {
    "book": [
        *BOOK,
        (Column("bid"), _value("bid_price_1")),
        (Column("size"), _rounded("bid_size_1", 6)),
        (Column("ask"), _value("ask_price_1")),
        (Column("size"), _rounded("ask_size_1", 6)),
        (Column("bps", wide=True), _rounded("spread_bps", 4)),
        (Column("imbalance", wide=True), _rounded("order_book_imbalance", 3)),
        (Column("ofi", wide=True), _rounded("ofi", 6)),
        (Column("sequence", wide=True), _value("sequence")),
        (Column("segment", wide=True), _value("segment_id")),
    ],
    "levels": [
        *BOOK,
        (Column("sequence", wide=True), _value("sequence")),
        (Column("levels", "note"), _levels),
    ],
    "trades": [
        (Column("time", "text"), _time(_received)),
        *STREAM,
        *((Column(name, "text"), _value(name)) for name in ("kind", "side")),
        (Column("price"), _value("price")),
        (Column("size"), _rounded("size", 6)),
        (Column("marked", "text", wide=True), _value("marked")),
        (Column("id", "text", wide=True), _value("trade_id")),
    ],
    "ohlcv": BARS,
    "ohlcv_corrections": BARS,
    "rejected": [
        (Column("time", "text"), _time(_happened)),
        *((Column(name, "text"), _value(name)) for name in ("exchange", "symbol", "channel", "reason")),
        (Column("detail", "note"), lambda row: f"{row.get('detail') or ''}\n{row.get('original') or ''}"),
    ],
    "events": [
        (Column("time", "text"), _time(_happened)),
        *((Column(name, "text"), _value(name)) for name in ("exchange", "symbol", "kind", "code")),
        (Column("detail", "note"), lambda row: str(row.get("detail") or "")),
    ],
}
