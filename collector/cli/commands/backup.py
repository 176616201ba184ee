"""Define the command `backup`."""

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.options import ConfigFile, ConfiguredDatabase
from collector.cli.table import print_text

if TYPE_CHECKING:
    from sqlalchemy import URL


def backup(
    file: Annotated[Path, typer.Argument(help="The copy. It must not exist yet.")],
    *,
    config: ConfigFile = None,
    db: ConfiguredDatabase = None,
) -> int:
    """Make a verified copy of an SQLite database, also while a collector writes it.

    The copy is of one moment. It is checked (integrity, rows of each table, the identity) before it gets its
    name. For PostgreSQL the command of pg_dump is told.

    Example: python run.py backup ./live-copy.db --db ./live.db

    Exit codes: 0 copied and verified; 2 it could not be, and nothing is left of it.
    """
    from collector.cli.options import configured  # noqa: PLC0415
    from collector.cli.plain import counted, progress, size  # noqa: PLC0415
    from collector.cli.running import interrupt_raises  # noqa: PLC0415
    from collector.database import back_up, database_url, sqlite_path  # noqa: PLC0415
    from collector.errors import UserError  # noqa: PLC0415

    settings = configured(config, db=db).settings
    url = database_url(settings.database.url)
    path = sqlite_path(url)
    if path is None:
        raise UserError(_for_a_server(url, file))
    with interrupt_raises(), progress("pages", shown=True) as show:
        done = back_up(path, file.expanduser().absolute(), show)
    rows = sum(done.rows.values())
    held = f"{counted(rows, 'row')} in {counted(len(done.rows), 'table')}"
    print_text(f"{file}: {size(done.size_bytes)}, {held}, verified")
    print_text("not in it: rows that wait in the spool, files of the archive, the followers")
    return 0


def _for_a_server(url: "URL", file: Path) -> str:
    """Return words with the commands that copy a database on a server, and bring it back."""
    from collector.database import without_password  # noqa: PLC0415

    plain, copy = without_password(url), quote(str(file))
    database, beside = (quote(one.render_as_string()) for one in (plain, plain.set(database="postgres")))
    return (
        "the database is on a server, whose own program copies it, also while a collector writes:\n"
        f"  pg_dump --format=custom --file={copy} --dbname={database}\n"
        "and this brings it back, in the place of what is there (no collector may run):\n"
        f"  pg_restore --create --clean --if-exists --dbname={beside} {copy}\n"
        "(of the server's version or newer; a password: PGPASSWORD in the environment, or ~/.pgpass)"
    )
