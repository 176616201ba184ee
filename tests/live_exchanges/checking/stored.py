"""Check what the collector stored and counted: the identity, rows, coverage, markets. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from checking.finding import Finding
from checking.places import Place
from checking.session import RESUBSCRIBED, Seen

# What is refused in the course of things: before a snapshot, after a topic was left, past of a subscription.
USUAL_REJECTIONS = {
    "unsynced",
    "stale",
    "unsubscribed",
    "unknown_topic",
    RESUBSCRIBED,
    "placeholder",
    "no_trade",
}
USUAL_ENDS = {"stop", "unsubscribed", "disconnect", RESUBSCRIBED, "edge"}
COVERED = 0.7  # of the time from its first to its last segment, less the outages made on purpose

# What the collector reads of a market as the exchange lists it.
LISTED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "bybit": {
        "spot": ("symbol", "status", "priceFilter.tickSize", "lotSizeFilter.basePrecision"),
        "linear": ("symbol", "status", "contractType", "priceFilter.tickSize", "lotSizeFilter.qtyStep"),
    },
    "binance": {
        "spot": ("symbol", "status", "baseAsset", "quoteAsset", "filters"),
        "linear": ("symbol", "status", "contractType", "marginAsset", "filters"),
    },
    "kraken": {"spot": ("altname", "wsname", "pair_decimals", "lot_decimals", "status")},
    "okx": {
        "spot": ("instId", "state", "tickSz", "lotSz"),
        "linear": ("instId", "state", "tickSz", "lotSz", "ctVal", "ctMult", "ctValCcy"),
    },
}


def identity(seen: Seen) -> Iterator[Finding]:
    """Check that every event is accounted for, and that none was rejected for what it is."""
    report = seen.report
    if report is None:
        yield Finding("identity", "there is no report")
        return
    for state in report.accounting:
        where = f"{state.symbol} {state.channel}"
        if state.difference:
            yield Finding("identity", f"{where}: {state.difference} events are not accounted for")
        if state.dropped or state.pending:
            yield Finding("identity", f"{where}: {state.dropped} dropped, {state.pending} pending")
        for reason, count in state.rejected.items():
            if reason not in USUAL_REJECTIONS and not _are_placeholders(seen, where, count):
                yield Finding("rejected", f"{where}: {count} as {reason}")


def _are_placeholders(seen: Seen, where: str, count: int) -> bool:
    """Return whether these are trades of Binance's futures that are none, which take up an id."""
    if seen.place.exchange != "binance" or not where.endswith(" trade"):
        return False
    return count <= sum('"X":"NA"' in line.text for line in seen.recording.of("recv"))


def rows(seen: Seen) -> Iterator[Finding]:
    """Name what `verify` finds in the database."""
    if seen.audit is not None:
        yield from (Finding(f"verify: {one.check}", one.text) for one in seen.audit.findings)


def covered(seen: Seen) -> Iterator[Finding]:
    """Check that coverage ended only where it was ended on purpose, and holds most of the time."""
    if seen.coverage is None:
        return
    streams = {
        (str(symbol), str(channel)): part
        for (symbol, channel), part in seen.coverage.groupby(["symbol", "channel"])
    }
    for symbol in seen.place.symbols:
        for channel in seen.place.channels:
            part = streams.get((symbol, channel))
            where = f"{symbol} {channel}"
            if part is None:
                yield Finding("coverage", f"{where}: none", is_note=not seen.place.is_real)
                continue
            for cause, detail in zip(part["end_cause"], part["detail"], strict=True):
                if cause not in USUAL_ENDS:
                    yield Finding("coverage ended", f"{where}: {cause}: {detail}")
            yield from _amount(part, where, seen.outage_ns) if symbol == seen.place.symbols[0] else ()
            yield from _witnesses(part, where)


def _amount(part: pd.DataFrame, where: str, outage_ns: int) -> Iterator[Finding]:
    held = int((part["alive_until_ns"] - part["start_ns"]).sum())
    whole = int(part["alive_until_ns"].max() - part["start_ns"].min())
    if held < COVERED * (whole - outage_ns):
        yield Finding("coverage", f"{where}: {held / whole:.0%} of {whole / 1e9:.1f} s")


def _witnesses(part: pd.DataFrame, where: str) -> Iterator[Finding]:
    if disagreed := int(part["disagreed"].sum()):
        text = f"{disagreed} of {int(part['witnessed'].sum())} comparisons"
        yield Finding("witness disagrees", f"{where}: {text}")


def listed(place: Place, markets: Mapping[str, Any]) -> Iterator[Finding]:
    """Check that the market list has the fields that are read, and that a contract is what we take it for."""
    for symbol in place.symbols:
        market = markets.get(symbol)
        if market is None:
            yield Finding("market list", f"{symbol} is not listed")
            continue
        for path in LISTED[place.exchange][place.kind]:
            if _at(market["info"], path.split(".")) in (None, ""):
                yield Finding("market list", f"{symbol}: field {path} is missing")
        if place.facts.contract_size(market) is None and market.get("contractSize") not in (None, 1, 1.0):
            text = f"{symbol}: {market['contractSize']} by the market list, sizes are taken for the base"
            yield Finding("contract size", text)


def _at(value: Any, path: Iterable[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
