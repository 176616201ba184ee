"""On PostgreSQL the past comes in beside a collector of the same streams; two back-fills of one do not."""

import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from backfill_rig import brought_in, configured, simulated, true_bars, true_trades, whole_past
from ready_tables import lay_tables

from collector.database.engine import make_engine
from collector.database.url import database_url
from collector.errors import DatabaseInUse
from collector.events.batch import StreamKey
from collector.events.columns import REST
from collector.sinks.contract import SessionState
from collector.sinks.sql.sink import SqlSink

KEYS = [StreamKey("okx", "BTC/USDT", channel) for channel in ("trade", "ohlcv.1m")]


def test_a_back_fill_runs_beside_a_collector(postgres_url: str, tmp_path: Path) -> None:
    url, past = lay_tables(postgres_url), whole_past()
    collector = SqlSink(url)
    collector.open()
    collector.claim(SessionState("live", 1, "0", "host", 1, "{}"), KEYS)
    try:
        with simulated({"okx": ["BTC/USDT"]}) as simulator:
            settings = configured(simulator, tmp_path, database=url)
            _, progress = brought_in(settings, *past)
            expected = len(true_trades(simulator, "okx", "BTC/USDT", *past))
            expected += len(true_bars(simulator, "okx", "BTC/USDT", *past))
            assert progress is not None
            assert (progress.rows, progress.problems) == (expected, [])
            engine = make_engine(database_url(url))
            with engine.connect() as connection:
                tables = ("collector_trades", "collector_ohlcv")
                counts = [connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) for table in tables]
            engine.dispose()
            assert sum(map(int, filter(None, counts))) == expected
            other = SqlSink(url)
            other.open()
            other.claim(SessionState("other", 1, "0", "host", 2, "{}"), KEYS, REST)
            try:
                start_ms, end_ms = past
                with pytest.raises(DatabaseInUse, match="okx BTC/USDT"):
                    brought_in(settings, start_ms - 600_000, end_ms)
            finally:
                other.close()
    finally:
        collector.close()
