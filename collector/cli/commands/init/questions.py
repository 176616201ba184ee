"""Ask a person, until the answer can be used."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from collector.errors import UserError

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Question:
    """One question, what may be answered, and what Enter means."""

    text: str
    default: str
    hint: str = ""
    choices: Sequence[tuple[str, str]] = ()


def ask(console: Console, question: Question, number: int, of: int, read: Callable[[str], Answer]) -> Answer:
    """Return the answer as `read` understands it; its UserError is shown, and the question asked again."""
    console.print(f"\n[bold cyan]{number}/{of}[/]  [bold]{escape(question.text)}[/]")
    if question.choices:
        table = Table.grid(padding=(0, 2))
        for place, (name, text) in enumerate(question.choices, 1):
            table.add_row(f"     [dim]{place}[/]", f"[cyan]{escape(name)}[/]", escape(text))
        console.print(table)
    if question.hint:
        console.print(_indented(question.hint, "dim"))
    while True:
        typed = console.input(f"     [dim]({escape(question.default)})[/] [bold]>[/] ").strip()
        try:
            return read(typed or question.default)
        except UserError as error:
            console.print(_indented(str(error), "yellow"))


def _indented(text: str, style: str) -> Padding:
    return Padding(Text(text, style), (0, 0, 0, 5))


def is_agreed(console: Console, text: str) -> bool:
    """Ask for a yes; Enter means no."""
    return console.input(f"[yellow]{escape(text)}[/] [dim](y/N)[/] [bold]>[/] ").strip().lower() in {
        "y",
        "yes",
    }
