"""Prove Kraken's books by their checksum. https://docs.kraken.com/api/docs/guides/spot-ws-book-v2.

The CRC32 is taken over digits as the exchange writes them. Where its text keeps the zeros at the end, as all
that were recorded do, the text is enough, and right even on the day when a pair's decimals change.
"""

from collections.abc import Mapping
from typing import Any
from zlib import crc32

from collector.book import Book, Verdict, WholeBooks
from collector.events import BBO, Channel, Delta, Levels, Snapshot, Texts

CHECKSUM_LEVELS = 10  # at every subscribed depth


class Checksum:
    """There are no sequence numbers: after each message the best levels must have the checksum it tells."""

    verification = "checksum"

    def __init__(self, depth: int, price_precision: int, size_precision: int) -> None:
        self._most_kept = 2 * depth
        self._price_scale = 10.0**price_precision
        self._size_scale = 10.0**size_precision
        self._bids: dict[float, str] = {}  # by price, the digits that a level adds to the checksum
        self._asks: dict[float, str] = {}

    def judge_delta(self, last_sequence: int | None, delta: Delta) -> Verdict:
        """Accept every delta: `prove` checks the book that results."""
        del last_sequence, delta
        return Verdict.CONTINUES

    def judge_snapshot(self, last_sequence: int | None, snapshot: Snapshot) -> Verdict:
        """Judge a snapshot in mid-stream a new beginning: nothing joins it to what was."""
        del last_sequence, snapshot
        return Verdict.RESTARTS

    def prove(self, book: Book, message: Snapshot | Delta) -> str | None:
        """Return None when the book has the message's checksum, otherwise what was expected and found.

        Wants every message that the book takes, after it was applied and cut to the subscribed depth.
        """
        if isinstance(message, Snapshot):
            self._bids, self._asks = {}, {}
        bids, asks = self._bids, self._asks
        _keep(bids, message.bids, message.bid_texts)
        _keep(asks, message.asks, message.ask_texts)
        best_asks = book.asks.prices[:CHECKSUM_LEVELS]
        best_bids = book.bids.prices[: -CHECKSUM_LEVELS - 1 : -1]
        digits = [asks.get(price, "") for price in best_asks]
        digits += [bids.get(price, "") for price in best_bids]
        found = crc32("".join(digits).encode())
        if found != message.checksum and self._by_precision(book) != message.checksum:
            levels = f"{len(best_asks)} asks and {len(best_bids)} bids"
            return f"checksum {message.checksum} expected, {found} found of {levels}"
        if len(bids) > self._most_kept:  # levels that were cut off the book
            self._bids = {price: bids[price] for price in book.bids.prices if price in bids}
        if len(asks) > self._most_kept:
            self._asks = {price: asks[price] for price in book.asks.prices if price in asks}
        return None

    def _by_precision(self, book: Book) -> int:
        """Sum the numbers at the pair's decimals, for a text that left zeros out or has an exponent.

        Rounding finds the exchange's own digits up to 2^51 units of the last decimal.
        """
        best_asks, best_bids = slice(CHECKSUM_LEVELS), slice(None, -CHECKSUM_LEVELS - 1, -1)
        top = [
            *zip(book.asks.prices[best_asks], book.asks.lots[best_asks], strict=True),
            *zip(book.bids.prices[best_bids], book.bids.lots[best_bids], strict=True),
        ]
        digits = [
            f"{round(price * self._price_scale)}{round(size * self._size_scale)}" for price, size in top
        ]
        return crc32("".join(digits).encode())


def rule_of(_kind: str, channel: str, market: Mapping[str, Any]) -> Checksum | WholeBooks:
    """Make the rule of a book, for the decimals that the exchange says its market has."""
    if channel == BBO:
        return WholeBooks()
    info = market["info"]
    return Checksum(Channel.of(channel).depth, int(info["pair_decimals"]), int(info["lot_decimals"]))


def _keep(kept: dict[float, str], levels: Levels, texts: Texts) -> None:
    for (price, size), (price_text, size_text) in zip(levels, texts, strict=True):
        if size:
            price_digits = price_text.replace(".", "").lstrip("0")
            kept[price] = price_digits + size_text.replace(".", "").lstrip("0")
        else:
            kept.pop(price, None)
