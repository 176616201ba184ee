"""What the writer makes comes back from records as it was: rows bit for bit, coverage and counts in sum."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.sinks.avro import MOST_BYTES, MOST_ROWS, Assembler, Form, Record, records_of
from collector.sinks.contract import AccountingState, Rows, SegmentState, SessionState, WriteSet

sys.path.insert(0, str(Path(__file__).parent))
from written import SESSION, carried_in, flat, sifted, some_write_sets

FORMS = st.sampled_from(Form)
ADDED = ("received", "carried_in", "written", "merged", "sampled_out", "dropped", "pending")


def read_back(records: Iterable[Record]) -> list[WriteSet]:
    """Take records as they come; nothing is open in the end."""
    assembler = Assembler()
    found = [assembler.take(one.data, str(place)) for place, one in enumerate(records)]
    assert assembler.earliest_open is None
    return [one for one in found if one is not None]


def sums(increments: Iterable[AccountingState]) -> dict[tuple[str, ...], Counter[str]]:
    found: dict[tuple[str, ...], Counter[str]] = {}
    for one in increments:
        terms = found.setdefault((one.session_id, *one.key), Counter())
        for name in ADDED:
            terms[name] += getattr(one, name)
        for reason, count in one.rejected.items():
            terms[f"rejected {reason}"] += count
    return found


def last_states(states: Iterable[SegmentState]) -> dict[int, SegmentState]:
    """Return what a database holds of each segment: rows added up, the begin of the first, else the last."""
    found: dict[int, SegmentState] = {}
    for one in states:
        before = found.get(one.segment_id, replace(one, rows=0))
        found[one.segment_id] = replace(
            one,
            rows=before.rows + one.rows,
            start_ns=before.start_ns,
            first_sequence=before.first_sequence,
        )
    return found


def check(write_set: WriteSet, form: Form) -> None:
    records = records_of(write_set, form)
    assert sum(one.rows for one in records) == write_set.row_count
    assert all(len(one.data) + len(one.partition_key.encode()) <= MOST_BYTES for one in records)
    parts = read_back(records)
    assert len({one.batch_id for one in parts}) == len(parts)
    assert all(one.batch_id.startswith(f"{write_set.batch_id}/") for one in parts)
    assert flat(list(chain.from_iterable(one.rows for one in parts))) == flat(write_set.rows)
    assert all(
        sum(len(rows) for rows in one.rows if rows.table != "levels") <= MOST_ROWS
        and (one.session, one.by, one.is_after_loss)
        == (write_set.session, write_set.by, write_set.is_after_loss)
        for one in parts
    )
    assert sums(chain.from_iterable(one.accounting for one in parts)) == sums(write_set.accounting)
    states = last_states(chain.from_iterable(one.segments for one in parts))
    assert states == last_states(write_set.segments)
    if all(one.difference == 0 for one in write_set.accounting):
        assert {one.difference for part in parts for one in part.accounting} <= {0}


@given(
    st.integers(0, 2**32),
    st.lists(st.integers(0, 60), min_size=1, max_size=3),
    FORMS,
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=settings().max_examples // 4)
def test_all_that_the_writer_makes_comes_back(
    seed: int, events: list[int], form: Form, deep: bool, sampled: bool
) -> None:
    for write_set in some_write_sets(seed, events, deep=deep, sampled=sampled):
        check(write_set, form)
        check(carried_in(sifted(write_set, bad=seed % 7)), form)


@pytest.mark.parametrize(
    ("form", "deep"),
    [
        *((Form.BATCH, True), (Form.SINGLE, False)),
        *(
            pytest.param(form, deep, marks=pytest.mark.proof)
            for form, deep in ((Form.BATCH, False), (Form.SINGLE, True))
        ),
    ],
)
def test_more_rows_than_a_part_holds_come_back_in_several(form: Form, deep: bool) -> None:
    (write_set, *_) = some_write_sets(3, [4_500 if not deep else 3_500], deep=deep, markets=1)
    parts = read_back(records_of(write_set, form))
    assert len({one.batch_id for one in parts}) > 2
    check(write_set, form)


def table(rows: Sequence[Rows]) -> set[str]:
    return {one.table for one in rows}


def test_every_table_is_among_what_is_tried() -> None:
    write_sets = [sifted(one, 3) for one in some_write_sets(1, [60], deep=True)]
    told = set(chain.from_iterable(table(one.rows) for one in write_sets))
    assert told == {"book", "levels", "trades", "ohlcv", "events", "rejected"}


def test_a_session_that_ends_without_a_row_is_a_part_of_its_own() -> None:
    ended = replace(SESSION, ended_ns=SESSION.started_ns + 1, end_cause="stopped")
    write_set = WriteSet("batch-9", ended)
    for form in Form:
        (record,) = records_of(write_set, form)
        assert (record.partition_key, record.rows) == ("session:session-1", 0)
        assert read_back([record]) == [replace(write_set, batch_id="batch-9/session:session-1/0")]


def test_the_same_write_set_gives_the_same_records() -> None:
    first, again = (list(some_write_sets(5, [300])) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        for form in Form:
            assert records_of(one, form) == records_of(replace(other, batch_id=one.batch_id), form)


def test_what_a_session_wanted_may_be_long() -> None:
    session = SessionState("s", 1, "0", "h", 1, "[" + ", ".join(f'"X{n}/USDT"' for n in range(2_000)) + "]")
    (record,) = records_of(WriteSet("b", session), Form.BATCH)
    assert len(record.data) < 10_000
    assert read_back([record])[0].session == session


def of_rest(rows: Rows) -> Rows:
    """Return the rows as REST brings them afterwards: they stand at the exchange's time."""
    if rows.table not in {"trades", "ohlcv"}:
        return rows
    columns = {
        **rows.columns,
        "origin": ["rest"] * len(rows),
        "timestamp": ["2026-01-01T00:00:00.000000Z"] * len(rows),
    }
    if rows.table == "trades":
        columns |= {name: list(range(len(rows))) for name in ("first_trade_id", "last_trade_id")}
    return replace(rows, columns=columns)


@pytest.mark.parametrize("form", Form)
def test_what_rest_brought_stays_told_from_what_came_live(form: Form) -> None:
    for one in some_write_sets(7, [40]):
        check(replace(one, rows=tuple(map(of_rest, one.rows))), form)


@pytest.mark.parametrize("form", Form)
def test_what_rest_brought_may_go_out_together_with_what_came_live(form: Form) -> None:
    for one in some_write_sets(7, [40], markets=1):
        market = [rows for rows in one.rows if rows.table in {"trades", "ohlcv"}]
        both = replace(one, rows=(*market, *map(of_rest, market)))
        read = [rows for part in read_back(records_of(both, form)) for rows in part.rows]
        for table_name in {rows.table for rows in market}:
            origins = [
                origin
                for rows in read
                if rows.table == table_name
                for origin in rows.columns.get("origin", [None] * len(rows))
            ]
            count = sum(len(rows) for rows in market if rows.table == table_name)
            assert sorted(origins, key=str) == [None] * count + ["rest"] * count
