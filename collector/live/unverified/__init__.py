"""Collect the books of exchanges that have no folder of their own, as ccxt keeps them."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.live.unverified.books import UnverifiedBooks
    from collector.live.unverified.socket import UnverifiedSocket
else:
    __getattr__, __dir__ = face(__name__, __file__)
