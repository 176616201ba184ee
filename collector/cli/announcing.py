"""Announce in a line what is collected into where."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collector.settings import ExchangeSettings, Loaded, Settings

MOST_NAMES = 4
TO_CHANGE = (
    "SYMBOLS=BTCUSDT,ETHUSDT and EXCHANGE=binance in the environment, --symbols and --exchange, "
    "--config FILE, or python run.py init"
)


def announce(loaded: "Loaded") -> None:
    """Print what is collected into where: on standard error, or into the log where only machines read it."""
    text = first_line(loaded)
    if loaded.settings.logging.format != "json":
        print(text, file=sys.stderr, flush=True)
    else:
        import structlog  # noqa: PLC0415  (costs what it imports)

        structlog.get_logger().info("collect.begins", text=text)


def log_notes(loaded: "Loaded") -> None:
    """Log which variables are set and change nothing."""
    import structlog  # noqa: PLC0415

    for text in loaded.notes.without_effect:
        structlog.get_logger().warning("variable.without_effect", reason=text)


def log_room(settings: "Settings") -> None:
    """Log how long the disk lasts at the planned rate."""
    import structlog  # noqa: PLC0415

    from collector.cli.planning import expected_lines, make_plan  # noqa: PLC0415
    from collector.errors import UserError  # noqa: PLC0415

    try:
        plan = make_plan(settings, expected_lines(settings))
    except (UserError, OSError):  # the start says why
        return
    if plan.days_until_full is not None:
        days = round(plan.days_until_full, 1)
        structlog.get_logger().info("disk.room", free_bytes=plan.free_bytes, days_at_the_planned_rate=days)


def first_line(loaded: "Loaded") -> str:
    """Return what is collected into where and, for the defaults, how to change it."""
    settings, notes = loaded.settings, loaded.notes
    said = "; ".join(f"{name} {_what(one)}" for name, one in settings.exchanges.items())
    why = f" ({notes.why})" if notes.why else ""
    text = f"Collecting {said or 'nothing'}{why} into {settings.masked()['database']['url']}"
    if not notes.is_default_setup:
        return f"{text}."
    return f"{text}: nothing is configured, public data needs no key. To change it: {TO_CHANGE}."


def default_setup(loaded: "Loaded") -> str:
    """Return words for the default set-up; nothing where another is configured."""
    if not loaded.notes.is_default_setup:
        return ""
    names = "; ".join(f"{name} {_some(one.symbols)}" for name, one in loaded.settings.exchanges.items())
    why = f" ({loaded.notes.why})" if loaded.notes.why else ""
    return f"nothing is configured: this is of the default set-up, {names}{why}"


def levels_note(settings: "Settings") -> str:
    """Return words for more levels than tables keep; nothing where there are none."""
    from collector.database import STORED_LEVELS  # noqa: PLC0415

    levels = settings.storage.levels
    if levels <= STORED_LEVELS:
        return ""
    return f"storage.levels is {levels}: callbacks see so many, tables keep {STORED_LEVELS}"


def _what(settings: "ExchangeSettings") -> str:
    environment = f"{settings.environment} " if settings.environment != "live" else ""
    urls = [url for url in (settings.endpoints.rest, settings.endpoints.ws) if url is not None]
    at = f" at {' and '.join(urls)}" if urls else ""
    what = _some([*settings.symbols, *_universe(settings)])
    return f"{environment}{what} ({', '.join(settings.channels)}){at}"


def _universe(settings: "ExchangeSettings") -> list[str]:
    """Return words for the markets traded most, where they are collected."""
    universe = settings.universe
    return [] if universe.top is None else [f"the {universe.top} markets in {universe.quote} traded most"]


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
