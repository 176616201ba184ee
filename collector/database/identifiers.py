"""Check the table names that the configuration may give."""

import re

from collector.errors import UserError

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")  # 63 bytes is PostgreSQL's limit; beyond it cuts in silence
_RESERVED_PREFIXES = ("sqlite_", "pg_", "collector_")

# https://www.sqlite.org/lang_keywords.html and the words that PostgreSQL 18 reserves (appendix C).
# Quoting would let them pass, but nobody who writes a query by hand should have to know that.
_KEYWORDS = frozenset(
    """
    abort action add after all alter always analyse analyze and any array as asc asymmetric attach
    authorization autoincrement before begin between binary both by cascade case cast check collate
    collation column commit concurrently conflict constraint create cross current current_catalog
    current_date current_role current_schema current_time current_timestamp current_user database
    default deferrable deferred delete desc detach distinct do drop each else end escape except exclude
    exclusive exists explain fail false fetch filter first following for foreign freeze from full
    generated glob grant group groups having if ignore ilike immediate in index indexed initially inner
    insert instead intersect into is isnull join key last lateral leading left like limit localtime
    localtimestamp match materialized natural no not nothing notnull null nulls of offset on only or
    order others outer over overlaps partition placing plan pragma preceding primary query raise range
    recursive references regexp reindex release rename replace restrict returning right rollback row
    rows savepoint select session_user set similar some symmetric system_user table tablesample temp
    temporary then ties to trailing transaction trigger true unbounded union unique update user using
    vacuum values variadic verbose view virtual when where window with within without
    """.split()  # noqa: SIM905  (read as a list of words)
)


def check_table_name(name: str) -> str:
    """Return the name if a table may be called that, or raise UserError saying what is wrong with it."""
    problem = _problem(name)
    if problem:
        shown = name if len(name) <= 70 else f"{name[:70]}..."  # noqa: PLR2004  (one line of a terminal)
        raise UserError(
            f"table name {shown!r} {problem}; expected a lower-case letter or underscore, then at most 62 "
            f"of a-z, 0-9 and _, such as l2_training_data_practical"
        )
    return name


def _problem(name: str) -> str | None:
    if not name:
        return "is empty"
    if not _NAME.match(name):
        return f"has {len(name)} characters" if len(name) > 63 else "is not a plain identifier"  # noqa: PLR2004
    if name in _KEYWORDS:
        return "is an SQL keyword"
    prefix = next((prefix for prefix in _RESERVED_PREFIXES if name.startswith(prefix)), None)
    return f"begins with {prefix}, which is reserved" if prefix else None
