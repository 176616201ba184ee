"""Describe what happened, for a person: events of the running collector, or of the table. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from collector.events import Channel

INFO, WARNING, ERROR = "info", "warning", "error"
CALM = {"verified", "stop", "unsubscribed", "left_universe", "connected", "stopped", "online", "closed"}
GRAVE = {"potential_halt"}

Row = Mapping[str, Any]  # id, at_ns, kind, exchange, symbol, code, detail: a row of the table of events


def described(rows: Iterable[Row], masked: Callable[[str], str] = str) -> list[dict[str, Any]]:
    """Return events as documents; `masked` takes secrets out of what drivers and exchanges said."""
    return [_described(row, masked) for row in rows]


def _described(row: Row, masked: Callable[[str], str]) -> dict[str, Any]:
    code, detail = row["code"] or "", row["detail"] or ""
    first, _, rest = detail.partition(": ")
    channel = first if row["exchange"] and Channel.of(first).is_well_formed else None
    text = rest if channel else detail
    return {
        "id": row["id"],
        "at_ns": row["at_ns"],
        "kind": row["kind"] or "",
        "level": _level(row["kind"] or "", code, detail),
        "exchange": row["exchange"],
        "symbol": row["symbol"],
        "channel": channel,
        "text": masked(f"{code}: {text}" if code and text else code or text),
    }


def _level(kind: str, code: str, detail: str) -> str:
    if kind in GRAVE or (kind == "database" and code == "open"):
        return ERROR
    if code in CALM or (kind == "housekeeping" and not detail):
        return INFO
    return WARNING
