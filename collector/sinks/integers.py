"""Refuse a number that its column cannot hold, before a database or a driver makes something else of it."""

from array import array
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from collector.sinks.contract import Value


def check_integers(table: sa.Table, columns: Mapping[str, Sequence[Value]]) -> None:
    """Raise OverflowError beyond 64 bits, TypeError for what is no whole number; NULL may stand anywhere."""
    for name, values in columns.items():
        if isinstance(table.columns[name].type, sa.INTEGER):
            _check(f"{table.name}.{name}", values)


def _check(where: str, values: Sequence[Value]) -> None:
    try:
        try:
            array("q", values)  # type: ignore[type-var]
        except TypeError:  # NULLs among them, or worse
            array("q", [value for value in values if value is not None])  # type: ignore[type-var]
    except OverflowError:
        raise OverflowError(f"{where}: a number beyond 64 bits") from None
    except TypeError:
        raise TypeError(f"{where}: something that is not a whole number") from None
