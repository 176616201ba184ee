"""`status`, `coverage`, `tail`, `config` and `version`, on a database that a collector left."""

import json
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from collector.cli.commands.coverage_sums import bar, days, streams
from collector.query.tail import Tail, Wanted
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parent))
from program import BTC, Run, start

S = 1_000_000_000
DAY = 86_400 * S


def test_status_tells_the_terms_and_the_session(run: Run, sound: Path) -> None:
    shown = run("status", "--db", str(sound)).stdout
    (one,) = json.loads(run("status", "--db", str(sound), "--json").stdout)[:1]
    assert {"exchange", "symbol", "channel", "received", "written", "pending", "carried_in"} <= set(one)
    assert BTC in shown
    assert "1 session; the last ended" in shown
    assert "(stop)" in shown


def test_coverage_as_bar_days_holes_and_json(run: Run, sound: Path) -> None:
    words = ("coverage", "--db", str(sound))
    shown = run(*words, COLUMNS="93").stdout
    heading, line, _ = shown.splitlines()
    expected = ["exchange", "symbol", "channel", "covered", "holes", "longest", "span", "ended"]
    assert heading.split()[:8] == expected
    assert line.split()[:5] == ["bybit", BTC, "book.50", "100.000%", "0"]
    assert "█" * 10 in line
    assert " stop " in line
    assert "█" not in run(*words, PYTHONIOENCODING="ascii").stdout
    (segment,) = run(*words, "--segments", COLUMNS="160").stdout.splitlines()[1:]
    assert {"live", "sequence", "stop"} <= set(segment.split())
    by_day = run(*words, "--by-day").stdout
    assert "of the day" in by_day
    (day,) = json.loads(run(*words, "--by-day", "--json").stdout)
    assert day["segments"] == 1
    assert 0 < day["covered_s"] < 60
    for holes in ("--holes", "--gaps-only"):
        assert "no holes" in run(*words, holes).stdout
        assert json.loads(run(*words, holes, "--json").stdout) == []
    assert "100.000%" in run(*words, "--symbol", "btcusdt").stdout
    assert "no holes" in run(*words, "--symbol", "BTCUSDT", "--exchange", "Bybit", "--gaps-only").stdout
    for wrong in (["--symbol", "BTC/UDST"], ["--exchange", "bybt"], ["--channel", "book.51"]):
        refused = run(*words, "--gaps-only", *wrong)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert f"nothing is stored {'of' if wrong[0] == '--exchange' else 'for'} " in refused.stderr
        assert "did you mean" in refused.stderr
    assert run(*words, "--by-day", "--holes").returncode == 2


def test_the_coverage_of_a_stream_is_added_up() -> None:
    row = {"exchange": "bybit", "symbol": BTC, "channel": "book.50", "rows": 10, "how": "live"}
    segments = [
        {**row, "start_ns": 0, "alive_until_ns": 40 * S, "end_cause": "gap"},
        {**row, "start_ns": 45 * S, "alive_until_ns": 50 * S, "end_cause": "filled", "how": "filled"},
        {**row, "start_ns": 80 * S, "alive_until_ns": 100 * S, "end_cause": None},
    ]
    holes = [{**row, "from_ns": 40 * S, "until_ns": 45 * S}, {**row, "from_ns": 50 * S, "until_ns": 80 * S}]
    (found,) = streams(segments, holes)
    assert (found["covered"], found["holes"], found["holes_s"], found["longest_hole_s"]) == (0.65, 2, 35, 30)
    assert (found["first_ns"], found["last_ns"], found["filled_s"]) == (0, 100 * S, 5)
    assert (found["segments"], found["rows"], found["end_cause"]) == (3, 30, None)


def test_a_bar_shows_what_is_covered() -> None:
    spans = [(0, 40), (45, 50), (80, 100)]
    assert bar(spans, 0, 100, 10) == "████▓···██"
    assert bar([(0, 1)], 0, 1000, 10) == "░·········"
    assert bar([(0, 0)], 0, 0, 10) == "··········"


def test_days_are_cut_at_midnight_utc() -> None:
    row = {"exchange": "bybit", "symbol": BTC, "channel": "book.50"}
    segment = {**row, "start_ns": 10 * DAY - 5 * S, "alive_until_ns": 10 * DAY + 7 * S, "how": "live"}
    found = list(days([segment]))
    assert [(one["day"], one["covered_s"], one["segments"]) for one in found] == [
        ("1970-01-10", 5.0, 1),
        ("1970-01-11", 7.0, 1),
    ]
    until_midnight = {**segment, "alive_until_ns": 10 * DAY}
    assert [one["day"] for one in days([until_midnight])] == ["1970-01-10"]


