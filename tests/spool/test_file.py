"""What the spool keeps, it gives back whole and in order, or says that it cannot."""

import math
import os
import random
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))
from one_segment import make_write_set

from collector.errors import SpoolError, UserError
from collector.sinks.contract import Rows
from collector.spool.codec import DamagedError, UnfitError, body_of, head_of, read_body, read_head
from collector.spool.file import SpoolFile

OpenSpool = Callable[..., SpoolFile]

VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()


@given(st.lists(VALUES), st.lists(VALUES))
def test_every_value_comes_back_as_it_went_in(some: list[object], others: list[object]) -> None:
    rows = (Rows("book", {"a": some}), Rows("trades", {"b": others, "c": others}))  # type: ignore[dict-item]
    back = read_body(body_of(rows))
    assert back == rows
    assert [type(one) for one in back[0].columns["a"]] == [type(one) for one in some]


def test_what_is_no_number_comes_back_as_it_was() -> None:
    (rows,) = read_body(body_of([Rows("book", {"a": [math.nan, math.inf, -0.0]})]))
    nan, infinity, zero = rows.columns["a"]
    assert isinstance(nan, float)
    assert math.isnan(nan)
    assert infinity == math.inf
    assert math.copysign(1, zero) == -1  # type: ignore[arg-type]


def test_a_write_set_without_its_rows_is_its_head() -> None:
    write_set = make_write_set()
    head = read_head(head_of(write_set))
    assert head.rows == ()
    assert (head.batch_id, head.session, head.segments, head.accounting) == (
        write_set.batch_id,
        write_set.session,
        write_set.segments,
        write_set.accounting,
    )


@pytest.mark.parametrize("value", [2**70, "\ud800", object(), b"bytes"])
def test_what_no_bytes_can_hold_is_unfit(value: object) -> None:
    bad = Rows("book", {"a": [value]})  # type: ignore[list-item]
    if isinstance(value, bytes):
        with pytest.raises(DamagedError):
            read_body(body_of([bad]))
    else:
        with pytest.raises(UnfitError):
            body_of([bad])


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(body_of([Rows("book", {"a": list(range(50))})]))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedError):
        read_body(bytes(sealed))


def test_batches_come_back_in_the_order_of_their_numbers(open_spool: OpenSpool) -> None:
    spool = open_spool()
    for number in (3, 1, 2):
        spool.append(number, make_write_set(f"batch-{number}"))
    found = []
    while (entry := spool.first()) is not None:
        assert entry.rows == make_write_set().rows
        found.append((entry.number, entry.batch_id))
        spool.remove(entry.number)
    assert found == [(1, "batch-1"), (2, "batch-2"), (3, "batch-3")]
    assert spool.entries == spool.bytes == 0


def test_another_start_finds_what_the_last_one_kept(open_spool: OpenSpool) -> None:
    first = open_spool()
    first.append(5, make_write_set())
    size = first.bytes
    first.close()
    second = open_spool()
    assert (second.entries, second.bytes, second.last_number) == (1, size, 5)
    assert [head.batch_id for head in second.heads()] == ["batch-1"]


def test_an_empty_spool_leaves_no_file(open_spool: OpenSpool, tmp_path: Path) -> None:
    spool = open_spool()
    spool.append(1, make_write_set())
    spool.remove(1)
    spool.close()
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_spool_says_so_and_takes_again_when_there_is_room(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=65_536)

    def fill() -> None:
        for number in range(1, 10_000):
            spool.append(number, make_write_set(count=20, bid_price_1=[number / 7 + n for n in range(20)]))

    with pytest.raises(SpoolError, match="full") as refused:
        fill()
    assert refused.value.full
    assert 60_000 < spool.bytes <= 65_536
    spool.remove(1)
    spool.append(10_000, make_write_set())


def test_the_file_shrinks_when_it_is_empty_again(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=1 << 24)
    for number in range(1, 40):
        spool.append(number, make_write_set(count=500, symbol=[os.urandom(20).hex() for _ in range(500)]))
    for number in range(1, 40):
        spool.remove(number)
    spool.append(40, make_write_set())
    connection = spool._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    assert pages * 4096 < 100_000


