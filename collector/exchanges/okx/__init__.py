"""Collect from OKX: facts, topics, frames, market data, integrity rule. Pure, without ccxt."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.exchanges.okx.facts import OKX
else:
    __getattr__, __dir__ = face(__name__, __file__)
