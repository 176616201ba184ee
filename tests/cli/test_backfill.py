"""The command `backfill`: what it says, and how it ends."""

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "backfilling"))
from backfill_rig import bars_in, configured, simulated, small_pages, true_bars, whole_past

from collector.app import wiring_backfill
from collector.backfilling import plan as planning
from collector.cli.program import run
from collector.events.instants import iso_text
from collector.sinks.sql.sink import SqlSink

BARS = ["--channels", "ohlcv.1m"]


def times(past: tuple[int, int]) -> list[str]:
    return ["--start", iso_text(past[0] * 1_000_000), "--end", iso_text(past[1] * 1_000_000)]


def bring_in(folder: Path, past: tuple[int, int], *words: str) -> int:
    return run(["backfill", *times(past), "--config", str(folder / "past.yaml"), *words])


def test_a_dry_run_says_what_it_takes_and_asks_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--symbols", "BTC/USD", "--exchange", "kraken", "--channels", "trade,ohlcv.1m,book.10"]
    code = run(["backfill", "--dry-run", "--start", "2026-01-01", "--end", "2026-01-02", *words])
    told = capsys.readouterr().out
    assert code == 0
    assert "note: book.10: no exchange serves books of the past; their holes stay" in told
    assert "note: kraken spot, ohlcv.1m: the exchange has the newest 720 only, from" in told
    (row,) = [line.split() for line in told.splitlines() if line.startswith("kraken")]
    assert row == ["kraken", "1", "432", "17.3", "432,000"]
    assert list(tmp_path.iterdir()) == []


def test_it_brings_in_what_is_asked_for_and_says_how_much(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    past = whole_past()
    with simulated({"okx": ["BTC/USDT"]}) as simulator:
        configured(simulator, tmp_path)
        assert bring_in(tmp_path, past, *BARS) == 0
        true = true_bars(simulator, "okx", "BTC/USDT", *past)
        assert f"{len(true)} rows came, of 1 request\n" in capsys.readouterr().out
        assert bars_in(tmp_path / "past.db", "okx", "BTC/USDT") == true
        assert bring_in(tmp_path, past, *BARS) == 0
        assert "nothing to ask for" in capsys.readouterr().out


def test_ctrl_c_ends_it_after_a_page_and_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_past_of", planning._past_of)
    small_pages(5)
    past = whole_past()
    with simulated({"okx": ["BTC/USDT"]}) as simulator:
        configured(simulator, tmp_path)
        monkeypatch.setattr(wiring_backfill.Storing, "put", interrupted(wiring_backfill.Storing.put))
        assert bring_in(tmp_path, past, *BARS) == 130
        assert "the same command goes on where it ended" in capsys.readouterr().out
        true = true_bars(simulator, "okx", "BTC/USDT", *past)
        assert bars_in(tmp_path / "past.db", "okx", "BTC/USDT") == true[:5]
        monkeypatch.undo()
        assert bring_in(tmp_path, past, *BARS) == 0
        assert bars_in(tmp_path / "past.db", "okx", "BTC/USDT") == true


def interrupted(put: object) -> object:
    """Interrupt the process once a page is stored."""

    async def put_and_interrupt(*arguments: object) -> None:
        await put(*arguments)  # type: ignore[operator]
        os.kill(os.getpid(), signal.SIGINT)

    return put_and_interrupt


def test_a_file_that_a_running_collector_holds_is_told_with_its_holder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    past = whole_past()
    with simulated({"okx": ["BTC/USDT"]}) as simulator:
        configured(simulator, tmp_path)
        held = SqlSink(str(tmp_path / "past.db"), auto_migrate=True)
        held.open()
        try:
            assert bring_in(tmp_path, past, *BARS) == 2
        finally:
            held.close()
    told = capsys.readouterr().err
    assert str(os.getpid()) in told
    assert "on PostgreSQL both can write" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--start", "yesterday"], "--start 'yesterday': a time like 2026-01-31T12:00:00Z expected, or now"),
        (
            ["--start", "2026-01-02", "--end", "2026-01-01"],
            "--end 2026-01-01 is not after --start 2026-01-02",
        ),
        (["--start", "2026-01-02", "--interval", "1m", "--channels", "trade"], "give one"),
    ],
)
def test_mistakes_are_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backfill", *words]) == 2
    assert told in capsys.readouterr().err
