"""Define what a stream brings; estimate what of all goes to a follower that is one of Kinesis. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from collector.cli.plain import size
from collector.events import Channel
from collector.masking import mask_url

if TYPE_CHECKING:
    from collector.settings import Settings

KINESIS = "kinesis"
DAY_S = 86_400
A_SHARD_RECORDS_A_S, A_SHARD_BYTES_A_S = 1_000, 1_000_000
PARTS_A_S = 1.0  # of a market: what the database commits within a second goes out as one
MOST_EVENTS = 1_000  # of a part
FEW, MANY = 10, 1_000  # events a part, at which the bytes below were measured
# Bytes an event of a book, by features and form, in parts of few and of many events (docs/kinesis.md, Cost).
BYTES_AN_EVENT = {
    ("practical", "batch"): (420, 76),
    ("practical", "single"): (315, 284),
    ("deep", "batch"): (680, 328),
    ("deep", "single"): (793, 762),
}

Market = tuple[str, str]


class _Flow(NamedTuple):
    """What one market, or all, sends in a second."""

    records: float
    bytes: float

    @property
    def shards(self) -> int:
        """Return how many shards take it, if it is spread evenly."""
        return max(
            1, math.ceil(self.records / A_SHARD_RECORDS_A_S), math.ceil(self.bytes / A_SHARD_BYTES_A_S)
        )


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What one stream of an exchange brings."""

    exchange: str
    symbol: str
    channel: str
    messages_a_s: float
    rows_a_s: float
    gigabytes_a_day: float
    basis: str  # at most, busy, measured


@dataclass(frozen=True, slots=True)
class FollowerPlan:
    """What a stream takes."""

    url: str  # without its password, if it has one
    form: str  # batch or single
    records_a_s: float
    bytes_a_s: float
    gigabytes_a_day: float
    shards: int  # at least; markets are spread by the hash of their names, and not evenly
    too_much: Sequence[str]  # markets that a shard cannot take, and no market has more than one


def follower_plans(settings: "Settings", lines: Iterable[StreamPlan]) -> list[FollowerPlan]:
    """Return what each stream among the followers takes of what is collected."""
    is_deep = settings.storage.features == "deep"
    events: dict[Market, float] = {}
    for line in lines:
        # A deep book is two rows in the database and one event here.
        rows_an_event = 2 if is_deep and Channel.of(line.channel).is_book and line.basis != "measured" else 1
        market = line.exchange, line.symbol
        events[market] = events.get(market, 0.0) + line.rows_a_s / rows_an_event
    return [
        _plan_of(mask_url(one.url), one.stream.records, _flows(events, one.stream, is_deep=is_deep))
        for one in settings.followers
        if one.url.partition(":")[0] == KINESIS
    ]


def _flows(events: Mapping[Market, float], options: Any, *, is_deep: bool) -> dict[Market, _Flow]:
    key = "deep" if is_deep else "practical", options.records
    few, many = BYTES_AN_EVENT[key]
    a_part = (few - many) / (1 / FEW - 1 / MANY)
    an_event = many - a_part / MANY
    found = {}
    for market, a_s in events.items():
        parts = max(min(a_s, PARTS_A_S), a_s / MOST_EVENTS)
        closing = parts if options.coverage else 0.0
        records = parts if options.records == "batch" else a_s + closing
        found[market] = _Flow(records, a_s * an_event + parts * a_part)
    return found


def _plan_of(url: str, form: str, flows: Mapping[Market, _Flow]) -> FollowerPlan:
    whole = _Flow(sum(one.records for one in flows.values()), sum(one.bytes for one in flows.values()))
    too_much = [" ".join(market) for market, flow in flows.items() if flow.shards > 1]
    a_day = whole.bytes * DAY_S / 1e9
    return FollowerPlan(url, form, whole.records, whole.bytes, a_day, whole.shards, too_much)


def follower_text(plan: FollowerPlan) -> str:
    """Return it in words."""
    shards = f"{plan.shards} shard{'s'[: plan.shards != 1]} at least"
    text = (
        f"{plan.url} ({plan.form}): {plan.records_a_s:,.1f} records/s, {size(round(plan.bytes_a_s))}/s, "
        f"{plan.gigabytes_a_day:,.3g} GB/day, {shards}"
    )
    if not plan.too_much:
        return text
    named = ", ".join(plan.too_much[:5])
    return f"{text}\n  more than the one shard that a market has, so that it falls behind: {named}"
