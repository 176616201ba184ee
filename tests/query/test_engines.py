"""Rows that a child process reads are those that this one reads: same values, same types, same order."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from collector import iter_features, load_features, load_levels, load_ohlcv, load_trades
from collector.database.engine import make_engine
from collector.database.market_tables import LEVEL_COLUMNS
from collector.database.url import database_url
from collector.errors import MissingExtra, QueryError
from collector.query import loading
from collector.query.fast import engines, reader
from collector.query.fast.engines import reading_beside, started
from collector.query.fast.reader import Reader
from collector.query.rows.raw_rows import chunks

sys.path.insert(0, str(Path(__file__).parent))
from stored import FIRST_SEGMENT, START_NS, STEP_NS, SYMBOL, Row, Stored, insert, iso, prepare, write

pytest.importorskip("adbc_driver_sqlite")
MANY = 400
ODD = st.sampled_from(["", "a\0b", "it's", '"', "日本😀", "\n", "%s ? :x", "NaN"])
FLOATS = (
    st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 5e-324, 3.0, 2.0**53 + 2, np.inf]) | st.none()
)
INTEGERS = st.integers(1 - 2**63, 2**63 - 1) | st.sampled_from([2**53 + 1, 0, -1]) | st.none()
ROWS = st.lists(
    st.tuples(
        FLOATS, INTEGERS, ODD | st.text(max_size=4) | st.none(), st.sampled_from(["buy", "sell", None])
    ),
    max_size=9,
)
TABLE = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.INTEGER, primary_key=True),
    sa.Column("number", sa.REAL),
    sa.Column("whole", sa.INTEGER),
    sa.Column("text", sa.TEXT),
    sa.Column("side", sa.TEXT),
)


OTHERS: set[int] = set()  # processes that were there before a test


def children() -> list[int]:
    return [one.pid for one in psutil.Process().children() if one.pid not in OTHERS]


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    OTHERS.clear()
    OTHERS.update(children())
    yield
    assert children() == []


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a batch have few rows, and a pipe hold less than two of them."""
    monkeypatch.setattr(reader, "BATCH_ROWS", 50)
    monkeypatch.setattr(reader, "_PIPE_BYTES", 4096)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[Reader]:
    """Return the children that were started."""
    made: list[Reader] = []

    class Counted(Reader):
        def __init__(self, *told: Any) -> None:
            super().__init__(*told)
            made.append(self)

    monkeypatch.setattr(engines, "Reader", Counted)
    return made


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Store rows of all that a loader can read, and make a table of anything; no test changes the rows."""
    stored_file = prepare(str(tmp_path_factory.mktemp("many") / "live.db"))
    engine = make_engine(database_url(stored_file), synchronous="OFF")
    TABLE.metadata.create_all(engine)
    engine.dispose()
    rows = [
        Row(START_NS + place * STEP_NS, FIRST_SEGMENT, place % 50 + 0.5, None if place < 120 else place / 7)
        for place in range(MANY)
    ]
    write(stored_file, Stored(rows, {FIRST_SEGMENT: rows[-1].at_ns}))
    common: dict[str, list[Any]] = {
        "timestamp": [iso(row.at_ns) for row in rows],
        "exchange": ["bybit"] * MANY,
        "symbol": [SYMBOL] * MANY,
        "received_at_ns": [row.at_ns for row in rows],
        "data_source": ["simulator"] * MANY,
    }
    levels = {name: [row.mid if row.mid > 9 else None for row in rows] for name in LEVEL_COLUMNS}
    insert(
        stored_file,
        "levels",
        {**common, "segment_id": [FIRST_SEGMENT] * MANY, "depth": [50] * MANY, **levels},
    )
    trades = {
        "segment_id": [7] * MANY,
        "kind": ["trade"] * MANY,
        "trade_id": [f"{place}-é" for place in range(MANY)],
        "price": [row.mid for row in rows],
        "size": [float(place) for place in range(MANY)],
        "side": ["buy" if place % 3 else None for place in range(MANY)],
        "marked": [None if place < MANY - 5 else "ADL" for place in range(MANY)],
        "exchange_timestamp": [None if place % 5 else 2**53 + 1 + place for place in range(MANY)],
        "origin": [None] * MANY,
    }
    insert(stored_file, "trades", {**common, **trades})
    bars = {
        "segment_id": [8] * MANY,
        "interval": ["1m"] * MANY,
        "open_time": [row.at_ns // 1_000_000 + place * 60_000 for place, row in enumerate(rows)],
        **{name: [row.mid for row in rows] for name in ("open", "high", "low", "close", "volume")},
        "vwap": [None if place < MANY - 1 else 2.0 for place in range(MANY)],
        "confirmed": [1] * MANY,
    }
    insert(stored_file, "ohlcv", {**common, **bars})
    return stored_file


@pytest.fixture(scope="module", autouse=True)
def things(many: str) -> Iterator[tuple[str, Reader]]:
    """Start a child that many questions share: most of what a question costs is the start."""
    with started(many) as child:
        assert child is not None
        yield many, child
        assert child.is_free  # no question failed


@pytest.fixture
def shared(things: tuple[str, Reader], monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Let whoever would start a child have this one."""
    for module in (engines, loading):
        monkeypatch.setattr(module, "started", lambda _: nullcontext(things[1]))
    return things[1]


