"""Find the stored name that a caller means, or raise an error that says what there is. Pure."""

import re
from collections.abc import Collection, Iterable
from typing import Any

from collector.errors import QueryError
from collector.exchanges import DEFAULT_EXCHANGE
from collector.nearest import did_you_mean

Market = tuple[str, str]  # exchange and symbol
_SHOWN = 20
_NUMBERS = re.compile(r"(\d+)")


# What is said where such a table is empty: of the others every collector writes.
STORED_WHERE = {"collector_l2_levels": " (levels are stored with storage.features: deep, from then on)"}


def market_named(stored: Collection[Market], symbol: str, exchange: str | None, where: str) -> Market:
    """Return the one market that is meant by a symbol, of an exchange if one is named.

    A symbol may be written in any case and without marks (`BTCUSDT`, `btc/usdt:usdt`, `BTC-USDT-SWAP`).
    """
    of_all = sorted({own for _, own in stored})
    if exchange is not None:
        named = _same(_checked("exchange", exchange, DEFAULT_EXCHANGE), {one for one, _ in stored})
        found = symbols_meant(symbol, {own for one, own in stored if one == named})
        if not found:  # say where it is instead
            elsewhere = symbol_named(of_all, symbol, where)
            own = sorted({one for one, of in stored if of == elsewhere})
            hint = did_you_mean(exchange, own)
            raise QueryError(
                f"nothing is stored for {elsewhere!r} of {exchange!r}{hint}; "
                f"its exchanges here: {listed(own)}"
            )
        assert named is not None  # noqa: S101  (something of it was found)
        return named, _only(symbol, found)
    meant = symbol_named(of_all, symbol, where)
    own = sorted({one for one, of in stored if of == meant})
    if len(own) > 1:
        raise QueryError(
            f"{meant} is stored with more than one exchange: {listed(own)}; say which: exchange=..."
        )
    return own[0], meant


def filters_named(
    stored: Collection[Market], symbol: str | None, exchange: str | None, where: str
) -> tuple[str | None, str | None]:
    """Return the symbol and the exchange that are meant to choose by; None chooses all."""
    if symbol is not None and exchange is not None:
        named, own = market_named(stored, symbol, exchange, where)
        return own, named
    if exchange is not None:
        exchanges = sorted({one for one, _ in stored})
        named_exchange = _same(_checked("exchange", exchange, DEFAULT_EXCHANGE), exchanges)
        if named_exchange is None:
            hint = did_you_mean(exchange, exchanges)
            raise QueryError(
                f"nothing is stored of {exchange!r} in {where}{hint}; exchanges here: {listed(exchanges)}"
            )
        return None, named_exchange
    return None if symbol is None else symbol_named({own for _, own in stored}, symbol, where), None


def symbol_named(stored: Collection[str], symbol: str, where: str) -> str:
    """Return the one symbol that is meant."""
    found = symbols_meant(symbol, stored)
    if not found:
        hint = did_you_mean(symbol, stored)
        how = "" if stored else STORED_WHERE.get(where, "")
        raise QueryError(
            f"nothing is stored for {symbol!r} in {where}{hint}; symbols here: {listed(sorted(stored))}{how}"
        )
    return _only(symbol, found)


def symbols_meant(symbol: str, stored: Collection[str]) -> list[str]:
    """Return the symbols that a name may mean: the one that is called so, else all that are written so."""
    name = _checked("symbol", symbol, "BTC/USDT:USDT")
    if (called := _same(name, stored)) is not None:
        return [called]
    return sorted(one for one in stored if _letters(name) in _spellings(one))


def value_named(name: str, value: Any, stored: Collection[Any], of: str) -> Any:
    """Return the stored value that is meant: a depth, a kind, an interval, a source or a channel."""
    for one in stored:
        if one == value and not isinstance(value, bool | float):
            return one
    if isinstance(value, str) and (called := _same(value, [one for one in stored if isinstance(one, str)])):
        return called
    hint = did_you_mean(value, [str(one) for one in stored]) if isinstance(value, str) else ""
    raise QueryError(
        f"nothing is stored for {of} with {name} {value!r}{hint}; here: {listed(in_order(stored))}"
    )


def listed(names: Collection[Any]) -> str:
    """Write names for a person, not too many."""
    shown = ", ".join(str(name) for name in list(names)[:_SHOWN])
    return (shown + (" ..." if len(names) > _SHOWN else "")) or "none"


def in_order(values: Iterable[Any]) -> list[Any]:
    """Sort numbers by size, in words as well (`book.50` before `book.200`); what is missing comes last."""
    return sorted(values, key=lambda one: (one is None, [_part(part) for part in _NUMBERS.split(str(one))]))


def _part(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() else (-1, text)


def _only(symbol: str, found: list[str]) -> str:
    if len(found) > 1:
        raise QueryError(f"{symbol!r} may mean {' or '.join(found)}; say which")
    return found[0]


def _checked(name: str, given: object, example: str) -> str:
    if not isinstance(given, str):
        more = "; load several one after the other" if isinstance(given, list | tuple | set) else ""
        raise QueryError(f"{name} is {given!r}; expected one name, such as {example}{more}")
    return given.strip()


def _same(name: str, stored: Collection[str]) -> str | None:
    if name in stored:
        return name
    found = [one for one in stored if one.casefold() == name.casefold()]
    return found[0] if len(found) == 1 else None


def _spellings(symbol: str) -> set[str]:
    pair, _, settled = symbol.partition(":")
    names = {_letters(symbol), _letters(pair)}
    return names | {f"{_letters(pair)}SWAP"} if settled else names


def _letters(symbol: str) -> str:
    return "".join(character for character in symbol.upper() if character.isalnum()).replace("XBT", "BTC")
