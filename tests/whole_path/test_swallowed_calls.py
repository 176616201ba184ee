"""A link to the server that swallows what is sent, and stays open: no call waits for it past its deadline."""

import sys
import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.app.collector import Collector
from collector.app.wiring import make_collector
from collector.errors import CollectorError, DatabaseAway, SinkError
from collector.events.batch import StreamKey
from collector.settings import load_settings
from collector.sinks.contract import AccountingState, Receipt, Rows, SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink
from collector.writer.balance import Balance
from collector.writer.queued_write import QueuedWrite
from collector.writer.watchdog import Watchdog

sys.path.insert(0, str(Path(__file__).parent))
from proxy import Proxy

sys.path.insert(0, str(Path(__file__).parents[1]))
from left_spool import leave_rows, left_write_set

CALL_TIMEOUT_S = 0.25
AT_MOST_S = 20.0  # on a busy machine
KEY = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
SESSION = SessionState("one", 1, "0", "host", 1, "{}")


def book_batch(number: int) -> WriteSet:
    columns = {
        "timestamp": ["2026-01-01T00:00:00.000001Z"],
        "symbol": [KEY.symbol],
        "exchange": [KEY.exchange],
        "sequence": [number],
        "depth": [50],
    }
    account = AccountingState("one", *KEY, received=1, written=1)
    return WriteSet(f"b{number}", SESSION, (Rows("book", columns),), (), (account,))


def outcome_of(call: Callable[[], object]) -> object:
    """Return what a call comes to, its result or its error, in a thread; fail when it does not end."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(call())
        except CollectorError as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(AT_MOST_S)
    assert not thread.is_alive(), "the call hangs"
    return found[0]


class Line:
    """A sink behind a proxy, whose calls are watched as the writer's are."""

    def __init__(self, proxy: Proxy, url: str) -> None:
        direct = sa.make_url(url)
        self.proxy = proxy
        self.direct = direct
        through = direct.set(host="127.0.0.1", port=proxy.port, query={})
        self.sink = SqlSink(through, auto_migrate=True, call_timeout_s=30.0)  # the server must not help
        self.watchdog = Watchdog([(CALL_TIMEOUT_S, self._abort)])

    def _abort(self) -> None:
        if self.proxy.swallowed:  # a busy machine is no silent link
            self.sink.abort()

    def write(self, number: int) -> object:
        return outcome_of(lambda: self.sink.write(book_batch(number)))

    def write_watched(self, number: int) -> object:
        return self.watched(lambda: self.sink.write(book_batch(number)))

    def watched(self, call: Callable[[], object]) -> object:
        def run() -> object:
            with self.watchdog.watched():
                return call()

        return outcome_of(run)

    def sequences(self) -> list[int]:
        """Return the rows that the server has."""
        engine = sa.create_engine(self.direct, poolclass=sa.NullPool)
        with engine.connect() as connection:
            query = sa.text("SELECT sequence FROM l2_training_data_practical ORDER BY id")
            return list(connection.execute(query).scalars())


@pytest.fixture
def line(postgres_url: str) -> Iterator[Line]:
    with Proxy(Path(str(sa.make_url(postgres_url).query["host"])) / ".s.PGSQL.5432") as proxy:
        one = Line(proxy, postgres_url)
        one.sink.open()
        one.sink.claim(SESSION, [KEY])
        one.watchdog.start()
        yield one
        one.watchdog.stop()
        one.sink.close()


@pytest.mark.parametrize("answer", [False, True], ids=["request", "answer"])
@pytest.mark.parametrize("word", [b"BEGIN", b"COPY", b"COMMIT"])
def test_a_call_whose_words_are_swallowed_is_broken_off_and_made_again(
    line: Line, word: bytes, answer: bool
) -> None:
    assert line.write(1) == Receipt()
    line.proxy.swallow_at(word, answer=answer)
    refused = line.write_watched(2)
    assert isinstance(refused, SinkError)
    assert refused.transient
    assert line.proxy.swallowed == 1
    again = line.write(2)
    assert isinstance(again, Receipt), again
    assert again.repeated == (word == b"COMMIT" and answer)
    assert line.write(3) == Receipt()
    assert line.sequences() == [1, 2, 3]


@pytest.mark.parametrize("word", [b"set_config", b"pg_try_advisory_lock", b"COMMIT"])
def test_so_is_one_that_gets_lost_while_a_new_connection_is_set_up(line: Line, word: bytes) -> None:
    assert line.write(1) == Receipt()
    line.proxy.cut_at(b"COPY")
    assert isinstance(line.write(2), SinkError)
    line.proxy.swallow_at(word)
    refused = line.write_watched(2)
    assert isinstance(refused, SinkError)
    assert refused.transient
    assert line.proxy.swallowed == 1
    assert line.write(2) == Receipt()
    assert line.sequences() == [1, 2]


@pytest.mark.parametrize("word", [b"BEGIN", b"COPY", b"ROLLBACK"])
def test_so_is_the_trial_of_rows(line: Line, word: bytes) -> None:
    line.proxy.swallow_at(word)
    refused = line.watched(lambda: line.sink.refuses(book_batch(1).rows[0]))
    assert line.proxy.swallowed == 1
    assert isinstance(refused, SinkError)
    assert refused.transient
    assert line.write(2) == Receipt()
    assert line.sequences() == [2]


