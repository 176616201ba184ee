"""Faults put into the collector on purpose: each must be seen by the reckoning, or it proves nothing."""

import asyncio
import dataclasses
import importlib
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from reckoning import Reckoning

BOOK_RULES = {
    "collector.exchanges.bybit.rule": ("Continuity",),
    "collector.exchanges.okx.rule": ("PreviousSequence",),
    "collector.exchanges.binance.rule": ("SpotContinuity", "UsdmContinuity"),
}
CLAIMED_TOO_LONG_NS = 3_000_000_000
ONE_IN = 100


Step = tuple[float, str, dict[str, Any]]  # after how many seconds, which fault, with which arguments
_ON = {
    "bybit": {"exchange": "bybit", "symbol": "BTC/USDT"},
    "binance": {"exchange": "binance", "symbol": "BTC/USDT:USDT"},
    "kraken": {"exchange": "kraken", "symbol": "BTC/USD"},
    "okx": {"exchange": "okx", "symbol": "BTC/USDT"},
}


def _stalled(exchange: str, channel: str, from_s: float, until_s: float) -> list[Step]:
    """Stall a channel for a while."""
    where = {**_ON[exchange], "channel": channel}
    return [(from_s, "stall", where), (until_s, "unstall", where)]


@dataclass(frozen=True)
class Plant:
    """One fault: how it is put in, what must be found, and what brings it about for sure."""

    name: str
    put_in: Callable[[pytest.MonkeyPatch], None]
    found_as: str  # the field of the reckoning that must not be empty
    among: str = ""  # where: part of the name of a stream
    steps: Sequence[Step] = ()
    fault_every_s: float = 0.5  # longer where other faults would excuse what it does

    def __str__(self) -> str:
        return self.name

    def traces(self, found: Reckoning) -> list[str]:
        """List what the reckoning found of it."""
        told = [str(one) for one in getattr(found, self.found_as)]
        return [one for one in told if self.among in one]


def _attribute(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _jumps_of_books_are_not_seen(patch: pytest.MonkeyPatch) -> None:
    verdict = _attribute("collector.book.verified", "Verdict")
    for module, names in BOOK_RULES.items():
        for name in names:
            rule = _attribute(module, name)
            judge = rule.judge_delta

            def lenient(self: Any, last: int | None, delta: Any, judge: Any = judge) -> Any:
                found = judge(self, last, delta)
                return verdict.CONTINUES if found is verdict.BREAKS and last is not None else found

            patch.setattr(rule, "judge_delta", lenient)


def _jumps_of_trades_are_not_seen(patch: pytest.MonkeyPatch) -> None:
    stream = _attribute("collector.streams.trade_stream", "TradeStream")

    def remember(self: Any, trade: Any, *_others: object) -> None:
        self._last = self._newer(trade)

    patch.setattr(stream, "_check_number", remember)


def _checksums_are_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_attribute("collector.exchanges.kraken.rule", "Checksum"), "prove", lambda *_: None)


def _doubt_does_not_reach_back(patch: pytest.MonkeyPatch) -> None:
    """Leave what was claimed while a stream was silent, though its next number shows a loss."""
    buffer = _attribute("collector.buffer.buffer", "Buffer")
    close = buffer.close_segment

    def claim(self: Any, closed: Any) -> None:
        if closed.alive_until_ns is None:
            closed = dataclasses.replace(closed, alive_until_ns=time.time_ns())
        close(self, closed)

    patch.setattr(buffer, "close_segment", claim)


def _a_cut_connection_is_claimed_for_longer(patch: pytest.MonkeyPatch) -> None:
    buffer = _attribute("collector.buffer.buffer", "Buffer")
    close = buffer.close_segment

    def claim(self: Any, closed: Any) -> None:
        if closed.cause == "disconnect" and closed.alive_until_ns is not None:
            until_ns = closed.alive_until_ns + CLAIMED_TOO_LONG_NS
            closed = dataclasses.replace(closed, alive_until_ns=until_ns)
        close(self, closed)

    patch.setattr(buffer, "close_segment", claim)


def _rest_jumps_over_what_is_on_its_way(patch: pytest.MonkeyPatch) -> None:
    """Take a snapshot that is ahead of the stream at once: the updates up to it come too late then."""
    module = importlib.import_module("collector.book.bridged")
    take = module.BridgedBook._take

    def hurried(self: Any, rebuilt: Any) -> Any:
        before = self.last_sequence
        if before is not None and rebuilt.sequence > before:
            return self._install(rebuilt, module.CONTINUED)
        return take(self, rebuilt)

    patch.setattr(module.BridgedBook, "_take", hurried)


def _some_rows_get_lost(patch: pytest.MonkeyPatch) -> None:
    buffer = _attribute("collector.buffer.buffer", "Buffer")
    append, turns = buffer.append, itertools.count(1)

    def forgetful(self: Any, stream: int, received: int, *others: Any) -> bool:
        if next(turns) % ONE_IN:
            stored: bool = append(self, stream, received, *others)
            return stored
        self.count_merged(stream, received)
        return True

    patch.setattr(buffer, "append", forgetful)


