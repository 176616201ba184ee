"""The notebook finds its data wherever Jupyter runs, and takes no noise for a law."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = json.loads((ROOT / "examples" / "explore.ipynb").read_text(encoding="utf-8"))
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
PROGRAM = ["".join(cell["source"]) for cell in CELLS]
FIND, LINK = PROGRAM[0], next(source for source in PROGRAM if "by_chance" in source)


def run(source: str, **known: Any) -> dict[str, Any]:
    """Run cells and return what they leave."""
    exec(compile(source, "explore.ipynb", "exec"), known)
    return known


def test_it_is_stored_without_what_it_printed() -> None:
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in CELLS)


@pytest.mark.parametrize(
    ("runs_in", "lies_in"),
    [
        ("project/examples", "project"),  # as Jupyter does: in the folder of the notebook
        ("project/examples", "project/examples"),
        ("project", "project"),  # as editors do
        ("project", "project/examples"),
        ("elsewhere", "elsewhere"),  # a copy of the notebook beside the data
    ],
)
def test_it_finds_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs_in: str, lies_in: str
) -> None:
    for folder in (runs_in, lies_in):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / lies_in / "demo.db").touch()
    monkeypatch.chdir(tmp_path / runs_in)
    assert Path(run(FIND)["DB"]).samefile(tmp_path / lies_in / "demo.db")


def test_it_says_where_it_looked_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no demo\.db in ") as caught:
        run(FIND)
    assert str(tmp_path / "examples") in str(caught.value)
    assert "python run.py demo --seconds 300 --db demo.db" in str(caught.value)
    assert run(FIND.replace('"demo.db"', '"postgresql://here/live"'))["DB"] == "postgresql://here/live"


def test_it_runs_where_several_depths_and_exchanges_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    path = shutil.copy(ROOT / "trading_bot_live.db.example", tmp_path / "demo.db")
    table = "l2_training_data_practical"
    with closing(sqlite3.connect(path)) as connection, connection:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "id"]
        for name, value in (("depth", "1"), ("depth", "200"), ("exchange", "'okx'")):
            values = ", ".join(value if one == name else one for one in names)
            connection.execute(
                f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} WHERE depth = 50"
            )
    (tmp_path / "examples").mkdir()
    monkeypatch.chdir(tmp_path / "examples")
    left = run("\n".join(PROGRAM))
    stream = f"{left['EXCHANGE']} {left['SYMBOL']}"
    assert stream in left["figure"].get_suptitle()
    title = left["axes"].get_title()
    assert title.startswith(f"{stream}, depth {left['WHICH']['depth']}, a state every 100ms: the move after")
    assert title.endswith(left["verdict"])
    means = left["means"]
    assert means["samples"].sum() == len(left["both"]) > 200
    marks = [mark.get_text() for mark in left["axes"].get_xticklabels()]
    assert [int(mark.split("\n")[1].split()[0].replace(",", "")) for mark in marks] == means[
        "samples"
    ].tolist()
    enough = means[means["stretches"] >= 5]
    (bars,) = left["axes"].containers
    assert len(bars.lines[0].get_xdata()) == len(enough) > 0
    assert ((enough["low"] <= enough["mean"]) & (enough["mean"] <= enough["high"])).all()
    left["plt"].close("all")


def walk(seed: int, states: int, pull: float = 0.0) -> pd.DataFrame:
    """A random walk with a slow drift, every third time, beside an imbalance that lingers and may pull it."""
    drawn = np.random.default_rng(seed)
    imbalance, drift = np.zeros(states), np.zeros(states)
    for place in range(1, states):
        imbalance[place] = 0.95 * imbalance[place - 1] + 0.31 * drawn.standard_normal()
        drift[place] = 0.95 * drift[place - 1] + 0.31 * drawn.standard_normal()
    steps = drawn.standard_normal(states) + (0.3 * drift if seed % 3 == 0 else 0.0)
    mid = 60_000.0 + np.cumsum(steps + pull * np.r_[0.0, imbalance[:-1]])
    index = pd.date_range("2026-01-01", periods=states, freq="100ms", tz="UTC", name="received_at")
    columns = {"order_book_imbalance": np.tanh(imbalance), "mid_price": mid}
    return pd.DataFrame({**columns, "segment": pd.array([1] * states, dtype="Int64")}, index=index)


def links(seeds: range, states: int, pull: float = 0.0) -> list[str]:
    """Return what the notebook says of made markets."""
    frames = (walk(seed, states, pull) for seed in seeds)
    return [run(LINK, frame=frame, STEP="100ms", pd=pd)["verdict"] for frame in frames]


def told(verdicts: list[str]) -> int:
    return sum(one.startswith("a link: ") for one in verdicts)


def test_noise_is_no_law_and_a_law_is_one() -> None:
    """Of 12 sets of noise, if 5 in 100 pass, four or more pass less than three times in a thousand."""
    noise = links(range(12), 1_500)
    assert told(noise) < 4
    assert any(
        one.startswith("no link to be told from noise, which shows as strong a one in") for one in noise
    )
    assert told(links(range(4), 3_000, 0.3)) == 4
    assert links(range(1), 200)[0].startswith("too little to judge: ")


@pytest.mark.proof
def test_of_two_hundred_sets_of_noise_hardly_more_than_five_in_a_hundred_pass() -> None:
    """If 5 in 100 pass, 19 of 200 pass less than once in a hundred times."""
    assert told(links(range(1_000, 1_100), 1_500) + links(range(2_000, 2_100), 6_000)) < 19
