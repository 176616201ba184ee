"""What the compiled kernel does is what Python does, to the bit: rows, counts, segments, notices, books."""

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.book import Kernel

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import recordings
from compiled_rig import MARKETS, Both, taken_by_kernel
from written_changes import Changes

KINDS = sorted(MARKETS)
EACH_KIND = pytest.mark.parametrize(("exchange", "kind"), KINDS)
FAULTS = sorted(set(Changes("bybit", "linear", random.Random(0)).steps()) - {"next"})
STEPS = st.lists(st.one_of(*[st.just("next")] * 4, st.sampled_from(FAULTS)), min_size=5, max_size=40)


def begin(both: Both, changes: Changes, streams: list[Any], depth: int = 1000) -> None:
    """Open the books: by a pushed snapshot, or by REST while the stream goes on."""
    if changes.exchange == "bybit":
        both.hear([changes.snapshot()])
        return
    both.each(lambda _layer, stream: stream.expect_snapshot(True), streams)
    both.hear([changes.next()])
    snapshot = changes.rest(depth)
    both.hear([changes.next()])
    both.each(lambda layer, stream: layer.rest(stream, snapshot), streams)
    both.each(lambda _layer, stream: stream.expect_snapshot(False), streams)


@EACH_KIND
@given(
    steps=STEPS, seed=st.integers(0, 2**32), listens=st.booleans(), depth=st.sampled_from((8, 12, 40, 1000))
)
def test_whatever_comes_both_come_to_the_same(
    kernel: Kernel, exchange: str, kind: str, steps: list[str], seed: int, listens: bool, depth: int
) -> None:
    both = Both(exchange, kind, kernel)
    streams = both.add("book.50", depth=None if exchange == "bybit" else depth)
    if listens:
        for layer in both.layers:
            layer.listen()
    changes = Changes(exchange, kind, random.Random(seed))
    begin(both, changes, streams, depth)
    for step in steps:
        if step not in changes.steps():
            continue
        both.hear([changes.take(step)])
        if not streams[0].verified:
            both.same()
            begin(both, changes, streams, depth)
    both.same()


@EACH_KIND
def test_the_usual_frames_are_the_kernels(kernel: Kernel, exchange: str, kind: str) -> None:
    both = Both(exchange, kind, kernel)
    streams = both.add("book.50")
    changes = Changes(exchange, kind, random.Random(5))
    begin(both, changes, streams)
    both.hear([changes.next()])  # what was kept for the snapshot is forgotten by this one
    texts = [changes.take("next") for _ in range(500)]
    assert taken_by_kernel(both, texts) == 500
    refused = []
    take = streams[1].take
    streams[1].take = lambda *words: refused.append(words) or take(*words)
    both.hear(texts)
    assert refused == []
    result = both.same()
    assert len(result["integers"]) // 6 == 502
    assert streams[1].verified


USUAL = {
    "bybit": '{"topic":"orderbook.50.X","type":"delta","ts":5,"data":{"s":"X","b":[["1","2"]],"a":[],"u":7}}',
    "binance_spot": '{"e":"depthUpdate","E":5,"s":"X","U":6,"u":7,"b":[["1","2"]],"a":[]}',
    "binance_usdm": '{"e":"depthUpdate","E":5,"T":4,"s":"X","U":6,"u":7,"pu":5,"b":[["1","2"]],"a":[]}',
}
UNUSUAL = (  # what stands in a usual frame, and what stands there instead
    *(('"b":[["1","2"]]', '"b":[["1","2"]],"b":[]'), ('"u":7', '"u":7,"u":7'), ('"u":7', '"u":7,"new":1')),
    *(('"s":"X"', '"s":"\\u0058"'), ('"s":"X"', '"s":"Ä"'), ('"s":"X"', '"s":"\t"'), ('"s":"X"', '"s":null')),
    *(
        ('"u":7', '"u":"7"'),
        ('"u":7', '"u":-7'),
        ('"u":7', '"u":7.0'),
        ('"u":7', '"u":07'),
        ('"u":7', '"v":7'),
    ),
    *(
        ('"u":7', '"u":7e0'),
        ('"u":7', f'"u":{10**18}'),
        ('"b":', '"B":'),
        ('"a":[]', '"a":null'),
        (",", ", "),
    ),
    *(
        ('["1","2"]', '["1"]'),
        ('["1","2"]', '["1","2","3"]'),
        ('["1","2"]', "[1,2]"),
        ('["1","2"]', '["1",2]'),
    ),
    *(('["1","2"]', '["1","2"],'), ('["1","2"]', '["0","2"]'), ('["1","2"]', '["1","-2"]'), ("}", "} ")),
    *(('["1","2"]', '["1e15","2"]'), ('["1","2"]', '["1","01"]'), ('["1","2"]', '["1","1."]'), ("{", " {")),
    *(('["1","2"]', '["1",".1"]'), ('["1","2"]', '["1",""]'), ('["1","2"]', '["1000000000000000","2"]')),
)
UNUSUAL_THERE = (
    *(("bybit", '"u":7', '"u":1'), ("bybit", "delta", "snapshot"), ("bybit", "orderbook.", "Orderbook.")),
    *(
        ("bybit", '"type":"delta",', ""),
        ("binance_spot", '"U":6', '"U":8'),
        ("binance_usdm", '"pu":5', '"pu":-1'),
    ),
    *(
        ("binance_usdm", '"pu":5,', ""),
        ("binance_spot", '"s":"X"', '"s":""'),
        ("binance_spot", "depthU", "depthu"),
    ),
    ("binance_spot", '"s":"X"', f'"s":"{"X" * 200}"'),
)


