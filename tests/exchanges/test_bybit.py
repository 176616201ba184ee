"""Bybit frames, as the exchange documents and sends them, into our vocabulary."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.book.verified import Verdict
from collector.errors import FrameError
from collector.events.messages import Ack, Delta, Heartbeat, Other, Snapshot
from collector.exchanges.bybit.frames import read_frame
from collector.exchanges.bybit.rule import Continuity, rule_of

BOOK = (
    '{"topic":"orderbook.50.BTCUSDT","type":"%s","ts":1700000000123,"data":{"s":"BTCUSDT",'
    '"b":[["100.5","1.25"]],"a":[["100.6","0"]],"u":%s,"seq":7},"cts":1700000000100}'
)


def test_a_snapshot_and_a_delta_are_read_with_the_matching_engines_time() -> None:
    assert read_frame(BOOK % ("snapshot", 5)) == (
        Snapshot("orderbook.50.BTCUSDT", 5, 1700000000100, [(100.5, 1.25)], [(100.6, 0.0)], cross_sequence=7),
    )
    assert read_frame(BOOK % ("delta", 6)) == (
        Delta("orderbook.50.BTCUSDT", 6, 1700000000100, [(100.5, 1.25)], [(100.6, 0.0)], cross_sequence=7),
    )


def test_without_cts_the_time_is_ts() -> None:
    text = (BOOK % ("delta", 6)).replace(',"cts":1700000000100', "")
    assert read_frame(text)[0].exchange_ms == 1700000000123


def test_the_order_of_keys_does_not_matter() -> None:
    frame = json.loads(BOOK % ("delta", 6))
    text = json.dumps(dict(reversed(frame.items())))
    assert read_frame(text) == read_frame(BOOK % ("delta", 6))


def test_sequence_one_is_a_whole_book_whatever_the_type_says() -> None:
    assert isinstance(read_frame(BOOK % ("delta", 1))[0], Snapshot)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"success":true,"ret_msg":"subscribe","conn_id":"x","req_id":"3","op":"subscribe"}',
            Ack("3", True, "subscribe"),
        ),
        (
            '{"success":false,"ret_msg":"error:no handler","conn_id":"x","req_id":"4","op":"subscribe"}',
            Ack("4", False, "error:no handler"),
        ),
        (
            '{"success":false,"ret_msg":"error:request error","conn_id":"c","req_id":"","op":""}',
            Ack(None, False, "error:request error"),
        ),
        ('{"ret_msg":"","conn_id":"x","req_id":"5","op":"subscribe"}', Other()),
        ('{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}', Heartbeat()),
        ('{"req_id":"2","op":"pong","args":["1757405570352"],"conn_id":"x"}', Heartbeat()),
        ('{"topic":"tickers.BTCUSDT","type":"delta","data":{}}', Other()),
    ],
)
def test_what_is_no_book_is_told_apart(text: str, expected: object) -> None:
    assert read_frame(text) == (expected,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[]",
        "null",
        "[" * 20_000,
        '{"topic":"orderbook.50.BTCUSDT"',
        '{"topic":"orderbook.50.BTCUSDT"}',
        BOOK % ("delta", '"six"'),
        BOOK % ("delta", -6),
        BOOK % ("delta", 2**63),
        BOOK % ("delta", "1" * 400),
        BOOK % ("update", 6),
        (BOOK % ("delta", 6)).replace('"100.5"', "null"),
        (BOOK % ("delta", 6)).replace('"100.5"', '"1e400"'),
        (BOOK % ("delta", 6)).replace('"100.5"', '"abc"'),
        (BOOK % ("delta", 6)).replace('"100.5","1.25"', '"100.5"'),
        (BOOK % ("delta", 6)).replace('"data":{', '"data":{"x":NaN,'),
        "\ud800",
    ],
)
def test_a_frame_that_cannot_be_read_is_an_error_of_its_own_kind(text: str) -> None:
    with pytest.raises(FrameError):
        read_frame(text)


@given(st.floats(min_value=0, max_value=1e15, allow_nan=False))
def test_numbers_are_the_nearest_doubles(price: float) -> None:
    text = (BOOK % ("delta", 6)).replace('"100.5"', f'"{price!r}"')
    assert read_frame(text)[0].bids[0][0] == price


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_garbage_never_raises_anything_else(text: str) -> None:
    for candidate in (text, '{"topic":"orderbook.' + text):
        try:
            read_frame(candidate)
        except FrameError:
            continue


@pytest.mark.parametrize(
    ("depth", "last", "sequence", "verdict"),
    [
        (50, None, 5, Verdict.RESTARTS),
        (1, None, 5, Verdict.CONTINUES),
        (50, 5, None, Verdict.RESTARTS),
        (50, 5, 5, Verdict.REPEATS),
        (50, 5, 6, Verdict.CONTINUES),
        (50, 5, 7, Verdict.RESTARTS),
        (50, 5, 1, Verdict.RESTARTS),
        (1, 5, 7, Verdict.CONTINUES),
        (1, 5, 5, Verdict.REPEATS),
        (1, 5, 4, Verdict.RESTARTS),
    ],
)
def test_a_snapshot_in_mid_stream_is_joined_where_its_number_follows(
    depth: int, last: int | None, sequence: int | None, verdict: Verdict
) -> None:
    rule = rule_of("linear", f"book.{depth}", {})
    assert rule.judge_snapshot(last, Snapshot("t", sequence, 1, [], [])) is verdict


@pytest.mark.parametrize(
    ("last", "sequence", "verdict"),
    [
        (None, 5, Verdict.BREAKS),
        (5, None, Verdict.BREAKS),
        (5, 5, Verdict.REPEATS),
        (5, 6, Verdict.CONTINUES),
        (5, 7, Verdict.BREAKS),
        (5, 4, Verdict.BREAKS),
    ],
)
def test_a_delta_follows_by_exactly_one(last: int | None, sequence: int | None, verdict: Verdict) -> None:
    assert Continuity().judge_delta(last, Delta("t", sequence, 1, [], [])) is verdict
