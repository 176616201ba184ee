"""A link to the server that swallows what is sent, and stays open: no call waits for it past its deadline."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.app.wiring import make_collector
from collector.errors import DatabaseAway, SinkError
from collector.events.batch import StreamKey
from collector.settings import load_settings
from collector.sinks.contract import AccountingState, Receipt, Rows, SessionState, WriteSet
from collector.sinks.sql.sink import SqlSink
from collector.writer.balance import Balance
from collector.writer.queued_write import QueuedWrite
from collector.writer.watchdog import Watchdog

sys.path.insert(0, str(Path(__file__).parent))
from proxy import Proxy

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


class Line:
    """A sink behind a proxy, whose calls are watched as the writer's are."""

    def __init__(self, proxy: Proxy, url: str) -> None:
        direct = sa.make_url(url)
        self.proxy = proxy
        self.direct = direct
        through = direct.set(host="127.0.0.1", port=proxy.port, query={})
        self.sink = SqlSink(through, auto_migrate=True, call_timeout_s=30.0)  # the server must not help
        self.watchdog = Watchdog([(CALL_TIMEOUT_S, self.sink.abort)])

    def write(self, number: int) -> Receipt | SinkError:
        """Write a batch in a thread of its own; fail when that does not end."""
        found: list[Receipt | SinkError] = []

        def write() -> None:
            try:
                with self.watchdog.watched():
                    found.append(self.sink.write(book_batch(number)))
            except SinkError as error:
                found.append(error)

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        thread.join(AT_MOST_S)
        assert not thread.is_alive(), "the call hangs"
        return found[0]

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
    refused = line.write(2)
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
    refused = line.write(2)
    assert isinstance(refused, SinkError)
    assert refused.transient
    assert line.proxy.swallowed == 1
    assert line.write(2) == Receipt()
    assert line.sequences() == [1, 2]


@pytest.mark.parametrize("word", [b"BEGIN", b"COPY", b"ROLLBACK"])
def test_so_is_the_trial_of_rows(line: Line, word: bytes) -> None:
    found: list[object] = []

    def refuses() -> None:
        try:
            with line.watchdog.watched():
                found.append(line.sink.refuses(book_batch(1).rows[0]))
        except SinkError as error:
            found.append(error.transient)

    line.proxy.swallow_at(word)
    thread = threading.Thread(target=refuses, daemon=True)
    thread.start()
    thread.join(AT_MOST_S)
    assert not thread.is_alive(), "the call hangs"
    assert line.proxy.swallowed == 1
    assert found == [True]
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


@pytest.mark.parametrize("word", [b"set_config('application_name'", b"pg_try_advisory_lock", b"COMMIT"])
def test_so_is_the_claim_with_which_a_session_starts(postgres_url: str, tmp_path: Path, word: bytes) -> None:
    direct = sa.make_url(postgres_url)
    empty = SqlSink(direct, auto_migrate=True)
    empty.open()
    empty.close()
    with Proxy(Path(str(direct.query["host"])) / ".s.PGSQL.5432") as proxy:
        through = direct.set(host="127.0.0.1", port=proxy.port, query={})
        collector = make_collector(
            load_settings(
                overrides={
                    "database.url": through.render_as_string(hide_password=False),
                    "database.call_timeout_s": 1.0,
                    "spool.path": str(tmp_path / "spool"),
                    "exchanges.bybit.symbols": [KEY.symbol],
                },
                environ={},
                env_file=None,
            )
        )
        found: list[BaseException] = []

        def start() -> None:
            collector._store.open()
            proxy.swallow_at(word)
            try:
                collector.start()
            except DatabaseAway as error:
                found.append(error)

        thread = threading.Thread(target=start, daemon=True)
        thread.start()
        thread.join(AT_MOST_S)
        assert not thread.is_alive(), "the start hangs"
        assert proxy.swallowed == 1
        assert found
