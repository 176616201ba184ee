"""Hold trades and bars in columns: numbers in flat arrays, texts in lists."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import Struct

INT64_MAX = 2**63 - 1
NO_INT = -(2**63)  # stands for NULL in an integer column
NO_NUMBER = float("nan")  # stands for NULL in a column of numbers

REST = "rest"  # the origin of rows that were fetched afterwards; NULL and `ws` are live
FILLED = "filled"  # why segments of such rows end
TRADE_KINDS = ("trade", "agg")  # id spaces; a trade has the place of its own in here
TRADE_NUMBERS = 2  # price, size
# received_at_ns, exchange_ms, number or NO_INT, stream, segment_id, 1 if the taker bought, place of the kind
TRADE_INTEGERS = 7
CANDLE_NUMBERS = 6  # open, high, low, close, volume, vwap
# received_at_ns, exchange_ms or NO_INT, open_ms, stream, segment_id, 1 if confirmed, count or NO_INT
CANDLE_INTEGERS = 7
STREAM_COLUMN = 3  # of the integers, in either

_pack_trade_numbers = Struct(f"{TRADE_NUMBERS}d").pack
_pack_trade_integers = Struct(f"{TRADE_INTEGERS}q").pack
_pack_candle_numbers = Struct(f"{CANDLE_NUMBERS}d").pack
_pack_candle_integers = Struct(f"{CANDLE_INTEGERS}q").pack


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """Trades, each under the same place in every column."""

    numbers: "array[float]" = field(default_factory=lambda: array("d"))
    integers: "array[int]" = field(default_factory=lambda: array("q"))
    ids: list[str] = field(default_factory=list)
    marks: list[str | None] = field(default_factory=list)
    singles: dict[int, tuple[int, int]] = field(default_factory=dict)  # of aggregates, by their place

    def __len__(self) -> int:
        """Count the trades."""
        return len(self.ids)

    def append(
        self,
        numbers: Sequence[float],
        integers: Sequence[int],
        trade_id: str,
        marked: str | None,
        singles: tuple[int, int] | None = None,
    ) -> None:
        """Append a trade: TRADE_NUMBERS numbers, TRADE_INTEGERS integers."""
        packed = _pack_trade_numbers(*numbers), _pack_trade_integers(*integers)
        self.numbers.frombytes(packed[0])
        self.integers.frombytes(packed[1])
        if singles is not None:
            self.singles[len(self.ids)] = singles
        self.ids.append(trade_id)
        self.marks.append(marked)


@dataclass(frozen=True, slots=True)
class CandleColumns:
    """States of bars, in the order of their receipt."""

    numbers: "array[float]" = field(default_factory=lambda: array("d"))
    integers: "array[int]" = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        """Count the states."""
        return len(self.integers) // CANDLE_INTEGERS

    def append(self, numbers: Sequence[float], integers: Sequence[int]) -> None:
        """Append a state of a bar: CANDLE_NUMBERS numbers, CANDLE_INTEGERS integers."""
        packed = _pack_candle_numbers(*numbers), _pack_candle_integers(*integers)
        self.numbers.frombytes(packed[0])
        self.integers.frombytes(packed[1])