@pytest.mark.parametrize("shape", sorted(USUAL))
def test_what_is_in_any_way_unusual_is_left_alone(kernel: Kernel, shape: str) -> None:
    usual, frame = USUAL[shape], kernel.new_frame(shape)
    cases = [*UNUSUAL, *((old, new) for of_shape, old, new in UNUSUAL_THERE if of_shape == shape)]
    for old, new in cases:
        assert old in usual
        found = frame.read(usual)
        assert found is not None
        assert found[2] == 7
        assert frame.read(usual.replace(old, new, 1)) is None, (old, new)
        assert kernel.new_book().follow(frame, 7, 0.0, 0.2, 50, 10, 10, 0.0, 1e300) is None  # nor kept
    for length in range(len(usual)):
        assert frame.read(usual[:length]) is None


def test_frames_of_many_books_on_one_connection_find_theirs(kernel: Kernel) -> None:
    both = Both("bybit", "linear", kernel)
    drawn = random.Random(6)
    feeds = []
    for name in ("BTC", "ETH", "SOL"):
        both.add("book.50", {"id": f"{name}USDT", "symbol": f"{name}/USDT:USDT", "linear": True})
        feeds.append((name, Changes("bybit", "linear", drawn)))
    both.hear([feed.snapshot().replace("BTC", name) for name, feed in feeds])
    for _ in range(200):
        name, feed = drawn.choice(feeds)
        both.hear([feed.next().replace("BTC", name)])
    both.hear([feeds[0][1].next().replace("BTC", "XRP")])  # nobody's
    assert both.same()["told"].count("unknown_topic") == 1


def test_best_prices_are_compared_with_books_that_the_kernel_keeps(kernel: Kernel) -> None:
    both = Both("bybit", "linear", kernel)
    both.add("book.50")
    both.add("bbo")
    changes = Changes("bybit", "linear", random.Random(7))
    texts = [changes.snapshot(), *(changes.next() for _ in range(50))]
    for text in texts:
        both.hear([text, text.replace("orderbook.50", "orderbook.1").replace("delta", "snapshot")])
    assert "compared" in both.same()["witnessed"]


def test_a_full_buffer_drops_what_the_kernel_takes(kernel: Kernel) -> None:
    both = Both("bybit", "linear", kernel)
    both.add("book.50")
    for layer in both.layers:
        layer.buffer._max_rows = layer.buffer._flush_rows = 5
    changes = Changes("bybit", "linear", random.Random(8))
    both.hear([changes.snapshot(), *(changes.next() for _ in range(20))])
    assert "dropped=16" in both.same()["counts"][1]
    both.hear([changes.next() for _ in range(3)])
    both.same()


RECORDED = recordings.where_recorded(
    pytest.param("bybit", "spot", "BTCUSDT", "book.200", (recordings.BYBIT_SPOT,), id="Bybit spot"),
    pytest.param("binance", "spot", "ETHUSDT", "book.1000", recordings.BINANCE_SPOT, id="Binance spot"),
    pytest.param("binance", "linear", "BTCUSDT", "book.1000", recordings.BINANCE_LINEAR, id="Binance USD-M"),
)


@pytest.mark.parametrize(("exchange", "kind", "name", "channel", "paths"), RECORDED)
def test_recorded_frames_come_to_the_same(
    kernel: Kernel, exchange: str, kind: str, name: str, channel: str, paths: tuple[str, ...]
) -> None:
    compare_recorded(kernel, exchange, kind, name, channel, recordings.beginning(paths, 4_000))


@pytest.mark.proof
@pytest.mark.parametrize(("exchange", "kind", "name", "channel", "paths"), RECORDED)
def test_all_recorded_frames_come_to_the_same(
    kernel: Kernel, exchange: str, kind: str, name: str, channel: str, paths: tuple[str, ...]
) -> None:
    compare_recorded(kernel, exchange, kind, name, channel, recordings.stamped(*paths))


def compare_recorded(
    kernel: Kernel, exchange: str, kind: str, name: str, channel: str, stamped: list[tuple[int, str]]
) -> None:
    """Give both a recording: frames out of combined streams, and the answers of REST between them."""
    base = name.removesuffix("USDT")
    symbol = f"{base}/USDT" + (":USDT" if kind == "linear" else "")
    both = Both(exchange, kind, kernel)
    streams = both.add(channel, {**MARKETS[exchange, kind], "id": name, "symbol": symbol})
    taken = 0
    for _, text in stamped:
        if '"lastUpdateId"' in text:
            snapshot = both.layers[0].protocol.rest.read(text, streams[0].topic.route)
            both.each(lambda layer, stream, found=snapshot: layer.rest(stream, found), streams)
            both.each(lambda _layer, stream: stream.expect_snapshot(False), streams)
            continue
        if exchange == "binance" and not streams[0].verified and not streams[0]._book.fetching:
            both.each(lambda _layer, stream: stream.expect_snapshot(True), streams)
        inner = text.partition('"data":')[2].removesuffix("}") if text.startswith('{"stream"') else text
        taken += taken_by_kernel(both, [inner])
        both.hear([inner])
    assert both.same()["levels"]
    assert taken > 100
