"""Define what may be asked of a page of rows, and what comes back."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from collector.errors import QueryError

MOST_ROWS = 5_000  # of one page
_CURSOR = re.compile(r"(?P<at>[0-9TZ:.-]{1,32})_(?P<id>[0-9]{1,18})", re.ASCII)


class Cursor(NamedTuple):
    """The last row of a page: the next one begins behind it."""

    at: str
    row_id: int

    @classmethod
    def of(cls, text: str) -> "Cursor":
        """Return the cursor that a client gave back."""
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise QueryError("the cursor is none of ours; expected the `next` of the page before")
        return cls(match["at"], int(match["id"]))

    def __str__(self) -> str:
        """Return it as it is given to a client."""
        return f"{self.at}_{self.row_id}"


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows of one market, in a span that is half open, in the order of time or against it."""

    exchange: str
    symbol: str
    start_ns: int | None = None
    end_ns: int | None = None
    limit: int = 500
    newest_first: bool = False
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and where those behind them begin; None when there are none."""

    columns: tuple[str, ...]
    rows: list[list[Any]]
    next: str | None = None
