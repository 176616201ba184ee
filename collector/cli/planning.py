"""Estimate what a configuration brings: messages and rows a second, gigabytes a day, days to a full disk."""

import datetime as dt
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.cli.kept_plan import KeptPlan, kept_plan, kept_text, on_one_disk
from collector.cli.plain import size
from collector.cli.stream_plan import FollowerPlan, StreamPlan, follower_plans, follower_text
from collector.cli.table import Column, print_table, print_text

if TYPE_CHECKING:
    from collector.settings import ExchangeSettings, Settings

DAY_S = 86_400
SPARE = 0.95  # of the free space: a disk should never be quite full
SUSTAINED_A_S = 10_000  # messages; what the design holds without a stop
LONGEST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class Plan:
    """What all streams bring, and the room there is for it."""

    lines: Sequence[StreamPlan]
    folder: Path | None  # of the database; None where it is on a server
    free_bytes: int | None
    followers: Sequence[FollowerPlan] = ()  # streams beside the database
    kept: KeptPlan | None = None  # where old rows go to files
    is_archived_there: bool = True  # on the disk of the database

    @property
    def messages_a_s(self) -> float:
        """Sum the messages."""
        return sum(line.messages_a_s for line in self.lines)

    @property
    def rows_a_s(self) -> float:
        """Sum the rows."""
        return sum(line.rows_a_s for line in self.lines)

    @property
    def gigabytes_a_day(self) -> float:
        """Sum the gigabytes."""
        return sum(line.gigabytes_a_day for line in self.lines)

    @property
    def days_until_full(self) -> float | None:
        """Compute how long the disk lasts; None where that is not known, or where what is there stays so."""
        growth = self.growth_gigabytes_a_day
        if self.free_bytes is None or not growth:
            return None
        held = 0.0 if self.kept is None else self.kept.database_gigabytes
        return max(self.free_bytes * SPARE / 1e9 - held, 0.0) / growth

    @property
    def growth_gigabytes_a_day(self) -> float:
        """Return by how much the disk of the database fills in a day."""
        if self.kept is None:
            return self.gigabytes_a_day
        return self.kept.growth_gigabytes_a_day if self.is_archived_there else self.kept.bars_gigabytes_a_day


def make_plan(settings: "Settings", lines: Sequence[StreamPlan]) -> Plan:
    """Compare what the streams bring with the room for the database."""
    from collector.database import database_url, sqlite_path  # noqa: PLC0415

    followers, kept = follower_plans(settings, lines), kept_plan(settings, lines)
    path = sqlite_path(database_url(settings.database.url))
    if path is None:
        return Plan(lines, None, None, followers, kept)
    is_there = kept is None or on_one_disk(path.parent, kept.folder)
    free_bytes = shutil.disk_usage(path.parent).free
    return Plan(lines, path.parent, free_bytes, followers, kept, is_there)


def expected_lines(settings: "Settings") -> list[StreamPlan]:
    """Estimate each stream by the exchanges' pages and busy markets."""
    from collector.cli.commands.plan_rates import expected  # noqa: PLC0415
    from collector.exchanges import kind_meant  # noqa: PLC0415

    deep = settings.storage.features == "deep"
    lines = []
    for name, one in settings.exchanges.items():
        for symbol, count in (*((symbol, 1) for symbol in one.symbols), *_universe(one)):
            most = _most_book_rows_a_s(one, symbol)
            for channel in one.channels:
                kind = kind_meant(name, symbol, one.market)
                rate = expected(name, kind, channel, deep=deep, most_book_rows_a_s=most)
                lines.append(
                    StreamPlan(
                        *(name, symbol, channel),
                        rate.messages_a_s * count,
                        sum(rate.rows_a_s.values()) * count,
                        rate.bytes_a_s * count * DAY_S / 1e9,
                        "at most" if rate.is_bound else "busy",
                    )
                )
    return lines


def _universe(exchange: "ExchangeSettings") -> list[tuple[str, int]]:
    """Return what stands for the markets traded most, which no configuration names, and how many they are."""
    top = exchange.universe.top
    return [] if top is None else [(f"the top {top} in {exchange.universe.quote}", top)]


def _most_book_rows_a_s(exchange: "ExchangeSettings", symbol: str) -> float | None:
    """Return how many rows sampling leaves; None where that follows from the market, not from the clock."""
    sample = exchange.sample
    one = sample.symbols.get(symbol)
    mode = sample.mode if one is None else one.mode
    interval_ms = sample.interval_ms if one is None else one.interval_ms or sample.interval_ms
    return 1000 / interval_ms if mode == "interval" else None


def plain_values(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain values."""
    return {
        "streams": [asdict(line) for line in plan.lines],
        "messages_a_s": plan.messages_a_s,
        "rows_a_s": plan.rows_a_s,
        "gigabytes_a_day": plan.gigabytes_a_day,
        "free_bytes": plan.free_bytes,
        "days_until_full": plan.days_until_full,
        "kept": None if plan.kept is None else asdict(plan.kept),
        "followers": [asdict(one) for one in plan.followers],
    }


def print_plan(plan: Plan) -> None:
    """Print a plan, stream by stream, and the room there is."""
    rows = [
        [
            *(line.exchange, line.symbol, line.channel),
            *(f"{line.messages_a_s:,.1f}", f"{line.rows_a_s:,.3g}", f"{line.gigabytes_a_day:,.3g}"),
            line.basis,
        ]
        for line in plan.lines
    ]
    total = f"{plan.messages_a_s:,.1f}", f"{plan.rows_a_s:,.3g}", f"{plan.gigabytes_a_day:,.3g}"
    rows.append(["total", "", "", *total, ""])
    names = [Column(name, "name") for name in ("exchange", "symbol", "channel")]
    measures = [Column(name) for name in ("messages/s", "rows/s", "GB/day")]
    print_table([*names, *measures, Column("", "text")], rows)
    if any(line.basis == "busy" for line in plan.lines):
        print_text(
            "at most: the exchange pushes no faster. busy: as a busy market was seen to send; most send less"
        )
    if plan.messages_a_s > SUSTAINED_A_S:
        print_text(f"more than {SUSTAINED_A_S:,} messages/s: divide the markets between several collectors")
    if plan.kept is not None:
        print_text(kept_text(plan.kept))
    _print_room(plan)
    for one in plan.followers:
        print_text(follower_text(one))


def _print_room(plan: Plan) -> None:
    days = plan.days_until_full
    if plan.free_bytes is None:
        print_text("the database is on a server: see there how much room it has")
    elif days is None:
        print_text(f"{size(plan.free_bytes)} free in {plan.folder}")
    else:
        full = dt.datetime.now(dt.UTC) + dt.timedelta(days=min(days, LONGEST_DAYS))
        print_text(
            f"{size(plan.free_bytes)} free in {plan.folder}: full in {days:,.1f} days, about {full:%Y-%m-%d}"
        )
