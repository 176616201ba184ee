"""What a start waits for: the first verified book, or all that are asked for."""

import sys
from pathlib import Path
from typing import Any

import pytest

from collector import DataIngestor, UserError, create_data_ingestor
from collector.settings import load_settings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import BTC, ETH, config, threads

KRAKEN = "BTC/USD"


def both(simulator: Simulator, folder: Path) -> DataIngestor:
    overrides: dict[str, Any] = {"database.url": str(folder / "both.db"), "stream.backoff_base_s": 0.05}
    for exchange, symbol, channel in (("bybit", BTC, "book.50"), ("kraken", KRAKEN, "book.25")):
        overrides[f"exchanges.{exchange}.symbols"] = [symbol]
        overrides[f"exchanges.{exchange}.channels"] = [channel, "trade"]
        overrides[f"exchanges.{exchange}.endpoints"] = simulator.endpoints(exchange)
    return DataIngestor(load_settings(overrides=overrides, environ={}, env_file=None))


def states(ingestor: DataIngestor) -> dict[str, str]:
    books = (one for one in ingestor.get_stats()["streams"] if one["channel"].startswith("book"))
    return {one["exchange"]: one["state"] for one in books}


def test_all_waits_for_every_book_of_every_exchange(tmp_path: Path) -> None:
    with Simulator(updates_per_s=250.0) as simulator:
        simulator.faults.refuse("kraken", 503, count=3)
        ingestor = both(simulator, tmp_path)
        for _ in range(2):
            assert ingestor.start(wait_for="all"), ingestor.start_failure
            assert states(ingestor) == {"bybit": "verified", "kraken": "verified"}
            assert ingestor.stop()


def test_the_first_is_enough_by_default_and_all_says_what_is_missing(tmp_path: Path) -> None:
    with Simulator(updates_per_s=250.0) as simulator:
        simulator.faults.refuse("kraken", 503, count=100_000)
        ingestor = both(simulator, tmp_path)
        assert ingestor.start()
        assert states(ingestor)["bybit"] == "verified"
        assert states(ingestor)["kraken"] != "verified"
        assert ingestor.stop()
        assert not ingestor.start(2.0, wait_for="all")
        failure = ingestor.start_failure
        assert failure is not None
        assert failure.code == "not_all"
        assert "1 of 2 books verified within 2 s; missing: kraken BTC/USD book.25" in str(failure)
        assert ingestor.phase == "stopped"
        assert [name for name in threads() if name != "markets"] == []
        assert ingestor.stop()


def test_what_an_exchange_does_not_list_is_not_waited_for(tmp_path: Path) -> None:
    with Simulator(updates_per_s=250.0) as simulator:
        ingestor = create_data_ingestor(config(simulator, tmp_path, symbol=[BTC, ETH, "NOPE/USDT:USDT"]))
        assert not ingestor.start(90.0, wait_for="all")
        assert ingestor.start_failure is not None
        assert ingestor.start_failure.code == "refused"
        assert "'NOPE/USDT:USDT' is not a market there" in str(ingestor.start_failure)


def test_another_word_is_refused() -> None:
    with pytest.raises(UserError, match="wait_for is 'every'; expected one of 'first', 'all'"):
        create_data_ingestor({}).start(wait_for="every")  # type: ignore[arg-type]
