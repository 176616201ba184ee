"""A bot knows when a halt is over, on a real socket."""

import sys
from pathlib import Path

import pytest

from collector import (
    BookVerified,
    L2Update,
    PotentialHalt,
    State,
    StreamVerified,
    SystemState,
    create_data_ingestor,
)
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import BTC, ETH, config, wait_until


@pytest.mark.parametrize(
    ("exchange", "broken", "sound"), [("bybit", BTC, ETH), ("binance", "BTC/USDT", "ETH/USDT")]
)
def test_a_halt_of_one_book_ends_with_the_book_verified_again(
    tmp_path: Path, exchange: str, broken: str, sound: str
) -> None:
    """The stream brings it anew on Bybit, REST does on Binance."""
    heard: list[object] = []
    symbols = [broken, sound]
    with Simulator(symbols={exchange: symbols}, updates_per_s=200.0) as simulator:
        more = {"exchange": exchange, "symbol": symbols, "max_mismatches": 1, "channels": ["trade"]}
        ingestor = create_data_ingestor(config(simulator, tmp_path, **more))
        kinds = (L2Update, PotentialHalt, BookVerified, StreamVerified, SystemState)
        ingestor.events.subscribe(kinds, heard.append)
        with ingestor:
            wait_until(
                lambda: {one.symbol for one in heard if isinstance(one, L2Update)} == set(symbols),
                "updates of both",
            )
            simulator.faults.gap(exchange, broken)
            wait_until(lambda: any(isinstance(one, BookVerified) for one in heard), "the end of the halt")
            place = next(at for at, one in enumerate(heard) if isinstance(one, BookVerified))
            wait_until(
                lambda: any(isinstance(one, L2Update) and one.symbol == broken for one in heard[place:]),
                "updates again",
            )
    (halt,) = [one for one in heard if isinstance(one, PotentialHalt)]
    (verified,) = [one for one in heard if isinstance(one, (BookVerified, StreamVerified))]
    assert (halt.code, halt.symbol) == ("sequence_gap", broken)
    assert (verified.symbol, verified.cause) == (broken, "sequence_gap")
    assert verified.at_ns > verified.lost_at_ns
    first, last = heard.index(halt), heard.index(verified)
    assert first < last
    between = [one for one in heard[first:last] if isinstance(one, L2Update) and one.symbol == broken]
    assert between == []  # nothing is told of a book that is in doubt
    assert [one.state for one in heard if isinstance(one, SystemState)].count(State.DISCONNECTED) == 0
