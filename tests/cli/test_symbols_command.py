"""`symbols` lists what is stored, in the words that loaders and commands are asked in."""

import json
import sys
from pathlib import Path

from collector.query import load_features, symbols

sys.path.insert(0, str(Path(__file__).parent))
from program import BTC, Run


def test_what_it_lists_is_what_loaders_take(run: Run, sound_market: Path) -> None:
    listed = json.loads(run("symbols", "--db", str(sound_market), "--json").stdout)
    assert {one["table"] for one in listed} == {"features", "trades", "ohlcv"}
    books = {one["channel"]: one for one in listed if one["table"] == "features"}
    assert set(books) == {"book.50", "bbo"}
    for one in books.values():
        frame = load_features(
            sound_market,
            one["symbol"],
            exchange=one["exchange"],
            depth=one["depth"],
            data_source=one["data_source"],
        )
        assert len(frame) == one["rows"]
        assert one["covered"] == 1.0
        assert (
            one["first_ns"] // 1000 == frame.index[0].value // 1000
        )  # the table's text is to the microsecond
    (bars,) = [one for one in listed if one["table"] == "ohlcv"]
    assert (bars["interval"], bars["depth"], bars["kind"]) == ("1m", None, None)


def test_it_is_a_table_that_filters_choose_from(run: Run, sound_market: Path) -> None:
    words = ("symbols", "--db", str(sound_market))
    shown = run(*words, COLUMNS="80").stdout.splitlines()
    assert shown[0].split()[:3] == ["exchange", "symbol", "rows"]
    assert max(map(len, shown[:-1])) <= 80
    assert "depth 50" in "\n".join(shown)
    wide = run(*words, COLUMNS="160").stdout.splitlines()
    assert wide[0].split()[-4:] == ["channel", "source", "first", "last"]
    assert len(wide) == len(shown)
    narrowed = run(*words, "--channel", "bbo", "--symbol", "btcusdt", "--exchange", "Bybit").stdout
    assert len(narrowed.splitlines()) == 3
    assert f"bybit     {BTC}" in run(*words, "--channel", "bbo", COLUMNS="160").stdout


def test_an_unknown_name_is_refused_with_what_there_is(run: Run, sound_market: Path) -> None:
    words = ("symbols", "--db", str(sound_market))
    for option, name, expected in (
        ("--symbol", "BTC/USDTT", f"did you mean {BTC}?"),
        ("--exchange", "bybt", "did you mean bybit?"),
        ("--channel", "book.51", "did you mean book.50?"),
    ):
        done = run(*words, option, name)
        assert (done.returncode, done.stdout) == (2, "")
        assert expected in done.stderr
    assert symbols(sound_market)["table"].nunique() == 3


def test_nothing_stored_is_said(run: Run, tmp_path: Path) -> None:
    from collector.sinks import SqlSink  # noqa: PLC0415

    sink = SqlSink(str(tmp_path / "empty.db"))
    sink.open()
    sink.close()
    assert run("symbols", "--db", "empty.db").stdout == "nothing is stored yet\n"
    assert run("symbols", "--db", "empty.db", "--json").stdout == "[]\n"
