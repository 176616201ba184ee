"""A new database on the server for each history."""

import itertools
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa


@pytest.fixture
def new_database(postgres_url: str) -> Iterator[Callable[[], str]]:
    """Return what makes databases that are dropped when the test ends."""
    url, names = sa.make_url(postgres_url), list[str]()
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    numbers = itertools.count()

    def make() -> str:
        _drop(engine, names)
        names.append(f"{url.database}_{next(numbers)}")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {names[-1]}")
        return url.set(database=names[-1]).render_as_string(hide_password=False)

    yield make
    _drop(engine, names)
    engine.dispose()


def _drop(engine: sa.Engine, names: list[str]) -> None:
    """Drop what was made so far; a connection that was left open is cut."""
    with engine.connect() as connection:
        while names:
            connection.exec_driver_sql(f"DROP DATABASE {names.pop()} WITH (FORCE)")
