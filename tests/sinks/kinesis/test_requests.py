"""Requests are within the limits, in order, and what failed goes first."""

import random

import pytest

from collector.sinks.avro import Record
from collector.sinks.kinesis.requests import MOST_BYTES, Pending, weight


def record(key: str, number: int, size: int = 10) -> Record:
    return Record(key, number.to_bytes(4) + bytes(size), 1)


@pytest.mark.parametrize("one_of_a_key", [True, False])
def test_any_failures_leave_each_key_in_order_and_nothing_out(one_of_a_key: bool) -> None:
    chance = random.Random(11)
    for _ in range(50):
        records = [record(chance.choice("abcd"), number) for number in range(chance.randrange(60))]
        pending, taken = Pending(records, one_of_a_key=one_of_a_key), list[Record]()
        for _ in range(10_000):
            if not len(pending):
                break
            request = pending.take(chance.randrange(1, 20))
            assert request
            keys = [one.partition_key for one in request]
            assert not one_of_a_key or len(set(keys)) == len(keys)
            failed = [one for one in request if chance.random() < 0.4]
            taken += [one for one in request if one not in failed]
            pending.put_back(failed)
            first_failed = {one.partition_key: one.data for one in reversed(failed)}
            if one_of_a_key:
                assert all(one.data < first_failed.get(one.partition_key, b"\xff") for one in taken)
        assert sorted(one.data for one in taken) == [one.data for one in records]
        if one_of_a_key:
            for key in "abcd":
                of_key = [one.data for one in taken if one.partition_key == key]
                assert of_key == sorted(of_key)


def test_what_failed_is_in_the_next_request_and_first() -> None:
    pending = Pending([record("a", number) for number in range(6)], one_of_a_key=False)
    request = pending.take(4)
    pending.put_back([request[1], request[3]])
    assert [one.data[3] for one in pending.take()] == [1, 3, 4, 5]


def test_a_request_is_within_the_limits() -> None:
    pending = Pending([record("a", number, 1_000_000) for number in range(12)], one_of_a_key=False)
    requests = []
    while len(pending):
        requests.append(pending.take())
    assert [len(one) for one in requests] == [4, 4, 4]
    assert all(sum(map(weight, one)) <= MOST_BYTES for one in requests)
    many = Pending([record("a", number) for number in range(1_200)], one_of_a_key=False)
    assert [len(many.take()) for _ in range(3)] == [500, 500, 200]
