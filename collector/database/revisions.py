"""Tell which revisions there are without Alembic, which takes 4 MB and is needed to change tables only."""

import functools
import re
from ast import literal_eval
from pathlib import Path
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedIndex

from collector.errors import SchemaError, UserError
from collector.resources import migrations_path

VERSION_TABLE: Final = "collector_alembic_version"

_NAMED = re.compile(r"^(revision|down_revision)(?:\s*:[^=\n]*)?\s*=\s*(.+)$", re.MULTILINE)


class Revisions(NamedTuple):
    """The revisions that are known, and the newest of them."""

    head: str
    known: frozenset[str]


def revisions() -> Revisions:
    """Return the revisions of the migrations that are installed."""
    return _revisions_in(str(migrations_path()))


def current(connection: sa.Connection) -> str | None:
    """Return the revision of a database; None before the first migration."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    version: sa.ColumnClause[str] = sa.column("version_num", sa.String())
    stated = sa.select(version).select_from(sa.table(VERSION_TABLE))
    heads = connection.scalars(stated).all()
    if len(heads) > 1:
        raise SchemaError(f"{VERSION_TABLE} holds {len(heads)} revisions ({', '.join(heads)}); expected one")
    return str(heads[0]) if heads else None


def serves(there: ReflectedIndex, wanted: sa.Index) -> bool:
    """Return whether an existing index does what the wanted one would do, under whatever name."""
    names = [column.name for column in wanted.columns]
    found = list(there["column_names"])
    if wanted.unique:
        return bool(there["unique"]) and found == names
    return found[: len(names)] == names


@functools.cache
def _revisions_in(folder: str) -> Revisions:
    """Read the migrations, once."""
    return _as_written(Path(folder) / "versions") or _as_alembic_reads_them(folder)


def _as_written(versions: Path) -> Revisions | None:
    """Read what the files say, one revision after the other; None where that is not so plain."""
    follows: dict[str, str | None] = {}
    for path in sorted(versions.glob("*.py")):
        named = dict(_NAMED.findall(path.read_text(encoding="utf-8")))
        try:
            revision, before = literal_eval(named["revision"]), literal_eval(named["down_revision"])
        except (KeyError, ValueError, SyntaxError):
            return None
        if not isinstance(revision, str) or not isinstance(before, str | None) or revision in follows:
            return None
        follows[revision] = before
    heads = follows.keys() - set(follows.values())
    is_one_line = len(heads) == 1 and set(follows.values()) == {None, *follows} - heads
    return Revisions(heads.pop(), frozenset(follows)) if is_one_line else None


def _as_alembic_reads_them(folder: str) -> Revisions:
    from alembic.script import ScriptDirectory  # noqa: PLC0415  (see above)

    scripts = ScriptDirectory(folder)
    head = scripts.get_current_head()
    if head is None:
        raise UserError(f"no migrations in {folder}; the installation is incomplete")
    return Revisions(head, frozenset(script.revision for script in scripts.walk_revisions()))
