"""Check recorded frames against what is documented: forms, depths, steps of prices, units, pings. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from checking.finding import Finding
from checking.forms import DOCUMENTED, PONG, differences, kind_of
from checking.places import Place
from checking.recording import Line
from collector.errors import FrameError

MOST_SHOWN = 160  # characters of a frame


def parsed(line: Line) -> Any:
    """Read a frame as JSON, numbers as they were written; None where it is none."""
    try:
        return json.loads(line.text, parse_float=Decimal)
    except ValueError:
        return None


def forms(place: Place, lines: Iterable[Line]) -> Iterator[Finding]:
    """Compare each frame with the documented one of its kind, and read it as the collector does."""
    for line in lines:
        if line.text == PONG:
            continue
        frame, shown = parsed(line), line.text[:MOST_SHOWN]
        if frame is None:
            yield Finding("unreadable frame", shown)
            continue
        kind = kind_of(place.exchange, place.kind, frame)
        if kind is None:
            yield Finding("unknown message", shown)
            continue
        for sort, text in differences(frame, DOCUMENTED[kind]):
            yield Finding(f"{sort} in {kind}", text)
        try:
            place.facts.read_frame(line.text)
        except FrameError as error:
            yield Finding("frame that we cannot read", f"{kind}: {error.reason}: {error.detail}")


def refusals(place: Place, lines: Iterable[Line]) -> Iterator[Finding]:
    """Name what the exchange refused in so many words."""
    for line in lines:
        frame = None if line.text == PONG else parsed(line)
        kind = None if frame is None else kind_of(place.exchange, place.kind, frame)
        if kind in {"binance.refusal", "kraken.refusal", "okx.error"} or (
            kind == "bybit.ack" and frame.get("success") is False
        ):
            yield Finding("refused by the exchange", line.text[:MOST_SHOWN])


def pings(place: Place, lines: Sequence[Line]) -> Iterator[Finding]:
    """Check that pings were answered, in whatever form the exchange has for it."""
    wire = place.facts.topics.ping
    if wire is None:
        sent = sum(line.what == "send" and line.text == "ping of the websocket" for line in lines)
        answered = sum(line.what == "control" for line in lines)
    else:
        sent = sum(line.what == "send" and _is_ping(line.text) for line in lines)
        answered = sum(line.what == "recv" and _is_pong(place, line) for line in lines)
    if sent == 0:
        yield Finding("ping", "none was sent: too short a run", is_note=True)
    elif answered == 0:
        yield Finding("ping not answered", f"{sent} were sent")


def _is_ping(text: str) -> bool:
    return text == "ping" or '"ping"' in text


def _is_pong(place: Place, line: Line) -> bool:
    if line.text == PONG:
        return True
    frame = parsed(line) if "pong" in line.text or '"ping"' in line.text else None
    return frame is not None and kind_of(place.exchange, place.kind, frame) in {"bybit.pong", "kraken.pong"}


def bars(place: Place, lines: Iterable[Line], markets: Mapping[str, Any]) -> Iterator[Finding]:
    """Check what sizes count: a bar's turnover over its volume is a price between its low and its high."""
    by_id = {market["id"]: market for market in markets.values()}
    for line in lines:
        frame = parsed(line) if line.text != PONG else None
        for market_id, bar in _bars(place, frame):
            market = by_id.get(market_id)
            if market is None or not bar["volume"]:
                continue
            contract = place.facts.contract_size(market)
            volume = float(bar["volume"])
            base = volume if contract is None else contract.in_base(volume)
            price, low, high = float(bar["turnover"]) / base, float(bar["low"]), float(bar["high"])
            if not low * 0.999 <= price <= high * 1.001:
                unit = "1" if contract is None else f"{contract.in_base(1.0):g}"
                worth = float(bar["turnover"]) / volume / ((low + high) / 2)
                text = (
                    f"{market_id}: a size of 1 is listed as {unit} of the base, by its bars it is {worth:.4g}"
                )
                yield Finding("contract size", text)


def _bars(place: Place, frame: Any) -> Iterator[tuple[str, dict[str, Decimal]]]:
    kind = kind_of(place.exchange, place.kind, frame)
    if kind == "bybit.kline":
        name = frame["topic"].split(".")[-1]
        yield from ((name, _numbers(bar, "volume", "turnover", "low", "high")) for bar in frame["data"])
    elif kind == "binance.kline":
        yield frame["s"], _numbers(frame["k"], "v", "q", "l", "h")
    elif kind == "okx.candle":
        for row in frame["data"]:
            bar = {"volume": row[5], "turnover": row[7], "low": row[3], "high": row[2]}
            yield frame["arg"]["instId"], _numbers(bar, "volume", "turnover", "low", "high")


def _numbers(bar: Mapping[str, Any], volume: str, turnover: str, low: str, high: str) -> dict[str, Decimal]:
    names = {"volume": volume, "turnover": turnover, "low": low, "high": high}
    try:
        return {name: Decimal(str(bar[key])) for name, key in names.items()}
    except (KeyError, ArithmeticError):  # another form: `forms` says so
        return {"volume": Decimal(0)}
