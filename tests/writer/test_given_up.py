"""What is given up is a hole: coverage, loaders and the audit see it, on any database, after any restart."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.database.engine import make_engine
from collector.database.tables import make_tables
from collector.database.url import database_url
from collector.errors import QueryError, SinkError
from collector.events.batch import StreamKey
from collector.query.audit import run_audit
from collector.query.covered import gaps
from collector.query.loaders import load_features
from collector.retry import Backoff
from collector.sinks.contract import AccountingState, Receipt, Rows, SegmentState, SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink
from collector.spool.file import SpoolFile
from collector.spool.pages import Found
from collector.writer.balance import Balance
from collector.writer.breaker import Breaker
from collector.writer.delivery import Step, ToSink, ToSpool
from collector.writer.spool import Spool
from collector.writer.write_queue import WriteQueue

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file

BTC = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
TRADES = StreamKey("bybit", "BTC/USDT:USDT", "trade")
S = 1_000_000_000
BEGIN_NS = 1_700_000_000 * S
SEGMENT = 2**62 + 1
DAMAGE = "UPDATE spool SET body = zeroblob(length(body)) WHERE batch_id = ?"
Coverage = list[tuple[int, int, int, int | None, int | None, int, str | None]]


def batch(number: int, *, bad: Sequence[int] = (), cause: str | None = None, rows: int = 10) -> WriteSet:
    """Make ten seconds of one segment, a row a second; rows at the places `bad` have no timestamp."""
    places = range(10 * number, 10 * number + rows)
    at_ns = [BEGIN_NS + place * S for place in places]
    texts = [f"2023-11-14T22:{13 + (20 + one) // 60:02}:{(20 + one) % 60:02}.000000Z" for one in places]
    columns: dict[str, Any] = {
        "timestamp": [
            None if one - places[0] in bad else text for one, text in zip(places, texts, strict=True)
        ],
        "symbol": [BTC.symbol] * rows,
        "exchange": [BTC.exchange] * rows,
        "mid_price": [float(one) for one in places],
        "ofi": [1.0 if one else None for one in places],
        "sequence": list(places),
        "data_source": ["simulator"] * rows,
        "data_quality_score": [1.0] * rows,
        "received_at_ns": at_ns,
        "segment_id": [SEGMENT] * rows,
        "depth": [50] * rows,
    }
    state = SegmentState(
        SEGMENT,
        "one",
        *BTC,
        at_ns[0],
        at_ns[-1],
        at_ns[-1] + S // 2,
        places[0],
        places[-1],
        rows,
        "sequence",
        cause,
    )
    account = AccountingState("one", *BTC, received=rows, written=rows)
    return WriteSet(f"b{number}", session("one"), (Rows("book", columns),), (state,), (account,))


def session(name: str) -> SessionState:
    return SessionState(name, BEGIN_NS, "0", "host", 1, "{}")


class Given:
    """A source of write sets that are given to it."""

    is_behind = False

    def __init__(self) -> None:
        self.waiting: list[WriteSet] = []

    def wait(self, timeout_s: float) -> None:
        """Do nothing."""

    hurry = abandon = wait  # type: ignore[assignment]

    def write_sets(self, *, is_last: bool) -> Iterator[WriteSet]:
        """Give all."""
        del is_last
        waiting, self.waiting = self.waiting, []
        yield from waiting


class Process:
    """The writer of one run of the program, on a real spool and a real database, a step at a time."""

    def __init__(self, url: str, folder: Path, name: str = "one") -> None:
        self.database = SqlSink(url, synchronous="OFF", auto_migrate=True)
        self.database.open()
        self.database.claim(session(name), [])
        self.is_away = False
        self.given = Given()
        self.file = SpoolFile(folder / "spool", max_bytes=1 << 24, synchronous="OFF")
        self.file.open()
        self.balance = Balance(name, lambda _: BTC)
        self.balance.carried_in(self.file.heads())
        self.queue = WriteQueue(self.given)  # type: ignore[arg-type]
        self.queue.begin(self.file.last_number, spilling=self.file.entries > 0)
        self.spool = Spool(self.file, self.balance, name)
        nothing = Backoff(0.0, 0.0)
        self.to_sink = ToSink(self.queue, self.spool, self, Breaker(9, nothing, nothing), spill_after_s=9.0)
        self.to_spool = ToSpool(self.queue, self.spool)

    name = "database"

    def write(self, write_set: WriteSet) -> Receipt:
        """Write, unless the database is away."""
        if self.is_away:
            raise SinkError("away", transient=True)
        return self.database.write(write_set)

    def refuses(self, rows: Rows) -> str | None:
        """Try the rows."""
        return self.database.refuses(rows)

    def take(self, *write_sets: WriteSet) -> None:
        """Let these come; they go to the database, or to the spool while it is away."""
        for write_set in write_sets:
            self.balance.took(write_set)
        self.given.waiting += write_sets
        if self.is_away:
            self.queue.spilling.set()
            while self.to_spool.step() is Step.MOVED:
                pass
        else:
            self.drain()

    def drain(self, steps: int = 1000) -> None:
        """Bring in what waits, at most so many steps."""
        self.is_away = False
        for _ in range(steps):
            if self.to_sink.step() is Step.IDLE:
                return

    def damage(self, *batch_ids: str) -> None:
        """Destroy the rows of batches in the spool."""
        assert self.file._connection is not None
        for one in batch_ids:
            assert self.file._connection.execute(DAMAGE, (one,)).rowcount == 1

    def destroy(self, batch_id: str) -> None:
        """Destroy all of a batch in the spool: nobody can tell any more which streams it was of."""
        assert self.file._connection is not None
        statement = "UPDATE spool SET head = zeroblob(length(head)) WHERE batch_id = ?"
        assert self.file._connection.execute(statement, (batch_id,)).rowcount == 1

    def lose_pages(self, *places: int) -> None:
        """Destroy leaf pages of the spool: those at these places in their order."""
        assert self.file._connection is not None
        self.file._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        content, page = bytearray(self.file.path.read_bytes()), 4096
        leaves = sorted({where for where, _ in Found(self.file.path)._places.values()})
        for place in places:
            start = (leaves[place] - 1) * page
            content[start : start + page] = b"\xff" * page
        with self.file.path.open("r+b") as file:
            file.write(content)
        self.file._connection.execute("PRAGMA shrink_memory")

    def end(self) -> None:
        """Leave everything as it is, as a kill does."""
        self.file.close()
        self.database.close()


@pytest.fixture
def start(any_database: str, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start a writer; the one before is killed."""
    running: list[Process] = []

    def start_one(name: str = "one") -> Process:
        for one in running:
            one.end()
        running.append(Process(any_database, tmp_path, name))
        return running[-1]

    yield start_one
    for one in running:
        one.end()


