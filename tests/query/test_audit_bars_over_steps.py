"""Bars against trades near a step of the clock: right ones pass, and a wrong one elsewhere is found."""

import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from collector.query.audit import run_audit

sys.path.insert(0, str(Path(__file__).parent))
from audited import damage, found
from stored import insert, iso, prepare

MS, S, MINUTE_MS = 1_000_000, 1_000_000_000, 60_000
BEGIN_MS = 1_700_000_040_000  # a full minute
MINUTES, STEP_MS = 12, 6 * MINUTE_MS + 20_000  # the clock is set right in the seventh minute
TRADES_MS = range(0, MINUTES * MINUTE_MS, 7_000)
OF_TRADES, OF_BARS = (11, 21), (12, 22)  # segments, before the step and after it
MARKET = {"exchange": "bybit", "symbol": "BTC/USDT"}


@dataclass(frozen=True)
class Past:
    """A clock that was off by so much, until it was set right within a session or between two."""

    path: Path
    off_s: float
    sessions: tuple[str, str]

    def stamp(self, at_ms: int) -> int:
        """Return the stamp of an instant, counted from the beginning."""
        return (BEGIN_MS + at_ms) * MS + (round(self.off_s * S) if at_ms < STEP_MS else 0)

    def bar(self, minute: int) -> dict[str, float]:
        inside = [at_ms for at_ms in TRADES_MS if at_ms // MINUTE_MS == minute]
        prices = [price(at_ms) for at_ms in inside]
        ends = {"open": prices[0], "high": max(prices), "low": min(prices), "close": prices[-1]}
        return {**ends, "volume": float(len(inside))}

    def store(self) -> str:
        """Store it as the collector would."""
        url = prepare(str(self.path))
        came_ms = [at_ms + 50 for at_ms in TRADES_MS]
        self._rows(
            "trades",
            came_ms,
            OF_TRADES,
            kind=["trade"] * len(came_ms),
            trade_id=[str(1000 + place) for place, _ in enumerate(came_ms)],
            price=[price(at_ms) for at_ms in TRADES_MS],
            size=[1.0] * len(came_ms),
            side=["buy"] * len(came_ms),
            exchange_timestamp=[BEGIN_MS + at_ms for at_ms in TRADES_MS],
        )
        bars = [self.bar(minute) for minute in range(MINUTES)]
        ended_ms = [(minute + 1) * MINUTE_MS + 100 for minute in range(MINUTES)]
        self._rows(
            "ohlcv",
            ended_ms,
            OF_BARS,
            interval=["1m"] * MINUTES,
            open_time=[BEGIN_MS + minute * MINUTE_MS for minute in range(MINUTES)],
            confirmed=[1] * MINUTES,
            **{name: [bar[name] for bar in bars] for name in bars[0]},
        )
        for channel, numbers, times in (("trade", OF_TRADES, came_ms), ("ohlcv.1m", OF_BARS, ended_ms)):
            self._covered(channel, numbers, times)
        self._sessions()
        return url

    def _rows(self, table: str, came_ms: list[int], numbers: tuple[int, int], **columns: list[Any]) -> None:
        stamps = [self.stamp(at_ms) for at_ms in came_ms]
        alike = {name: [value] * len(came_ms) for name, value in (*MARKET.items(), ("data_source", "live"))}
        segments = [numbers[at_ms >= STEP_MS] for at_ms in came_ms]
        times = {"timestamp": [iso(one) for one in stamps], "received_at_ns": stamps, "segment_id": segments}
        insert(str(self.path), table, {**times, **alike, **columns})

    def _covered(self, channel: str, numbers: tuple[int, int], came_ms: list[int]) -> None:
        until_ms = (STEP_MS - 1, MINUTES * MINUTE_MS + 30_000)
        own = [[at_ms for at_ms in came_ms if (at_ms >= STEP_MS) == half] for half in (False, True)]
        is_step = self.sessions[0] == self.sessions[1]
        causes = ["clock_step" if is_step else "stop", "stop"]
        alike = {**MARKET, "channel": channel, "verification": "sequence", "witnessed": 0, "disagreed": 0}
        columns: dict[str, list[Any]] = {name: [value] * 2 for name, value in alike.items()}
        columns |= {"segment_id": list(numbers), "session_id": list(self.sessions), "end_cause": causes}
        columns |= {"start_ns": [self.stamp(-10_000), self.stamp(STEP_MS)]}
        columns |= {"end_ns": [self.stamp(one[-1]) for one in own]}
        columns |= {
            "alive_until_ns": [self.stamp(one) for one in until_ms],
            "rows": [len(one) for one in own],
        }
        columns |= {"detail": [f"{-self.off_s:+.3f} s" if is_step else "", ""]}
        insert(str(self.path), "coverage", columns)
        for session in dict.fromkeys(self.sessions):
            rows = sum(len(one) for one, name in zip(own, self.sessions, strict=True) if name == session)
            counts = dict.fromkeys(("received", "written"), rows)
            counts |= dict.fromkeys(
                ("carried_in", "merged", "sampled_out", "rejected", "dropped", "pending"), 0
            )
            told: dict[str, Any] = {"session_id": session, **MARKET, "channel": channel, **counts}
            told |= {"rejected_reasons": "{}", "updated_ns": 1}
            insert(str(self.path), "accounting", {name: [value] for name, value in told.items()})

    def _sessions(self) -> None:
        begun = {self.sessions[1]: self.stamp(STEP_MS)} | {self.sessions[0]: self.stamp(-11_000)}
        ended = {self.sessions[0]: self.stamp(STEP_MS - 1)}
        ended |= {self.sessions[1]: self.stamp(MINUTES * MINUTE_MS + 30_000)}
        for name, began_ns in begun.items():
            row = {"session_id": name, "started_ns": began_ns, "version": "0", "host": "h", "pid": 1}
            row |= {"wanted": "{}", "ended_ns": ended[name], "end_cause": "stop"}
            insert(str(self.path), "sessions", {key: [value] for key, value in row.items()})


def price(at_ms: int) -> float:
    return 100.0 + at_ms * 37 % 1100 / 100


def spoil(path: Path, *minutes: int) -> None:
    times = ", ".join(str(BEGIN_MS + minute * MINUTE_MS) for minute in minutes)
    damage(path, f"UPDATE collector_ohlcv SET volume = volume + 1 WHERE open_time IN ({times})")


WITHIN, BETWEEN = ("s", "s"), ("s", "t")


@pytest.mark.parametrize(
    ("off_s", "sessions"),
    [
        *(
            (60.0, WITHIN),
            (-60.0, WITHIN),
            (-2.5, BETWEEN),
            (-60.0, BETWEEN),
            (60.0, BETWEEN),
            (1800.0, BETWEEN),
        ),
        *(pytest.param(off_s, WITHIN, marks=pytest.mark.proof) for off_s in (-1800.0, -2.5, 2.5, 1800.0)),
        *(pytest.param(off_s, BETWEEN, marks=pytest.mark.proof) for off_s in (-1800.0, 2.5)),
    ],
)
def test_right_bars_pass_and_wrong_ones_beside_the_step_do_not(
    tmp_path: Path, off_s: float, sessions: tuple[str, str]
) -> None:
    past = Past(tmp_path / "live.db", off_s, sessions)
    past.store()
    assert found(past.path) == []
    spoil(past.path, 6)  # its trades are of both clocks: nobody can say
    assert found(past.path) == []
    # Of a clock that was off without a word, only as far as the trades themselves prove.
    known = (2, 3, 9) if sessions == WITHIN or abs(off_s) < 60 or off_s == -60 else (9,)
    spoil(past.path, *known)
    ids = ", ".join(str(minute + 1) for minute in known)
    rows = f"{len(known)} row{'s' if len(known) > 1 else ''}"
    text = f"collector_ohlcv: {rows} (id {ids}) whose volume is not the sum of the trades"
    assert found(past.path) == [("bars against trades", text)]


def test_two_that_wrote_one_stream_in_turns_are_no_clock_set_back(tmp_path: Path) -> None:
    past = Past(tmp_path / "live.db", 60.0, BETWEEN)
    past.store()
    notes = [one.text for one in run_audit(past.path).notes]
    pairs = "12 and 22 of bybit BTC/USDT ohlcv.1m, 11 and 21 of bybit BTC/USDT trade"
    why = "for the clock was set back or two collectors had the stream: loaders refuse or split them (on_gap)"
    assert notes == [f"segments {pairs} overlap in time, {why}"]
    damage(past.path, "UPDATE collector_trades SET id = 0 WHERE id = (SELECT max(id) FROM collector_trades)")
    text = "segments 11 and 21 of bybit BTC/USDT trade overlap"
    assert found(past.path) == [("segment overlap", text)]
    damage(past.path, "UPDATE collector_accounting SET carried_in = 1, received = received - 1")
    assert "segment overlap" not in [check for check, _ in found(past.path)]


def test_what_was_confirmed_last_is_told_by_the_clock_that_was_right(tmp_path: Path) -> None:
    """The correction came later, and bears an earlier stamp than what it corrects."""
    past = Past(tmp_path / "live.db", 120.0, WITHIN)
    past.store()
    spoil(past.path, 5)
    columns = "exchange, symbol, interval, open_time, open, high, low, close, confirmed, data_source"
    stamp = past.stamp(STEP_MS + 1000)
    with closing(sqlite3.connect(past.path)) as connection, connection:
        connection.execute(
            f"INSERT INTO collector_ohlcv_corrections "
            f"({columns}, volume, timestamp, received_at_ns, segment_id) "
            f"SELECT {columns}, volume - 1, '{iso(stamp)}', {stamp}, {OF_BARS[1]} FROM collector_ohlcv "
            f"WHERE open_time = {BEGIN_MS + 5 * MINUTE_MS}"
        )
        connection.execute(f"UPDATE collector_coverage SET rows = rows + 1 WHERE segment_id = {OF_BARS[1]}")
        more = "received = received + 1, written = written + 1"
        connection.execute(f"UPDATE collector_accounting SET {more} WHERE channel = 'ohlcv.1m'")
    assert found(past.path) == []


@pytest.mark.parametrize(
    ("reasons", "cause", "is_judged"),
    [
        ('{"not_a_trade": 3}', "stop", True),
        ('{"time_far_off": 3}', "time_far_off", True),
        ('{"time_far_off": 3}', "stop", False),
        ('{"not_a_trade": 2, "malformed": 1}', "stop", False),
    ],
)
def test_what_was_rejected_and_is_missing_nowhere_hides_no_wrong_bar(
    tmp_path: Path, reasons: str, cause: str, *, is_judged: bool
) -> None:
    past = Past(tmp_path / "live.db", 60.0, WITHIN)
    past.store()
    damage(
        past.path,
        f"UPDATE collector_accounting SET rejected_reasons = '{reasons}', rejected = 3, "
        "received = received + 3 WHERE channel = 'trade'",
        f"UPDATE collector_coverage SET end_cause = '{cause}' WHERE segment_id = {OF_TRADES[1]}",
    )
    spoil(past.path, 9)
    assert bool(found(past.path)) == is_judged
