"""The faults of a nasty market: how often each comes, how it is drawn, and how it is put right again."""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

# After how many seconds, which fault, with which arguments.
Step = tuple[float, str, dict[str, Any]]


class Draw(NamedTuple):
    """What a fault is drawn for; `others` are the markets that may be taken off the exchange."""

    random: random.Random
    exchange: str
    symbol: str
    others: list[str]

    @property
    def on(self) -> dict[str, Any]:
        """The arguments that name the exchange."""
        return {"exchange": self.exchange}

    @property
    def at(self) -> dict[str, Any]:
        """The arguments that name the market."""
        return {"exchange": self.exchange, "symbol": self.symbol}

    @property
    def stream(self) -> dict[str, Any]:
        """The arguments that name one of the market's streams."""
        return {**self.at, "channel": self.random.choice(_STREAMS[self.exchange])}

    @property
    def book(self) -> dict[str, Any]:
        """The arguments that name one of the market's books."""
        return {**self.at, "channel": self.random.choice(_BOOKS[self.exchange])}


Ill = Callable[[Draw], Sequence[Step]]

_BOOKS = {
    "bybit": ("book.50", "book.200", "bbo"),
    "binance": ("book.50",),
    "kraken": ("book.10", "book.25", "book.100"),
    "okx": ("book.400",),
}
_STREAMS = {name: (*books, "bbo", "trade", "ohlcv.1m") for name, books in _BOOKS.items()}


def ills(exchange: str) -> list[tuple[float, Ill]]:
    """List what can go wrong on an exchange, each with its weight."""
    return [*_EVERYWHERE, *_ONLY_ON[exchange]]


def _once(fault: str, target: str = "on", **arguments: Any) -> Ill:
    """Make a fault that is over at once; lists and ranges of arguments are drawn from."""
    return lambda draw: [(0.0, fault, {**getattr(draw, target), **_drawn(draw.random, arguments)})]


def _for_a_while(
    fault: str, ending: dict[str, Any], seconds: tuple[float, float], target: str = "on", **arguments: Any
) -> Ill:
    """Make a fault that is put right after a while: by `ending`, the same fault's arguments or another's."""

    def make(draw: Draw) -> Sequence[Step]:
        where = getattr(draw, target)
        other = ending.get("fault", fault)
        put_right = {key: value for key, value in ending.items() if key != "fault"}
        lasts_s = draw.random.uniform(*seconds)
        return [
            (0.0, fault, {**where, **_drawn(draw.random, arguments)}),
            (lasts_s, other, {**where, **put_right}),
        ]

    return make


def _drawn(draw: random.Random, arguments: dict[str, Any]) -> dict[str, Any]:
    result = {}
    for key, value in arguments.items():
        if isinstance(value, tuple):
            low, high = value
            result[key] = (
                draw.randint(low, high) if isinstance(low, int) else round(draw.uniform(low, high), 3)
            )
        else:
            result[key] = draw.choice(value) if isinstance(value, list) else value
    return result


def _delist(draw: Draw) -> Sequence[Step]:
    if not draw.others:
        return []
    market = {"exchange": draw.exchange, "symbol": draw.random.choice(draw.others)}
    return [(0.0, "delist", market), (draw.random.uniform(20.0, 120.0), "enlist", market)]


def _beyond_the_edge(draw: Draw) -> Sequence[Step]:
    return [
        (0.0, "snapshot_edge", {**draw.at, "levels": 20}),
        (draw.random.uniform(1.0, 20.0), "sweep", {**draw.at, "levels": 30}),
        (30.0, "snapshot_edge", {**draw.at, "levels": None}),
    ]


