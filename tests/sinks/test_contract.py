"""What every sink owes, one parameter a sink: the SQL ones, and one registered from outside."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parents[1]))
from line_sink import SCHEME, LineSink, lines_of

from collector.database.engine import make_engine
from collector.database.tables import DEFAULT_TABLE_NAME, make_tables
from collector.database.url import database_url
from collector.errors import UserError
from collector.events.batch import StreamKey
from collector.sinks import registry
from collector.sinks.contract import Receipt, Rows, SessionState, Sink, Store, WriteSet
from collector.sinks.options import SinkOptions

OPTIONS = SinkOptions(DEFAULT_TABLE_NAME, auto_migrate=True)
KEY = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
MakeBatch = Callable[..., WriteSet]


@dataclass(frozen=True)
class Kind:
    """A sink to test, and how to count the rows that it holds."""

    url: str
    rows: Callable[[], int]

    def make(self) -> Sink:
        return registry.make_follower(self.url, OPTIONS)


def count_of_table(url: str) -> int:
    engine = make_engine(database_url(url), read_only=True)
    try:
        with engine.connect() as connection:
            query = sa.select(sa.func.count()).select_from(make_tables(DEFAULT_TABLE_NAME).hot)
            return int(connection.execute(query).scalar_one())
    finally:
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql", SCHEME])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    if request.param == SCHEME:
        path = tmp_path / "lines"
        registry.register_follower(SCHEME, lambda *_: LineSink(path))
        yield Kind(f"{SCHEME}://", lambda: sum(len(line["sequences"]) for line in lines_of(path)))
        registry.unregister(SCHEME)
        return
    fixture = "postgres_url" if request.param == "postgresql" else "tmp_path"
    url = request.getfixturevalue(fixture)
    url = url if request.param == "postgresql" else f"sqlite:///{url}/live.db"
    yield Kind(url, lambda: count_of_table(url))


@pytest.fixture
def sink(kind: Kind) -> Iterator[Sink]:
    made = kind.make()
    made.open()
    yield made
    made.close()


def test_a_write_set_is_stored_whole(sink: Sink, kind: Kind, make_batch: MakeBatch) -> None:
    assert sink.write(make_batch("b1", 5)) == Receipt()
    assert sink.write(make_batch("b2", 3)) == Receipt()
    assert kind.rows() == 8


def test_a_write_set_that_comes_again_changes_nothing_where_the_sink_says_so(
    sink: Sink, kind: Kind, make_batch: MakeBatch, session: SessionState
) -> None:
    assert sink.capabilities.idempotent
    sink.write(make_batch("b1", 5))
    again = sink.write(make_batch("b1", 5))
    assert (again.repeated, again.written_by) == (True, session.session_id)
    assert kind.rows() == 5


def test_it_is_known_after_a_restart(sink: Sink, kind: Kind, make_batch: MakeBatch) -> None:
    sink.write(replace(make_batch("b1", 5), by="session-2"))
    sink.close()
    later = kind.make()
    later.open()
    assert later.write(make_batch("b1", 5)) == Receipt(repeated=True, written_by="session-2")
    later.close()
    assert kind.rows() == 5


def test_rows_are_tried_without_being_stored(
    sink: Sink, kind: Kind, make_batch: MakeBatch, make_rows: Callable[..., Rows]
) -> None:
    assert sink.refuses(make_rows(3)) is None
    sink.write(make_batch("b1", 1))
    assert kind.rows() == 1


def test_to_interrupt_nothing_and_to_open_or_close_twice_is_harmless(
    sink: Sink, kind: Kind, make_batch: MakeBatch
) -> None:
    sink.abort()
    sink.open()
    sink.write(make_batch("b1", 2))
    sink.abort()
    sink.close()
    sink.close()
    sink.open()
    assert sink.write(make_batch("b1", 2)).repeated
    assert kind.rows() == 2


def test_its_name_has_no_password(kind: Kind) -> None:
    assert "secret" not in kind.make().name
    if kind.url.startswith("postgresql"):
        url = database_url(kind.url).set(username="me", password="secret")
        made = registry.make_follower(url.render_as_string(hide_password=False), OPTIONS)
        assert "secret" not in made.name
        assert made.file is None


def test_a_store_claims_and_maintains_and_says_whether_it_is_shared(
    sink: Sink, kind: Kind, session: SessionState
) -> None:
    if not registry.is_store(kind.url):
        assert not isinstance(sink, Store)
        return
    assert isinstance(sink, Store)
    assert sink.capabilities.transactions
    assert sink.claim(session, [KEY]) == 1
    assert sink.maintain(lambda _handle: 7) == 7
    assert sink.capabilities.shared == kind.url.startswith("postgresql")
    assert (sink.file is None) == sink.capabilities.shared


def test_what_prevents_opening_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere .* does not exist"):
        registry.make_store(str(tmp_path / "nowhere" / "live.db"), OPTIONS).open()