def trades_batch(number: int, *ids: str) -> tuple[WriteSet, StreamKey]:
    key = StreamKey("bybit", "BTC/USDT:USDT", "trade")
    columns: dict[str, list[Any]] = {
        "timestamp": ["2026-01-01T00:00:00.000001Z"] * len(ids),
        "symbol": [key.symbol] * len(ids),
        "exchange": [key.exchange] * len(ids),
        "kind": ["trade"] * len(ids),
        "trade_id": list(ids),
        "price": [1.0] * len(ids),
        "size": [1.0] * len(ids),
        "side": ["buy"] * len(ids),
    }
    account = AccountingState("one", *key, received=len(ids), written=len(ids))
    return WriteSet(f"t{number}", SESSION, (Rows("trades", columns, key),), (), (account,)), key


def test_after_a_commit_of_unknown_outcome_memory_and_database_count_the_same(line: Line) -> None:
    balance = Balance("one", lambda _: KEY)
    first, key = trades_batch(1, "a", "b")
    again, _ = trades_batch(2, "a", "b", "c")
    for write_set, answer_is_lost in ((first, False), (again, True)):
        queued = QueuedWrite(1, write_set)
        balance.took(write_set)
        if answer_is_lost:
            line.proxy.cut_at(b"COMMIT")
            with pytest.raises(SinkError):
                line.sink.write(write_set)
        receipt = line.sink.write(write_set)
        assert receipt.repeated == answer_is_lost
        balance.committed(queued, receipt)
    totals = balance.totals()
    assert (totals.written, totals.merged) == (3, 2)
    engine = sa.create_engine(line.direct, poolclass=sa.NullPool)
    with engine.connect() as connection:
        query = sa.text("SELECT written, merged FROM collector_accounting WHERE channel = :channel")
        assert connection.execute(query, {"channel": key.channel}).all() == [(3, 2)]


class Starting:
    """A collector whose database is behind a proxy, and was made before."""

    def __init__(self, direct: sa.URL, proxy: Proxy, folder: Path) -> None:
        self.proxy = proxy
        self.direct = direct
        self.url = direct.set(host="127.0.0.1", port=proxy.port, query={})
        self.spool = folder / "spool"

    @cached_property
    def collector(self) -> Collector:
        """Return it, which has looked for spools."""
        overrides = {
            "database.url": self.url.render_as_string(hide_password=False),
            "database.call_timeout_s": 1.0,
            "database.auto_migrate": True,
            "spool.path": str(self.spool),
            "exchanges.bybit.symbols": [KEY.symbol],
        }
        return make_collector(load_settings(overrides=overrides, environ={}, env_file=None))

    def with_swallowed(self, word: bytes) -> object:
        """Return what a start comes to, of whose words the link swallows one."""
        self.proxy.swallow_at(word)
        return outcome_of(self.collector.start)


@pytest.fixture
def starting(postgres_url: str, tmp_path: Path) -> Iterator[Starting]:
    direct = sa.make_url(postgres_url)
    empty = SqlSink(direct, auto_migrate=True)
    empty.open()
    empty.close()
    with Proxy(Path(str(direct.query["host"])) / ".s.PGSQL.5432") as proxy:
        yield Starting(direct, proxy, tmp_path)


def drop_a_column(url: sa.URL) -> sa.Engine:
    """Leave something to do for the next start."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE l2_training_data_practical DROP COLUMN segment_id"))
    return engine


OPENING = [
    b"pg_catalog.version",  # the library's own first question
    b"statement_timeout",
    b"pg_catalog.pg_class",  # whether the tables are what they must be
    b"pg_advisory_xact_lock",  # they are not
    b"collector_sessions",  # what a crash left open
    b"INSERT INTO collector_database",
]
CLAIMING = [b"set_config('application_name'", b"pg_try_advisory_lock", b"INSERT INTO collector_sessions"]


@pytest.mark.proof
def test_a_start_of_which_a_word_is_swallowed_ends_and_can_be_made_again(starting: Starting) -> None:
    drop_a_column(starting.direct)
    for times, word in enumerate((*OPENING, *CLAIMING), 1):
        found = starting.with_swallowed(word)
        assert starting.proxy.swallowed == times, word
        assert isinstance(found, DatabaseAway), found
    assert outcome_of(starting.collector.start) is None
    assert starting.collector.stop(10.0).exact


def test_so_does_one_that_asks_whose_a_spool_is(starting: Starting) -> None:
    """A spool of an older version, which does not say it, is left alone then."""
    leave_rows(starting.spool.with_name("other-spool"), left_write_set(1, session="of-an-older-version"))
    assert starting.with_swallowed(b"of-an-older-version") is None
    assert starting.proxy.swallowed == 1
    assert starting.collector.stop(10.0).exact


def test_a_change_of_the_tables_takes_as_long_as_it_takes(starting: Starting) -> None:
    """It waits for somebody who reads the table, three times as long as a call may take."""
    with drop_a_column(starting.direct).begin() as reader:
        reader.execute(sa.text("LOCK TABLE l2_training_data_practical IN ACCESS SHARE MODE"))
        releases = threading.Timer(3.0, reader.commit)
        releases.start()
        assert outcome_of(starting.collector.start) is None
        releases.join()
    assert starting.collector.writer.broken_off == 0
    assert starting.collector.stop(10.0).exact
