"""Check values against each other, and against what an exchange offers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from collector.errors import UserError
from collector.events import OHLCV, Channel
from collector.exchanges import (
    EXCHANGES,
    UNVERIFIED_NAMES,
    Endpoints,
    Exchange,
    MarketKind,
    depth_problem,
    environment_problem,
    exchange_of,
    is_known,
    is_whole,
    kind_meant,
    kind_of,
    kinds_in_order,
    market_meant,
    one_of,
    plugin_problem,
    supported_text,
)
from collector.nearest import did_you_mean
from collector.retention import RetentionOptions
from collector.settings.keys import KeyPath
from collector.settings.layers import shown
from collector.settings.model import ExchangeSettings, ServeSettings, Settings
from collector.sinks import (
    StreamOptions,
    expected_of_follower,
    expected_of_store,
    follower_problem,
    is_store,
    store_problem,
)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A mistake in the values of `paths` taken together."""

    paths: tuple[KeyPath, ...]
    text: str


def contradictions(settings: Settings) -> Iterator[Contradiction]:
    """Yield every contradiction in `settings`."""
    for name, exchange in settings.exchanges.items():
        yield from _of_exchange(name, exchange, ("exchanges", name))
    yield from _of_database(settings)
    yield from _of_followers(settings)
    yield from _of_serve(settings.serve)
    yield from _of_retention(settings.retention)
    yield from _not_above(settings, ("writer", "batch_rows"), ("buffer", "max_rows"))
    yield from _not_above(settings, ("writer", "retry_base_s"), ("writer", "retry_max_s"))
    yield from _not_above(settings, ("breaker", "wait_base_s"), ("breaker", "wait_max_s"))
    yield from _not_above(settings, ("stream", "backoff_base_s"), ("stream", "backoff_max_s"))


def _not_above(settings: Settings, low: tuple[str, str], high: tuple[str, str]) -> Iterator[Contradiction]:
    values = settings.model_dump()
    least, most = values[low[0]][low[1]], values[high[0]][high[1]]
    if least > most:
        yield Contradiction((high, low), f"found {most}, expected at least {'.'.join(low)}, which is {least}")


def _of_database(settings: Settings) -> Iterator[Contradiction]:
    url, table_name = settings.database.url, settings.database.table_name
    wrong = store_problem(url) if url.isprintable() else f"expected {expected_of_store()}"
    if wrong is not None:
        yield Contradiction((("database", "url"),), f"found {shown(url)}, {wrong}")
    problem = _table_name_problem(table_name)
    if problem is not None:
        yield Contradiction((("database", "table_name"),), problem)


def _of_followers(settings: Settings) -> Iterator[Contradiction]:
    urls = [one.url for one in settings.followers]
    for number, (one, url) in enumerate(zip(settings.followers, urls, strict=True)):
        path: KeyPath = ("followers", number, "url")
        problem = follower_problem(url) if url.isprintable() else f"expected {expected_of_follower()}"
        if problem is not None:
            yield Contradiction((path,), f"found {shown(url)}, {problem}")
        elif url == settings.database.url:
            yield Contradiction((path,), f"found {shown(url)}, which is database.url, expected another sink")
        elif url in urls[:number]:
            yield Contradiction((path,), f"found {shown(url)} a second time, expected each follower once")
        if is_store(url) and settings.followers[number].stream != StreamOptions():
            text = "found records, coverage or dead_letters, expected them only of a stream like kinesis://"
            yield Contradiction((("followers", number),), text)
        if is_store(url) and one.heartbeat is not None and "heartbeat" in one.model_fields_set:
            text = "found a heartbeat, expected one only of a stream like kinesis://"
            yield Contradiction((("followers", number),), text)


def _of_serve(serve: ServeSettings) -> Iterator[Contradiction]:
    try:
        is_loopback = serve.host == "localhost" or ip_address(serve.host).is_loopback
    except ValueError:
        text = f"found {shown(serve.host)}, expected an address, like 127.0.0.1, ::1 or 0.0.0.0"
        yield Contradiction((("serve", "host"),), text)
        return
    if not is_loopback and serve.token is None and serve.enabled is not False:
        text = (
            f"found {shown(serve.host)}, where others can reach it, but no token, expected one in "
            "COLLECTOR_SERVE__TOKEN of the environment, or 127.0.0.1"
        )
        yield Contradiction((("serve", "host"),), text)


