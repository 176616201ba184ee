"""Accept every book of ccxt as it comes: for these exchanges there is no proof."""

from collector.book.verified import WholeBooks


def rule_of(_kind: str, _channel: str, _market: object) -> WholeBooks:
    """Return the rule of a book: ccxt's come whole."""
    return WholeBooks("none", ids_grow=False)