LOADS: dict[str, Callable[..., Any]] = {
    "features": load_features,
    "states": lambda *told, **more: load_features(*told, every="10ms", **more),
    "levels": load_levels,
    "trades": lambda *told, **more: load_trades(
        *told,
        columns=["price", "size", "side", "marked", "trade_id", "exchange_timestamp", "created_at"],
        **more,
    ),
    "bars": load_ohlcv,
}


@pytest.mark.parametrize("name", LOADS)
@pytest.mark.usefixtures("small", "shared")
def test_each_loader_gives_the_same_frame(many: str, name: str) -> None:
    with capture_logs() as logs:
        fast, plain = (LOADS[name](many, SYMBOL, engine=one) for one in ("arrow", "python"))
    assert [line for line in logs if line["log_level"] == "warning"] == []
    assert len(plain) > MANY / 10
    pd.testing.assert_frame_equal(fast, plain, check_exact=True)
    assert fast.attrs == plain.attrs


@contextmanager
def replaced(path: str, rows: list[dict[str, Any]]) -> Iterator[None]:
    engine = make_engine(database_url(path), synchronous="OFF")
    with engine.begin() as connection:
        connection.execute(sa.delete(TABLE))
        for row in rows:
            connection.execute(sa.insert(TABLE), row)
    engine.dispose()
    yield


def gathered_of(connection: sa.Connection, query: Any, rows: int) -> list[list[Any]]:
    """Return the type of each column and its values, whose every bit tells."""
    found = list(chunks(connection, query, rows))
    if not found:
        return []
    whole = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    return [[v.dtype.str, v.tolist() if v.dtype == object else v.tobytes()] for v in whole.values()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, batch=st.integers(1, 4), limit=st.none() | st.integers(0, 5), offset=st.integers(0, 2))
def test_every_value_comes_as_it_is(
    things: tuple[str, Reader], rows: list[Any], batch: int, limit: int | None, offset: int
) -> None:
    path, child = things
    names = ("number", "whole", "text", "side")
    with (
        replaced(
            path, [{"id": -place, **dict(zip(names, row, strict=True))} for place, row in enumerate(rows)]
        ),
        pytest.MonkeyPatch.context() as patch,
        reading_beside(child, path, "l2_training_data_practical") as (connection, _),
    ):
        patch.setattr(reader, "BATCH_ROWS", batch)
        query = sa.select(TABLE).where(TABLE.c.text.is_distinct_from("%s ? :x")).order_by(TABLE.c.id)
        query = query.offset(offset) if limit is None else query.limit(limit)
        assert gathered_of(connection, query, 10_000) == gathered_of(connection, query, 5)
    assert child.is_free


@pytest.mark.parametrize("other", [b"bytes", 7, "words"])
def test_a_value_of_another_type_is_read_as_ever(things: tuple[str, Reader], other: object) -> None:
    path, shared = things
    rows: list[dict[str, Any]] = [{"id": place, "number": 1.5, "whole": 3, "text": "a"} for place in range(9)]
    beside = nullcontext(shared) if other == 7 else started(path)  # one that fails ends
    with beside as child, replaced(path, rows):
        engine = make_engine(database_url(path), synchronous="OFF")
        with engine.begin() as connection:
            column = {b"bytes": "text", 7: "number", "words": "whole"}[other]  # type: ignore[index]
            connection.exec_driver_sql(f"UPDATE things SET {column} = ? WHERE id = 7", (other,))
        engine.dispose()
        with (
            capture_logs() as logs,
            pytest.MonkeyPatch.context() as patch,
            reading_beside(child, path, "l2_training_data_practical") as (connection, _),
        ):
            patch.setattr(reader, "BATCH_ROWS", 2)
            query = sa.select(TABLE.c["id", "number", "whole", "text"]).order_by(TABLE.c.id)
            if other == "words":
                for rows_a_chunk in (10_000, 5):
                    with pytest.raises(ValueError, match="invalid literal"):
                        gathered_of(connection, query, rows_a_chunk)
            else:
                assert gathered_of(connection, query, 10_000) == gathered_of(connection, query, 5)
    assert [line["event"] for line in logs] == ["read.child_failed"] * (other != 7)