def _of_retention(retention: RetentionOptions) -> Iterator[Contradiction]:
    if retention.hot_hours is not None and retention.days is not None:
        text = (
            f"found {retention.hot_hours} hours and {retention.days:g} days (retention.days), which both say "
            "what stays in the database, expected one of them"
        )
        yield Contradiction((("retention", "hot_hours"), ("retention", "days")), text)


def _table_name_problem(table_name: str) -> str | None:
    from collector.database import check_table_name  # noqa: PLC0415  (costs what it imports)

    try:
        check_table_name(table_name)
    except (UserError, ValueError) as error:
        return str(error)
    return None


def _of_exchange(name: str, exchange: ExchangeSettings, at: KeyPath) -> Iterator[Contradiction]:
    plugin = plugin_problem(name)
    if plugin is not None:
        yield Contradiction((at,), f"found {plugin}")
        return
    if not is_known(name):
        known = one_of(list(EXCHANGES))
        text = f"found an exchange that is not known, expected {known}, or another of ccxt.pro's"
        yield Contradiction((at,), text + did_you_mean(name, [*EXCHANGES, *sorted(UNVERIFIED_NAMES)]))
        return
    problem = environment_problem(name, exchange.environment)
    if problem is not None:
        yield Contradiction(((*at, "environment"),), f"found {exchange.environment!r}, but {problem}")
    if exchange.data_source == "live_trading" and exchange.environment == "testnet":
        text = "found 'live_trading', but the environment is testnet, expected testnet or simulator"
        yield Contradiction(((*at, "data_source"), (*at, "environment")), text)
    kinds = exchange_of(name).kinds
    if exchange.market is not None and exchange.market not in kinds:
        text = f"found {exchange.market!r}, but {name} has no such markets, expected {one_of(kinds)}"
        yield Contradiction(((*at, "market"),), text)
    yield from _of_symbols(name, exchange, at)
    yield from _of_channels(name, exchange, at)
    yield from _of_sample(name, exchange, (*at, "sample", "symbols"))
    yield from _of_endpoints(exchange_of(name), exchange.endpoints, (*at, "endpoints"))
    ws, meant = exchange.endpoints.ws, _kinds_meant(name, exchange)
    if ws is not None and exchange.is_collected and len(meant) > 1 and is_whole(exchange_of(name), ws):
        text = f"found {shown(ws)}, one address, but markets of {' and '.join(meant)}, expected one kind"
        yield Contradiction(((*at, "endpoints", "ws"), (*at, "symbols")), text)


def _of_symbols(name: str, exchange: ExchangeSettings, at: KeyPath) -> Iterator[Contradiction]:
    if not exchange.is_collected:
        text = 'found no symbols, expected at least one, like ["BTC/USDT:USDT"]'
        yield Contradiction(((*at, "symbols"), (*at, "universe", "top")), text)
    yield from _of_universe(name, exchange, (*at, "universe"))
    named_as: dict[object, str] = {}
    for number, symbol in enumerate(exchange.symbols):
        path = (*at, "symbols", number)
        market = market_meant(name, symbol, exchange.market)
        if market in named_as:
            same = named_as[market]
            also = "" if same.upper() == symbol.upper() else f" (as {shown(same)})"
            yield Contradiction(
                (path,), f"found {shown(symbol)} a second time{also}, expected each symbol once"
            )
        elif kind_of(symbol) not in (None, *exchange_of(name).kinds):
            text = f"found {shown(symbol)} ({kind_of(symbol)}), expected what this version collects:"
            yield Contradiction((path,), f"{text} {supported_text(name)}")
        named_as.setdefault(market, symbol)


def _of_universe(name: str, exchange: ExchangeSettings, at: KeyPath) -> Iterator[Contradiction]:
    universe = exchange.universe
    if universe.top is None:
        return
    if kinds_in_order(name, exchange.market)[0] not in exchange_of(name).tickers:
        able = ", ".join(one for one, facts in EXCHANGES.items() if facts.tickers)
        text = f"found {universe.top}, but how {name} tells what is traded was not looked up, expected null"
        yield Contradiction(((*at, "top"),), f"{text} (a universe can be of {able})")
    if not universe.quote.isalnum() or not universe.quote.isascii():
        yield Contradiction(
            ((*at, "quote"),), f"found {shown(universe.quote)}, expected a currency, like USDT"
        )


