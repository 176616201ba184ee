"""The reckoning itself, on logs and databases written by hand: it finds what is wrong, and nothing else."""

import ast
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from hole_reasons import Hole
from reckoning import Reckoning, reckon
from send_truth import read_truth
from stored_plainly import Row, Segment, Stored

from collector.simulator.send_log import Logged

BOOK = ("bybit", "BTC/USDT", "book.50")
KRAKEN_BOOK = ("kraken", "BTC/USD", "book.10")
TRADES = ("bybit", "BTC/USDT", "trade")
BEST = ("bybit", "BTC/USDT", "bbo")
BARS = ("bybit", "BTC/USDT", "ohlcv.1m")
S = 1_000_000_000
PATIENCE_S = dict.fromkeys(("bybit", "binance", "kraken", "okx"), 5.0)
FORBIDDEN = ("collector.streams", "collector.book", "collector.query", "collector.live")


def sent(second: float, sequence: int, stream: tuple[str, str, str] = BOOK, **fields: object) -> Logged:
    """Write a line of an update that was delivered."""
    exchange, symbol, channel = stream
    line = Logged(int(second * S), "delta", exchange, 1, symbol, channel, sequence, 1)
    return line._replace(**fields)


def withheld(second: float, sequence: int, why: str, stream: tuple[str, str, str] = BOOK) -> Logged:
    return sent(second, sequence, stream, event="withheld", connection=None, delivered=False, detail=why)


def fault(second: float, detail: str, **fields: object) -> Logged:
    return Logged(int(second * S), "fault", "bybit", detail=detail)._replace(**fields)


def rows(*numbers: int | str, segment: int = 1) -> list[Row]:
    """Write a row of each update; that of number n came at second n, and a little."""
    return [Row(number, int(number) * S + 1000, segment) for number in numbers]


def covered(
    start_s: float, end_s: float, alive_s: float, cause: str | None = "stop", number: int = 1
) -> Segment:
    return Segment(number, int(start_s * S), int(end_s * S), int(alive_s * S), "sequence", cause)


def outcome(
    log: Sequence[Logged],
    stored_rows: Sequence[Row],
    *segments: Segment,
    stream: tuple[str, str, str] = BOOK,
) -> Reckoning:
    stored = Stored(rows={stream: list(stored_rows)}, segments={stream: list(segments)})
    truth = read_truth(log, lambda _exchange, _symbol, number: str(number))
    return reckon(truth, stored, [stream], patience_s=PATIENCE_S, recovery_s=20.0)


STEADY = [sent(number, number) for number in range(10, 31)]


def test_a_market_stored_whole_owes_nothing() -> None:
    found = outcome(STEADY, rows(*range(10, 31)), covered(10, 30, 30.5))
    assert (found.losses, found.extra_rows, found.holes, found.never_covered) == ([], [], [], [])
    assert found.rows == 21
    assert found.covered_s == 20.5


def test_an_update_that_is_missing_between_two_rows_is_found() -> None:
    found = outcome(STEADY, rows(*(n for n in range(10, 31) if n != 20)), covered(10, 30, 30.5))
    (loss,) = found.losses
    assert loss.update.key == 20
    assert found.lost_s == pytest.approx(1.0)


def test_an_update_that_was_delivered_after_the_last_row_in_covered_time_is_found() -> None:
    found = outcome(STEADY, rows(*range(10, 26)), covered(10, 25, 30.0))
    (loss,) = found.losses
    assert (loss.update.key, loss.where) == (26, "after its rows, 4 in a row")
    assert not outcome(STEADY, rows(*range(10, 26)), covered(10, 25, 25.0)).losses


def test_a_trade_between_the_acknowledgement_and_the_first_row_is_found() -> None:
    log = [sent(number, number, TRADES, event="trade") for number in range(10, 31)]
    stored = [replace(row, key=str(row.key)) for row in rows(*range(15, 31))]
    found = outcome(log, stored, covered(10.5, 30, 30.5), stream=TRADES)
    (loss,) = found.losses
    assert (loss.update.key, loss.where) == ("12", "before its rows, 3 in a row")
    whole = [replace(row, key=str(row.key)) for row in rows(*range(11, 31))]
    assert not outcome(log, whole, covered(10.5, 30, 30.5), stream=TRADES).losses