_NEAR = {"ms": 20.0, "jitter_ms": 3.0}
_PASSING_WORDS = ["Internal error", "Service unavailable", "Timeout"]
_KEYS = ["bids", "lastUpdateId", "altname", "pair_decimals", "symbol"]
_EVERYWHERE: list[tuple[float, Ill]] = [
    (2.0, _once("close", code=[1000, 1001, 1006, 1008, 1011, 1012, 4000])),
    (2.0, _once("reset")),
    (1.0, _once("reset", "at")),
    (0.5, _once("half_open", "at")),
    (0.5, _once("accept_silently")),
    (1.0, _once("refuse", status=[0, 403, 404, 429, 503], count=(1, 4))),
    (0.3, _once("expire")),
    (0.3, _for_a_while("connection_allowance", {"capacity": None}, (5.0, 20.0), capacity=(1, 3))),
    (2.0, _for_a_while("stall", {"fault": "unstall"}, (2.0, 60.0), "stream")),
    (2.0, _for_a_while("latency", _NEAR, (5.0, 40.0), ms=(50.0, 400.0), jitter_ms=(5.0, 80.0))),
    (0.5, _once("reject_subscription")),
    (0.5, _once("ignore_subscription")),
    (3.0, _once("refuse_subscription", count=(1, 6))),
    (1.0, _once("refuse_subscription", words=_PASSING_WORDS, count=(1, 3))),
    (0.5, _once("raw_frame", data=["{not json", "[]", "null", "5", '{"unknown":true}'])),
    (0.5, _once("malformed_frame")),
    (1.0, _once("stray_frame", number=(0, 2))),
    (0.1, _once("huge_frame", size_bytes=2_000_000)),
    (0.1, _once("deep_frame", depth=20_000)),
    (0.1, _once("bomb", size_bytes=5_000_000)),
    (2.0, _once("drop_frame", "stream", count=(1, 5))),
    (1.0, _once("duplicate_frame", "stream")),
    (1.0, _once("reorder", "stream")),
    (0.5, _once("bad_number", "book", value=["NaN", "1e400", "-1"], part=["price", "size"])),
    (0.2, _once("crossed_book", "at")),
    (1.0, _once("sweep", "at", levels=(5, 40))),
    (1.0, _delist),
    (3.0, _once("tempo", "at", factor=0, seconds=(20.0, 180.0))),
    (3.0, _once("tempo", "at", factor=(3.0, 20.0), seconds=(1.0, 8.0))),
    (1.0, _for_a_while("clock", {"offset_s": 0.0}, (5.0, 60.0), offset_s=(-1.5, 1.5))),
    (2.0, _once("rest_status", status=[400, 403, 404, 429, 500, 503], count=(1, 4), after=(0, 5))),
    (1.0, _once("rest_status", status=429, count=(1, 3), retry_after_s=(1, 20), after=(0, 5))),
    (0.5, _once("rest_html", count=(1, 3))),
    (0.5, _once("rest_truncated", count=(1, 3))),
    (0.5, _once("rest_empty_book", count=(1, 3))),
    (0.5, _once("rest_nothing", count=(1, 2))),
    (0.5, _once("rest_missing_key", key=_KEYS, count=(1, 2))),
    (1.0, _once("rest_slow", delay_s=(0.5, 12.0), count=(1, 4))),
    (0.5, _for_a_while("rest_queue", {"service_ms": 3.0}, (10.0, 40.0), service_ms=(50.0, 800.0))),
    (0.3, _for_a_while("rest_allowance", {"capacity": None}, (10.0, 60.0), capacity=(10, 200))),
    (0.3, _once("rest_ban", seconds=(5.0, 90.0))),
    (0.5, _for_a_while("stale_snapshot", {"steps": 0}, (5.0, 30.0), "at", steps=(10, 400))),
    (0.5, _beyond_the_edge),
    (0.3, _for_a_while("volume", {"factor": 1.0}, (30.0, 300.0), "at", factor=(0.05, 20.0))),
]  # fmt: skip
_STATUSES = ["maintenance", "cancel_only", "post_only", "limit_only"]
_ONLY_ON: dict[str, list[tuple[float, Ill]]] = {
    "bybit": [(2.0, _once("gap", "book", count=(1, 3))), (0.5, _once("restart", "book"))],
    "binance": [
        (2.0, _once("gap", "book", count=(1, 3))),
        (1.0, _once("server_shutdown", seconds=(1.0, 15.0))),
        (3.0, _once("placeholder_trade", "at")),
        (0.3, _for_a_while("batch_diffs", {"ms": 100.0}, (5.0, 30.0), ms=[250.0, 500.0, 1000.0])),
    ],
    "kraken": [
        (1.0, _for_a_while("status", {"system": "online"}, (3.0, 30.0), system=_STATUSES)),
        (2.0, _for_a_while("message_allowance", {"capacity": None}, (5.0, 30.0), capacity=(1, 3))),
        # Only here: elsewhere no client could tell that levels under right numbers are wrong.
        (0.5, _once("corrupt_level", "book")),
        (1.0, _once("corrupt_checksum", "book")),
        (1.0, _once("checksum_without_data", "book")),
        (2.0, _once("unchanged_update", "book")),
        (2.0, _once("two_in_one_frame", "book")),
    ],
    "okx": [
        (2.0, _once("gap", "book", count=(1, 3))),
        (0.5, _once("restart", "book")),
        (1.0, _once("unchanged_update", "book")),
        (1.0, _once("server_shutdown", seconds=(1.0, 15.0))),
    ],
}
