"""Compare the tables that exist with those that are needed, before anything is changed."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn, ReflectedIndex
from sqlalchemy.engine.reflection import ObjectKind, ObjectScope

from collector.database.revisions import serves
from collector.errors import SchemaError

# What each needed type is content with, tried on the type as the database prints it. SQLite goes by
# affinity (https://www.sqlite.org/datatype3.html section 3.1); in PostgreSQL a narrower type would
# refuse, round or cut values, so there only the equal and the unbounded will do.
_ACCEPTED = {
    "sqlite": {
        "TEXT": re.compile(r"(?!.*INT).*(CHAR|CLOB|TEXT)"),
        "INTEGER": re.compile(r".*INT"),
        "REAL": re.compile(r"(?!.*(INT|CHAR|CLOB|TEXT|BLOB)).*(REAL|FLOA|DOUB)"),
        "DATETIME": re.compile(r"DATETIME|TIMESTAMP|TEXT"),
    },
    "postgresql": {
        "TEXT": re.compile(r"(TEXT|VARCHAR)\Z"),
        "BIGINT": re.compile(r"BIGINT\Z"),
        "DOUBLE PRECISION": re.compile(r"(DOUBLE PRECISION|FLOAT\(53\))\Z"),
        "TIMESTAMP WITH TIME ZONE": re.compile(r"TIMESTAMP(\(6\))? WITH TIME ZONE\Z"),
    },
}


class FoundTables(NamedTuple):
    """What a database has under the names of the tables that are needed."""

    views: Collection[str]
    columns: Mapping[str, Sequence[ReflectedColumn]]
    keys: Mapping[str, Collection[str]]
    indexes: Mapping[str, Sequence[ReflectedIndex]]


def find_tables(live: sa.Connection, needed: Sequence[sa.Table]) -> FoundTables:
    """Look for the tables, all in a few questions: a server takes long over each of them."""
    inspector = sa.inspect(live)
    names = [table.name for table in needed]
    kind, scope = ObjectKind.ANY, ObjectScope.ANY
    columns = inspector.get_multi_columns(filter_names=names, kind=kind, scope=scope)
    keys = inspector.get_multi_pk_constraint(filter_names=names, kind=kind, scope=scope)
    indexes = inspector.get_multi_indexes(filter_names=names, kind=kind, scope=scope)
    return FoundTables(
        inspector.get_view_names(),
        {name: found for (_, name), found in columns.items()},
        {name: set(key["constrained_columns"]) if key else set() for (_, name), key in keys.items()},
        {name: found for (_, name), found in indexes.items()},
    )


def check_table(
    live: sa.Connection, needed: sa.Table, there: FoundTables, *, is_complete: bool = False
) -> None:
    """Raise SchemaError naming every column that cannot serve; a table that is not there is no fault.

    Columns that can be added may be missing, unless the table is said to be complete.
    """
    if needed.name in there.views:
        raise SchemaError(f"{needed.name} is a view; expected a table, or a name not in use")
    if needed.name not in there.columns:
        if is_complete:
            raise SchemaError(f"the table {needed.name} is missing")
        return
    found = {column["name"]: column for column in there.columns[needed.name]}
    key = there.keys.get(needed.name, ())
    faults = [fault for column in needed.columns if (fault := _fault(live, column, found, is_complete))]
    if key != {column.name for column in needed.primary_key.columns}:
        wanted = ", ".join(column.name for column in needed.primary_key.columns)
        faults.append(f"primary key: found {', '.join(sorted(key)) or 'none'}, expected {wanted}")
    faults += [
        f"column {name}: found {_printed(live, column)} NOT NULL without a default, which a collector "
        f"that does not know the column cannot fill"
        for name, column in found.items()
        if name not in needed.columns and not column["nullable"] and not _fills_itself(column)
    ]
    if is_complete:
        faults += _missing_uniqueness(there.indexes.get(needed.name, ()), needed)
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise SchemaError(
            f"the table {needed.name} exists and cannot be used:\n{lines}\n"
            f"nothing was changed; alter these columns, or choose another table name"
        )


def _fault(
    live: sa.Connection, column: sa.Column[object], found: dict[str, ReflectedColumn], is_complete: bool
) -> str | None:
    expected = str(column.type.compile(live.dialect))
    there = found.get(column.name)
    if there is None:
        can_be_added = column.nullable and not column.primary_key
        if can_be_added and not is_complete:
            return None
        return f"column {column.name}: found none, expected {expected}" + (
            "" if can_be_added else ", which cannot be added to a table that exists"
        )
    printed = _printed(live, there)
    if not _ACCEPTED[live.dialect.name][expected].match(printed.upper()):
        return f"column {column.name}: found {printed}, expected {expected}"
    if column.identity is not None and not _numbers_itself(live, there, printed):
        return f"column {column.name}: found {printed}, expected {expected} that numbers itself"
    return None


def _missing_uniqueness(there: Sequence[ReflectedIndex], needed: sa.Table) -> list[str]:
    return [
        f"unique index: found none, expected one over {', '.join(column.name for column in index.columns)}"
        for index in needed.indexes
        if index.unique and not any(serves(found, index) for found in there)
    ]


def _numbers_itself(live: sa.Connection, column: ReflectedColumn, printed: str) -> bool:
    if live.dialect.name == "sqlite":
        return printed.upper() == "INTEGER"  # only INTEGER PRIMARY KEY is another name of the row id
    return _fills_itself(column)


def _fills_itself(column: ReflectedColumn) -> bool:
    return column.get("default") is not None or bool(column.get("identity") or column.get("computed"))


def _printed(live: sa.Connection, column: ReflectedColumn) -> str:
    return str(column["type"].compile(live.dialect))
