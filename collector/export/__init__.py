"""Export stored data for other tools: Parquet, CSV or hftbacktest, one file a day."""

from typing import TYPE_CHECKING

from collector.face import face

if TYPE_CHECKING:
    from collector.export.day_file import sha256, write_day
    from collector.export.day_rows import day_tables
    from collector.export.exporter import export
    from collector.export.utc_days import Day, days, table_of, within
else:
    __getattr__, __dir__ = face(__name__, __file__)
