"""Kraken's checksums: the exchange's own example is right, and anything else is told."""

import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.book.order_book import OrderBook
from collector.book.verified import Did, Outcome, Verdict, VerifiedBook
from collector.events.messages import Delta, Snapshot
from collector.exchanges.kraken.frames import read_frame
from collector.exchanges.kraken.rule import Checksum

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
from kraken_example import WORKED_ASKS, WORKED_BIDS, WORKED_CHECKSUM
from made_kraken import slow_checksum, slow_crc32

Side = tuple[tuple[str, str], ...]


def frame(kind: str, bids: Side, asks: Side, checksum: int) -> str:
    written = [",".join(f'{{"price":{price},"qty":{size}}}' for price, size in side) for side in (bids, asks)]
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{written[0]}],'
        f'"asks":[{written[1]}],"checksum":{checksum}}}]}}'
    )


def message(kind: str, bids: Side = (), asks: Side = (), checksum: int = WORKED_CHECKSUM) -> Snapshot | Delta:
    (only,) = read_frame(frame(kind, bids, asks, checksum))
    assert isinstance(only, Snapshot | Delta)
    return only


def worked_book(depth: int = 10) -> VerifiedBook:
    book = VerifiedBook(Checksum(depth, 1, 8), depth)
    assert take(book, message("snapshot", WORKED_BIDS, WORKED_ASKS)).did is Did.OPENED
    return book


def take(book: VerifiedBook, what: Snapshot | Delta) -> Outcome:
    return book.apply_snapshot(what) if isinstance(what, Snapshot) else book.apply_delta(what)


def test_the_exchanges_own_example_is_right() -> None:
    worked_book()


def test_the_slow_sum_that_made_books_are_held_against_is_right() -> None:
    assert slow_crc32("123456789") == 0xCBF43926  # the check value of CRC-32
    assert slow_checksum([*WORKED_BIDS], [*WORKED_ASKS]) == WORKED_CHECKSUM


def test_the_rule_leaves_judging_to_the_proof() -> None:
    rule = Checksum(10, 1, 8)
    delta, snapshot = message("update"), message("snapshot")
    assert isinstance(delta, Delta)
    assert isinstance(snapshot, Snapshot)
    assert rule.verification == "checksum"
    assert rule.judge_delta(None, delta) is Verdict.CONTINUES
    assert rule.judge_snapshot(None, snapshot) is Verdict.RESTARTS


def test_what_is_wrong_is_told_in_words() -> None:
    outcome = take(worked_book(), message("update", checksum=7))
    assert outcome == Outcome(
        Did.BROKE, "checksum", f"checksum 7 expected, {WORKED_CHECKSUM} found of 10 asks and 10 bids"
    )


BEST_BID, BEST_ASK = WORKED_BIDS[0], WORKED_ASKS[0]
UNCHANGED = {
    "no level": ((), ()),
    "as they are": ((BEST_BID, WORKED_BIDS[3]), (BEST_ASK,)),
    "none that was not there": (((BEST_BID[0].replace(".", "") + ".9", "0.00000000"),), ()),
    "beyond the depth": ((("1.0", "5.00000000"),), (("900000.0", "5.00000000"),)),
}


@pytest.mark.parametrize("levels", UNCHANGED.values(), ids=UNCHANGED.keys())
def test_an_update_that_changes_no_level_is_merged_and_its_checksum_counts_all_the_same(
    levels: tuple[Side, Side],
) -> None:
    book = worked_book()
    assert take(book, message("update", *levels)).did is Did.MERGED
    assert (len(book.book.bids), len(book.book.asks)) == (10, 10)
    outcome = take(book, message("update", *levels, checksum=7))
    assert (outcome.did, outcome.reason) == (Did.BROKE, "checksum")


def test_an_update_of_which_one_level_changes_is_a_state() -> None:
    level = ((BEST_BID[0], "0.20000000"),)
    for both in ((WORKED_BIDS[3], *level), (*level, WORKED_BIDS[3])):
        assert (
            take(worked_book(), message("update", both, checksum=checksum_after(level))).did is Did.CONTINUED
        )
    removed = message(
        "update", ((BEST_BID[0], "0.00000000"),), checksum=checksum_of(WORKED_BIDS[1:], WORKED_ASKS)
    )
    assert take(worked_book(), removed).did is Did.CONTINUED


def test_one_lost_delta_shows_at_the_next() -> None:
    book = worked_book()
    level = ((WORKED_BIDS[0][0], "0.20000000"),)
    after = message("update", level, checksum=checksum_after(level))
    assert take(worked_book(), after).did is Did.CONTINUED
    assert take(book, message("update", checksum=after.checksum or 0)).reason == "checksum"


@given(st.data())
def test_one_digit_changed_in_the_best_ten_is_found(data: st.DataObject) -> None:
    sides = {"bids": WORKED_BIDS, "asks": WORKED_ASKS}
    side = data.draw(st.sampled_from(sorted(sides)))
    place = data.draw(st.integers(0, 9))
    number = data.draw(st.integers(0, 1))
    text = sides[side][place][number]
    at = data.draw(st.integers(0, len(text) - 1).filter(lambda at: text[at] != "."))
    digit = data.draw(st.sampled_from(sorted(set("123456789") - {text[at]})))
    level = list(sides[side][place])
    level[number] = text[:at] + digit + text[at + 1 :]
    sides[side] = (*sides[side][:place], (level[0], level[1]), *sides[side][place + 1 :])
    book = VerifiedBook(Checksum(10, 1, 8), 10)
    assert take(book, message("snapshot", sides["bids"], sides["asks"])).did is Did.BROKE


