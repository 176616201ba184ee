"""A database to read, emptied between examples, so that a hundred histories need one."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))
from audited import write_sound
from stored import prepare

from collector.database.engine import make_engine
from collector.database.url import database_url

EMPTIED = (
    *("l2_training_data_practical", "collector_coverage", "collector_trades"),
    *("collector_ohlcv", "collector_ohlcv_corrections", "collector_archive"),
)


@pytest.fixture
def any_stored(any_database: str) -> str:
    """Make the tables, once on each kind of database."""
    return prepare(any_database)


@pytest.fixture
def stored_file(tmp_path: Path) -> str:
    """Make the tables in an SQLite file."""
    return prepare(str(tmp_path / "live.db"))


@pytest.fixture
def emptied() -> Callable[[str], str]:
    """Return what empties a database and gives it back."""

    def empty(url: str) -> str:
        engine = make_engine(database_url(url), synchronous="OFF")
        with engine.begin() as connection:
            for name in (*EMPTIED, "collector_l2_levels"):
                connection.execute(sa.delete(sa.table(name)))
        engine.dispose()
        return url

    return empty


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small sound database."""
    return write_sound(tmp_path_factory.mktemp("sound") / "live.db")


@pytest.fixture
def path(sound: Path, tmp_path: Path) -> Path:
    """Copy it, to be damaged."""
    return Path(shutil.copy(sound, tmp_path / "damaged.db"))