def ask(url: str, query: Any) -> list[Any]:
    engine = make_engine(database_url(url), read_only=True)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(query)]
    engine.dispose()
    return found


def covered(url: str) -> Coverage:
    """Return the segments: from and until in seconds, sequences, rows and cause."""
    known = make_tables("l2_training_data_practical").coverage.c
    columns = (known.start_ns, known.end_ns, known.alive_until_ns, known.first_sequence, known.last_sequence)
    query = sa.select(*columns, known.rows, known.end_cause).order_by(known.start_ns)
    return [(*((one - BEGIN_NS) / S for one in row[:3]), *row[3:]) for row in ask(url, query)]  # type: ignore[misc]


def first_flows(url: str) -> list[int]:
    """Return the sequences of the rows without an order flow."""
    hot = make_tables("l2_training_data_practical").hot.c
    query = sa.select(hot.sequence).where(hot.ofi.is_(None)).order_by(hot.sequence)
    return [number for (number,) in ask(url, query)]


def counted(url: str) -> list[tuple[int, ...]]:
    """Return of each stream and session what was received, written, rejected and is pending."""
    terms = make_tables("l2_training_data_practical").accounting.c
    return ask(url, sa.select(terms.received, terms.written, terms.rejected, terms.pending))


def findings(url: str) -> list[str]:
    """Audit; the numbers of these rows are made up, and are not what features would be."""
    return [str(one) for one in run_audit(url).findings if one.check != "features"]


