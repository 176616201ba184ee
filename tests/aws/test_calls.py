"""A call that hangs holds up nobody who does not want to wait, and no other is made beside it."""

import threading
import time

import pytest

from collector.aws.calls import Calls
from collector.aws.failures import AwsError, Failure
from collector.errors import MissingExtra


def test_a_result_or_an_error_comes_back() -> None:
    calls = Calls("test")
    assert calls.make(lambda: 7) == 7
    with pytest.raises(AwsError) as caught:
        calls.make(lambda: 1 // 0)
    assert caught.value.kind is Failure.AWAY
    assert isinstance(caught.value.__cause__, ZeroDivisionError)

    def ask() -> None:
        raise MissingExtra("boto3", "aws")

    with pytest.raises(MissingExtra):
        calls.make(ask)
    calls.close(lambda: None)


def test_one_that_hangs_is_left_and_the_next_is_made_when_it_is_over() -> None:
    calls, hangs, may_end, told = Calls("test"), threading.Event(), threading.Event(), list[str]()
    errors: list[AwsError] = []

    def hang() -> None:
        hangs.set()
        may_end.wait(60)
        told.append("first")

    def make() -> None:
        try:
            calls.make(hang)
        except AwsError as error:
            errors.append(error)

    caller = threading.Thread(target=make)
    caller.start()
    assert hangs.wait(30)
    calls.break_off()
    caller.join(30)
    assert not caller.is_alive()
    assert "broken off" in str(errors[0])
    for late in (lambda: calls.make(lambda: told.append("never")), lambda: calls.wait(60.0)):
        with pytest.raises(AwsError, match="broken off"):
            late()
    calls.begin()
    second = threading.Thread(target=lambda: calls.make(lambda: told.append("second")))
    second.start()
    second.join(0.05)
    assert second.is_alive()
    assert told == []
    may_end.set()
    second.join(30)
    assert told == ["first", "second"]
    calls.close(lambda: told.append("closed"))
    assert told[-1] == "closed"


def test_closing_does_not_wait_for_one_that_hangs() -> None:
    calls, hangs, may_end, closed = Calls("test"), *(threading.Event() for _ in range(3))
    caller = threading.Thread(target=lambda: calls.make(lambda: (hangs.set(), may_end.wait(60))))
    caller.start()
    assert hangs.wait(30)
    began_s = time.monotonic()
    calls.close(closed.set)
    assert time.monotonic() - began_s < 30.0
    assert not closed.is_set()
    may_end.set()
    assert closed.wait(30)
    caller.join(30)
    calls.close(lambda: None)  # again
