"""Ask an exchange how much was traded of each of its markets in the last 24 hours."""

import math

import ccxt

from collector.exchanges import MarketKind, exchange_of
from collector.network.answers import answered
from collector.network.budgeted import within_budgets
from collector.network.budgets import BUDGETS, Budgets
from collector.network.markets import Markets, Source, strict


def load_volumes(
    source: Source, markets: Markets, kind: MarketKind, timeout_s: float, budgets: Budgets = BUDGETS
) -> dict[str, float]:
    """Return what was traded of the markets of a kind, by ccxt's symbols, each in its quote currency.

    A market of which the exchange says nothing is left out. Asks within the exchange's budgets. Blocks: call
    it in a thread of its own. Raises StreamError.
    """
    how = exchange_of(source.exchange).tickers[kind]
    client = strict(ccxt, source.exchange)(source.config(timeout_s))
    source.address(client)
    client.set_markets_from_exchange(markets.loaded)
    turns = within_budgets(source, client, timeout_s, budgets, {kind: how.weight})
    with answered("read the tickers", client, source.exchange), turns:
        tickers = client.fetch_tickers(None, dict(how.params))
        volumes = {symbol: how.quote_volume(one) for symbol, one in tickers.items()}
    return {
        symbol: volume
        for symbol, volume in volumes.items()
        if volume is not None and math.isfinite(volume) and volume >= 0.0
    }
