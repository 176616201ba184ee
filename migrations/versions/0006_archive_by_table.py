"""Say of each archive file from which table its rows came, and let no two files hold the same rows.

Files from before are taken for the one book table that the database has. Where it has several, each is
taken for the one that holds rows of the same sessions; one for which that does not tell is left without.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.schema import CreateIndex

from collector import migration as steps

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TEXT = sa.TEXT()
ARCHIVE = "collector_archive"
INDEX = "ux_collector_archive"
KEY = ("table_name", "kind", "exchange", "symbol", "date", "last_id")
BOOK = {"timestamp", "symbol", "exchange", "mid_price", "microprice", "order_book_imbalance", "segment_id"}
TABLE_OF = {"levels": "collector_l2_levels", "trades": "collector_trades"}


class _File(NamedTuple):
    kind: str
    exchange: str
    symbol: str
    date: str
    last_id: int
    segments: str
    path: str
    table_name: str | None


FILES = sa.table(ARCHIVE, *map(sa.column, (*_File._fields, "rows", "archived_ns")))
COVERAGE = sa.table("collector_coverage", *map(sa.column, ("segment_id", "session_id", "exchange", "symbol")))


def upgrade() -> None:
    live = context.config.attributes["connection"]
    column = sa.Column("table_name", TEXT)
    inspector = sa.inspect(live)
    present = inspector.has_table(ARCHIVE)
    named = present and any(each["name"] == column.name for each in inspector.get_columns(ARCHIVE))
    steps.add_columns(live, ARCHIVE, [column])
    if present:
        _name_tables(live, has_names=named)
    index = _index()
    if not present or not any(steps.serves(there, index) for there in inspector.get_indexes(ARCHIVE)):
        op.execute(CreateIndex(index))


def downgrade() -> None:
    """Keep the column where it is filled: it says whose rows the files hold."""
    live = context.config.attributes["connection"]
    inspector = sa.inspect(live)
    if inspector.has_table(ARCHIVE):
        if any(there["name"] == INDEX for there in inspector.get_indexes(ARCHIVE)):
            op.drop_index(INDEX, ARCHIVE)
        steps.drop_columns_if_empty(live, ARCHIVE, ["table_name"])


def _index() -> sa.Index:
    table = sa.Table(ARCHIVE, sa.MetaData(), *(sa.Column(name, TEXT) for name in KEY))
    return sa.Index(INDEX, *(table.c[name] for name in KEY), unique=True)


def _name_tables(live: sa.Connection, *, has_names: bool) -> None:
    """Name the table of each file; of files that say they hold the same rows, that of the largest."""
    names = [FILES.c[name] for name in _File._fields[:-1]]
    known = FILES.c.table_name if has_names else sa.null()
    query = sa.select(*names, known).order_by(FILES.c.rows.desc(), FILES.c.archived_ns, FILES.c.path)
    files = [_File(*row) for row in live.execute(query)]
    keys = {(file.table_name, *file[:5]) for file in files if file.table_name is not None}
    books = _book_tables(live)
    for file in files:
        if file.table_name is not None:
            continue
        name = TABLE_OF.get(file.kind) or _book_of(live, file, books)
        if name is not None and (name, *file[:5]) not in keys:
            keys.add((name, *file[:5]))
            _record(file.path, name)


def _record(path: str, table_name: str) -> None:
    if context.is_offline_mode():  # a preview, where each value stands in the text, and % for itself
        path, table_name = ("'" + value.replace("'", "''") + "'" for value in (path, table_name))
        statement = f"UPDATE {ARCHIVE} SET table_name = {table_name} WHERE path = {path};"
        op.get_context().impl.static_output(statement)
    else:
        op.execute(sa.update(FILES).where(FILES.c.path == path).values(table_name=table_name))


def _book_tables(live: sa.Connection) -> list[str]:
    inspector = sa.inspect(live)
    return [
        name
        for name in inspector.get_table_names()
        if not name.startswith("collector_")
        and BOOK.issubset(column["name"] for column in inspector.get_columns(name))
    ]


def _book_of(live: sa.Connection, file: _File, books: Sequence[str]) -> str | None:
    """Return the book table that the rows came from; None where that cannot be told.

    A session writes to one book table: it is the one with rows of a session that wrote rows of the file.
    """
    if len(books) == 1:
        return books[0]
    own = [int(segment) for segment in json.loads(file.segments)]
    stream = (COVERAGE.c.exchange == file.exchange, COVERAGE.c.symbol == file.symbol)
    sessions = sa.select(COVERAGE.c.session_id).where(COVERAGE.c.segment_id.in_(own), *stream)
    theirs = sa.select(COVERAGE.c.segment_id).where(COVERAGE.c.session_id.in_(sessions), *stream)
    holding = []
    for name in books:
        rows = sa.table(name, *map(sa.column, ("exchange", "symbol", "segment_id"))).c
        written = sa.or_(rows.segment_id.in_(own), rows.segment_id.in_(theirs))
        row = sa.select(rows.segment_id).where(
            rows.symbol == file.symbol, rows.exchange == file.exchange, written
        )
        if live.execute(row.limit(1)).first() is not None:
            holding.append(name)
    return holding[0] if len(holding) == 1 else None
