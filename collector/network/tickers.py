"""Ask an exchange how much was traded of each of its markets in the last 24 hours."""

import math
import time

import ccxt

from collector.errors import StreamError
from collector.exchanges import MarketKind, exchange_of
from collector.network.allowance import Need
from collector.network.answers import classify_answer
from collector.network.budgeted import Budgeted
from collector.network.budgets import BUDGETS, Budgets
from collector.network.failure_table import FailureClass
from collector.network.failures import unreadable
from collector.network.markets import Markets, Source, strict


def load_volumes(
    source: Source, markets: Markets, kind: MarketKind, timeout_s: float, budgets: Budgets = BUDGETS
) -> dict[str, float]:
    """Return what was traded of the markets of a kind, by ccxt's symbols, each in its quote currency.

    A market of which the exchange says nothing is left out. Asks within the exchange's budgets. Blocks: call
    it in a thread of its own. Raises StreamError.
    """
    how = exchange_of(source.exchange).tickers[kind]
    client = strict(getattr(ccxt, source.exchange), source.exchange)(source.config(timeout_s))
    source.address(client)
    client.set_markets_from_exchange(markets.loaded)
    client.fetch = Budgeted(source, client, timeout_s, budgets, {kind: how.weight}, Need.MARKETS)
    try:
        tickers = client.fetch_tickers(None, dict(how.params))
        volumes = {symbol: how.quote_volume(one) for symbol, one in tickers.items()}
    except Exception as error:  # noqa: BLE001  (ccxt's parsers raise whatever an odd answer leads to)
        found = error if isinstance(error, ccxt.BaseError) else unreadable(error)
        failure = classify_answer(found, source.exchange, client.last_response_headers, time.time())
        permanent = failure.kind is FailureClass.PERMANENT
        text = f"could not read the tickers: {failure.cause}: {failure.detail}"
        raise StreamError(text, permanent=permanent, retry_after_s=failure.retry_after_s) from found
    finally:
        client.session.close()
        del client.fetch  # its reference to the client would be a circle
    return {
        symbol: volume
        for symbol, volume in volumes.items()
        if volume is not None and math.isfinite(volume) and volume >= 0.0
    }