@pytest.mark.parametrize("why", ["stalled", "dropped", "unheard"])
def test_numbered_updates_that_nobody_was_sent_must_not_be_covered(why: str) -> None:
    log = [
        line if line.sequence not in {18, 19} else withheld(line.sequence, line.sequence, why)
        for line in STEADY
    ]
    stored = rows(*(n for n in range(10, 31) if n not in {18, 19}))
    (loss,) = outcome(log, stored, covered(10, 30, 30.5)).losses
    assert loss.update.missed == {why}
    parts = [*rows(*range(10, 18)), *rows(*range(20, 31), segment=2)]
    split = outcome(log, parts, covered(10, 17, 17, "sequence_gap"), covered(20, 30, 30.5, number=2))
    assert not split.losses
    assert len(split.holes) == 1
    assert bool(split.false_holes) == (why == "unheard")  # it is for the collector to listen


def test_a_stall_that_the_end_of_the_connection_hides_is_no_lie_unless_it_was_long() -> None:
    log = [*STEADY[:11], *(withheld(number, number, "stalled") for number in range(21, 31))]
    short = outcome(log, rows(*range(10, 21)), covered(10, 20, 24.5))
    assert not short.losses
    assert short.unknowable == {"silent when its coverage ended": 1}
    long = outcome(log, rows(*range(10, 21)), covered(10, 20, 30.5))
    assert long.lost_s > 5


def test_what_has_no_numbers_is_excused_for_the_exchanges_faults_alone() -> None:
    def with_trades(*lines: Logged, missing: int) -> Reckoning:
        stored = [replace(row, key=str(row.key)) for row in rows(*(n for n in range(10, 31) if n != missing))]
        segment = replace(covered(10, 30, 30.5), verification="connection")
        return outcome(lines, stored, segment, stream=TRADES)

    log = [sent(number, number, TRADES, event="trade") for number in range(10, 31)]
    log[8] = withheld(18, 18, "dropped", TRADES)
    excused = with_trades(*log, missing=18)
    assert not excused.losses
    assert excused.unknowable == {"without numbers": 1}
    (loss,) = with_trades(*log, missing=22).losses[-1:]
    assert loss.update.key == "22"
    log[8] = withheld(18, 18, "unheard", TRADES)
    assert with_trades(*log, missing=18).losses


def test_trades_that_stall_before_the_first_number_leave_no_trace() -> None:
    log = [sent(number, number, TRADES, event="trade") for number in range(10, 31)]
    log[5:10] = [withheld(number, number, "stalled", TRADES) for number in range(15, 20)]
    stored = [replace(row, key=str(row.key)) for row in rows(*range(20, 31))]
    found = outcome(log, stored, covered(10.5, 30, 30.5), stream=TRADES)
    assert found.losses[0].update.key == "12"  # what was delivered is owed all the same
    late = outcome(log, stored, covered(14.5, 30, 30.5), stream=TRADES)
    assert not late.losses
    assert late.unknowable["before the first number of a segment"] > 0


def test_a_market_that_was_taken_off_may_stay_away() -> None:
    off = fault(20, "delist", symbol="BTC/USDT")
    log = [*STEADY, off, *(sent(number, number, ETH) for number in range(31, 90))]
    assert not outcome(log, rows(*range(10, 21)), covered(10, 20, 20, "refused")).false_holes
    assert outcome([*STEADY, off], []).never_covered == []


def test_best_prices_of_binance_may_be_missing_until_they_change() -> None:
    best = ("binance", "BTC/USDT", "bbo")

    def holes(*after: int) -> list[Hole]:
        log = [sent(number, number, best) for number in (*range(10, 21), *after)]
        log += [fault(20.5, "reset", exchange="binance"), sent(90, 90, ETH)]
        segment = covered(10, 20, 20, "disconnect")
        return outcome(log, rows(*range(10, 21)), segment, stream=best).false_holes

    assert holes() == []
    assert holes(85) == []
    assert len(holes(40)) == 1