def test_what_two_segments_cover_is_covered_once(sound: Path, tmp_path: Path, run: Run) -> None:
    """A clock was set back: the second half of the time is covered by two, a part of it by three."""
    database = tmp_path / "live.db"
    database.write_bytes(sound.read_bytes())
    begin, end = 10 * DAY - 10 * S, 10 * DAY + 10 * S
    with closing(sqlite3.connect(database)) as connection, connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(collector_coverage)")]
        others = ", ".join(name for name in names if name not in ("segment_id", "start_ns", "alive_until_ns"))
        spans = (
            (begin, end - 12 * S),
            (begin + 5 * S, end - 11 * S),
            (begin + 6 * S, end),
            (end + 20 * S, end + 30 * S),
        )
        for start, until in spans:
            connection.execute(
                f"INSERT INTO collector_coverage (segment_id, start_ns, alive_until_ns, {others}) "
                f"SELECT max(segment_id) + 1, {start}, {until}, {others} FROM collector_coverage"
            )
        connection.execute(f"DELETE FROM collector_coverage WHERE start_ns > {end + 20 * S}")
    shown = run("coverage", "--db", str(database)).stdout
    assert " 60.000%" in shown
    days_of = json.loads(run("coverage", "--db", str(database), "--by-day", "--json").stdout)
    assert [(one["covered_s"], one["segments"]) for one in days_of] == [(10.0, 3), (20.0, 2)]


def test_tail_shows_the_last_rows_and_those_that_come(sound: Path, tmp_path: Path, run: Run) -> None:
    database = tmp_path / "live.db"
    database.write_bytes(sound.read_bytes())
    words = ("tail", "--db", str(database))
    unknown = run(*words, "--no-follow", "--symbol", "ETH/USD")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "nothing is stored for 'ETH/USD'" in unknown.stderr
    short = run(*words, "--no-follow", "--symbol", "BTCUSDT", "--exchange", "BYBIT", "-n", "1")
    assert len(short.stdout.splitlines()) == 3
    lines = run(*words, "--no-follow", "-n", "3").stdout.splitlines()
    assert lines[0].split()[:5] == ["time", "exchange", "symbol", "depth", "bid"]
    assert lines[1].endswith("UTC")
    assert len(lines) == 5
    assert all(BTC in line for line in lines[2:])
    process = start(*words, "-n", "0", "--json", cwd=tmp_path)
    assert process.stdout is not None
    connection = sqlite3.connect(database)
    table = "l2_training_data_practical"
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "id"]
    columns = ", ".join(names)
    with connection:
        connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE id = 7")
    first = process.stdout.readline() if _comes(process.stdout.fileno()) else ""
    while not first:  # the row was there before the program looked for the first time
        with connection:
            connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE id = 7")
        first = process.stdout.readline() if _comes(process.stdout.fileno()) else ""
    connection.close()
    assert json.loads(first)["symbol"] == BTC
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")


def _comes(descriptor: int) -> bool:
    import select  # noqa: PLC0415

    return bool(select.select([descriptor], [], [], 1.0)[0])


@pytest.mark.parametrize("what", ["levels", "trades", "ohlcv", "ohlcv_corrections", "rejected", "events"])
def test_tail_reads_every_table(run: Run, sound: Path, what: str) -> None:
    done = run("tail", what, "--db", str(sound), "--no-follow")
    assert done.returncode == 0, done.stderr
    says_nothing = done.stdout == f"no row of {what} is stored of that\n"
    assert says_nothing != (what == "events")
    assert says_nothing == (run("tail", what, "--db", str(sound), "--no-follow", "--json").stdout == "")


