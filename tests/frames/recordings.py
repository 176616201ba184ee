"""Frames that exchanges really sent: a second opinion beside the made ones, where somebody has them.

They are nobody's to publish, so they lie beside the project, in `../shared/data`, and are never part of it.
"""

import gzip
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data"
ARE_HERE = FOLDER.is_dir()

BINANCE_SPOT = (
    "binance/nkaz001-hftbacktest/spot_ethusdt_20240808.gz",
    "binance/nkaz001-hftbacktest/spot_ethusdt_20240809.gz",
)
BINANCE_LINEAR = (
    "binance/nkaz001-hftbacktest/usdm_btcusdt_20240718.gz",
    "binance/nkaz001-hftbacktest/usdm_btcusdt_20240719.gz",
)
BINANCE_JOINED_LATE = "binance/nkaz001-hftbacktest/spot_btcusdt_20230405.dat.gz"
BINANCE_STALE_DIFFS = "binance/lgoyal6-tickvault/binance_us_depth.jsonl"
BINANCE_STALE_REST = "binance/lgoyal6-tickvault/binance_us_snapshot.json"
BINANCE_START = "binance/bmoscon-cryptofeed/BINANCE.jsonl.gz"
BINANCE_LINEAR_START = "binance/bmoscon-cryptofeed/BINANCE_FUTURES.jsonl.gz"
BINANCE_SAMPLES = (
    "binance/crypto-crawler-crypto-msg-parser/binance_frames.jsonl",
    "binance/tardis-dev-tardis-node/binance_delivery.jsonl",
    "binance/tardis-dev-tardis-node/binance_futures.jsonl",
    "binance/tardis-dev-tardis-node/binance_spot.jsonl",
)
BYBIT_SPOT = "bybit/bmoscon-cryptofeed-v3/spot.recv.tsv.gz"
BYBIT_DEEP = "bybit/nautechsystems-nautilus_trader/xrpusdt-ob500.data.zip"
BYBIT_SHORT = "bybit/lgoyal6-tickvault/bybit_orderbook.jsonl"
BYBIT_LINEAR_SAMPLES = "bybit/tardis-dev-tardis-node/bybit_v5_linear_inverse.jsonl"
BYBIT_OPTION_SAMPLES = "bybit/tardis-dev-tardis-node/bybit_v5_options.jsonl"
BYBIT_INSTRUMENTS = "bybit/bmoscon-cryptofeed-v3/rest_instruments_info_{market}.json.gz"
KRAKEN_BTC_25 = "kraken/rjdscott-k2-market-data-platform/kraken-20s.head50.jsonl"
KRAKEN_MINA_25 = "kraken/GarethCooke-DepthCharge/kraken_minagbp_d25_resync_20260818.ndjson"
KRAKEN_BTC_10 = "kraken/lgoyal6-tickvault/kraken_book.jsonl"
KRAKEN_SNAPSHOTS = {
    "kraken/single-verified-snapshots/kraken_docs_worked_example_3310070434.jsonl": 10,
    "kraken/single-verified-snapshots/btcusdt_d25_poldeperez.jsonl": 25,
    "kraken/single-verified-snapshots/usdgusd_d10_20260917.jsonl": 10,
    "kraken/torquey66-kraken-data-recorder/level_book_test.frames.jsonl": 10,
}
KRAKEN_INSTRUMENTS = "kraken/torquey66-kraken-data-recorder/instrument_snapshot.json.gz"
KRAKEN_SAMPLES = "kraken/Brendan-Blanchard-kraken-async-rs/frames.jsonl"


def where_recorded(*parameters: Any) -> list[Any]:
    """Give the parameters of tests on recorded frames, none where there are no recordings."""
    return list(parameters) if ARE_HERE else []


def in_two_lengths(
    recorded: Sequence[tuple[str, tuple[str, ...], int]], of_the_beginning: Callable[[int], int]
) -> list[Any]:
    """Give each recording's texts, kind and count: of its beginning; in the long run of all of it as well."""
    return where_recorded(
        *(
            pytest.param(
                lambda paths=paths: beginning(paths, 8_000),
                kind,
                of_the_beginning(count),
                id=f"recorded {kind}",
            )
            for kind, paths, count in recorded
        ),
        *(
            pytest.param(
                lambda paths=paths: stamped(*paths),
                kind,
                count,
                id=f"recorded {kind}, all of it",
                marks=pytest.mark.proof,
            )
            for kind, paths, count in recorded
        ),
    )


def lines(path: str) -> Iterator[str]:
    """Read a file's lines, packed or not."""
    file = FOLDER / path
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                yield from archive.read(name).decode().splitlines()
    else:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open() as rows:
            yield from (row.rstrip("\n") for row in rows)


def text(path: str) -> str:
    """Read a whole file."""
    return "\n".join(lines(path))


@cache
def stamped(*paths: str) -> list[tuple[int, str]]:
    """Read files of `<time of receipt> <frame>`; times in nanoseconds."""
    return list(_stamped(paths))


@cache
def beginning(paths: tuple[str, ...], frames: int) -> list[tuple[int, str]]:
    """Read so many of the first frames of a recording."""
    return list(islice(_stamped(paths), frames))


def start_of_a_client(path: str) -> list[tuple[str | None, str]]:
    """Read what a client heard, by the time of receipt: books of REST with their market, frames without."""
    entries = [json.loads(line) for line in lines(path)]
    heard: list[tuple[str | None, str]] = []
    for entry in sorted((each for each in entries if "ts" in each), key=lambda each: each["ts"]):
        if entry["t"] == "recv":
            heard.append((None, entry["data"]))
        elif entry["t"] == "http" and "/depth?" in entry["url"]:
            heard.append((entry["url"].partition("symbol=")[2].partition("&")[0], entry["data"]))
    return heard


def kraken_payloads(path: str) -> list[str]:
    """Read frames that were written as text into JSON lines."""
    return [json.loads(line)["payload"] for line in lines(path)]


def kraken_embedded(path: str) -> list[str]:
    """Read received frames that lie in JSON lines as they are; what the client sent is left out."""
    rows = [line for line in lines(path) if '"rx_ns"' in line and '"dir": "tx"' not in line]
    return [row[row.index('"frame": ') + len('"frame": ') : row.rindex("}")] for row in rows]


def _stamped(paths: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    for path in paths:
        for line in lines(path):
            at, frame = line.split(None, 1)
            yield int(at) * 10 ** (19 - len(at)), frame
