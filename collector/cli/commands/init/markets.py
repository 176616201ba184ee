"""Parse the names of markets that a person gives, exchange by exchange."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from collector.errors import UserError
from collector.exchanges.exchange import kind_of, one_of
from collector.exchanges.registry import exchange_of

_NAME = re.compile(r"""[^\s,/:\[\]{}'"#]{1,40}""")
_STABLE = ("USDT", "USDC")  # quotes of names such as BTCUSDT
_QUOTED_IN_DOLLARS = "USD"


_FORMS: Mapping[str, str] = MappingProxyType({"spot": "{base}/{quote}", "linear": "{base}/{quote}:{quote}"})
_WORDS: Mapping[str, str] = MappingProxyType({"spot": "spot", "linear": "perpetuals"})


def usual_text(exchange: str) -> str | None:
    """Describe the market that a coin alone means on an exchange; None if it means none."""
    usual = exchange_of(exchange).usual_market
    return None if usual is None else f"{_WORDS[usual[0]]} in {usual[1]}"


def markets(exchanges: Sequence[str], text: str) -> dict[str, tuple[str, ...]]:
    """Return the unified names of the markets of each exchange.

    `text` has names separated by commas: a coin (`BTC`), a market (`BTC/USDT:USDT`) or either behind an
    exchange (`kraken:BTC/USD`). A market goes to every exchange that has its kind. UserError says what
    cannot be understood, and which exchange is left without a market.
    """
    found: dict[str, list[str]] = {exchange: [] for exchange in exchanges}
    words = [word for word in (part.strip() for part in text.split(",")) if word]
    if not words:
        raise UserError("no market is named, expected some, such as BTC,ETH or BTC/USDT:USDT")
    for word in words:
        meant, name = _addressed(exchanges, word)
        fitting = [exchange for exchange in meant if _fits(exchange, name)]
        if not fitting:
            raise UserError(_nowhere(meant, name))
        for exchange in fitting:
            symbol = name if "/" in name else _usual(exchange, name)
            if symbol not in found[exchange]:
                found[exchange].append(symbol)
    for exchange, symbols in found.items():
        if not symbols:
            names = one_of([f"{exchange}:{example}" for example in _examples(exchange)])
            raise UserError(f"no market of {exchange} is among {text.strip()!r}, expected {names} as well")
    return {exchange: tuple(symbols) for exchange, symbols in found.items()}


def _addressed(exchanges: Sequence[str], word: str) -> tuple[Sequence[str], str]:
    """Return the exchanges that a word is meant for, and the market it names."""
    first, colon, rest = word.partition(":")
    if not colon or "/" in first:
        return exchanges, _checked(word)
    if first.lower() not in exchanges:
        raise UserError(f"{word!r} names the exchange {first!r}, expected {one_of(exchanges)}")
    return (first.lower(),), _checked(rest.strip())


def _checked(name: str) -> str:
    name = name.upper()
    if "/" in name:
        pair, _, settled = name.partition(":")
        parts = [*pair.split("/"), *([settled] if ":" in name else [])]
        if len(pair.split("/")) == 2 and all(map(_NAME.fullmatch, parts)):  # noqa: PLR2004
            return name
    elif _NAME.fullmatch(name):
        if name.endswith(_QUOTED_IN_DOLLARS) and name != _QUOTED_IN_DOLLARS:
            raise UserError(
                f"{name!r} can be read in several ways, expected a coin like BTC, or a market like BTC/USD"
            )
        return name
    raise UserError(f"{name!r} names no market, expected a coin such as BTC, or BTC/USDT or BTC/USDT:USDT")


def _fits(exchange: str, name: str) -> bool:
    facts = exchange_of(exchange)
    if "/" not in name:
        return facts.usual_market is not None
    if name.partition("/")[2] == _QUOTED_IN_DOLLARS and not facts.has_spot_in_dollars:
        return False
    return kind_of(name) in facts.kinds


def _usual(exchange: str, coin: str) -> str:
    """Return the market of a coin that is usual on an exchange; BTCUSDT is the coin BTC in USDT."""
    usual = exchange_of(exchange).usual_market
    assert usual is not None  # noqa: S101  (`_fits` looked)
    kind, usual_quote = usual
    form = _FORMS[kind]
    for quote in _STABLE:
        base = coin.removesuffix(quote).rstrip("-_")
        if coin.endswith(quote) and base:
            return form.format(base=base, quote=quote)
    return form.format(base=coin, quote=usual_quote)


def _nowhere(exchanges: Sequence[str], name: str) -> str:
    names = ", ".join(exchanges)
    if "/" not in name:
        wanted = f"{name}/USDT (spot) or {name}/USDT:USDT (linear)"
        return (
            f"which market of {name} is meant at {names} is not known, expected its whole name, like {wanted}"
        )
    known = "; ".join(f"{exchange}: {', '.join(_examples(exchange))}" for exchange in exchanges)
    return f"{name!r} ({kind_of(name)}) is not collected from {names}, expected such as {known}"


def _examples(exchange: str) -> list[str]:
    """Return a market of each kind that an exchange has."""
    facts = exchange_of(exchange)
    quote = "USDT" if facts.usual_market is None else facts.usual_market[1]
    return [_FORMS[kind].format(base="BTC", quote=quote) for kind in facts.kinds]