def test_best_prices_that_stall_for_longer_than_a_question_takes_must_not_be_covered() -> None:
    log = [sent(number, number, BEST) for number in range(10, 31)]
    log[5:16] = [withheld(number, number, "stalled", BEST) for number in range(15, 26)]
    segment = replace(covered(10, 30, 30.5), verification="connection")
    stored = rows(*range(10, 15), *range(26, 31))
    (loss,) = outcome(log, stored, segment, stream=BEST).losses
    assert loss.update.key == 15


def test_a_row_of_an_update_that_never_was_is_found() -> None:
    segment = covered(10, 30, 30.5)
    ((_, row),) = outcome(STEADY, [*rows(*range(10, 31)), Row(40, 30 * S, 1)], segment).extra_rows
    assert row.key == 40


def test_a_row_of_an_update_that_nobody_was_sent_is_found() -> None:
    log = [line if line.sequence != 18 else withheld(18, 18, "stalled") for line in STEADY]
    ((_, row),) = outcome(log, rows(*range(10, 31)), covered(10, 30, 30.5)).extra_rows
    assert row.key == 18
    early = [*rows(*range(10, 30)), Row(30, 25 * S, 1)]
    assert outcome(STEADY, early, covered(10, 30, 30.5)).extra_rows


def test_a_hole_without_a_reason_is_false() -> None:
    parts = [*rows(*range(10, 18)), *rows(*range(20, 31), segment=2)]
    segments = covered(10, 17, 17, "stale"), covered(20, 30, 30.5, number=2)
    (hole,) = outcome(STEADY, parts, *segments).false_holes
    assert (hole.cause, hole.from_ns, hole.until_ns) == ("stale", 17 * S, 20 * S)
    excuses = [
        fault(17, "reset", connection=1),
        fault(17, "gap 1", symbol="BTC/USDT", channel="book.50"),
        fault(5, "delist", symbol="BTC/USDT"),
        fault(17, "half_open"),
    ]
    for excuse in excuses:
        assert not outcome([*STEADY, excuse], parts, *segments).false_holes, excuse
    witnessed = covered(10, 17, 17, "witness"), segments[1]
    elsewhere = fault(17, "gap 1", symbol="BTC/USDT", channel="bbo")
    assert not outcome([*STEADY, elsewhere], parts, *witnessed).false_holes
    assert not outcome([*STEADY, withheld(17, 99, "dropped", BEST)], parts, *witnessed).false_holes
    others = [
        elsewhere,
        withheld(17, 99, "dropped", BEST),
        fault(17, "reset", connection=2),
        fault(17, "gap 1", symbol="ETH/USDT", channel="book.50"),
        fault(17, "gap 1", symbol="BTC/USDT", channel="book.200"),
        fault(17, "tempo 0 for 20 s", symbol="BTC/USDT"),
        fault(17, "latency 400 and 80 ms"),
        fault(17, "reset", exchange="kraken"),
        fault(17, "rest_ban 40 s"),
    ]
    for other in others:
        assert outcome([*STEADY, other], parts, *segments).false_holes, other


def test_a_loss_is_known_when_the_next_number_comes() -> None:
    def holes(cause: str, *earlier: int) -> list[Hole]:
        log = [*STEADY[:11], withheld(21, 21, "dropped"), *(sent(number, number) for number in earlier)]
        log += [sent(20.1, 20, connection=2), *(sent(number, number) for number in range(60, 71))]
        parts = [*rows(*range(10, 21)), *rows(*range(60, 71), segment=2)]
        segments = covered(10, 20, 20, cause), covered(60, 70, 70.5, number=2)
        return outcome(log, parts, *segments).false_holes

    assert holes("sequence_gap") == []
    assert len(holes("sequence_gap", 30)) == 1  # it came, and yet the stream stayed away
    assert len(holes("stale")) == 1


def test_a_stream_that_does_not_come_back_is_called_a_hole_falsely() -> None:
    log = [
        *STEADY,
        fault(20.5, "reset", connection=1),
        *(sent(number, number, ETH) for number in range(31, 60)),
    ]
    (hole,) = outcome(log, rows(*range(10, 21)), covered(10, 20, 20, "disconnect")).false_holes
    assert hole.is_last
    again = [*log, fault(45, "refuse 503")]
    assert not outcome(again, rows(*range(10, 21)), covered(10, 20, 20, "disconnect")).false_holes


