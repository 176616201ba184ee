from dataclasses import is_dataclass
from typing import get_args

import pytest

from collector.events.notices import (
    ChoreState,
    ClockStep,
    Notice,
    PotentialHalt,
    SegmentChanged,
    SnapshotFailed,
    State,
    SystemState,
    WitnessDisagreed,
)
from collector.writer.event_log import KINDS, MOST_CHARACTERS, MOST_WAITING, EventLog

HALT = PotentialHalt("kraken", "checksum", "3 mismatches", 5, "BTC/USD", "in 60 s")


def rows_of(log: EventLog) -> list[tuple[object, ...]]:
    (rows,) = log.take()
    assert rows.table == "events"
    assert set(rows.columns["session_id"]) == {"s"}
    names = ("at_ns", "kind", "exchange", "symbol", "code", "detail")
    return list(zip(*(rows.columns[name] for name in names), strict=True))


@pytest.mark.parametrize(
    ("event", "row"),
    [
        (
            SystemState("bybit", "bybit-1", State.DISCONNECTED, 1, "closed", "1006"),
            (1, "system_state", "bybit", None, "disconnected", "bybit-1: closed: 1006"),
        ),
        (
            SegmentChanged("bybit", "BTC/USDT", "book.50", 7, 2, verified=True),
            (2, "segment", "bybit", "BTC/USDT", "verified", "book.50: segment 7"),
        ),
        (
            SegmentChanged("bybit", "BTC/USDT", "trade", 7, 2, verified=False, cause="gap", detail="5 to 7"),
            (2, "segment", "bybit", "BTC/USDT", "gap", "trade: segment 7: 5 to 7"),
        ),
        (SnapshotFailed("binance", "A/B", 3, "418"), (3, "snapshot", "binance", "A/B", "failed", "418")),
        (
            WitnessDisagreed("bybit", "BTC/USDT", "book.50", 4, "at 7: 1 here, 2 told"),
            (4, "witness", "bybit", "BTC/USDT", "disagreed", "book.50: at 7: 1 here, 2 told"),
        ),
        (HALT, (5, "potential_halt", "kraken", "BTC/USD", "checksum", "3 mismatches: in 60 s")),
        (ChoreState("archive", 7, "no room"), (7, "housekeeping", None, None, "archive", "no room")),
        (ChoreState("archive", 8), (8, "housekeeping", None, None, "archive", "")),
        (ClockStep(6, -3600.0), (6, "clock", None, None, "step", "-3600.000 s")),
    ],
)
def test_each_kind_of_event_is_a_row(event: Notice, row: tuple[object, ...]) -> None:
    log = EventLog("s")
    log.note(event)
    assert rows_of(log) == [row]
    assert log.take() == ()


def test_every_kind_of_notice_is_kept() -> None:
    assert set(KINDS) == set(get_args(Notice))
    assert all(map(is_dataclass, KINDS))


def test_too_many_between_two_writes_are_counted() -> None:
    log = EventLog("s", now_ns=lambda: 99)
    for _ in range(MOST_WAITING + 3):
        log.note(HALT)
    rows = rows_of(log)
    assert len(rows) == MOST_WAITING + 1
    assert rows[-1] == (99, "events", None, None, "too_many", "3 more are not told")
    log.note(HALT)
    assert len(rows_of(log)) == 1


def test_an_exchange_s_own_words_are_fit_for_every_database() -> None:
    log = EventLog("s")
    log.note(SnapshotFailed("binance", "A/B", 3, "a\0b\ud800c" + "x" * 2 * MOST_CHARACTERS))
    ((*_, detail),) = rows_of(log)
    assert str(detail).startswith("a\ufffdb?cxx")
    assert len(str(detail)) == MOST_CHARACTERS
