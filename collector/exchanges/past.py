"""Define what an exchange serves over REST of times when nothing was collected, and a page of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from collector.exchanges.limits import MarketKind, Rate

if TYPE_CHECKING:
    from collector.events import CandleMessage, TradeMessage


class Bound(NamedTuple):
    """A parameter that says from where on, or up to where, rows of the past are wanted."""

    name: str
    includes: bool  # a row that lies just there
    a_second: int = 1000  # a time counts so many a second
    also: tuple[str, str] | None = None  # a parameter that must come with it


@dataclass(frozen=True, slots=True)
class Past:
    """How rows of the past are asked for over REST, and how many of them there are."""

    ccxt_method: str
    rows: int  # to ask for in a call: the most, or what costs least a row
    weight: float  # of such a call, in the units of `budget`
    budget: Rate  # of one address of ours
    # What the next call goes on from: the id or the time of a row. None: the newest rows are all there is.
    paging: Literal["id", "time"] | None
    newest_rows: int | None = None  # older ones cannot be had; None: no such limit is documented
    newest_days: int | None = None
    id_kind: Literal["trade", "agg"] | None = None  # whose ids trades have; None: not documented
    needs_key: bool = False  # the exchange refuses whoever sends none, or ccxt does
    # By time (of bars: when they open) and by id. None: there is no such parameter.
    since: Bound | None = None
    until: Bound | None = None
    from_id: Bound | None = None
    to_id: Bound | None = None
    limit: str | None = "limit"  # the parameter for `rows`; None: as many come as there are
    widest_s: float | None = None  # between `since` and `until`, where both are given
    newest_first: bool = False  # in an answer
    # Which are left of more rows than fit. None: not documented, ask for no more than fit.
    keeps: Literal["oldest", "newest"] | None = None
    has_open_bar: bool = False  # a bar that is not over may be among the rows


@dataclass(frozen=True, slots=True)
class History:
    """What an exchange serves over REST of times when nothing was collected."""

    trades: Mapping[MarketKind, Past]
    bars: Mapping[MarketKind, Past]
    # Single trades, where `trades` are aggregates.
    single_trades: Mapping[MarketKind, Past] = field(default_factory=lambda: MappingProxyType({}))


class Page(NamedTuple):
    """One answer: trades or bars in the order in which they came, each said to be of the past."""

    trades: Sequence["TradeMessage"] = ()
    bars: Sequence["CandleMessage"] = ()
    next: int | None = None  # what the next request goes on from, where the answer tells it


class PastPages(Protocol):
    """What the module `history` of an exchange's folder offers. Pure."""

    def named(self, market_id: str, kind: MarketKind, channel: str) -> dict[str, str]:
        """Return the parameters that name a stream, bars by their interval."""

    def read_page(self, text: str, channel: str, past: Past) -> Page:
        """Read an answer. Raises FrameError when it is not what the exchange documents."""
