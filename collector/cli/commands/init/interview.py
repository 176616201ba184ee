"""Ask the four questions."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.console import Console

from collector.cli.commands.init import answers
from collector.cli.commands.init.markets import markets, usual_text
from collector.cli.commands.init.purposes import PURPOSES, Purpose
from collector.cli.commands.init.questions import Question, ask
from collector.cli.options import DEFAULT_DATABASE
from collector.exchanges.registry import EXCHANGES

Answer = TypeVar("Answer")


class Interview:
    """Ask what is not known yet, and count the questions."""

    def __init__(self, console: Console, *, of: int) -> None:
        self._console = console
        self._of = of
        self._number = 0
        if of:
            console.print(
                "[dim]Enter takes what stands in brackets. Ctrl-C leaves, and nothing is written.[/]"
            )

    def exchanges(self) -> tuple[str, ...]:
        """Ask which exchanges to collect from."""
        hint = "names or numbers, with commas; any other exchange of ccxt.pro by its name, its books unproven"
        choices = [(name, one.summary) for name, one in EXCHANGES.items()]
        question = Question("From which exchanges?", next(iter(EXCHANGES)), hint, choices)
        return self._ask(question, answers.exchanges)

    def markets(self, exchanges: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Ask which markets."""
        usual = "; ".join(f"{name}: {text}" for name in exchanges if (text := usual_text(name)) is not None)
        hint = (
            "coins (BTC), markets (BTC/USDT is spot, BTC/USDT:USDT a perpetual); kraken:BTC/USD: only there"
        )
        if usual:
            hint += f"\na coin alone means: {usual}"
        default = "BTC,ETH" if usual else "BTC/USDT,ETH/USDT"
        found = self._ask(Question("Which markets?", default, hint), lambda text: markets(exchanges, text))
        for exchange, symbols in found.items():
            self._console.print(f"     [green]{exchange}[/]: {', '.join(symbols)}", markup=True)
        return found

    def purpose(self) -> Purpose:
        """Ask what the data is for."""
        choices = [(one.name, one.text) for one in PURPOSES.values()]
        return self._ask(Question("What for?", next(iter(PURPOSES)), "", choices), answers.purpose)

    def database(self) -> answers.Database:
        """Ask where to store it."""
        hint = "a path of an SQLite file, or postgresql://user@host/database (a password is not kept)"
        return self._ask(Question("Into which database?", DEFAULT_DATABASE, hint), answers.database)

    def _ask(self, question: Question, read: Callable[[str], Answer]) -> Answer:
        self._number += 1
        return ask(self._console, question, self._number, self._of, read)
