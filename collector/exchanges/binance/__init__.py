"""Collect from Binance: facts, topics, frames, market data, integrity rule. Pure, without ccxt."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.exchanges.binance.facts import BINANCE
    from collector.exchanges.binance.market_data import read_binance_trade
else:
    __getattr__, __dir__ = face(__name__, __file__)
