"""Take every book of ccxt as it comes: of an exchange that nobody wrote a folder for nothing proves it."""

from collector.book.verified import WholeBooks


def rule_of(_kind: str, _channel: str, _market: object) -> WholeBooks:
    """Make the rule of a book: ccxt's come whole."""
    return WholeBooks("none", ids_grow=False)
