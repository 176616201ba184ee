"""What hftbacktest replays is the book that was stored, and the trades, in the order of both sides."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.export.exporter import export
from collector.export.hftbacktest import layout
from collector.export.hftbacktest.layout import ordered, shift_ns

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "query"))
from replaying import (
    DAY_NS,
    FIRST,
    MIDNIGHT_NS,
    MS,
    check_order,
    exported,
    keep,
    move,
    random_books,
    replayed,
    trade,
)
from stored import iso, prepare

sys.path.insert(0, str(Path(__file__).parents[1]))
from any_database import in_a_file

pytest.importorskip("pyarrow")


@pytest.fixture
def stored(any_database: str) -> str:
    return prepare(any_database)


def test_the_book_is_the_one_that_was_stored(stored: str, tmp_path: Path) -> None:
    books = random_books(60)
    at = [MIDNIGHT_NS + place * 7 * MS for place in range(60)]
    keep(stored, books, at, [FIRST + place // 25 for place in range(60)])
    (data,) = exported(stored, tmp_path)
    check_order(data)
    wanted = dict(zip(at, books, strict=True))
    for flag, clock, early in ((layout.LOCAL, "local_ts", 0), (layout.EXCHANGE, "exch_ts", 5 * MS)):
        for at_ns, book in replayed(data, flag, clock):
            assert book == wanted[at_ns + early]
    kinds = data["ev"] & 0xFF
    assert (kinds == layout.DEPTH_CLEAR).sum() == 3
    assert set(data["local_ts"][kinds == layout.DEPTH_SNAPSHOT]) == {at[0], at[25], at[50]}
    assert (kinds == layout.DEPTH).sum() < 60 * 20  # what did not change is not told again
    assert "best 10 of 50" in (tmp_path / "README.md").read_text()


@in_a_file
def test_best_level_where_no_more_is_stored(stored: str, tmp_path: Path) -> None:
    books = random_books(30, 2)
    at = [MIDNIGHT_NS + place * MS for place in range(30)]
    keep(stored, books[:10], at[:10], [FIRST] * 10, deep=False)
    keep(stored, books[10:], at[10:], [FIRST + 1] * 20)
    (data,) = exported(stored, tmp_path)
    states = dict(replayed(data, layout.LOCAL, "local_ts"))
    best = {
        "bid": dict(sorted(books[9]["bid"].items())[-1:]),
        "ask": dict(sorted(books[9]["ask"].items())[:1]),
    }
    assert max(len(states[one]["ask"]) for one in at[:10]) == 1
    assert states[max(one for one in states if one <= at[9])] == best
    assert states[at[-1]] == books[-1]
    assert "best 10 of 50; in 10 rows the best" in (tmp_path / "README.md").read_text()
    (data,) = exported(stored, tmp_path / "best", kinds=["features", "trades"])
    assert max(len(book["ask"]) for _, book in replayed(data, layout.LOCAL, "local_ts")) == 1
    assert "best level only of 50" in (tmp_path / "best" / "README.md").read_text()


@in_a_file
def test_trades(stored: str, tmp_path: Path) -> None:
    at = [MIDNIGHT_NS + place * 10 * MS for place in range(1, 5)]
    trade(
        stored,
        at,
        [at[0] // MS - 3, at[0] // MS - 2, None, at[3] // MS - 1],
        side=["buy", "sell", None, "buy"],
        marked=[None, None, None, "ADL"],
    )
    (data,) = exported(stored, tmp_path)
    both = layout.EXCHANGE | layout.LOCAL | layout.TRADE
    assert data["ev"].tolist() == [both | layout.BUY, both | layout.SELL, both]
    assert data["px"].tolist() == [1000.0, 1001.0, 1002.0]
    assert data["qty"].tolist() == [2.0] * 3
    assert data["exch_ts"].tolist() == [at[0] - 3 * MS, at[0] - 2 * MS, at[2]]
    card = (tmp_path / "README.md").read_text()
    assert "| none | 3 | 0.000 | 1 | 0 | 0 | 1 marked trades |" in card


@in_a_file
def test_a_trade_that_rest_brought_is_replayed_where_it_stands(stored: str, tmp_path: Path) -> None:
    at, day_later = MIDNIGHT_NS + 7 * MS, [MIDNIGHT_NS + DAY_NS]
    trade(stored, day_later, [at // MS], timestamp=[iso(at)], origin=["rest"])
    (data,) = exported(stored, tmp_path)
    assert (data["exch_ts"].tolist(), data["local_ts"].tolist()) == ([at], [at])


@in_a_file
def test_a_trade_comes_before_the_book_that_it_changed(stored: str, tmp_path: Path) -> None:
    """The bot heard of the book first; at the exchange the trade was what changed it."""
    books = random_books(3, 3)
    at = [MIDNIGHT_NS + place * 100 * MS for place in range(1, 4)]
    keep(stored, books, at, [FIRST] * 3)
    told = at[1] // MS - 5
    trade(stored, [at[1] + 1, at[1] + 2], [told, told])
    (data,) = exported(stored, tmp_path)
    check_order(data)
    by_bot = data[data["ev"] & layout.LOCAL != 0]
    by_exchange = data[data["ev"] & layout.EXCHANGE != 0]
    at_bot = np.flatnonzero(by_bot["ev"] & 0xFF == layout.TRADE)
    at_exchange = np.flatnonzero(by_exchange["ev"] & 0xFF == layout.TRADE)
    assert len(by_bot) == len(by_exchange)
    assert by_bot["local_ts"][at_bot[0] - 1] == at[1]
    assert by_exchange["local_ts"][at_exchange[0] - 1] == at[0]
    assert len(data) == len(by_bot) + 2


@in_a_file
def test_a_local_clock_that_is_behind_is_put_forward(stored: str, tmp_path: Path) -> None:
    at = [MIDNIGHT_NS + place * 10 * MS for place in range(1, 4)]
    trade(stored, at, [at[0] // MS + 7, at[1] // MS + 2, None])
    (data,) = exported(stored, tmp_path)
    check_order(data)
    assert data["local_ts"].tolist() == [one + 7 * MS for one in at]
    assert data["exch_ts"].tolist() == [at[0] + 7 * MS, at[1] + 2 * MS, at[2] + 7 * MS]
    assert "| 7.000 | 1 |" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize("skew_ms", [0, 5_000])
@in_a_file
def test_one_time_of_the_exchange_that_is_far_ahead_counts_as_none(
    stored: str, tmp_path: Path, skew_ms: int
) -> None:
    """Whether its clock is right or ahead as a whole: the row that is off does not decide for the others."""
    books = random_books(30, 6)
    at = [MIDNIGHT_NS + place * 100 * MS for place in range(30)]
    told = [one // MS - 5 + skew_ms for one in at]
    told[10] += 3_600_000
    keep(stored, books, at, [FIRST] * 30, exchange_ms=told)
    trade(stored, [at[20] + 1], [told[20] + 3_600_000])
    (data,) = exported(stored, tmp_path)
    check_order(data)
    shift = max(0, skew_ms - 5) * MS
    assert set(data["local_ts"]) == {one + shift for one in [*at, at[20] + 1]}
    assert data["exch_ts"].max() == max(told[29] * MS, at[20] + 1 + shift)
    changed = int((data["local_ts"] == at[10] + shift).sum())
    assert (
        f"| {len(data):,} | {shift / MS:,.3f} | {changed + 1:,} | 0 | 0 |"
        in (tmp_path / "README.md").read_text()
    )


@in_a_file
def test_a_book_never_goes_back_at_the_exchange(stored: str, tmp_path: Path) -> None:
    books = random_books(4, 4)
    at = [MIDNIGHT_NS + place * 10 * MS for place in range(1, 5)]
    keep(stored, books, at, [FIRST] * 4, exchange_ms=[at[0] // MS, None, at[1] // MS - 3, at[3] // MS])
    (data,) = exported(stored, tmp_path)
    check_order(data)
    assert replayed(data, layout.EXCHANGE, "exch_ts")[-1][1] == books[3]
    assert replayed(data, layout.LOCAL, "local_ts")[-2][1] == books[2]


@in_a_file
def test_one_source_one_book_one_kind(stored: str, tmp_path: Path) -> None:
    books = random_books(12, 5)
    at = [MIDNIGHT_NS + place * 10 * MS for place in range(12)]
    keep(stored, books, at, [FIRST] * 12)
    keep(stored, books[::-1], [one + 1 for one in at], [FIRST + 1] * 12, depth=1, deep=False)
    keep(stored, books[:5], [one + 2 for one in at[:5]], [FIRST + 2] * 5, source="replay")
    trade(stored, at[:2], [None, None])
    trade(stored, at[:3], [None] * 3, kind=["agg"] * 3)
    (data,) = exported(stored, tmp_path)
    assert replayed(data, layout.LOCAL, "local_ts")[-1] == (at[-1], books[-1])
    assert (data["ev"] & 0xFF == layout.TRADE).sum() == 2
    card = (tmp_path / "README.md").read_text()
    for told in (
        "12 features of depth 1, source live",
        "5 features of depth 50, source replay",
        "3 trades of kind agg",
    ):
        assert told in card


@pytest.mark.proof
@in_a_file
def test_day_after_day_resumed_and_the_same_bytes(stored: str, tmp_path: Path) -> None:
    books = random_books(20, 6)
    at = [MIDNIGHT_NS + place * DAY_NS // 8 for place in range(20)]
    keep(stored, books, at, [FIRST] * 20)
    found = exported(stored, tmp_path / "a")
    assert len(found) == 3
    for day in found:
        assert int(day["ev"][0]) & 0xFF == layout.DEPTH_CLEAR  # each day can be replayed alone
    assert replayed(np.concatenate(found), layout.LOCAL, "local_ts")[-1][1] == books[-1]
    exported(stored, tmp_path / "b", jobs=2)

    def sums(name: str) -> list[str]:
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]

    assert sums("a") == sums("b")
    assert export(stored, tmp_path / "a", form="hftbacktest").written == 0
    trade(stored, [MIDNIGHT_NS + DAY_NS + 5], [None])
    assert export(stored, tmp_path / "a", form="hftbacktest").written == 1


moments = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.booleans()), max_size=40)


@given(moments)
def test_any_order_becomes_both_orders(rows: list[tuple[int, int, bool]]) -> None:
    data = layout.events(
        [layout.TRADE if is_trade else layout.DEPTH for _, _, is_trade in rows],
        [exchange for exchange, _, _ in rows],
        [local for _, local, _ in rows],
        np.arange(len(rows), dtype=np.float64),
        np.ones(len(rows)),
    )
    data["local_ts"] += shift_ns(data)
    found = ordered(data)
    check_order(found)
    for flag in (layout.EXCHANGE, layout.LOCAL):
        assert sorted(found["px"][found["ev"] & flag != 0].tolist()) == list(range(len(rows)))


@in_a_file
def test_the_exchange_s_time_is_of_the_same_update(stored: str, tmp_path: Path) -> None:
    """Three updates in one nanosecond, and one that says nothing of where it is from."""
    books = random_books(4, 7)
    at = [MIDNIGHT_NS + 50 * MS] * 3 + [MIDNIGHT_NS + 90 * MS]
    told: list[int | None] = [at[0] // MS - early for early in (30, 20, 10)]
    keep(stored, books, at, [FIRST] * 4, exchange_ms=[*told, None], depth=None, source=None)
    (data,) = exported(stored, tmp_path)
    states = dict(replayed(data, layout.EXCHANGE, "exch_ts"))
    assert [states[one * MS] for one in told if one is not None] == books[:3]
    assert states[at[3]] == books[3]


@in_a_file
def test_moved_days_give_the_same_events(stored: str, tmp_path: Path) -> None:
    books = random_books(30, 8)
    at = [MIDNIGHT_NS + place * DAY_NS // 10 for place in range(30)]
    for source, early in (("live", 0), (None, 1)):
        keep(stored, books, [one + early for one in at], [FIRST + early] * 30, source=source, depth=None)
    trade(stored, at, [None] * 30, marked=["ADL", *[None] * 29], kind=["agg", *["trade"] * 29])
    before = exported(stored, tmp_path / "before")
    move(stored, tmp_path / "archive", MIDNIGHT_NS + 3 * DAY_NS)
    after = exported(stored, tmp_path / "after")
    assert [one.tobytes() for one in after] == [one.tobytes() for one in before]
    cards = [(tmp_path / name / "README.md").read_text() for name in ("before", "after")]
    assert cards[0] == cards[1]
    assert export(stored, tmp_path / "before", form="hftbacktest").written == 0