def _some_rows_are_made_up(patch: pytest.MonkeyPatch) -> None:
    buffer = _attribute("collector.buffer.buffer", "Buffer")
    append, turns = buffer.append, itertools.count(1)

    def inventive(self: Any, *values: Any) -> bool:
        given = list(values)
        if next(turns) % ONE_IN == 0 and given[4] is not None:
            given[4] += 10**7
        stored: bool = append(self, *given)
        return stored

    patch.setattr(buffer, "append", inventive)


def _best_prices_go_on_over_a_stall(patch: pytest.MonkeyPatch) -> None:
    stream = _attribute("collector.streams.book_stream", "BookStream")
    resyncs = _attribute("collector.live.resync", "Resyncs")
    due = resyncs.due

    def unasked(self: Any, streams: Any, *others: Any) -> Any:
        return due(self, [one for one in streams if not (one.verified and one.key.channel == "bbo")], *others)

    patch.setattr(resyncs, "due", unasked)
    patch.setattr(stream, "sees_what_is_lost", property(lambda _self: True))


def _quiet_is_called_stale(patch: pytest.MonkeyPatch) -> None:
    subscriptions = _attribute("collector.live.topic_subscriptions", "TopicSubscriptions")
    go_on = subscriptions.go_on

    async def impatient(self: Any) -> None:
        now_ns = self._context.clock.now_ns()
        for stream in self.books:
            if stream.verified and now_ns - stream.last_update_at_ns > CLAIMED_TOO_LONG_NS:
                stream.end_segment("stale", "silent", alive_until_ns=None)
                stream.forget()
                self._to_subscribe.append(stream.topic.name)
        await go_on(self)

    patch.setattr(subscriptions, "go_on", impatient)


def _each_refusal_is_for_good(patch: pytest.MonkeyPatch) -> None:
    subscriptions = _attribute("collector.live.topic_subscriptions", "TopicSubscriptions")
    try:
        refusals = importlib.import_module("collector.live.refusals")
    except ModuleNotFoundError:
        assert hasattr(subscriptions, "_refuse")  # it is so
        return
    for name in ("collector.live.topic_subscriptions", "collector.live.refusals", "collector.live.put_off"):
        module = importlib.import_module(name)
        if hasattr(module, "meaning_of"):
            patch.setattr(module, "meaning_of", lambda *_: refusals.Meaning.PERMANENT)


def _an_odd_list_of_markets_ends_the_exchange(patch: pytest.MonkeyPatch) -> None:
    user = importlib.import_module("collector.live.feed")
    if not hasattr(user, "load_until"):
        user = importlib.import_module("collector.live.market_list")

    async def once(_stopped: Any, source: Any, timeout_s: float, *_others: Any) -> Any:
        load = _attribute("collector.network.markets", "load_markets")
        try:
            return await asyncio.to_thread(load, source, timeout_s)
        except Exception:  # noqa: BLE001  (whatever it was: the old way)
            return None

    patch.setattr(user, "load_until", once)


def _a_book_is_fetched_while_it_is_fetched(patch: pytest.MonkeyPatch) -> None:
    requests = _attribute("collector.live.book_requests", "BookRequests")
    patch.setattr(requests, "_is_free", lambda self, stream: stream.topic.name not in self._wire)


def _questions_have_no_patience(patch: pytest.MonkeyPatch) -> None:
    """Take for stalled what is only on its way: REST shows it a batch earlier."""
    patch.setattr(importlib.import_module("collector.live.resync"), "PATIENCE_S", 0.0)


def _bars_of_one_market_share_a_connection(patch: pytest.MonkeyPatch) -> None:
    subscriptions = _attribute("collector.live.topic_subscriptions", "TopicSubscriptions")
    patch.setattr(subscriptions, "tells_apart", lambda self, stream: self._router.tells_apart(stream))


def _a_dead_connection_is_waited_for_while_another_stands_by(patch: pytest.MonkeyPatch) -> None:
    """Count what only the new connection brings as merged until the old one is well again, or a minute."""
    paired = _attribute("collector.streams.paired_stream", "PairedStream")
    stream = _attribute("collector.streams.stream", "Stream")
    replacement = importlib.import_module("collector.live.replacement")
    nobody_stores = paired._nobody_stores.fget

    def merged(self: Any, _held: Any) -> None:
        self._buffer.count_merged(self.number, self._tally.received)

    async def patient(self: Any, _old: Any, new: Any, pairs: dict[Any, Any]) -> bool:
        until_s = time.monotonic() + replacement.HAND_OVER_S
        while not self._stopped.is_set() and time.monotonic() < until_s:
            if all(one.verified and standby.in_step() for one, standby in pairs.items()):
                return True
            await new.next_frame(replacement.HAND_OVER_TICK_S)
        return True

    patch.setattr(paired, "_hold", merged)
    alone = property(lambda self: not self._standby and nobody_stores(self))
    patch.setattr(paired, "_nobody_stores", alone)
    patch.setattr(paired, "end_segment", stream.end_segment)
    patch.setattr(replacement.Replacements, "_hand_over", patient)