def test_a_second_collector_is_refused(open_spool: OpenSpool) -> None:
    open_spool("one")
    with pytest.raises(UserError, match=r"in use by another collector.*another spool\.path"):
        open_spool("one")


def test_somebody_else_s_database_is_left_alone(open_spool: OpenSpool, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "spool")
    other.execute("CREATE TABLE mine (a)")
    other.close()
    with pytest.raises(UserError, match="not a spool"):
        open_spool()


def test_a_folder_that_is_not_there_is_told(open_spool: OpenSpool) -> None:
    with pytest.raises(UserError, match="its folder must exist"):
        open_spool("nowhere/spool")


def someone_s_database(path: Path) -> bytes:
    """Return the content of a database that SQLite finds damaged."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE mine (a)")
        other.execute("PRAGMA application_id = 77")
    content = bytearray(path.read_bytes())
    content[100:200] = b"\xff" * 100
    path.unlink()
    return bytes(content)


@pytest.mark.parametrize("what", ["a letter", "a word", "a photograph", "a damaged database"])
def test_a_file_of_another_kind_is_refused_and_left_as_it_is(
    open_spool: OpenSpool, tmp_path: Path, what: str
) -> None:
    path = tmp_path / "spool"
    content = {
        "a letter": b"not a database" * 1000,
        "a word": b"mine",
        "a photograph": b"\xff\xd8" + random.Random(1).randbytes(50_000),
        "a damaged database": someone_s_database(path),
    }[what]
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"spool is there, and is not a spool; .* another name"):
        open_spool()
    assert [one.name for one in tmp_path.iterdir()] == ["spool"]
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"\0" * 8192])
def test_a_file_without_content_is_taken(open_spool: OpenSpool, tmp_path: Path, content: bytes) -> None:
    """One that was made by hand, and one of which a power cut left the length."""
    (tmp_path / "spool").write_bytes(content)
    spool = open_spool()
    spool.append(1, make_write_set())
    assert spool.numbers() == [1]


def test_one_that_is_named_after_its_database_is_kept_and_replaced(tmp_path: Path) -> None:
    """Nobody else gives a file that name: it was a spool, whatever is left of it."""
    (tmp_path / "spool").write_bytes(b"not a database" * 1000)
    spool = SpoolFile(tmp_path / "spool", max_bytes=1 << 20, by_name=True)
    spool.open()
    spool.append(1, make_write_set())
    spool.close()
    (kept,) = tmp_path.glob("spool.damaged-*")
    assert kept.read_bytes().startswith(b"not a database")


def test_a_deleted_file_is_written_anew_with_all_that_it_held(open_spool: OpenSpool, tmp_path: Path) -> None:
    spool = open_spool()
    spool.append(1, make_write_set("batch-1"))
    for path in tmp_path.iterdir():
        path.unlink()
    spool.append(2, make_write_set("batch-2"))
    spool.close()
    assert [head.batch_id for head in open_spool().heads()] == ["batch-1", "batch-2"]


def test_damaged_bytes_are_told_and_can_be_set_aside(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.append(1, make_write_set("batch-1"))
    spool.append(2, make_write_set("batch-2"))
    assert spool._connection is not None
    spool._connection.execute("UPDATE spool SET body = zeroblob(length(body)) WHERE number = 1")
    entry = spool.first()
    assert entry is not None
    assert (entry.number, entry.rows, "checksum" in entry.damage) == (1, None, True)
    assert (entry.batch_id, entry.session_id, entry.row_count) == ("batch-1", "session-1", 3)
    assert entry.head is not None
    spool.set_aside(1, entry.damage)
    after = spool.first()
    assert after is not None
    assert (after.number, spool.entries) == (2, 1)
    spool.remove(2)
    spool.close()
    assert spool.path.exists()  # for a person to look at