READS: list[Callable[[str, Any], list[pd.DataFrame]]] = [
    lambda url, engine: list(iter_features(url, SYMBOL, engine=engine)),
    lambda url, engine: [load_features(url, SYMBOL, engine=engine)],
]


@pytest.mark.parametrize(
    "read", [pytest.param(READS[0], id="parts"), pytest.param(READS[1], id="whole", marks=pytest.mark.proof)]
)
@pytest.mark.usefixtures("small")
def test_a_child_that_is_killed_costs_no_row(
    many: str, read: Callable[[str, Any], list[pd.DataFrame]]
) -> None:
    plain = read(many, "python")
    rows = Reader.rows

    def killed(self: Reader, *told: Any) -> Iterator[Any]:
        for place, chunk in enumerate(rows(self, *told)):
            yield chunk
            if place == 1:
                psutil.Process(self.pid).kill()

    with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
        patch.setattr(Reader, "rows", killed)
        frames = read(many, "arrow")
    pd.testing.assert_frame_equal(pd.concat(frames), pd.concat(plain), check_exact=True)
    told = [line for line in logs if line["event"] == "read.child_failed"]
    assert [line["error"] for line in told] == ["the process that read ended with status -9"]


@pytest.mark.parametrize("python", ["/bin/false", "/there/is/none"])
def test_a_child_that_does_not_start_is_told_of(
    many: str, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", python)
    with capture_logs() as logs:
        frame = load_features(many, SYMBOL, engine="arrow")
    assert len(frame) == MANY
    assert [line["event"] for line in logs] == ["read.child_failed"]


def interrupted(*_: Any) -> None:
    assert len(children()) == 1
    raise KeyboardInterrupt


@pytest.mark.usefixtures("small")
def test_many_rows_start_a_child_that_ends_also_when_interrupted(
    many: str, starts: list[Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "LONG_ROWS", MANY + 1)
    assert len(load_features(many, SYMBOL)) == MANY
    assert sum(len(one) for one in iter_features(many, SYMBOL)) == MANY
    monkeypatch.setattr(engines, "LONG_ROWS", MANY)
    assert len(load_features(many, SYMBOL, end=START_NS + STEP_NS)) == 1
    assert len(load_features(many, SYMBOL, engine="python")) == MANY
    assert starts == []
    monkeypatch.setattr(loading, "_as_stored", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_features(many, "BTCUSDT")  # a name that is meant
    assert [one.is_free for one in starts] == [False]


@pytest.mark.usefixtures("small")
def test_pieces_share_one_child(many: str, starts: list[Reader], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "PIECE_ROWS", 100)
    monkeypatch.setattr("collector.query.rows.raw_rows.FEWEST_CHUNK_ROWS", 100)
    plain = list(iter_features(many, SYMBOL, engine="python"))
    pieces = iter_features(many, SYMBOL, engine="arrow")
    fast = [next(pieces)]
    assert [one.pid for one in starts] == children()
    fast += pieces
    assert len(starts) == 1
    assert [len(one) for one in fast] == [len(one) for one in plain]
    pd.testing.assert_frame_equal(pd.concat(fast), pd.concat(plain), check_exact=True)


@pytest.mark.usefixtures("small")
def test_a_reader_that_is_left_ends_its_child(many: str, starts: list[Reader]) -> None:
    pieces = iter_features(many, SYMBOL, engine="arrow")
    next(pieces)
    assert len(children()) == 1
    pieces.close()  # type: ignore[attr-defined]
    assert children() == []
    assert [one.is_free for one in starts] == [False]


def test_what_is_not_installed_is_not_used(many: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "LONG_ROWS", 1)
    monkeypatch.setattr(engines, "Reader", None)
    monkeypatch.setitem(sys.modules, "adbc_driver_sqlite", None)
    assert len(load_features(many, SYMBOL)) == MANY
    with pytest.raises(MissingExtra, match=r"\.\[fast\]"):
        load_features(many, SYMBOL, engine="arrow")
    with pytest.raises(QueryError, match="engine is 'fast'; expected auto, python, arrow"):
        load_features(many, SYMBOL, engine="fast")  # type: ignore[arg-type]
