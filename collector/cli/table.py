"""Lay tables and paragraphs out for the width of the terminal, without breaking a number or a date.

A table has the widest of these forms that fits: a line for each row; without the columns that a wide
terminal shows; the names of a row on a line above it; at last each value beside its heading.
"""

import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from shutil import get_terminal_size
from typing import Literal, TextIO

WIDTH_IN_A_PIPE = 160
LEAST_NOTE = 30  # a narrower note goes below its row
LEAST_DRAWN = 10
INDENT = 2

Kind = Literal["name", "text", "number", "note", "drawn"]
Drawn = Callable[[int], str]
Cell = str | Drawn


@dataclass(frozen=True, slots=True)
class Column:
    """A column: how its cells are set.

    `name`s say what a row is about, and come first. The one `note` comes last; it may be wrapped, or stand
    below its row. The cells of a `drawn` column are functions that fill the width which is left.
    """

    heading: str
    kind: Kind = "number"
    wide: bool = False  # shown only where there is room

    @property
    def is_left(self) -> bool:
        """Return whether its cells begin at its left edge."""
        return self.kind != "number"


Row = Sequence[Cell]


def width() -> int:
    """Return the width of tables: of the terminal, or COLUMNS."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return get_terminal_size().columns
    return WIDTH_IN_A_PIPE


def print_table(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Print rows under headings."""
    for line in table_lines(columns, rows, width()):
        print(line)


def print_text(text: str, *, hanging: int = INDENT, file: TextIO | None = None) -> None:
    """Print a paragraph, wrapped on a terminal only: a pipe gets one line, to be searched."""
    file = file or sys.stdout
    if file.isatty():
        for line in wrapped(text, get_terminal_size().columns, hanging):
            print(line, file=file)
    else:
        print(text, file=file)


