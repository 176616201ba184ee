"""Write the configuration as YAML, with a comment for each line."""

import json
from collections.abc import Sequence

from collector.cli.commands.init.answers import Answers, Database
from collector.cli.commands.init.purposes import Purpose, channels
from collector.events.channel import Channel
from collector.exchanges.registry import EXCHANGES

_CHANNELS = {
    "book": "the order book, {rest} levels a side; features are made of the best ten (storage.levels)",
    "bbo": "best bid and ask, as they change; the book is compared with them",
    "trade": "every trade; the book and the bars are compared with them",
    "ohlcv": "bars of {rest}, as the exchange makes them",
}
_SECTIONS = {
    "symbols": "    # Markets by ccxt's names: BTC/USDT is spot, BTC/USDT:USDT a perpetual settled in USDT.",
    "channels": "    # What of each market; docs/channels.md says what is stored, and what else there is.",
    "sample": "    # Rows of a book that are stored: every, on_top_change or interval (docs/features.md).",
}
_UNPROVEN = "    # ccxt's books are stored as they come: nothing proves them, or shows what is missing."
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-")
_COMMENT_AT = 26


def yaml_text(answers: Answers, *, made_by: str) -> str:
    """Return the text of the file; `made_by` is the command that writes the same file."""
    lines = [
        f"# For {answers.purpose.text}.",
        f"# Made by: {made_by}",
        "# A file holds only what differs from the defaults. Every key, its unit and its default are in",
        "# docs/configuration.md. Environment variables (COLLECTOR_...) and options outrank what is here.",
        "",
        "exchanges:",
    ]
    for number, (exchange, symbols) in enumerate(answers.markets.items()):
        lines += _exchange(exchange, symbols, answers.purpose, is_first=number == 0)
    lines += ["", "database:", *_database(answers.database)]
    return "\n".join(lines) + "\n"


def _exchange(exchange: str, symbols: Sequence[str], purpose: Purpose, *, is_first: bool) -> list[str]:
    """Write one exchange; its sections are explained at the first only."""

    def section(name: str) -> list[str]:
        return [*([_SECTIONS[name]] if is_first else []), f"    {name}:"]

    lines = [f"  {exchange}:"]
    if exchange not in EXCHANGES:
        lines.append(_UNPROVEN)
    lines += section("symbols")
    lines += [f"      - {_scalar(symbol)}" for symbol in symbols]
    lines += section("channels")
    for channel in channels(purpose, exchange, symbols):
        meant = Channel.of(channel)
        lines.append(_commented(f"      - {channel}", _CHANNELS[meant.family].format(rest=meant.detail)))
    lines += section("sample")
    lines.append(_commented(f"      mode: {purpose.sample_mode}", purpose.sample_why))
    if purpose.interval_ms is not None:
        lines.append(_commented(f"      interval_ms: {purpose.interval_ms}", "milliseconds"))
    return lines


def _database(database: Database) -> list[str]:
    if database.is_server:
        lines = ["  # Its tables are made by `migrate up`, never unasked."]
    else:
        lines = ["  # An SQLite file; a relative path begins where the collector is started."]
    if database.has_password:
        lines.append("  # The password is not kept here: the whole URL belongs into COLLECTOR_DATABASE__URL.")
    return [*lines, f"  url: {_scalar(database.url)}"]


def _commented(text: str, comment: str) -> str:
    return f"{text:{_COMMENT_AT}}  # {comment}"


def _scalar(text: str) -> str:
    """Quote what YAML could take for something else: JSON's quotes are YAML's too."""
    is_plain = text[:1] in {".", "/"} and set(text) <= _PLAIN
    return text if is_plain else json.dumps(text, ensure_ascii=False)
