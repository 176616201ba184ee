"""Engines on empty databases, disposed of again."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from collector.database.engine import make_engine
from collector.database.url import database_url

sys.path.insert(0, str(Path(__file__).parents[1]))
from ready_tables import lay_tables


@pytest.fixture
def open_engine() -> Iterator[Callable[[str], sa.Engine]]:
    """Open engines that are disposed of when the test ends."""
    opened: list[sa.Engine] = []

    def open_one(url: str) -> sa.Engine:
        opened.append(make_engine(database_url(url)))
        return opened[-1]

    yield open_one
    for engine in opened:
        engine.dispose()


@pytest.fixture
def engine(any_empty_database: str, open_engine: Callable[[str], sa.Engine]) -> sa.Engine:
    """Give an engine on an empty database, once of each kind."""
    return open_engine(any_empty_database)


@pytest.fixture
def engine_at_head(any_database: str, open_engine: Callable[[str], sa.Engine]) -> sa.Engine:
    """Give an engine on a database that was migrated before, once of each kind."""
    return open_engine(any_database)


@pytest.fixture
def sqlite_engine(tmp_path: Path, open_engine: Callable[[str], sa.Engine]) -> sa.Engine:
    """Give an engine on an SQLite file that is not there yet."""
    return open_engine(str(tmp_path / "live.db"))


@pytest.fixture
def sqlite_engine_at_head(tmp_path: Path, open_engine: Callable[[str], sa.Engine]) -> sa.Engine:
    """Give an engine on an SQLite file that was migrated before."""
    return open_engine(lay_tables(str(tmp_path / "live.db")))


@pytest.fixture
def postgres_engine(empty_postgres_url: str, open_engine: Callable[[str], sa.Engine]) -> sa.Engine:
    """Give an engine on an empty database of a PostgreSQL server."""
    return open_engine(empty_postgres_url)