def test_a_damaged_batch_is_a_hole_for_every_reader(any_database: str, start: Callable[..., Process]) -> None:
    one = start()
    one.take(batch(0))
    one.is_away = True
    one.take(*(batch(number) for number in (1, 2)), batch(3, cause="stop"))
    one.damage("b1")
    one.drain()
    assert covered(any_database) == [
        (0, 9, 9.5, 0, 9, 10, "damaged"),
        (20, 39, 39.5, 20, 39, 20, "stop"),
    ]
    assert first_flows(any_database) == [0, 20]
    (hole,) = gaps(any_database, BTC.symbol).to_dict("records")
    assert ((hole["from_ns"] - BEGIN_NS) / S, hole["cause"]) == (9.5, "damaged")
    seen = load_features(any_database, BTC.symbol, every="1s")["mid_price"]
    assert int(seen.notna().sum()) == 30
    with pytest.raises(QueryError, match="hole"):
        load_features(any_database, BTC.symbol, on_gap="raise")
    assert [len(piece) for piece in load_features(any_database, BTC.symbol, on_gap="split")] == [10, 20]
    assert findings(any_database) == []
    assert counted(any_database) == [(40, 30, 10, 0)]


@in_a_file
@pytest.mark.parametrize("steps", [0, 2, 3])
def test_the_hole_stays_wherever_the_process_was_killed_and_whoever_goes_on(
    any_database: str, start: Callable[..., Process], steps: int
) -> None:
    one = start()
    one.take(batch(0))
    one.is_away = True
    one.take(*(batch(number) for number in (1, 2, 3)), batch(4, cause="stop"))
    one.damage("b2")
    one.drain(steps)
    start("two").drain()
    assert covered(any_database) == [
        (0, 19, 19.5, 0, 19, 20, "damaged"),
        (30, 49, 49.5, 30, 49, 20, "stop"),
    ]
    assert first_flows(any_database) == [0, 30]


@in_a_file
def test_the_first_batch_of_a_segment_may_be_the_lost_one_and_so_may_the_last(
    any_database: str, start: Callable[..., Process]
) -> None:
    one = start()
    one.is_away = True
    one.take(*(batch(number) for number in range(3)), batch(3, cause="stop"))
    one.damage("b0", "b3")
    one.drain()
    assert covered(any_database) == [
        (0, 0, 0, None, None, 0, "damaged"),
        (10, 29, 29.5, 10, 29, 20, "damaged"),
    ]
    assert first_flows(any_database) == [10]


@in_a_file
def test_every_second_batch_lost_gives_as_many_holes(
    any_database: str, start: Callable[..., Process]
) -> None:
    one = start()
    one.is_away = True
    one.take(*(batch(number) for number in range(5)))
    one.damage("b1", "b3")
    one.drain()
    one.take(batch(5, cause="stop"))
    assert [(row[0], row[2], row[-1]) for row in covered(any_database)] == [
        (0, 9.5, "damaged"),
        (20, 29.5, "damaged"),
        (40, 59.5, "stop"),
    ]
    assert findings(any_database) == []


