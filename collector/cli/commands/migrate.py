"""Define the commands `migrate up`, `migrate down` and `migrate status`."""

from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.options import DEFAULT_DATABASE, DEFAULT_TABLE, DatabaseUrl, TableName

if TYPE_CHECKING:
    import sqlalchemy as sa

migrate = typer.Typer(
    name="migrate", help="Bring a database's tables to another revision.", no_args_is_help=True
)


@migrate.command("up")
def up(
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    to: Annotated[str, typer.Option("--to", help="The revision to go to.")] = "head",
    sql: Annotated[bool, typer.Option("--sql", help="Only print the SQL that would run.")] = False,
) -> int:
    """Create or upgrade the tables; rows are kept.

    Example: python run.py migrate up --db postgresql://user:password@host/market_data
    """
    from collector.database import sql_preview, upgrade  # noqa: PLC0415

    engine = _engine(db, read_only=sql)
    try:
        if sql:
            print(sql_preview(engine, table, to))
            return 0
        upgrade(engine, table, to)
    finally:
        engine.dispose()
    return where(db=db)


@migrate.command("down")
def down(
    *,
    db: DatabaseUrl = DEFAULT_DATABASE,
    table: TableName = DEFAULT_TABLE,
    to: Annotated[str, typer.Option("--to", help="The revision to go to; base undoes all.")],
) -> int:
    """Go back to an earlier revision.

    Example: python run.py migrate down --db ./live.db --to 0001
    """
    from collector.database import downgrade  # noqa: PLC0415

    engine = _engine(db)
    try:
        downgrade(engine, table, to)
    finally:
        engine.dispose()
    return where(db=db)


@migrate.command("status")
def where(*, db: DatabaseUrl = DEFAULT_DATABASE) -> int:
    """Show the revision of the database and the newest one known.

    Example: python run.py migrate status --db ./live.db
    """
    from sqlalchemy.exc import OperationalError  # noqa: PLC0415

    from collector.database import opening_error, shown, status  # noqa: PLC0415

    engine = _engine(db, read_only=True)
    try:
        position = status(engine)
    except OperationalError as error:
        text = f"the database {shown(engine.url)} cannot be read now: {error.orig}"
        raise opening_error(error, text) from error
    finally:
        engine.dispose()
    print(f"database: {position.current or 'no tables of ours yet'}; newest known: {position.head}")
    return 0


def _engine(db: str, *, read_only: bool = False) -> "sa.Engine":
    from collector.database import database_url, make_engine  # noqa: PLC0415

    return make_engine(database_url(db), read_only=read_only)
