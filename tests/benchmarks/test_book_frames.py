"""The frames of the benchmarks make books that the collector's own rules prove."""

import sys
from pathlib import Path

import pytest

from collector.book.bridged import BridgedBook
from collector.book.verified import Did, VerifiedBook
from collector.events.messages import Delta, Snapshot
from collector.exchanges.exchange import MarketKind
from collector.exchanges.registry import EXCHANGES

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from bench.book_frames import CYCLE, STYLES, Book, Style, anchor, cycle, written

HEADER = 4  # bytes of a websocket frame of this size
COLLECTED = [name for name, style in STYLES.items() if style.exchange in EXCHANGES]


def verified_book(style: Style, kind: MarketKind) -> VerifiedBook:
    protocol, depth = EXCHANGES[style.exchange], int(style.channel.removeprefix("book."))
    told = {"pair_decimals": style.instrument.price_decimals, "lot_decimals": style.instrument.size_decimals}
    rule = protocol.rule(kind, style.channel, {"info": told})
    if protocol.rest is not None:
        return BridgedBook(rule, protocol.rest.depth(kind, depth))  # type: ignore[arg-type]
    return VerifiedBook(rule, depth)


@pytest.mark.parametrize("name", COLLECTED)
@pytest.mark.parametrize("changed", [2, 10, 40])
def test_every_frame_continues_the_book_and_changes_so_many_levels(name: str, changed: int) -> None:
    style = STYLES[name]
    protocol, kind = EXCHANGES[style.exchange], "linear" if style.instrument.is_linear else "spot"
    frames, book = Book(style, style.instrument.name, 1_700_000_000_000), verified_book(style, kind)
    if protocol.rest is None:
        (snapshot,) = protocol.read_frame(frames.snapshot())
    else:
        snapshot = protocol.rest.read(frames.snapshot(), style.instrument.name)
    assert isinstance(snapshot, Snapshot)
    assert book.apply_snapshot(snapshot).did is Did.OPENED
    frames.change(written(style, cycle(style, changed)))
    for _ in range(2 * CYCLE):  # the second time round is joined to the first
        data = frames.next_frame()
        (delta,) = protocol.read_frame(data[HEADER if len(data) < 65_536 else 10 :].decode())
        assert isinstance(delta, Delta)
        assert len(delta.bids) + len(delta.asks) == changed
        outcome = book.apply_delta(delta)
        assert outcome.did is Did.CONTINUED, outcome
        assert len(book.book.bids) >= 10 <= len(book.book.asks)
    price = style.instrument.price
    assert list(book.book.bids.sizes) != []
    assert sorted(book.book.bids.prices) == sorted(price(ticks) for ticks in anchor(style)[0])
    assert sorted(book.book.asks.prices) == sorted(price(ticks) for ticks in anchor(style)[1])


def test_a_message_tells_by_its_time_which_update_it_was() -> None:
    style = STYLES["bybit linear"]
    book = Book(style, "BTCUSDT", 1_700_000_000_000)
    book.change(written(style, cycle(style, 2)))
    book.next_frame()
    (second,) = EXCHANGES["bybit"].read_frame(book.next_frame()[HEADER:].decode())
    assert isinstance(second, Delta)
    assert second.exchange_ms == 1_700_000_000_002
