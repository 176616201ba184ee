"""Write the file of one day with states at even instants in the place of rows."""

from pathlib import Path

from collector.export.cut import Cut
from collector.export.day_file import whole_file, write_rows
from collector.export.utc_days import Day
from collector.query import Engine, load_features

STATE_COLUMNS = (
    *("exchange", "symbol", "depth", "bid_price_1", "bid_size_1", "ask_price_1", "ask_size_1", "mid_price"),
    *("spread", "spread_bps", "microprice", "order_book_imbalance", "total_bid_volume_10"),
    *("total_ask_volume_10", "ofi", "data_source", "data_quality_score"),
)


def write_states(url: str, table_name: str, day: Day, cut: Cut, path: Path, form: str, engine: Engine) -> int:
    """Write what a cut holds of a day; return how many states these are."""
    span = cut.of_day(day)
    assert span is not None  # noqa: S101  (days of which nothing is wanted are not written)
    frame = load_features(
        url,
        day.symbol,
        exchange=day.exchange,
        depth=cut.depth,
        start=span.start_ns,
        end=span.end_ns,
        every=f"{cut.every_ns}ns",
        columns=STATE_COLUMNS,
        data_source="*",
        output="arrow",
        engine=engine,
        table_name=table_name,
    )
    with whole_file(path) as unfinished:
        return write_rows(unfinished, form, frame.schema, [frame])
