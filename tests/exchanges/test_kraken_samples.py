"""Frames of Kraken of every kind, and the names of its pairs: made ones, and recorded ones where they are."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import ccxt
import pytest

from collector.exchanges.kraken.frames import read_frame
from collector.exchanges.kraken.topics import topic

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import recordings
from kraken_instruments import read_instruments
from made_kraken import instruments
from recordings import where_recorded

SAMPLES = [
    line.split(" ", 1)
    for line in (Path(recordings.__file__).parent / "kraken_samples.txt").read_text().splitlines()
    if not line.startswith("#")
]
# Pairs as Kraken's websocket names them, with their decimals: some currencies have another name with ccxt,
# some numbers have an exponent in the frame, some have no decimals.
PAIRS = {
    "BTC/USD": (1, 8),
    "ETH/BTC": (5, 8),
    "DOGE/EUR": (7, 8),
    "EUR/USD": (5, 8),
    "LUNA/USD": (8, 8),
    "LUNA2/USD": (4, 8),
    "UST/USDT": (5, 5),
    "REPV2/ETH": (5, 8),
    "REP/ETH": (6, 8),
    "PEPE/USD": (9, 5),
    "1INCH/EUR": (3, 8),
    "BTC/JPY": (0, 8),
    "USDG/USD": (4, 5),
}


@pytest.mark.parametrize("number", range(len(SAMPLES)))
def test_a_frame_is_read_as_what_it_is(number: int) -> None:
    kinds, text = SAMPLES[number]
    assert "+".join(type(message).__name__ for message in read_frame(text)) == kinds


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param(
            lambda: [text for _, text in SAMPLES],
            {
                "Ack": 9,
                "CandleMessage": 4,
                "Delta": 3,
                "Heartbeat": 2,
                "Other": 4,  # level3, instrument, the error of a ping
                "Snapshot": 2,
                "Status": 6,
                "TopOfBook": 2,
                "TradeMessage": 3,
            },
            id="made",
        ),
        *where_recorded(
            pytest.param(
                lambda: list(recordings.lines(recordings.KRAKEN_SAMPLES)),
                {
                    "Ack": 8,
                    "CandleMessage": 2,
                    "Delta": 2,
                    "Heartbeat": 2,
                    "Other": 4,
                    "Snapshot": 1,
                    "Status": 3,
                    "TopOfBook": 2,
                    "TradeMessage": 4,
                },
                id="recorded",
            )
        ),
    ],
)
def test_every_frame_is_read(samples: Callable[[], list[str]], expected: dict[str, int]) -> None:
    messages = [message for text in samples() for message in read_frame(text)]
    assert Counter(type(message).__name__ for message in messages) == expected


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param(lambda: instruments(PAIRS), len(PAIRS), id="made"),
        *where_recorded(
            pytest.param(lambda: recordings.text(recordings.KRAKEN_INSTRUMENTS), 683, id="recorded")
        ),
    ],
)
def test_every_pair_is_named_as_the_exchange_names_it(text: Callable[[], str], count: int) -> None:
    pairs = read_instruments(text())
    assert len(pairs) == count
    exchange = ccxt.kraken()
    for pair in pairs:
        symbol = "/".join(exchange.safe_currency_code(currency) for currency in pair.split("/"))
        assert topic("", symbol, "trade") == f"trade:{pair}"


def test_the_decimals_of_pairs_are_read_beside_numbers_with_an_exponent() -> None:
    text = instruments(PAIRS)
    assert "1e-08" in text
    assert "1e-09" in text
    assert read_instruments(text) == PAIRS