def test_an_exchange_that_shuts_an_address_out_explains_as_long_a_hole() -> None:
    after = [sent(number, number, ETH) for number in range(31, 800, 9)]

    def holes(detail: str, until_s: int) -> list[Hole]:
        log = [*STEADY, fault(20.5, "reset", connection=1), fault(21, detail)]
        log += [one for one in after if one.at_ns < until_s * S]
        return outcome(log, rows(*range(10, 21)), covered(10, 20, 20, "disconnect")).false_holes

    assert holes("refuse 403", 700) == []
    assert len(holes("refuse 503", 700)) == 1
    assert len(holes("refuse 403", 800)) == 1


def test_what_rest_showed_before_the_stream_brought_it_is_not_missing() -> None:
    stream = ("binance", "BTC/USDT", "book.50")
    logged = ("binance", "BTC/USDT", "book")
    batch = [sent(16.5, number, logged) for number in range(10, 16)]
    log = [*batch, *(sent(number + 2, number, logged) for number in range(16, 29))]
    from_rest = [Row(14, 14 * S, 1), *(Row(number, (number + 2) * S, 1) for number in range(16, 29))]
    (loss,) = outcome(log, from_rest, covered(14, 30, 30.5), stream=stream).losses
    assert loss.update.key == 15
    whole = [*from_rest, Row(15, 16 * S + S // 2, 1)]
    assert not outcome(log, whole, covered(14, 30, 30.5), stream=stream).losses


ETH = ("bybit", "ETH/USDT", "book.50")


def test_a_stream_without_any_coverage_is_named() -> None:
    assert outcome(STEADY, []).never_covered == [BOOK]


def test_numbers_that_begin_again_are_told_apart() -> None:
    restarted = [sent(number, number - 20) for number in range(21, 31)]
    log = [*STEADY[:11], fault(20.5, "restart", symbol="BTC/USDT", channel="book.50"), *restarted]
    after = [Row(number - 20, number * S + 1000, 1) for number in range(21, 31)]
    whole = [*rows(*range(10, 21)), *after]
    found = outcome(log, whole, covered(10, 30, 30.5))
    assert not found.losses
    assert not found.extra_rows
    (loss,) = outcome(
        log, [row for row in whole if row.received_at_ns != 25 * S + 1000], covered(10, 30, 30.5)
    ).losses
    assert loss.update.number == (1, 5)


def test_what_a_subscription_to_best_prices_begins_with_may_be_no_change() -> None:
    best = ("okx", "BTC/USDT", "bbo")
    log = [sent(number, number, best) for number in range(10, 31)]
    begins = sent(19.5, 0, best)._replace(event="subscribed", sequence=None)
    present = sent(20, 20, best)
    segment = replace(covered(10, 30, 30.5), verification="connection")
    stored = rows(*(number for number in range(10, 31) if number != 20))
    assert not outcome([*log[:10], begins, present, *log[11:]], stored, segment, stream=best).losses
    again = [*log[:10], begins, present, present, *log[11:]]  # said once more, it is an update as any other
    (loss,) = outcome(again, stored, segment, stream=best).losses
    assert loss.update.key == 20
    assert outcome(log, stored, segment, stream=best).losses


def two_a_millisecond(number: int, **fields: object) -> Logged:
    times_us = (number // 2 * 2_000_000 + number,)
    return sent(number, 0, KRAKEN_BOOK)._replace(sequence=None, times_us=times_us, **fields)


def test_updates_without_numbers_are_told_apart_by_the_exchanges_time() -> None:
    log = [two_a_millisecond(number) for number in range(10, 31)]
    segment = replace(covered(10, 30, 30.5), verification="checksum")
    stored = [Row(number // 2 * 2000, number * S + 1000, 1) for number in range(10, 31)]
    assert not outcome(log, stored, segment, stream=KRAKEN_BOOK).losses
    (loss,) = outcome(log, [*stored[:8], *stored[9:]], segment, stream=KRAKEN_BOOK).losses
    assert loss.update.key == 18_000
    log[8] = two_a_millisecond(18, event="withheld", delivered=False, detail="dropped", connection=None)
    excused = outcome(log, [*stored[:8], *stored[9:]], segment, stream=KRAKEN_BOOK)
    assert not excused.losses
    assert excused.unknowable == {"overwritten under a checksum": 1}


def test_microseconds_that_begin_again_while_a_clock_stands_still_are_in_the_order_of_sending() -> None:
    log = [
        two_a_millisecond(number)._replace(times_us=(77_000 + (number * 90 + 500) % 1000,))
        for number in range(10, 31)
    ]
    segment = replace(covered(15, 30, 30.5), verification="checksum")
    stored = [Row(77, number * S + 1000, 1) for number in range(15, 31)]
    found = outcome(log, stored, segment, stream=KRAKEN_BOOK)
    assert (found.losses, found.extra_rows) == ([], [])


def test_a_segment_may_end_or_begin_between_two_updates_of_one_millisecond() -> None:
    log = [two_a_millisecond(number) for number in range(10, 31)]
    segment = replace(covered(13, 20.9, 20.9), verification="checksum")
    stored = [Row(number // 2 * 2000, number * S + 1000, 1) for number in range(13, 20)]
    late = Row(20_000, int(20.9 * S), 1)  # nearer to when the second was made
    assert not outcome(log, [*stored, late], segment, stream=KRAKEN_BOOK).losses
    (loss,) = outcome(log, [*stored[:-1], late], segment, stream=KRAKEN_BOOK).losses
    assert loss.update.key == 18_000


@pytest.mark.parametrize("name", ["reckoning", "send_truth", "stored_plainly", "hole_reasons"])
def test_nothing_of_what_it_judges_has_a_part_in_it(name: str) -> None:
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    imported = {
        imported
        for node in ast.walk(tree)
        for imported in (
            [node.module or "", *(f"{node.module}.{one.name}" for one in node.names)]
            if isinstance(node, ast.ImportFrom)
            else [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    ours = {one for one in imported if one.partition(".")[0] == "collector"}
    assert not {one for one in ours if one.startswith(FORBIDDEN)}
    assert all(one.startswith("collector.simulator") for one in ours)


def of_bars(stall: Sequence[Logged], traded_s: Sequence[float], *segments: Segment) -> Reckoning:
    """Reckon a stream of bars beside trades that are stored whole."""
    bars = [sent(second, 60_000, BARS, event="bar") for second in (10, 11)]
    trades = [sent(second, 100 + place, TRADES, event="trade") for place, second in enumerate(traded_s)]
    log = sorted([*bars, *stall, *trades], key=lambda line: line.at_ns)
    stored = Stored(
        rows={
            TRADES: [Row(str(100 + place), int(at * S), 9) for place, at in enumerate(traded_s)],
            BARS: [Row(60_000, 11 * S, 1)],
        },
        segments={TRADES: [covered(10, 40, 40, number=9)], BARS: list(segments)},
    )
    truth = read_truth(log, lambda _exchange, _symbol, number: str(number))
    wanted = [TRADES, BARS]
    return reckon(truth, stored, wanted, patience_s=PATIENCE_S, recovery_s=20.0, bar_patience_s=PATIENCE_S)


WITHHELD = [withheld(second, 60_000, "stalled", BARS) for second in (12, 13, 20)]


def test_bars_that_are_withheld_while_the_market_trades_are_found() -> None:
    found = of_bars(WITHHELD, [14.5, 15, 16, 20], covered(10, 11, 30))
    (loss,) = found.losses
    assert (loss.stream, loss.lost_ns, loss.where) == (BARS, 18 * S, "bars withheld")
    assert found.lost_s == 18.0


@pytest.mark.parametrize(
    ("stall", "traded_s", "alive_s"),
    [
        (WITHHELD, [14.5, 15, 16], 21),  # within the time that it takes
        (WITHHELD, [12, 13, 14.5, 15], 30),  # trades of which a bar may have told before, and too few others
        ([*WITHHELD, sent(20.5, 60_000, BARS, event="bar")], [14.5, 15, 16], 30),  # it goes on
        ([withheld(12, 60_000, "unheard", BARS)], [14.5, 15, 16], 30),
    ],
)
def test_bars_whose_end_nobody_can_know_yet_are_no_loss(
    stall: Sequence[Logged], traded_s: Sequence[float], alive_s: float
) -> None:
    assert of_bars(stall, traded_s, covered(10, 11, alive_s)).losses == []
