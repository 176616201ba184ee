"""A database that gets the parts holds what one holds that gets the write sets themselves."""

import random
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.sinks.avro import Assembler, Form, Record, records_of
from collector.sinks.contract import WriteSet
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from written import sifted, some_write_sets

OWN = {"id", "created_at", "updated_ns", "committed_ns"}  # made by each database for itself
APART = {"collector_batches", "collector_database", "alembic_version"}


def stored(sink: SqlSink, write_sets: Iterable[WriteSet]) -> dict[str, list[Any]]:
    """Write all and return the rows of every table, sorted."""
    for one in write_sets:
        sink.write(one)
    found: dict[str, list[Any]] = {}
    engine = sa.create_engine(f"sqlite:///{sink.file}")
    tables = sa.MetaData()
    with engine.connect() as connection:
        tables.reflect(connection)
        for table in tables.sorted_tables:
            if table.name not in APART:
                columns = [column for column in table.columns if column.name not in OWN]
                found[table.name] = sorted(map(repr, connection.execute(sa.select(*columns))))
    engine.dispose()
    return found


def shuffled_by_shard(records: Iterable[Record]) -> list[Record]:
    """Return the records as shards bring them: each key in its order, and some of them again."""
    drawn = random.Random(1)
    by_key: dict[str, list[Record]] = {}
    for one in records:
        by_key.setdefault(one.partition_key, []).append(one)
    mixed: list[Record] = []
    while by_key:
        key = drawn.choice(sorted(by_key))
        mixed.append(by_key[key].pop(0))
        if drawn.random() < 0.1:
            mixed.append(drawn.choice(mixed))
        if not by_key[key]:
            del by_key[key]
    return mixed


@pytest.mark.parametrize("form", Form)
def test_parts_give_the_tables_that_write_sets_give(
    form: Form, tmp_path: Path, open_sink: Callable[..., SqlSink]
) -> None:
    *before, last, ended = some_write_sets(4, [1_500, 0, 300], deep=True)
    write_sets = [*before, sifted(last, 3), ended]  # what comes after a hole gets numbers that are drawn
    direct = stored(open_sink(f"sqlite:///{tmp_path / 'direct.db'}"), write_sets)
    records = [record for one in write_sets for record in records_of(one, form)]
    assembler = Assembler()
    taken = [assembler.take(one.data, "") for one in shuffled_by_shard(records)]
    parts = [one for one in taken if one is not None]
    assert stored(open_sink(f"sqlite:///{tmp_path / 'parts.db'}"), parts) == direct
    assert all(direct[f"collector_{name}"] for name in ("trades", "ohlcv", "l2_levels", "events", "rejected"))
