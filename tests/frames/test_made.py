"""Made frames have the documented form, and are no kinder than real ones."""

import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import made_binance
import made_bybit
import made_kraken
from forms import KindOf, binance_kind, bybit_kind, check, first_of_each, kraken_kind
from made_market import Market, fixed, short
from made_startup import start_of_a_client
from shapes import SHAPES, parse

KRAKEN = partial(made_kraken.made, 2, 25, (1, 8), symbol="BTC/USD", middle=785_006)
Frames = Callable[[], list[str]]


def raw(kind: str) -> list[str]:
    """Take the start of a client without the envelopes of its combined stream."""
    texts = [text for market, text in start_of_a_client(kind, 20)[0] if market is None]
    return [text[text.index('"data":') + 7 : -1] for text in texts]


@pytest.mark.parametrize(
    ("frames", "kind_of", "kinds"),
    [
        (
            lambda: made_binance.made("spot", 1).frames,
            partial(binance_kind, "spot"),
            {f"binance.spot.{name}" for name in ("depth", "bookTicker", "trade", "rest")},
        ),
        (
            lambda: made_binance.made("linear", 5).frames,
            partial(binance_kind, "linear"),
            {f"binance.linear.{name}" for name in ("depth", "bookTicker", "trade", "rest")},
        ),
        (
            lambda: raw("linear"),
            partial(binance_kind, "linear"),
            {"binance.linear.aggTrade", "binance.linear.kline"},
        ),
        (
            lambda: made_bybit.spot_session(1).frames,
            partial(bybit_kind, "spot"),
            {name for name in SHAPES if name.startswith("bybit.spot.")} - {"bybit.spot.instruments"},
        ),
        (
            lambda: made_bybit.deep_book(2).frames,
            partial(bybit_kind, "linear"),
            {"bybit.linear.orderbook.snapshot"},
        ),
        (
            lambda: [*KRAKEN().frames, made_kraken.instruments({"BTC/USD": (1, 8)})],
            kraken_kind,
            {
                "kraken.status",
                "kraken.heartbeat",
                "kraken.subscribe.book",
                "kraken.book.snapshot",
                "kraken.book.update",
                "kraken.instrument.snapshot",
            },
        ),
    ],
    ids=["binance spot", "binance linear", "binance, raw", "bybit spot", "bybit linear", "kraken"],
)
def test_made_frames_have_the_documented_form(frames: Frames, kind_of: KindOf, kinds: set[str]) -> None:
    check(first_of_each(map(parse, frames()), kind_of, kinds), kinds)


@pytest.mark.parametrize("seed", range(20))
def test_a_market_never_crosses_and_keeps_levels_on_both_sides(seed: int) -> None:
    market = Market(seed)
    told: set[int] = set()
    for step in range(300):
        touched = [market.trade().left] if step % 7 == 0 else market.step()
        told.add(len(touched))
        assert market.top.bid < market.top.ask
        assert min(len(levels) for levels in market.sides.values()) >= market.fewest
        assert all(lots > 0 for levels in market.sides.values() for lots in levels.values())
    assert {0, 1} < told  # nothing, one level, a sweep of several


def test_made_streams_have_what_real_ones_surprise_with() -> None:
    for kind in ("spot", "linear"):
        one = made_binance.made(kind, 1)
        depths = [parse(text)["data"] for text in one.frames if "depthUpdate" in text]
        times = [int(depth["E"]) for depth in depths]
        held: set[str] = {
            level[0] for text in one.frames if "lastUpdateId" in text for level in parse(text)["bids"]
        }
        needless = 0
        for depth in depths:
            for price, size in depth["b"]:
                needless += not float(size) and price not in held
                held = held - {price} if not float(size) else held | {price}
        assert any(depth["b"] == depth["a"] == [] for depth in depths)  # a message without a change
        assert needless > 3  # removed though it was not there
        assert max(after - before for before, after in pairwise(times)) > 5_000  # a silence
        assert len({at for at, _ in one.texts}) == len(one.texts)
        assert 0 < one.comparable < one.later  # the channels run apart
        assert one.prefix > 0
    assert '"X":"INSURANCE_FUND"' in "".join(one.frames)
    tiny = "".join(made_kraken.made(7, 25, (9, 8), middle=12_345, number=made_kraken.exponent).frames)
    assert "e-05" in tiny
    assert KRAKEN().frames.count(made_kraken.HEARTBEAT) > 60


@pytest.mark.parametrize(
    ("units", "decimals", "texts"),
    [
        (123_450, 3, ("123.450", "123.45")),
        (5, 8, ("0.00000005", "0.00000005")),
        (7_000, 3, ("7.000", "7")),
        (42, 0, ("42", "42")),
        (100, 0, ("100", "100")),
        (0, 2, ("0.00", "0")),
    ],
)
def test_numbers_are_written_with_their_zeros_or_without(
    units: int, decimals: int, texts: tuple[str, str]
) -> None:
    assert (fixed(units, decimals), short(units, decimals)) == texts