def _of_channels(name: str, exchange: ExchangeSettings, at: KeyPath) -> Iterator[Contradiction]:
    if not exchange.channels:
        yield Contradiction(((*at, "channels"),), "found no channels, expected at least one, like book.50")
    for number, channel in enumerate(exchange.channels):
        if channel in exchange.channels[:number]:
            problem: str | None = f"found {shown(channel)} a second time, expected each channel once"
        else:
            problem = _channel_problem(name, channel, _kinds_meant(name, exchange))
        if problem is not None:
            yield Contradiction(((*at, "channels", number), (*at, "symbols")), problem)
    for one, other in exchange_of(name).same_channels:
        if one in exchange.channels and other in exchange.channels:
            numbers = sorted(exchange.channels.index(channel) for channel in (one, other))
            paths = tuple((*at, "channels", number) for number in numbers)
            text = f"found both {one} and {other}, which are one and the same at {name}, expected one of them"
            yield Contradiction(paths, text)


def _of_sample(name: str, exchange: ExchangeSettings, at: KeyPath) -> Iterator[Contradiction]:
    named = {market_meant(name, symbol, exchange.market) for symbol in exchange.symbols}
    named_as: dict[object, str] = {}
    for symbol, sample in exchange.sample.symbols.items():
        market = market_meant(name, symbol, exchange.market)
        is_named = symbol in exchange.symbols or market in named
        if not is_named and exchange.universe.top is None:
            yield Contradiction(
                ((*at, symbol),), "found a market that symbols does not name, expected one of them"
            )
        elif market in named_as:
            text = f"found a market a second time (as {shown(named_as[market])}), expected it once"
            yield Contradiction(((*at, symbol),), text)
        named_as.setdefault(market, symbol)
        if sample.interval_ms is not None and sample.mode != "interval":
            text = (
                f"found {sample.interval_ms}, but mode is {sample.mode}, expected it with mode interval only"
            )
            yield Contradiction(((*at, symbol, "interval_ms"),), text)


def _kinds_meant(name: str, exchange: ExchangeSettings) -> list[MarketKind]:
    """Return the kinds of market that the symbols mean; without symbols, all kinds that can be collected."""
    meant = {kind_meant(name, symbol, exchange.market) for symbol in exchange.symbols}
    if exchange.universe.top is not None:
        meant.add(next(iter(kinds_in_order(name, exchange.market))))
    return [kind for kind in exchange_of(name).kinds if not meant or kind in meant]


def _channel_problem(name: str, channel: str, kinds: Sequence[MarketKind]) -> str | None:
    facts = exchange_of(name)
    meant = Channel.of(channel)
    found = f"found {shown(channel)}"
    if not meant.is_well_formed:
        return f"{found}, expected book.<depth>, bbo, trade or ohlcv.<interval>"
    if meant.family not in facts.families:
        return f"{found}, expected what this version collects: {supported_text(name)}"
    if meant.family == OHLCV and meant.interval not in facts.intervals:
        return (
            f"{found}, an interval that {name} does not offer, expected one of {', '.join(facts.intervals)}"
        )
    problems = (depth_problem(name, kind, channel) for kind in kinds)
    return next((f"{found}, {problem}" for problem in problems if problem is not None), None)


def _of_endpoints(facts: Exchange, endpoints: Endpoints, at: KeyPath) -> Iterator[Contradiction]:
    for name, url, schemes in (
        ("rest", endpoints.rest, ("http", "https")),
        ("ws", endpoints.ws, ("ws", "wss")),
    ):
        if url is not None:
            problem = _url_problem(url, schemes)
            word = facts.addresses.ws_base_never_holds
            if problem is None and name == "ws" and word is not None and word in url:
                # ccxt would take every message for one of another kind of market.
                problem = f"found {shown(url)}, expected a URL without {word!r} in it: use an address instead"
            if problem is not None:
                yield Contradiction(((*at, name),), problem)


def _url_problem(url: str, schemes: tuple[str, ...]) -> str | None:
    expected = f"expected a URL like {schemes[0]}://host:8900"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        return f"found an address that cannot be read, {expected}"
    if "@" in url:
        return f"found an address with a name or a password in it (not shown), {expected}"
    if not usable or not url.isprintable() or " " in url or parts.query or parts.fragment:
        return f"found {shown(url)}, {expected}"
    return None
