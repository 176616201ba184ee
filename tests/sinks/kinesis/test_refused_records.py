"""A record that the stream refuses for good is kept with its reason; the rest goes on, the hole is told."""

import base64
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))
from local_aws import CREDENTIALS, FaultyAws, LocalAws, data_of, moto_server, refusal, refuses_records
from stream_rig import MARKETS, expected_ids, of_markets, parts_of_stream, sink_at, trade_ids

from collector.aws import Calls
from collector.errors import SinkError
from collector.sinks.avro import Form, records_of
from collector.sinks.contract import WriteSet
from collector.sinks.kinesis.dead_letters import DeadLetter, dead_letters_at
from collector.sinks.kinesis.putting import MOST_REFUSALS
from collector.sinks.kinesis.sink import KinesisSink

BTC, ETH, SOL = MARKETS


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with moto_server() as server:
        yield server


@pytest.fixture
def proxy(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyAws]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with FaultyAws(aws.url) as one:
        yield one


@pytest.fixture
def make(aws: LocalAws, proxy: FaultyAws) -> Iterator[Callable[..., tuple[str, KinesisSink]]]:
    made: list[KinesisSink] = []

    def make_one(**options: Any) -> tuple[str, KinesisSink]:
        stream = aws.make_stream()
        made.append(sink_at(proxy.url, stream, **options))
        return stream, made[-1]

    yield make_one
    for one in made:
        one.close()


def is_one_of(refused: list[bytes]) -> Callable[[dict[str, Any]], bool]:
    return lambda record: data_of(record) in refused


