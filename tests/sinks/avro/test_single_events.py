"""Events that come one by one, in any order, more than once: a part is complete when it is complete."""

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import BadRecord
from collector.sinks.avro import Assembler, Form, Record, records_of
from collector.sinks.contract import WriteSet

sys.path.insert(0, str(Path(__file__).parents[2]))
from one_segment import make_write_set

ROWS = 8
PART = "batch-1/bybit:BTC/USDT:USDT/0"


def events(rows: int = ROWS, batch_id: str = "batch-1") -> list[Record]:
    return records_of(make_write_set(batch_id, rows), Form.SINGLE)


def taken(assembler: Assembler, records: list[Record]) -> list[WriteSet]:
    found = [assembler.take(one.data, str(place)) for place, one in enumerate(records)]
    return [one for one in found if one is not None]


@given(st.data())
@settings(max_examples=settings().max_examples * 3 // 5)
def test_any_order_and_any_repetition_give_the_part_once(data: st.DataObject) -> None:
    records = events()
    order = data.draw(st.permutations(range(ROWS + 1)))
    again = data.draw(st.lists(st.integers(0, ROWS), max_size=10))
    mixed = list(order)
    for one in again:
        mixed.insert(data.draw(st.integers(0, len(mixed))), one)
    assembler = Assembler()
    (found,) = taken(assembler, [records[one] for one in mixed])
    (expected,) = taken(Assembler(), records)
    assert found == expected
    assert found.rows[0].columns["sequence"] == list(range(ROWS))
    assert (assembler.earliest_open, assembler.open_parts) == (None, ())


def test_a_checkpoint_waits_for_the_part_that_began_first() -> None:
    first, second = events(), events(batch_id="batch-2")
    assembler = Assembler()
    assert assembler.earliest_open is None
    for place, record in enumerate([first[0], *second, *first[1:-1]]):
        assembler.take(record.data, str(place))
        assert assembler.earliest_open == "0"
    assert [one.part_id for one in assembler.open_parts] == [PART]
    done = assembler.take(first[-1].data, "x")
    assert done is not None
    assert (done.batch_id, assembler.earliest_open) == (PART, None)


def test_a_part_that_is_given_up_is_left_out_from_then_on() -> None:
    records = events()
    assembler = Assembler()
    taken(assembler, records[3:])
    (part,) = assembler.open_parts
    assert (part.part_id, part.position, part.missing) == (PART, "0", 3)
    assembler.forget(PART)
    assert (taken(assembler, records), assembler.earliest_open) == ([], None)


def test_of_how_many_events_a_part_is_that_has_not_ended_is_not_known() -> None:
    assembler = Assembler()
    taken(assembler, events()[:3])
    assert [one.missing for one in assembler.open_parts] == [None]


def test_events_whose_part_never_ends_do_not_fill_the_memory() -> None:
    """As of a writer that leaves coverage out."""
    assembler = Assembler(most_open_records=20)
    alone = [one for number in range(5) for one in records_of(
        make_write_set(f"batch-{number}", ROWS), Form.SINGLE, coverage=False)]  # fmt: skip
    assert len(alone) == 5 * ROWS
    with pytest.raises(BadRecord, match=r"coverage off \(coverage: false\)"):
        taken(assembler, alone)
    assert sum(len(one.events) for one in assembler.open_parts) == 20
    assert all(one.events for one in assembler.open_parts)


def test_ends_whose_events_never_come_do_not_either() -> None:
    ends = [events(2, f"batch-{number}")[-1] for number in range(4)]
    assembler = Assembler(most_open_records=3)
    with pytest.raises(BadRecord, match="too many parts are open"):
        taken(assembler, ends)
    assert len(assembler.open_parts) == 3
    assembler.forget(assembler.open_parts[0].part_id)
    assert taken(assembler, ends[3:]) == []
    assert assembler.earliest_open == "1"


def test_an_event_that_comes_again_and_again_takes_no_more_room() -> None:
    records = events()
    found = taken(Assembler(most_open_records=ROWS + 1), [*records[:-1] * 5, records[-1]])
    assert [one.row_count for one in found] == [ROWS]


def test_without_coverage_a_container_is_refused_with_the_reason() -> None:
    (record,) = records_of(make_write_set(), Form.BATCH, coverage=False)
    with pytest.raises(BadRecord, match=r"no coverage.*coverage: false"):
        Assembler().take(record.data, "0")
    assert record.rows == 3


@pytest.mark.parametrize("form", Form)
def test_without_coverage_what_is_no_market_data_is_left_out(form: Form) -> None:
    ended = make_write_set()
    assert records_of(WriteSet("b", ended.session, (), ended.segments), form, coverage=False) == []