def _an_announced_end_is_not_prepared_for(patch: pytest.MonkeyPatch) -> None:
    connection = _attribute("collector.live.connection", "Connection")
    patch.setattr(connection, "ends_soon", property(lambda _self: False))


PLANTS = [
    Plant(
        "jumps of books are not seen",
        _jumps_of_books_are_not_seen,
        "losses",
        " book.",
        [(3.0, "drop_frame", {**_ON["bybit"], "channel": "book.50", "count": 3})],
    ),
    Plant(
        "jumps of trades are not seen",
        _jumps_of_trades_are_not_seen,
        "losses",
        " trade ",
        [(3.0, "drop_frame", {**_ON["binance"], "channel": "trade", "count": 3})],
    ),
    Plant(
        "checksums are not looked at",
        _checksums_are_not_looked_at,
        "losses",
        "kraken BTC/USD book.10 ",
        _stalled("kraken", "book.10", 4.0, 5.5),
    ),
    Plant(
        "doubt does not reach back",
        _doubt_does_not_reach_back,
        "losses",
        "",
        [*_stalled("bybit", "book.50", 3.0, 8.0), *_stalled("binance", "book", 3.0, 8.0)],
    ),
    Plant(
        "a cut connection is claimed for longer",
        _a_cut_connection_is_claimed_for_longer,
        "losses",
        "",
        [(4.0, "refuse", {"exchange": "bybit", "count": 8}), (4.1, "reset", {"exchange": "bybit"})],
    ),
    Plant(
        "REST jumps over what is on its way",
        _rest_jumps_over_what_is_on_its_way,
        "losses",
        "binance",
        [
            (0.0, "snapshot_edge", {**_ON["binance"], "levels": 15}),
            (0.0, "batch_diffs", {"exchange": "binance", "ms": 1000.0}),
        ],
    ),
    Plant("some rows get lost", _some_rows_get_lost, "losses"),
    Plant("some rows are made up", _some_rows_are_made_up, "extra_rows"),
    Plant(
        "best prices go on over a stall",
        _best_prices_go_on_over_a_stall,
        "losses",
        " bbo ",
        _stalled("bybit", "bbo", 2.0, 11.0),
    ),
    Plant(
        "quiet is called stale",
        _quiet_is_called_stale,
        "false_holes",
        "",
        [(2.0, "tempo", {**_ON[name], "factor": 0.0, "seconds": 9.0}) for name in _ON],
    ),
    Plant(
        "each refusal is for good",
        _each_refusal_is_for_good,
        "false_holes",
        "",
        [
            (2.0, "refuse_subscription", {"exchange": "bybit", "count": 3}),
            (2.1, "reset", {"exchange": "bybit"}),
        ],
    ),
    Plant(
        "an odd list of markets ends the exchange",
        _an_odd_list_of_markets_ends_the_exchange,
        "never_covered",
        "kraken",
        [(0.0, "rest_missing_key", {"exchange": "kraken", "key": "altname", "count": 3})],
    ),
    Plant(
        "a book is fetched while it is fetched",
        _a_book_is_fetched_while_it_is_fetched,
        "asked_again",
        "binance",
        [
            (0.0, "rest_slow", {"exchange": "binance", "delay_s": 8.0, "count": 2, "path": "depth"}),
        ],
    ),
    Plant(
        "questions have no patience",
        _questions_have_no_patience,
        "false_holes",
        "stale (silent at",
        [
            (0.0, "batch_diffs", {"exchange": "binance", "ms": 2400.0}),
            (2.0, "tempo", {**_ON["binance"], "factor": 0.04, "seconds": 11.0}),
            (2.0, "tempo", {"exchange": "binance", "symbol": "BTC/USDT", "factor": 0.04, "seconds": 11.0}),
        ],
    ),
    Plant(
        "bars of one market share a connection",
        _bars_of_one_market_share_a_connection,
        "never_covered",
        "ohlcv",
    ),
    Plant(
        "a dead connection is waited for while another stands by",
        _a_dead_connection_is_waited_for_while_another_stands_by,
        "false_holes",
        "binance",
        [
            (2.4, "rest_slow", {"exchange": "binance", "delay_s": 3.0, "count": 20, "path": "depth"}),
            (2.5, "server_shutdown", {"exchange": "binance", "seconds": 2.5}),
            (4.5, "refuse", {"exchange": "binance", "count": 100}),
        ],
        fault_every_s=6.0,
    ),
    Plant(
        "an announced end is not prepared for",
        _an_announced_end_is_not_prepared_for,
        "false_holes",
        "close_1001",
        [(2.0, "server_shutdown", {"exchange": "binance", "seconds": 9.0})],
        fault_every_s=10.0,
    ),
]
