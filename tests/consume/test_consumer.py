"""A stream is read into a database that equals one that was written directly, whatever happens meanwhile."""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.aws import AwsError, Failure
from collector.consume.limits import ConsumeLimits
from collector.errors import SinkError
from collector.sinks.avro import Form, records_of
from collector.sinks.contract import WriteSet
from collector.sinks.sql.stream_store import StreamStore

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
import itertools

from any_database import in_a_file
from reading import FAST, fill, reading_stream
from stand_in_stream import StandInStream
from stream_histories import cell, history, stored_in, write_directly


def seeds(count: int, in_the_long_form: int = 40) -> list[Any]:
    more = (pytest.param(seed, marks=pytest.mark.proof) for seed in range(count, in_the_long_form))
    return [*range(count), *more]


in_each_form = pytest.mark.parametrize("form", list(Form))
in_batches = pytest.mark.parametrize("form", [Form.BATCH, pytest.param(Form.SINGLE, marks=pytest.mark.proof)])


class Killed(BaseException):
    """The end of a process, at any point."""


class FailingStore:
    """A store that does what it is told to before and after each write."""

    def __init__(self, store: StreamStore, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._store = store
        self._before = before
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def write(self, *told: Any) -> Any:
        self._before()
        receipts = self._store.write(*told)
        self._after()
        return receipts


@pytest.fixture
def direct(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'direct.db'}"


def put_with_reshards(
    stream: StandInStream, write_sets: list[WriteSet], form: Form, chance: random.Random, share: float = 0.1
) -> None:
    """Put write sets, record by record, and split and merge shards anywhere between."""
    for write_set in write_sets:
        for record in records_of(write_set, form):
            if chance.random() < share:
                reshard(stream, chance)
            stream.put(record.partition_key, record.data)


def reshard(stream: StandInStream, chance: random.Random) -> None:
    shards = stream.open_shards
    place = chance.randrange(len(shards))
    if len(shards) > 1 and chance.random() < 0.5:
        place = min(place, len(shards) - 2)
        stream.merge(shards[place], shards[place + 1])
    else:
        stream.split(shards[place])


@in_batches
def test_what_is_read_equals_what_is_written_directly(
    any_database: str, direct: str, tmp_path: Path, form: Form
) -> None:
    write_sets = history(1)
    write_directly(direct, write_sets)
    stream = StandInStream(shards=3)
    fill(stream, write_sets, form)
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
        assert reading.counts.rows == sum(one.row_count for one in write_sets)
        reading.read_all()
        assert reading.counts.repeated == 0
    assert stored_in(any_database) == stored_in(direct)


@in_batches
@in_a_file
def test_two_collectors_fill_one_stream_and_one_database(
    any_database: str, direct: str, tmp_path: Path, form: Form
) -> None:
    both = [history(2, name="a"), history(3, name="b")]
    write_directly(direct, [*both[0], *both[1]])
    stream = StandInStream(shards=2)
    for one, other in zip(*both, strict=True):
        records = [records_of(one, form), records_of(other, form)]
        while any(records):  # what two processes send arrives in any order
            source = random.Random(len(records[0])).choice([one for one in records if one])
            record = source.pop(0)
            stream.put(record.partition_key, record.data)
    with reading_stream(stream, any_database, tmp_path / "dead") as reading:
        reading.read_all()
    found, truth = stored_in(any_database), stored_in(direct)
    for table, rows in truth.items():
        assert sorted(map(repr, found[table])) == sorted(map(repr, rows)), table


@in_each_form
@pytest.mark.parametrize("seed", seeds(1))
def test_shards_split_and_merge_while_they_are_filled_and_read(tmp_path: Path, form: Form, seed: int) -> None:
    chance = random.Random(seed)
    write_sets = history(seed, batches=8)
    direct, url = f"sqlite:///{tmp_path / 'direct.db'}", f"sqlite:///{tmp_path / 'live.db'}"
    write_directly(direct, write_sets)
    stream = StandInStream(shards=chance.choice([1, 3]))
    left = [record for one in write_sets for record in records_of(one, form)]
    share = 6 / len(left)  # so many reshards

    def go_on(_shard: str) -> None:
        for _ in range(chance.randrange(12)):
            if left:
                if chance.random() < share:
                    reshard(stream, chance)
                record = left.pop(0)
                stream.put(record.partition_key, record.data)

    stream.before_fetch = go_on
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        while left:
            reading.read_all()
        reading.read_all()
        assert reading.counts.repeated == 0
    assert len(stream.open_shards) < len(stream.shards()) or seed
    assert stored_in(url) == stored_in(direct)
    finished = cell(url, "SELECT count(*) FROM collector_stream_positions WHERE finished = 1")
    assert finished == len(stream.shards()) - len(stream.open_shards)


@in_each_form
@pytest.mark.parametrize("seed", seeds(1))
def test_killed_anywhere_it_goes_on_where_it_was(tmp_path: Path, form: Form, seed: int) -> None:
    killed_many_times(f"sqlite:///{tmp_path / 'live.db'}", tmp_path, form, seed)


@pytest.mark.proof
@in_each_form
def test_killed_anywhere_it_goes_on_where_it_was_on_a_server(
    postgres_url: str, tmp_path: Path, form: Form
) -> None:
    killed_many_times(postgres_url, tmp_path, form, 1)


def killed_many_times(url: str, tmp_path: Path, form: Form, seed: int) -> None:
    chance = random.Random(seed)
    write_sets = history(seed, batches=8)
    direct = f"sqlite:///{tmp_path / 'direct.db'}"
    write_directly(direct, write_sets)
    stream = StandInStream(shards=2)
    put_with_reshards(stream, write_sets, form, chance, share=0.03)
    # A part in single form is many records: one that is killed within each never gets on.
    records, share = (7, 0.25) if form is Form.BATCH else (25, 0.08)
    limits = ConsumeLimits(**{**vars_of(FAST), "rows_a_commit": 25, "records_a_call": records})

    def perhaps() -> None:
        if chance.random() < share:
            raise Killed

    stream.before_fetch = lambda _shard: perhaps()
    kills = 0
    while kills < 60:
        try:
            with reading_stream(
                stream,
                url,
                tmp_path / "dead",
                limits=limits,
                wrap=lambda store: FailingStore(store, perhaps, perhaps),
            ) as reading:
                reading.read_all()
            break
        except Killed:
            kills += 1
    assert kills > 0 or seed
    assert kills < 60
    assert stored_in(url) == stored_in(direct)


def vars_of(limits: ConsumeLimits) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in ConsumeLimits.__dataclass_fields__}


