"""Collect books from any exchange of ccxt.pro without a folder of its own, unproven."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.exchanges.unverified.facts import CCXT_NAMES, UNVERIFIED
else:
    __getattr__, __dir__ = face(__name__, __file__)
