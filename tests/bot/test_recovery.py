"""A bot knows when a halt is over, on a real socket."""

import sys
from pathlib import Path

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


def test_a_halt_of_one_book_ends_with_the_book_verified_again(tmp_path: Path) -> None:
    heard: list[object] = []
    with Simulator(symbols={"bybit": [BTC, ETH]}, updates_per_s=200.0) as simulator:
        ingestor = create_data_ingestor(
            config(simulator, tmp_path, symbol=[BTC, ETH], max_mismatches=1, channels=["trade"])
        )
        kinds = (L2Update, PotentialHalt, BookVerified, StreamVerified, SystemState)
        ingestor.events.subscribe(kinds, heard.append)
        with ingestor:
            wait_until(
                lambda: {one.symbol for one in heard if isinstance(one, L2Update)} == {BTC, ETH},
                "updates of both",
            )
            simulator.faults.gap("bybit", BTC)
            wait_until(lambda: any(isinstance(one, BookVerified) for one in heard), "the end of the halt")
            place = next(at for at, one in enumerate(heard) if isinstance(one, BookVerified))
            wait_until(
                lambda: any(isinstance(one, L2Update) and one.symbol == BTC for one in heard[place:]),
                "updates again",
            )
    (halt,) = [one for one in heard if isinstance(one, PotentialHalt)]
    (verified,) = [one for one in heard if isinstance(one, (BookVerified, StreamVerified))]
    assert (halt.code, halt.symbol) == ("sequence_gap", BTC)
    assert (verified.symbol, verified.cause) == (BTC, "sequence_gap")
    assert verified.at_ns > verified.lost_at_ns
    first, last = heard.index(halt), heard.index(verified)
    assert first < last
    between = [one for one in heard[first:last] if isinstance(one, L2Update) and one.symbol == BTC]
    assert between == []  # nothing is told of a book that is in doubt
    assert [one.state for one in heard if isinstance(one, SystemState)].count(State.DISCONNECTED) == 0
