"""Define what is published about the lists of markets, and what names were taken for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MarketChoice:
    """Which market a name was taken for, where it could mean several, or was there under another name."""

    name: str
    symbol: str
    kind: str
    others: tuple[tuple[str, str], ...]  # symbol and kind of what else it could mean


@dataclass(frozen=True, slots=True)
class MarketsChosen:
    """Names were taken for one market each, of several that they could mean."""

    exchange: str
    at_ns: int
    choices: tuple[MarketChoice, ...]


@dataclass(frozen=True, slots=True)
class MarketRepeated:
    """Two of the names asked for mean one market, which is collected once."""

    exchange: str
    at_ns: int
    symbol: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MarketsNotRefreshed:
    """The list of markets could not be looked at again; what is collected goes on, and so do the tries."""

    exchange: str
    at_ns: int
    detail: str


@dataclass(frozen=True, slots=True)
class MarketsFound:
    """Names that meant no market, or none that could be collected, do now: their streams begin."""

    exchange: str
    at_ns: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UniverseChanged:
    """Other markets than before are those traded most: their streams begin, those of others end."""

    exchange: str
    at_ns: int
    joined: tuple[str, ...]  # symbols, those traded most first
    left: tuple[str, ...]
    members: int  # by now


@dataclass(frozen=True, slots=True)
class UniverseNotRanked:
    """What is traded of each market could not be had; the list of before stays, and tries go on."""

    exchange: str
    at_ns: int
    detail: str