@example(WORKED_BIDS[0], WORKED_BIDS[0][1])
@given(
    st.sampled_from((*WORKED_BIDS, *WORKED_ASKS)),
    st.integers(0, 10**12).map(lambda lots: f"{lots // 10**8}.{lots % 10**8:08d}"),
)
def test_a_level_flipped_by_a_delta_is_found_when_it_is_among_the_best_ten(
    level: tuple[str, str], size: str
) -> None:
    changed = ((level[0], size),)
    delta = message("update", *((changed, ()) if level in WORKED_BIDS else ((), changed)))
    expected = Did.MERGED if size == level[1] else Did.BROKE
    assert take(worked_book(), delta).did is expected


@given(st.integers(1, 10**12).map(lambda lots: f"{lots // 10**8}.{lots % 10**8:08d}"))
def test_a_level_below_the_best_ten_is_not_proven(size: str) -> None:
    assert take(worked_book(25), message("update", (("45000.0", size),))).did is Did.CONTINUED


def test_what_falls_out_of_the_subscribed_depth_never_counts_again() -> None:
    better = ((("45284.0", "0.50000000")),)
    book = worked_book()
    assert take(book, message("update", better, checksum=checksum_after(better))).did is Did.CONTINUED
    assert len(book.book.bids) == 10
    # The exchange sends the level that was cut again, when the better one goes.
    gone = (("45284.0", "0.00000000"), WORKED_BIDS[9])
    assert take(book, message("update", gone)).did is Did.CONTINUED


def test_numbers_without_zeros_at_the_end_or_with_an_exponent_are_summed_at_the_pairs_decimals() -> None:
    def short(side: Side) -> Side:
        return tuple((repr(float(price)), repr(float(size))) for price, size in side)

    tiny: Side = (*WORKED_ASKS[:9], ("45299.5", "0.00000001"))
    checksum = checksum_of(WORKED_BIDS, tiny)
    assert short(tiny)[9][1] == "1e-08"
    book = VerifiedBook(Checksum(10, 1, 8), 10)
    assert take(book, message("snapshot", short(WORKED_BIDS), short(tiny), checksum)).did is Did.OPENED


def test_the_exchanges_text_is_right_where_the_known_decimals_are_not() -> None:
    book = VerifiedBook(Checksum(10, 0, 5), 10)
    assert take(book, message("snapshot", WORKED_BIDS, WORKED_ASKS)).did is Did.OPENED


def test_digits_beyond_what_a_double_holds_are_summed_as_written() -> None:
    bids = (("0.00001234", "123456789012.12345678"), *WORKED_BIDS[1:])
    asks = (("0.00001235", "98765432109876.87654321"),)
    bids = bids[:1]
    book = VerifiedBook(Checksum(10, 8, 8), 10)
    snapshot = message("snapshot", bids, asks, checksum_of(bids, asks))
    assert take(book, snapshot).did is Did.OPENED
    wrong = (("0.00001235", "98765432109876.87654322"),)
    assert float(wrong[0][1]) == float(asks[0][1])
    assert take(book, message("update", (), wrong, checksum_of(bids, asks))).did is Did.BROKE


def test_texts_of_levels_that_went_are_forgotten() -> None:
    rule, book = Checksum(10, 1, 8), OrderBook()
    snapshot = message("snapshot", WORKED_BIDS, WORKED_ASKS)
    book.replace(snapshot.bids, snapshot.asks)
    assert rule.prove(book, snapshot) is None
    gone = message("update", (("45283.5", "0.00000000"),))
    book.update(gone.bids, gone.asks)
    rule.prove(book, gone)
    assert set(rule._bids) == set(book.bids.prices)
    short = message("snapshot", WORKED_BIDS[:1], WORKED_ASKS[:1])
    book.replace(short.bids, short.asks)
    rule.prove(book, short)
    assert (set(rule._bids), set(rule._asks)) == ({45283.5}, {45285.2})


@pytest.mark.parametrize("levels", [0, 1, 9])
def test_a_book_of_fewer_than_ten_levels_has_a_checksum_too(levels: int) -> None:
    bids, asks = WORKED_BIDS[:levels], WORKED_ASKS[:1]
    book = VerifiedBook(Checksum(10, 1, 8), 10)
    assert take(book, message("snapshot", bids, asks, checksum_of(bids, asks))).did is Did.OPENED


def test_only_texts_of_levels_near_the_book_are_kept() -> None:
    rule, book = Checksum(10, 1, 8), OrderBook()
    bids: Side = ()
    for step in range(500):
        level = ((f"{40000 + step}.0", "1.00000000"),)
        bids = (*level, *bids)[:10]
        delta = message("update", level, checksum=checksum_of(bids, ()))
        book.update(delta.bids, delta.asks)
        book.bids.cut_below(10)
        assert rule.prove(book, delta) is None
        assert len(rule._bids) <= 20


def checksum_of(bids: Side, asks: Side) -> int:
    """Sum as the documentation tells it, number by number."""
    return slow_checksum([*bids], [*asks])


def checksum_after(bids: Side) -> int:
    """Sum the worked example after bids were set."""
    changed = dict(WORKED_BIDS) | dict(bids)
    ordered = sorted(changed.items(), key=lambda level: -float(level[0]))
    return checksum_of(tuple(ordered), WORKED_ASKS)
