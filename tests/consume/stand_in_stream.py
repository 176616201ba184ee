"""A stream in memory that behaves as Kinesis does, down to closed shards and their children."""

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from collector.aws import AwsError, Failure
from collector.consume.shards import Shard
from collector.consume.stream import Fetched, IteratorExpired, StreamRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.errors import CollectorError

_SPACE = 2**128
FIRST_NUMBER = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898
_MS_NS = 1_000_000


@dataclass
class _Held:
    shard: Shard
    begin: int  # of the hashes that fall here
    end: int
    records: list[StreamRecord] = field(default_factory=list)
    is_open: bool = True
    first_place: int = 0  # of the records that are kept still
    tells_trimmed: bool = True


class StandInStream:
    """Shards that take records, split, merge, forget, and fail when told to."""

    address = "kinesis://eu-central-1/stand-in"

    def __init__(self, shards: int = 1, *, created: str = "2026-01-01T00:00:00Z") -> None:
        self.created = created
        self.now_ns = 1_767_225_600 * 10**9
        self.faults: list[CollectorError] = []  # what the next calls raise
        self.before_fetch: Callable[[str], None] = lambda _shard: None
        self.refuses_future = False  # a time to begin at that is not yet, as the service does
        self.asked: list[str] = []  # shards, in the order in which records were asked for
        self._numbers = itertools.count(FIRST_NUMBER)
        self._held: dict[str, _Held] = {}
        self._iterators: dict[str, tuple[str, int]] = {}
        for number in range(shards):
            self._add(_SPACE * number // shards, _SPACE * (number + 1) // shards)

    def put(self, key: str, data: bytes) -> str:
        """Store a record, and return its sequence number."""
        place = int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest())
        (held,) = (one for one in self._held.values() if one.is_open and one.begin <= place < one.end)
        self.now_ns += _MS_NS
        record = StreamRecord(str(next(self._numbers)), key, data, self.now_ns)
        held.records.append(record)
        return record.sequence_number

    def split(self, shard: str) -> None:
        """Close a shard and give it two children."""
        held = self._held[shard]
        assert held.is_open
        held.is_open = False
        middle = (held.begin + held.end) // 2
        self._add(held.begin, middle, shard)
        self._add(middle, held.end, shard)

    def merge(self, one: str, other: str) -> None:
        """Close two shards that are side by side and give them one child."""
        first, second = sorted((self._held[one], self._held[other]), key=lambda held: held.begin)
        assert first.end == second.begin
        first.is_open = second.is_open = False
        self._add(first.begin, second.end, first.shard.shard_id, second.shard.shard_id)

    @property
    def open_shards(self) -> list[str]:
        """Return the shards that take records, by their hashes."""
        held = sorted((one for one in self._held.values() if one.is_open), key=lambda one: one.begin)
        return [one.shard.shard_id for one in held]

    def records(self, shard: str) -> list[StreamRecord]:
        """Return all that was put into a shard."""
        return self._held[shard].records

    def trim(self, shard: str, count: int) -> None:
        """Forget the oldest records of a shard."""
        self._held[shard].first_place = count

    def trim_in_silence(self, shard: str, count: int) -> None:
        """Forget the oldest records of a shard, and refuse no position for that, as the service does."""
        self._held[shard].first_place = count
        self._held[shard].tells_trimmed = False

    def forget(self, shard: str) -> None:
        """Forget a shard that was closed long ago."""
        del self._held[shard]

    def expire_iterators(self) -> None:
        self._iterators.clear()

    def source(self) -> str:
        self._fail()
        return f"{self.address}@{self.created}"

    def keeps_s(self) -> float:
        self._fail()
        return 86_400.0

    def shards(self) -> list[Shard]:
        self._fail()
        return [one.shard for one in self._held.values()]

    def iterator(self, shard: str, position: str) -> str:
        self._fail()
        held = self._of(shard)
        kind, _, value = position.partition(" ")
        numbers = [int(one.sequence_number) for one in held.records]
        match kind:
            case "TRIM_HORIZON":
                place = held.first_place
            case "AT_TIMESTAMP":
                if self.refuses_future and float(value) * 10**9 > self.now_ns:
                    raise AwsError(Failure.REFUSED, "InvalidArgumentException: a time that is not yet")
                earlier = (one.arrived_ns < float(value) * 10**9 for one in held.records)
                place = max(sum(earlier), held.first_place)
            case "AFTER_SEQUENCE_NUMBER":
                if int(value) not in numbers[held.first_place * held.tells_trimmed :]:
                    raise AwsError(Failure.REFUSED, "InvalidArgumentException: no such sequence number")
                place = numbers.index(int(value)) + 1
            case _:
                raise AssertionError(position)
        return self._iterator(shard, place)

    def fetch(self, iterator: str, limit: int) -> Fetched:
        self._fail()
        if iterator not in self._iterators:
            raise IteratorExpired("expired")
        shard, place = self._iterators[iterator]
        self.before_fetch(shard)
        self.asked.append(shard)
        held = self._of(shard)
        place = max(place, held.first_place)
        records = held.records[place : place + limit]
        place += len(records)
        is_end = place == len(held.records)
        behind_s = 0.0 if is_end else (held.records[-1].arrived_ns - held.records[place].arrived_ns) / 1e9 + 1
        following = None if is_end and not held.is_open else self._iterator(shard, place)
        return Fetched(records, following, behind_s)

    def close(self) -> None:
        self._iterators.clear()

    def _of(self, shard: str) -> _Held:
        if shard not in self._held:
            raise AwsError(Failure.MISSING, f"ResourceNotFoundException: {shard}")
        return self._held[shard]

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)

    def _iterator(self, shard: str, place: int) -> str:
        name = f"iterator-{next(self._numbers)}"
        self._iterators[name] = shard, place
        return name

    def _add(self, begin: int, end: int, *parents: str) -> None:
        name = f"shardId-{len(self._held):012}"
        self._held[name] = _Held(Shard(name, parents), begin, end)
