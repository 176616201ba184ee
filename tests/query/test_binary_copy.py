"""What PostgreSQL copies in binary form is what its cursor returns."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.errors import QueryError
from collector.query.rows import raw_rows
from collector.query.rows.binary_copy import are_copied, copied_rows, from_copy

THINGS = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.BIGINT(), primary_key=True),
    sa.Column("text", sa.TEXT()),
    sa.Column("number", sa.Double()),
    sa.Column("side", sa.TEXT()),
    sa.Column("whole", sa.BIGINT()),
)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5) | st.none()
ROWS = st.lists(
    st.tuples(
        TEXTS | st.sampled_from(["", "日本😀", "it's"]),
        st.floats(allow_nan=False) | st.none() | st.sampled_from([-0.0, 5e-324]),
        st.sampled_from(["buy", "sell", "", None]),
        st.integers(1 - 2**63, 2**63 - 1) | st.none() | st.just(2**53 + 1),
    ),
    max_size=7,
)


@pytest.fixture
def connection(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Connection]:
    monkeypatch.setattr(raw_rows, "FEWEST_CHUNK_ROWS", 1)
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        THINGS.metadata.create_all(connection)
        yield connection
    engine.dispose()


def columns(connection: sa.Connection, query: "sa.Select[Any]", rows: int) -> list[list[Any]]:
    """Return the type of each column and its values, whose every bit tells."""
    found = list(raw_rows.chunks(connection, query, rows))
    whole = {name: np.concatenate([one[name] for one in found]) for name in found[0]} if found else {}
    return [
        [name, v.dtype.str, v.tolist() if v.dtype == object else v.tobytes()] for name, v in whole.items()
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=ROWS, chunk=st.integers(1, 4), names=st.sampled_from([None, ["text"], ["number", "whole"], ["side"]])
)
@example(rows=[("", -0.0, "", 1 - 2**63), (None, None, None, None)], chunk=2, names=None)
def test_every_value_is_copied_as_it_is(
    connection: sa.Connection, rows: list[Any], chunk: int, names: list[str] | None
) -> None:
    connection.execute(sa.delete(THINGS))
    for place, row in enumerate(rows):
        told = dict(zip(("text", "number", "side", "whole"), row, strict=True))
        connection.execute(sa.insert(THINGS), {"id": -place, **told})
    query: sa.Select[Any] = sa.select(*(THINGS.c[name] for name in names or THINGS.c.keys())).order_by(
        THINGS.c.id
    )
    copied = columns(connection, query, chunk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_rows, "are_copied", lambda *_: False)
        assert copied == columns(connection, query, chunk)


def test_who_stops_early_can_ask_on(connection: sa.Connection) -> None:
    """A cancelled copy fails, and whatever a transaction does after a failure is refused."""
    connection.execute(sa.insert(THINGS), [{"id": place, "text": "x" * 2_000} for place in range(3_000)])
    copied = raw_rows.chunks(connection, sa.select(THINGS.c.id), 2)
    assert next(copied)["id"].tolist() == [0, 1]
    copied.close()
    texts = raw_rows.chunks(connection, sa.select(THINGS.c.id, THINGS.c.text), 2)
    assert next(texts)["text"].tolist() == ["x" * 2_000] * 2
    texts.close()
    assert connection.execute(sa.select(sa.func.count()).select_from(THINGS)).scalar_one() == 3_000


def test_moments_are_not_copied() -> None:
    """The driver makes them what they are."""
    table = make_tables(DEFAULT_TABLE_NAME).trades
    assert not are_copied(sa.select(table.c.created_at), {"created_at": "text"})
    assert are_copied(sa.select(table.c.side, table.c.price), {"side": "text", "price": "float"})


HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
ROW = b"\0\x02" + b"\0\0\0\x08" + (7).to_bytes(8, "big") + b"\0\0\0\x01a"
KINDS: Any = {"text": "text", "whole": "int"}


@pytest.mark.parametrize("messages", [[HEADER + ROW, ROW, b"\xff\xff"], [HEADER, ROW, ROW, b"\xff\xff"]])
def test_the_header_may_come_alone_or_with_a_row(messages: list[bytes]) -> None:
    (rows,) = copied_rows(iter(messages), KINDS, 10)
    found = from_copy(rows, KINDS, "utf-8")
    assert list(found) == ["text", "whole"]
    assert found["text"].tolist() == ["a", "a"]
    assert found["whole"].tolist() == [7, 7]


@pytest.mark.parametrize(
    "wrong", [ROW + ROW, ROW[:-1] + b"ab", b"\0\x03" + ROW[2:], ROW[:9], ROW[:2] + bytes(17)]
)
def test_rows_in_another_form_are_refused(wrong: bytes) -> None:
    with pytest.raises(QueryError, match="in a form that is not known"):
        from_copy([ROW, wrong], KINDS, "utf-8")
