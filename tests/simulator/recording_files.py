"""Recordings to play: files in the forms in which people record, of made frames, and the real ones."""

import gzip
import json
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "frames"))
import made_binance
import made_bybit
import made_kraken
import recordings
from recordings import where_recorded

Recording = Callable[[Path], tuple[Path, list[str]]]  # of a folder to write into: the file, its frames
SPOT = partial(made_bybit.spot_session, 51)
DEEP = partial(made_bybit.deep_book, 52)
BINANCE = partial(made_binance.made, "linear", 53, symbol="BTCUSDT", deltas=400, snapshot_in=5)
KRAKEN = partial(made_kraken.made, 54, 25, (1, 8), symbol="BTC/USD", middle=785_006)


def made_bybit_spot(folder: Path) -> tuple[Path, list[str]]:
    """Write `<microseconds> <frame>` lines, packed."""
    path = folder / "spot.recv.tsv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{at_ns // 1000}\t{text}\n" for at_ns, text in SPOT().texts)
    return path, SPOT().frames


def made_bybit_deep(folder: Path) -> tuple[Path, list[str]]:
    """Write bare frames, in a .zip."""
    path = folder / "deep.data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("deep.data", "\n".join(DEEP().frames))
    return path, DEEP().frames


def raw_binance_linear(folder: Path) -> tuple[Path, list[str]]:
    """Write JSON lines of frames without the wrapping of a combined stream, and answers of REST."""
    path, rows = folder / "raw.jsonl", []
    for at_ns, text in BINANCE().texts:
        row: dict[str, Any] = {"t": "recv", "conn": "1", "ts": at_ns / 1e9}
        if "lastUpdateId" in text:
            row |= {"t": "http", "url": "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT"}
        data = text[text.index('"data":') + 7 : -1] if "stream" in text else text
        rows.append(json.dumps(row | {"data": data}))
    path.write_text("\n".join(rows), encoding="utf-8")
    return path, BINANCE().frames


def made_binance_linear(folder: Path) -> tuple[Path, list[str]]:
    """Write `<nanoseconds> <frame>` lines, packed, the answer of REST among them."""
    path = folder / "usdm.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(f"{at_ns} {text}\n" for at_ns, text in BINANCE().texts)
    return path, BINANCE().frames


def made_kraken_book(folder: Path) -> tuple[Path, list[str]]:
    """Write frames as text in JSON lines."""
    path = folder / "kraken.jsonl"
    lines = [json.dumps({"recv_ts_ns": at, "payload": text}) for at, text in enumerate(KRAKEN().frames)]
    path.write_text("\n".join(lines))
    return path, KRAKEN().frames


def recorded_bybit_spot(_: Path) -> tuple[Path, list[str]]:
    texts = [text for _, text in recordings.stamped(recordings.BYBIT_SPOT)]
    return recordings.FOLDER / recordings.BYBIT_SPOT, texts


def recorded_bybit_deep(_: Path) -> tuple[Path, list[str]]:
    return recordings.FOLDER / recordings.BYBIT_DEEP, list(recordings.lines(recordings.BYBIT_DEEP))


def recorded_binance_linear(_: Path) -> tuple[Path, list[str]]:
    return recordings.FOLDER / recordings.BINANCE_LINEAR[0], []


def thinned_binance_linear(folder: Path) -> tuple[Path, list[str]]:
    """Write the first part of a long recording."""
    path = folder / "thinned"
    rows = recordings.beginning(recordings.BINANCE_LINEAR, 4_000)
    path.write_text("\n".join(f"{at_ns} {text}" for at_ns, text in rows))
    return path, []


def recorded_kraken_book(_: Path) -> tuple[Path, list[str]]:
    return recordings.FOLDER / recordings.KRAKEN_BTC_25, recordings.kraken_payloads(recordings.KRAKEN_BTC_25)


def either(made: Recording, recorded: Recording) -> list[Any]:
    """Give a test the made recording, and the real one where it is."""
    return [pytest.param(made, id="made"), *where_recorded(pytest.param(recorded, id="recorded"))]