def test_tail_of_bars_shows_each_change(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    sink = SqlSink(str(path))
    sink.open()
    sink.close()
    connection = sqlite3.connect(path)
    insert = (
        "INSERT INTO collector_ohlcv (timestamp, exchange, symbol, interval, open_time, open, high, low,"
        " close, volume, confirmed, received_at_ns) VALUES ('t', 'bybit', 'X', '1m', ?, 1, 1, 1, 1, 1, 0, ?)"
    )
    with connection:
        connection.execute(insert, (0, 5))
    tail = Tail(str(path), Wanted("ohlcv"))
    try:
        assert [row["open_time"] for row in tail.more()] == [0]
        assert list(tail.more()) == []
        with connection:
            connection.execute("UPDATE collector_ohlcv SET close = 2, received_at_ns = 6")
            connection.execute(insert, (60_000, 7))
        assert [(row["open_time"], row["close"]) for row in tail.more()] == [(0, 2.0), (60_000, 1.0)]
        assert list(tail.more()) == []
    finally:
        tail.close()
        connection.close()


def test_a_picture_names_its_file_and_where_no_window_can_open_that_is_an_error(
    run: Run, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")  # as on a machine without a display
    monkeypatch.setenv("MPLBACKEND", "Agg")
    words = ("plot", BTC, "--db", str(sound))
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no display" in done.stderr
    assert "--to btc.png" in done.stderr
    done = run(*words, "--to", "btc.png")
    assert (done.returncode, done.stdout) == (0, done.stdout)
    assert done.stdout.startswith(f"drawn: btc.png, bybit {BTC}, book.50 (depth 50): 20")
    assert (tmp_path / "btc.png").read_bytes()[:4] == b"\x89PNG"


def test_config_is_shown_masked(run: Run) -> None:
    done = run(
        *("config", "show", "--symbols", "BTCUSDT"),
        BYBIT_API_KEY="abcdefgh",
        BYBIT_API_SECRET="ijklmnop",
        COLLECTOR_DATABASE__URL="postgresql://me:hunter2@host/db",
    )
    assert done.returncode == 0, done.stderr
    assert "postgresql://me:****@host/db" in done.stdout
    for secret in ("abcdefgh", "ijklmnop", "hunter2"):
        assert secret not in done.stdout
    assert json.loads(run("config", "show", "--json").stdout)["writer"]["batch_rows"] == 1000


def test_config_is_checked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("writer: {interval_s: -1}\n")
    done = run("config", "check", "--config", "bad.yaml")
    assert done.returncode == 2
    assert "interval_s" in done.stderr
    read = run("config", "check", "--config", "bad.yaml", "--json")
    assert read.returncode == 2
    said = json.loads(read.stdout)
    assert (said["ok"], len(said["problems"])) == (False, 1)
    assert "can be used: 1 stream" in run("config", "check", SYMBOLS="BTCUSDT").stdout


def test_a_folder_that_is_not_there_is_a_mistake_for_config_check(run: Run, tmp_path: Path) -> None:
    (tmp_path / "far.yaml").write_text("database: {url: /no/dir/x.db}\nlogging: {file: /no/logs/l.log}\n")
    done = run("config", "check", "--config", "far.yaml")
    assert done.returncode == 2
    assert "database.url: the folder /no/dir for the database x.db does not exist" in done.stderr
    assert "logging.file: the folder of /no/logs/l.log does not exist" in done.stderr
    read = run("config", "check", "--config", "far.yaml", "--json")
    assert (read.returncode, json.loads(read.stdout)["ok"]) == (2, False)


def test_one_exchange_of_several_is_chosen(run: Run, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(
        "exchanges: {bybit: {symbols: [BTC/USDT]}, kraken: {symbols: [BTC/USD], channels: [book.25]}}\n"
    )
    words = ("config", "show", "--config", "all.yaml", "--json", "--exchange")
    assert list(json.loads(run(*words, "kraken").stdout)["exchanges"]) == ["kraken"]
    one = json.loads(run(*words, "bybit", "--symbols", "ETH/USDT", "--channels", "bbo").stdout)["exchanges"]
    assert (one["bybit"]["symbols"], one["bybit"]["channels"]) == (["ETH/USDT"], ["bbo"])
    done = run(*words, "binance")
    assert done.returncode == 2
    assert "found 'binance', which is not configured" in done.stderr


def test_versions_are_told(run: Run) -> None:
    found = json.loads(run("version", "--json").stdout)
    assert {"collector", "python", "sqlite", "ccxt", "system"} <= set(found)
    assert "ccxt" in run("version").stdout


def test_one_stream_is_not_called_streams(run: Run) -> None:
    assert "can be used: 1 stream into" in run("config", "check", SYMBOLS="BTCUSDT").stdout
    assert "can be used: 2 streams into" in run("config", "check", SYMBOLS="BTCUSDT,ETHUSDT").stdout