def wrapped(text: str, within: int, hanging: int = INDENT) -> list[str]:
    """Return the lines of a text, each paragraph's further ones indented; longer words are left whole."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        own = len(paragraph) - len(paragraph.lstrip())
        lines += textwrap.wrap(
            paragraph.strip(),
            max(within, 20),
            initial_indent=" " * own,
            subsequent_indent=" " * (own + hanging),
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return lines


def table_lines(columns: Sequence[Column], rows: Sequence[Row], within: int) -> list[str]:
    """Return the lines of a table, the headings first."""
    return Layout.fitting(columns, rows, within).lines(rows, headings=True)


@dataclass(frozen=True, slots=True)
class Layout:
    """The form that a table has."""

    columns: Sequence[Column]
    shown: Sequence[int]  # places of the columns that have cells in a line
    above: Sequence[int]  # of those whose cells stand on a line above the rows that share them
    widths: Sequence[int]  # of those shown
    gap: int
    note: int | None  # the place of a note that stands below its row
    within: int
    is_record: bool = False  # each value stands beside its heading

    @classmethod
    def fitting(cls, columns: Sequence[Column], rows: Sequence[Row], within: int) -> "Layout":
        """Return the first form that fits."""
        natural = [_natural(column, number, rows) for number, column in enumerate(columns)]
        for shown, above, gap in _forms(columns):
            below = next(
                (at for at, one in enumerate(columns) if one.kind == "note" and at not in shown), None
            )
            left = within - (INDENT if above else 0) - gap * (len(shown) - 1)
            widths = _shared(columns, shown, natural, left)
            if widths is not None:
                return cls(columns, shown, above, widths, gap, below, within)
        names = [at for at, column in enumerate(columns) if column.kind == "name"]
        others = [
            at for at, one in enumerate(columns) if at not in names and one.kind not in ("note", "drawn")
        ]
        note = next((at for at, one in enumerate(columns) if one.kind == "note"), None)
        return cls(columns, others, names, (), INDENT, note, within, is_record=True)

    def holds(self, rows: Sequence[Row]) -> bool:
        """Return whether these rows fit as well."""
        if self.is_record:
            return True
        places = zip(self.shown, self.widths, strict=True)
        fixed = [(at, most) for at, most in places if self.columns[at].kind not in ("note", "drawn")]
        return all(len(_text(row[at], most)) <= most for row in rows for at, most in fixed)

    def lines(self, rows: Sequence[Row], *, headings: bool) -> list[str]:
        """Return the lines of rows, with the headings above them where they have any."""
        lines: list[str] = []
        indent = " " * (INDENT if self.above else 0)
        if headings and not self.is_record:
            lines.append((indent + self._line([self.columns[at].heading for at in self.shown])).rstrip())
        for names, group in groupby(rows, key=lambda row: tuple(_text(row[at], 0) for at in self.above)):
            lines += wrapped(" ".join(filter(None, names)), self.within) if names else []
            for row in group:
                lines += self._record(row) if self.is_record else self._row(row, indent)
                if self.note is not None:
                    lines += self._below(row, len(indent) + INDENT)
        return lines

    def _row(self, row: Row, indent: str) -> Iterator[str]:
        cells = [_text(row[at], room) for at, room in zip(self.shown, self.widths, strict=True)]
        further: list[str] = []
        if self.shown and self.columns[self.shown[-1]].kind == "note":
            cells[-1], *further = textwrap.wrap(
                cells[-1].replace("\n", "  "), max(self.widths[-1], 1), break_on_hyphens=False
            ) or [""]
        yield (indent + self._line(cells)).rstrip()
        begins = len(indent) + sum(self.widths[:-1]) + self.gap * (len(self.widths) - 1)
        yield from (" " * begins + text for text in further)

    def _line(self, cells: Sequence[str]) -> str:
        places = zip(self.shown, cells, self.widths, strict=True)
        return (" " * self.gap).join(
            text.ljust(room) if self.columns[at].is_left else text.rjust(room) for at, text, room in places
        )

    def _record(self, row: Row) -> Iterator[str]:
        line = ""
        for at in self.shown:
            text = _text(row[at], 0)
            pair = f"{self.columns[at].heading} {text}"
            if line and text and len(line) + INDENT + len(pair) + INDENT > self.within:
                yield " " * INDENT + line
                line = ""
            if text:
                line += f"{' ' * INDENT if line else ''}{pair}"
        if line:
            yield " " * INDENT + line

    def _below(self, row: Row, indent: int) -> list[str]:
        assert self.note is not None  # noqa: S101  (asked before)
        text = _text(row[self.note], 0)
        return [line for one in text.splitlines() for line in wrapped(" " * indent + one, self.within)]


def _forms(columns: Sequence[Column]) -> Iterator[tuple[list[int], list[int], int]]:
    """Yield which columns are shown, which stand above, and the gap: the best form first."""
    every = list(range(len(columns)))
    names = [at for at in every if columns[at].kind == "name"]
    without_note = [at for at in every if columns[at].kind != "note"]
    yield every, [], 2
    yield without_note, [], 2
    wide = [at for at in without_note if columns[at].wide]
    for number in range(1, len(wide)):
        yield [at for at in without_note if at not in wide[-number:]], [], 2
    least = [at for at in without_note if at not in wide]
    yield [at for at in every if at not in wide], [], 2
    yield least, [], 2
    yield least, [], 1
    for gap in (2, 1):
        yield [at for at in least if at not in names[:-1]], names[:-1], gap
    for gap in (2, 1):
        yield [at for at in least if at not in names], names, gap


def _shared(
    columns: Sequence[Column], shown: Sequence[int], natural: Sequence[int], left: int
) -> list[int] | None:
    """Return the widths of the columns shown; None where they do not fit."""
    least = [_least(columns[at], natural[at]) for at in shown]
    spare = left - sum(least)
    if not shown or spare < 0:
        return None
    for place, at in enumerate(shown):
        if columns[at].kind in ("note", "drawn"):
            wanted = left if columns[at].kind == "drawn" else natural[at]
            least[place], spare = min(wanted, least[place] + spare), 0
    return least


def _least(column: Column, natural: int) -> int:
    return min(natural, LEAST_NOTE) if column.kind == "note" else natural


def _natural(column: Column, number: int, rows: Sequence[Row]) -> int:
    if column.kind == "drawn":
        return LEAST_DRAWN
    texts = (_text(row[number], 0).replace("\n", "  ") for row in rows)
    return max([len(column.heading), *map(len, texts)])


def _text(cell: Cell, room: int) -> str:
    return cell if isinstance(cell, str) else cell(room)
