"""Write batches to SQLite or PostgreSQL."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.sinks.sql.sink import SqlSink

__all__ = ["SqlSink"]


def __getattr__(name: str) -> object:
    if name == "SqlSink":
        from collector.sinks.sql.sink import SqlSink  # noqa: PLC0415

        return SqlSink
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