def letters_in(lines: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def counted(parts: list[WriteSet]) -> Counter[str]:
    found: Counter[str] = Counter()
    for part in parts:
        for one in part.accounting:
            found.update(received=one.received, written=one.written, **one.rejected)
    return found


@pytest.mark.parametrize("form", list(Form))
def test_a_refused_record_is_a_dead_letter_and_a_hole_on_the_other_side(
    aws: LocalAws, proxy: FaultyAws, make: Callable[..., Any], tmp_path: Path, form: Form
) -> None:
    stream, sink = make(records=form, dead_letters=str(tmp_path / "dead.jsonl"))
    sink.write(of_markets(0))
    of_second = [one for one in records_of(of_markets(1), form) if one.partition_key == f"bybit:{ETH}"]
    bad = of_second[0] if form is Form.BATCH else of_second[2]
    proxy.plan(refuses_records(is_one_of([bad.data])), times=None)
    for number in range(1, 3):
        sink.write(of_markets(number))

    (letter,) = letters_in((tmp_path / "dead.jsonl").read_bytes().splitlines())
    assert base64.b64decode(letter["data"]) == bad.data
    assert letter["reason"] == "InvalidArgumentException: a record is not valid"
    assert (letter["partition_key"], letter["where"]) == (f"bybit:{ETH}", sink.name)

    parts = parts_of_stream(aws.records(stream))
    assert trade_ids(parts, ETH) == expected_ids(ETH, [0, 2])
    for symbol in (BTC, SOL):
        assert trade_ids(parts, symbol) == expected_ids(symbol, range(3))
    told = parts[f"bybit:{ETH}"]
    assert [part.batch_id for part in told] == [f"batch-000{one}/bybit:{ETH}/0" for one in range(3)]
    assert counted(told) == Counter(received=12, written=8, poison=4)
    (ended,) = told[1].segments
    assert (ended.rows, ended.end_cause, ended.detail) == (0, "poison", letter["reason"])
    assert (ended.end_ns, ended.alive_until_ns) == (ended.start_ns, ended.start_ns)
    counts = sink.put_counts
    assert counts.dead_letters == 1
    assert 0 < counts.dead_rows <= 4


def test_a_line_that_was_broken_off_spoils_none_after_it(tmp_path: Path) -> None:
    (tmp_path / "dead").write_bytes(b'{"at_ns": 17')
    letters = dead_letters_at(str(tmp_path / "dead"), call_timeout_s=1.0)
    for _ in range(2):
        letters.put(DeadLetter("why", b"data", "key", 1, "where"), Calls("none"))
    assert len(letters_in((tmp_path / "dead").read_bytes().splitlines()[1:])) == 2


@pytest.mark.parametrize("place", ["nowhere/dead", "folder"])
def test_a_file_that_cannot_be_written_is_told_before_it_is_needed(
    make: Callable[..., Any], tmp_path: Path, place: str
) -> None:
    (tmp_path / "folder").mkdir()
    _, sink = make(dead_letters=str(tmp_path / place))
    with pytest.raises(SinkError, match=f"the file of dead letters .*{place} cannot be written"):
        sink.examine()


def test_a_large_one_goes_to_a_stream_in_pieces(
    aws: LocalAws, proxy: FaultyAws, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.sinks.kinesis.dead_letters.PIECE_BYTES", 500)
    dead = aws.make_stream()
    _, sink = make(dead_letters=f"kinesis://eu-central-1/{dead}?endpoint={proxy.url}")
    sink.write(of_markets(0))
    bad = records_of(of_markets(1), Form.BATCH)[0]
    proxy.plan(refuses_records(is_one_of([bad.data])), times=None)
    proxy.plan(refusal(503, "ServiceUnavailable", "busy"), action="PutRecord")
    with pytest.raises(SinkError, match=r"the stream of dead letters .*ServiceUnavailable: busy"):
        sink.write(of_markets(1))
    assert aws.records(dead) == []
    sink.write(of_markets(1))
    letters = letters_in([one.data for one in aws.records(dead)])
    assert len(letters) > 1
    assert [(one["piece"], one["pieces"]) for one in letters] == [
        (number + 1, len(letters)) for number in range(len(letters))
    ]
    assert b"".join(base64.b64decode(one["data"]) for one in letters) == bad.data
    assert {one.key for one in aws.records(dead)} == {bad.partition_key}
    assert sink.put_counts.dead_letters == 1


def test_where_every_record_is_refused_none_is_given_up_in_haste(
    aws: LocalAws, proxy: FaultyAws, make: Callable[..., Any], tmp_path: Path
) -> None:
    stream, sink = make(dead_letters=str(tmp_path / "dead.jsonl"))
    proxy.plan(refusal(400, "ValidationException", "a rule of the stream"), times=None)
    for _ in range(MOST_REFUSALS - 1):
        with pytest.raises(SinkError, match="it refuses every record: ValidationException: a rule") as caught:
            sink.write(of_markets(0))
        assert caught.value.transient
    assert not (tmp_path / "dead.jsonl").exists()
    proxy.be_well()
    sink.write(of_markets(0))
    assert trade_ids(parts_of_stream(aws.records(stream)), BTC) == expected_ids(BTC, range(1))


def test_a_record_that_is_refused_again_and_again_does_not_hold_up_the_rest_for_ever(
    aws: LocalAws, proxy: FaultyAws, make: Callable[..., Any], tmp_path: Path
) -> None:
    """As after a restart: it is the first of all, and nothing was taken that would show it is to blame."""
    stream, sink = make(dead_letters=str(tmp_path / "dead.jsonl"))
    bad = records_of(of_markets(0), Form.BATCH)[0]
    proxy.plan(refuses_records(is_one_of([bad.data])), times=None)
    for _ in range(MOST_REFUSALS - 1):
        with pytest.raises(SinkError, match="it refuses every record"):
            sink.write(of_markets(0))
    sink.write(of_markets(0))
    assert sink.put_counts.dead_letters == 1
    parts = parts_of_stream(aws.records(stream))
    assert trade_ids(parts, ETH) == expected_ids(ETH, range(1))
    assert trade_ids(parts, BTC) == []


def test_a_file_that_cannot_be_written_keeps_the_record_pending(
    proxy: FaultyAws, make: Callable[..., Any], tmp_path: Path
) -> None:
    _, sink = make(dead_letters=str(tmp_path / "later" / "dead.jsonl"))
    sink.write(of_markets(0))
    bad = records_of(of_markets(1), Form.BATCH)[0]
    proxy.plan(refuses_records(is_one_of([bad.data])), times=None)
    with pytest.raises(SinkError, match=r"file of dead letters .* cannot be written: No such file") as caught:
        sink.write(of_markets(1))
    assert caught.value.transient
    (tmp_path / "later").mkdir()
    sink.write(of_markets(1))
    assert len((tmp_path / "later" / "dead.jsonl").read_bytes().splitlines()) == 1