def test_poisoned_rows_are_holes_inside_of_their_batch(
    any_database: str, start: Callable[..., Process]
) -> None:
    one = start()
    one.take(batch(0), batch(1, bad=(3, 4, 7)), batch(2, cause="stop"))
    assert covered(any_database) == [
        (0, 12, 12, 0, 12, 13, "poison"),
        (15, 16, 16, 15, 16, 2, "poison"),
        (18, 29, 29.5, 18, 29, 12, "stop"),
    ]
    assert first_flows(any_database) == [0, 15, 18]
    assert int(load_features(any_database, BTC.symbol, every="1s")["mid_price"].notna().sum()) == 27
    assert findings(any_database) == []


@in_a_file
def test_poison_at_the_ends_of_batches_is_a_hole_too(
    any_database: str, start: Callable[..., Process]
) -> None:
    one = start()
    one.take(batch(0, bad=(0, 9)), batch(1, bad=(0,)), batch(2, bad=range(10)), batch(3, cause="stop"))
    assert covered(any_database) == [
        (0, 0, 0, None, None, 0, "poison"),
        (1, 8, 8, 1, 8, 8, "poison"),
        (11, 19, 19.5, 11, 19, 9, "poison"),
        (30, 39, 39.5, 30, 39, 10, "stop"),
    ]
    assert first_flows(any_database) == [1, 11, 30]
    assert findings(any_database) == []