@in_batches
def test_a_database_that_fails_is_asked_again_from_what_it_holds(tmp_path: Path, form: Form) -> None:
    """Before a commit and after one, whose answer is lost then."""
    chance = random.Random(5)
    direct, url = f"sqlite:///{tmp_path / 'direct.db'}", f"sqlite:///{tmp_path / 'live.db'}"
    write_sets = history(5)
    write_directly(direct, write_sets)
    stream = StandInStream(shards=2)
    fill(stream, write_sets, form)

    def perhaps() -> None:
        if chance.random() < 0.3:
            raise SinkError("away", transient=True)

    wrap: Any = lambda store: FailingStore(store, perhaps, perhaps)  # noqa: E731
    with reading_stream(stream, url, tmp_path / "dead", wrap=wrap) as reading:
        reading.read_all()
    assert stored_in(url) == stored_in(direct)


def test_a_stream_that_fails_is_asked_again(tmp_path: Path) -> None:
    direct, url = f"sqlite:///{tmp_path / 'direct.db'}", f"sqlite:///{tmp_path / 'live.db'}"
    write_sets = history(6)
    write_directly(direct, write_sets)
    stream = StandInStream(shards=2)
    fill(stream, write_sets)
    chance = random.Random(6)

    def fail(_shard: str) -> None:
        match chance.randrange(4):
            case 0:
                stream.expire_iterators()
            case 1:
                raise AwsError(Failure.THROTTLED, "ProvisionedThroughputExceededException: slower")
            case 2:
                stream.faults.append(AwsError(Failure.AWAY, "EndpointConnectionError"))

    stream.before_fetch = fail
    with reading_stream(stream, url, tmp_path / "dead") as reading:
        reading.read_all()
        assert reading.counts.repeated == 0
    assert stored_in(url) == stored_in(direct)


