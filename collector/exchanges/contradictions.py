"""Find what contradicts itself in the facts of an exchange, ours or one of a plug-in. Pure."""

import re
from collections.abc import Iterator
from importlib import import_module

from collector.events import BBO, BOOK, TRADE, Channel
from collector.exchanges.exchange import Exchange, MarketKind, Past

# The functions that a package of one's own must have, by module.
WANTED = {"frames": ("read_frame",), "rule": ("rule_of",)}
HISTORY = {"history": ("named", "read_page")}


def problems(exchange: Exchange) -> Iterator[str]:
    """Yield what contradicts itself in the facts of an exchange."""
    for environment, urls in exchange.addresses.own.items():
        for side in (urls.rest, urls.ws, exchange.addresses.replaced.rest, exchange.addresses.replaced.ws):
            if set(side) != set(exchange.kinds):
                yield f"{environment}: an address for each of {exchange.kinds} expected, found {set(side)}"
    if set(exchange.preferred) != set(exchange.kinds):
        yield f"preferred: {exchange.kinds} in some order expected, found {exchange.preferred}"
    for kind in exchange.kinds:
        yield from _problems_of_kind(exchange, kind)
    if exchange.is_verified and set(exchange.rest_limits) != set(exchange.kinds):
        yield f"limits of REST: each of {exchange.kinds} expected, found {set(exchange.rest_limits)}"
        return
    yield from _problems_of_history(exchange)


def _problems_of_kind(exchange: Exchange, kind: MarketKind) -> Iterator[str]:
    depths = exchange.depths[kind]
    if not isinstance(depths, range) and list(depths) != sorted(set(depths)):
        yield f"{kind}: depths in order expected, found {depths}"
    if kind not in exchange.limits.requests or kind not in exchange.limits.messages_a_second:
        yield f"{kind}: no limits"
        return
    deep = (depths[0], depths[-1]) if isinstance(depths, range) else depths
    books = (f"book.{depth}" for depth in deep)
    bars = (f"ohlcv.{interval}" for interval in exchange.intervals)
    same = {frozenset(pair) for pair in exchange.same_channels}
    found: dict[tuple[int, str], str] = {}
    for channel in (*books, BBO, TRADE, *bars):
        topic = exchange.topics.topic("A-B", "A/B", channel)
        place = exchange.addresses.index(kind, channel)
        if not all(place < len(urls.ws[kind]) for urls in exchange.addresses.own.values()):
            yield f"{kind} {channel}: no address {place}"
        if exchange.limits.expected_a_second(channel, kind) <= 0:
            yield f"{kind} {channel}: no messages are expected"
        other = found.setdefault((place, exchange.topics.route(topic)), channel)
        both_are_books = Channel.of(other).family == Channel.of(channel).family == BOOK
        if other != channel and not both_are_books and frozenset((other, channel)) not in same:
            yield f"{kind}: frames of {channel} and {other} cannot be told apart"


def _problems_of_history(exchange: Exchange) -> Iterator[str]:
    history = exchange.history
    if history is None:
        if exchange.is_verified and not exchange.package:
            yield "no history"
        return
    for name, pasts in (("trades", history.trades), ("bars", history.bars)):
        if set(pasts) != set(exchange.kinds):
            yield f"history of {name}: each of {exchange.kinds} expected, found {set(pasts)}"
    if not set(history.single_trades) <= set(exchange.kinds):
        found = set(history.single_trades)
        yield f"history of single trades: some of {exchange.kinds} expected, found {found}"
    named = (("trades", history.trades), ("bars", history.bars), ("single trades", history.single_trades))
    for name, pasts in named:
        for kind, past in pasts.items():
            yield from (f"history of {name}, {kind}: {problem}" for problem in _problems_of_past(past))
            if past.budget not in exchange.rest_limits[kind].weight:
                yield f"history of {name}, {kind}: {past.budget} is not among the limits of REST"


def _problems_of_past(past: Past) -> Iterator[str]:
    limits = (one for one in (past.newest_rows, past.newest_days, past.widest_s) if one is not None)
    numbers = (past.rows, past.weight, past.budget.most, past.budget.span_s, *limits)
    if min(numbers) <= 0:
        yield f"numbers above 0 expected, found {numbers}"
    if past.weight > past.budget.most:
        yield f"a call of {past.weight} is more than {past.budget.most}"
    if past.paging is None and past.newest_rows is None:
        yield "neither paging nor how many rows there are"
    bounds = {"id": (past.from_id, past.to_id), "time": (past.since, past.until)}
    if past.paging is not None and not any(bounds[past.paging]):
        yield f"pages by {past.paging}, and no parameter that says from where"


def problems_of_package(exchange: Exchange) -> Iterator[str]:
    """Yield what is missing in the package of an exchange of one's own. Imports its modules."""
    if re.fullmatch(r"[a-z0-9_]{1,40}", exchange.name) is None:
        yield f"name: small letters, digits and _ expected, found {exchange.name!r}"
    if not exchange.package:
        yield "package: the package with its frames, rule and history expected, found none"
        return
    for module, functions in (WANTED if exchange.history is None else WANTED | HISTORY).items():
        try:
            found = import_module(f"{exchange.package}.{module}")
        except Exception as error:  # noqa: BLE001  (whatever its import raises)
            yield f"{exchange.package}.{module}: cannot be imported: {error!r}"
            continue
        for name in functions:
            if not callable(getattr(found, name, None)):
                yield f"{exchange.package}.{module}: a function {name} expected, found none"