@in_a_file
def test_a_batch_put_aside_as_a_whole_is_a_hole(
    any_database: str, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start()
    one.take(batch(0))
    write = one.database.write

    def refuse(write_set: WriteSet) -> Receipt:
        if write_set.row_count and write_set.batch_id == "b1":
            raise SinkError("this will not do: \0", transient=False)
        return write(write_set)

    monkeypatch.setattr(one.database, "write", refuse)
    one.take(batch(1), batch(2, cause="stop"))
    assert covered(any_database) == [(0, 9, 9.5, 0, 9, 10, "poison"), (20, 29, 29.5, 20, 29, 10, "stop")]
    assert first_flows(any_database) == [0, 20]


@in_a_file
def test_streams_that_lost_nothing_go_on(any_database: str, start: Callable[..., Process]) -> None:
    one = start()
    quiet = SegmentState(
        SEGMENT + 1, "one", *TRADES, BEGIN_NS, BEGIN_NS, BEGIN_NS, None, None, 0, "connection"
    )

    def both(number: int) -> WriteSet:
        alive_ns = BEGIN_NS + (10 * number + 9) * S
        return replace(
            batch(number), segments=(*batch(number).segments, replace(quiet, alive_until_ns=alive_ns))
        )

    one.is_away = True
    one.take(*(both(number) for number in range(3)))
    one.damage("b1")
    one.drain()
    known = make_tables("l2_training_data_practical").coverage.c
    query = sa.select(known.alive_until_ns, known.end_cause).where(known.channel == "trade")
    assert ask(any_database, query) == [(BEGIN_NS + 29 * S, None)]


@in_a_file
def test_a_segment_that_goes_on_silently_after_the_hole_claims_nothing_until_a_row(
    any_database: str, start: Callable[..., Process]
) -> None:
    one = start()
    one.is_away = True
    silent = replace(
        batch(2),
        rows=(),
        accounting=(),
        segments=(replace(batch(2).segments[0], rows=0, start_ns=BEGIN_NS),),
    )
    one.take(batch(0), batch(1), silent, batch(3))
    one.damage("b1")
    one.drain()
    assert covered(any_database) == [(0, 9, 9.5, 0, 9, 10, "damaged"), (30, 39, 39.5, 30, 39, 10, None)]


@in_a_file
def test_the_audit_finds_a_hole_that_no_segment_tells_of(
    any_database: str, start: Callable[..., Process]
) -> None:
    one = start()
    (account,) = batch(1).accounting
    hidden = replace(
        batch(1), rows=(), segments=(), accounting=(replace(account, written=0, rejected={"poison": 10}),)
    )
    one.take(batch(0), hidden, batch(2, cause="stop"))
    assert any("10 rows were given up" in text for text in findings(any_database))


@pytest.mark.parametrize(("is_gone", "steps"), [(True, 0), (False, 0), (False, 2)])
@in_a_file
def test_a_batch_of_which_nothing_is_left_is_a_hole_of_all_streams_of_its_session(
    any_database: str, start: Callable[..., Process], is_gone: bool, steps: int
) -> None:
    one = start()
    one.take(batch(0))
    one.is_away = True
    one.take(*(batch(number) for number in (1, 2, 3)), batch(4, cause="stop"))
    if is_gone:
        one.file.remove(3)
    else:
        one.destroy("b2")
    one.drain(steps)
    start("two").drain()
    holes = [(row[0], row[2], row[-1]) for row in covered(any_database)]
    assert holes == [(0, 19.5, "damaged"), (30, 49.5, "stop")]
    assert first_flows(any_database) == [0, 30]


@in_a_file
def test_a_session_that_goes_on_after_such_a_loss_has_new_segments(
    any_database: str, start: Callable[..., Process]
) -> None:
    one = start()
    one.take(batch(0))
    one.is_away = True
    one.take(batch(1))
    one.destroy("b1")
    one.drain()
    one.take(batch(2), batch(3, cause="stop"))
    holes = [(row[0], row[2], row[-1]) for row in covered(any_database)]
    assert holes == [(0, 9.5, "damaged"), (20, 39.5, "stop")]


def holes_between(numbers: Sequence[int], last: int) -> list[tuple[float, float, str | None]]:
    """Return what is covered where the first ten seconds are stored, and these batches of a repaired file.

    Nobody knows what was in the file before the first of them: a hole is before it in any case.
    """
    begins = [0, *(one for one in numbers if one - 1 not in numbers)]
    ends = [0, *(one for one in numbers if one + 1 not in numbers)]
    return [
        (10.0 * begin, 10 * end + 9.5, "stop" if end == last else "damaged")
        for begin, end in zip(begins, ends, strict=True)
    ]


@in_a_file
@pytest.mark.parametrize("is_read", [0, 1], ids=["before", "after"])
@pytest.mark.parametrize("place", [0, 1], ids=["beginning", "middle"])
def test_what_the_pages_of_a_damaged_spool_held_is_a_hole_wherever_the_process_was_killed(
    any_database: str, start: Callable[..., Process], place: int, is_read: int
) -> None:
    last = 24
    one = start()
    one.take(batch(0))
    one.is_away = True
    one.take(*(batch(number) for number in range(1, last)), batch(last, cause="stop"))
    one.lose_pages(place)
    two = start("two")
    numbers = [number - 1 for number in two.file.numbers()]  # the first batch of all has the number 1
    assert (numbers[0] > 1) == (place == 0)
    assert last in numbers
    assert len(numbers) < last
    before_the_hole = 0 if place == 0 else next(at for at, one in enumerate(numbers, 1) if one != at) - 1
    two.drain(before_the_hole + is_read)
    start("three").drain()
    holes = [(row[0], row[2], row[-1]) for row in covered(any_database)]
    assert holes == holes_between(numbers, last)
    assert len(holes) == 2 + place
    assert first_flows(any_database) == [int(begin) for begin, _, _ in holes]
    assert findings(any_database) == []


@in_a_file
def test_a_repair_between_two_batches_of_which_neither_is_lost_makes_no_hole(
    start: Callable[..., Process], any_database: str
) -> None:
    one = start()
    one.take(batch(0))
    one.is_away = True
    one.take(*(batch(number) for number in range(1, 24)))
    one.drain(2)
    one.lose_pages(-1)
    assert one.file.numbers()[0] == 4  # it is repaired here
    assert one.file.repairs == 1
    one.drain()
    one.take(batch(24, cause="stop"))
    (before, after) = covered(any_database)
    assert 29.5 < before[2] < 239.5
    assert (before[0], before[-1]) == (0, "damaged")
    assert (after[0], after[2], after[-1]) == (240, 249.5, "stop")