def test_shards_are_read_in_turn_and_no_more_often_than_is_allowed(tmp_path: Path) -> None:
    stream = StandInStream(shards=2)
    fill(stream, history(7, batches=30))
    now = [0.0]
    times: dict[str, list[float]] = {}

    def wait(seconds: float) -> bool:
        now[0] += seconds
        return False

    stream.before_fetch = lambda shard: times.setdefault(shard, []).append(now[0])
    limits = ConsumeLimits(records_a_call=3)
    url = f"sqlite:///{tmp_path / 'live.db'}"
    with reading_stream(
        stream, url, tmp_path / "dead", limits=limits, wait=wait, now_s=lambda: now[0]
    ) as reading:
        reading.read_all()
    for at in times.values():
        assert len(at) > 5
        assert all(later - earlier >= 0.2 for earlier, later in itertools.pairwise(at))
    first = stream.asked[:8]
    assert all(one != other for one, other in itertools.pairwise(first))


def test_a_wait_that_ends_it_leaves_nothing_half_done(tmp_path: Path) -> None:
    """It ends after the commit under way; the next one goes on behind it."""
    direct, url = f"sqlite:///{tmp_path / 'direct.db'}", f"sqlite:///{tmp_path / 'live.db'}"
    write_sets = history(8)
    write_directly(direct, write_sets)
    stream = StandInStream()
    fill(stream, write_sets)
    limits = ConsumeLimits(**{**vars_of(FAST), "rows_a_commit": 12, "records_a_call": 1000})
    rows = []
    for asked in (3, 10**6):
        calls = iter(range(asked))
        with reading_stream(
            stream, url, tmp_path / "dead", limits=limits, wait=lambda _s, c=calls: next(c, None) is None
        ) as reading:
            reading.read_all()
            assert reading.counts.repeated == 0
            rows.append(reading.counts.rows)
    assert 0 < rows[0] < rows[1]
    assert sum(rows) == sum(one.row_count for one in write_sets)
    assert stored_in(url) == stored_in(direct)


def test_an_outage_is_a_line_when_it_begins_and_one_when_it_ends(tmp_path: Path) -> None:
    """Of the database, though it can be read meanwhile, and of the stream."""
    stream = StandInStream()
    fill(stream, history(9, batches=3))
    left = iter(range(5))

    def fail() -> None:
        if next(left, None) is not None:
            raise SinkError("disk full", transient=True)

    url = f"sqlite:///{tmp_path / 'live.db'}"
    wrap: Any = lambda store: FailingStore(store, fail, lambda: None)  # noqa: E731
    with capture_logs() as logs, reading_stream(stream, url, tmp_path / "dead", wrap=wrap) as reading:
        reading.read_all()
        assert reading.consumer.progress.problem == ""
        stream.faults += [AwsError(Failure.AWAY, "no answer")] * 3
        reading.consumer._shards.list_due_s = 0.0
        reading.read_all()
    told = [(one["event"], one.get("failures")) for one in logs if one["event"].startswith("consume.")]
    names = {"consume.database_refused", "consume.stream_refused", "consume.goes_on"}
    assert [one for one in told if one[0] in names] == [
        ("consume.database_refused", None),
        ("consume.goes_on", 5),
        ("consume.stream_refused", None),
        ("consume.goes_on", 3),
    ]
