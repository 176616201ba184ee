"""Draw stored prices, spread and imbalance, and below them what was covered."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from collector.database import DEFAULT_TABLE_NAME
from collector.errors import QueryError
from collector.events import Channel
from collector.query.covered import coverage
from collector.query.database import Database, extra
from collector.query.instants import Instant, Span, duration_ns
from collector.query.loaders import FEATURES
from collector.query.loading import load
from collector.query.request import Lookup, checked_request
from collector.query.rows import ALL

STREAM = ("exchange", "symbol", "depth")
COLUMNS = (
    *STREAM,
    "mid_price",
    "microprice",
    "bid_price_1",
    "ask_price_1",
    "spread_bps",
    "order_book_imbalance",
)
MOST_POINTS = 20_000
_STEPS_MS = (1, 5, 10, 50, 100, 250, 500, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000)
_UNITS = ((3_600_000_000_000, "h"), (60_000_000_000, "min"), (1_000_000_000, "s"), (1_000_000, "ms"))
_NO_WINDOWS = frozenset({"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"})
_COVERED, _FILLED, _HOLE = "#2a9d5c", "#4f8fd0", "#d1495b"


def plot(
    db: Database,
    symbol: str,
    *,
    exchange: str | None = None,
    depth: int | None = None,
    start: Instant = None,
    end: Instant = None,
    every: str | None = None,
    to: str | Path | None = None,
    table_name: str = DEFAULT_TABLE_NAME,
) -> Any:
    """Draw the span into a file, or into a window where no file is named; return the figure.

    A line breaks where nothing was verified. Without `every`, the step is such that about a thousand
    states are drawn.
    """
    matplotlib = extra("matplotlib", "research")
    if to is not None:
        matplotlib.use("Agg")
        _check_target(Path(to))
    alike = {"depth": depth, "data_source": ALL}
    rows = Lookup(FEATURES, db, table_name, symbol, exchange, Span.of(start, end), alike)
    segments = coverage(db, symbol, exchange=exchange, table_name=table_name)
    step = every or _step(segments, rows.span)
    frame = load(checked_request(rows, COLUMNS, every=step))
    if not frame["segment"].notna().any():
        raise QueryError(f"nothing verified is stored for {symbol!r} in this span")
    if len(frame) > MOST_POINTS:
        raise QueryError(f"{len(frame):,} instants are too many to draw; choose a longer every=, or a span")
    figure = draw(frame, segments, duration_ns("every", step))
    pyplot = extra("matplotlib.pyplot", "research")
    if to is None:
        pyplot.show()
    else:
        figure.savefig(to, dpi=120)
        pyplot.close(figure)
    return figure


def _check_target(to: Path) -> None:
    """Raise QueryError for a file that no picture can be written to, before anything is read."""
    forms = extra("matplotlib.figure", "research").Figure().canvas.get_supported_filetypes()
    form = to.suffix.lower().removeprefix(".")
    if form not in forms:
        usual = ", ".join(one for one in ("png", "pdf", "svg", "jpg", "webp") if one in forms)
        raise QueryError(f"{to} ends in no form of picture that can be written; expected {usual}")
    if not to.parent.is_dir():
        raise QueryError(f"the folder {to.parent} for the picture does not exist; create it first")


def has_windows() -> bool:
    """Return whether a picture can be shown in a window here; a server has no display."""
    matplotlib = extra("matplotlib", "research")
    extra("matplotlib.pyplot", "research")
    return str(matplotlib.get_backend()).lower() not in _NO_WINDOWS


def draw(frame: pd.DataFrame, segments: pd.DataFrame, step_ns: int) -> Any:
    """Return the figure of a frame that load_features made at instants, a step apart."""
    pyplot = extra("matplotlib.pyplot", "research")
    channels = max(len(set(segments["channel"])), 1)
    figure, (price, spread, imbalance, ribbon) = pyplot.subplots(
        4, 1, figsize=(12, 8), sharex=True, height_ratios=(5, 2, 2, 0.35 * channels), layout="constrained"
    )
    at = pd.DatetimeIndex(frame.index).tz_localize(None)
    price.fill_between(
        at,
        frame["bid_price_1"],
        frame["ask_price_1"],
        color="#9ab8d8",
        alpha=0.6,
        lw=0,
        step="post",
        label="bid to ask",
    )
    price.plot(at, frame["mid_price"], color="#1d3557", lw=1.0, drawstyle="steps-post", label="mid")
    price.plot(at, frame["microprice"], color="#e07a1f", lw=0.8, drawstyle="steps-post", label="microprice")
    price.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2, frameon=False, ncols=3)
    price.ticklabel_format(axis="y", useOffset=False)
    price.set_ylabel("price")
    spread.plot(at, frame["spread_bps"], color="#5b4a8a", lw=0.8, drawstyle="steps-post")
    spread.set_ylabel("spread, bps")
    spread.set_ylim(bottom=0)
    imbalance.axhline(0.0, color="#888888", lw=0.6)
    imbalance.plot(at, frame["order_book_imbalance"], color="#2b7a78", lw=0.8)
    imbalance.set_ylim(-1.05, 1.05)
    imbalance.set_ylabel("imbalance")
    if not frame["order_book_imbalance"].notna().any():
        imbalance.text(0.5, 0.6, "not stored of this depth", ha="center", transform=imbalance.transAxes)
    _draw_ribbon(ribbon, segments, at[0], at[-1])
    figure.suptitle(title(frame, segments, step_ns))
    return figure


def title(frame: pd.DataFrame, segments: pd.DataFrame, step_ns: int) -> str:
    """Return what is drawn: of which stream, from when to when, and how much of it."""
    known = frame[list(STREAM)].dropna(subset="exchange").iloc[0]
    own = segments[(segments["exchange"] == known["exchange"]) & (segments["symbol"] == known["symbol"])]
    depth = None if pd.isna(known["depth"]) else int(known["depth"])
    books = [name for name in sorted(set(own["channel"])) if _is_book_of(Channel.of(name), depth)]
    channel = ", ".join(books) or "book"
    channel += "" if depth is None else f" (depth {depth})"
    first, last = frame.index[0], frame.index[-1]
    until = f"{last:%H:%M:%S}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M:%S}"
    return (
        f"{known['exchange']} {known['symbol']}, {channel}: {first:%Y-%m-%d %H:%M:%S} to {until} UTC\n"
        f"one state every {_length(step_ns)}, the last one known then; what happened between is not drawn"
    )


def _is_book_of(channel: Channel, depth: int | None) -> bool:
    return channel.is_book and channel.depth == depth


def _length(step_ns: int) -> str:
    size_ns, unit = next((one for one in _UNITS if step_ns % one[0] == 0), (1_000_000, "ms"))
    return f"{step_ns / size_ns:g} {unit}"


def _draw_ribbon(axes: Any, segments: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> None:
    """Draw a bar for each channel: green where it was covered, red where not."""
    dates = extra("matplotlib.dates", "research")
    channels = sorted(set(segments["channel"]))
    for place, channel in enumerate(channels):
        axes.axhspan(place, place + 0.9, color=_HOLE, lw=0)
        own = segments[segments["channel"] == channel]
        begin = dates.date2num(pd.to_datetime(own["start_ns"]).to_numpy())
        end = dates.date2num(pd.to_datetime(own["alive_until_ns"]).to_numpy())
        colours = [_FILLED if how == "filled" else _COVERED for how in own["how"]]
        axes.broken_barh(list(zip(begin, end - begin, strict=True)), (place, 0.9), color=colours, lw=0)
    axes.set_yticks(np.arange(len(channels)) + 0.45, channels)
    axes.set_ylim(0, max(len(channels), 1))
    axes.set_xlim(first, last)
    axes.set_xlabel("green: covered, blue: filled afterwards, red: a hole (UTC)")


def _step(segments: pd.DataFrame, span: Span) -> str:
    """Choose a round step that gives about a thousand states."""
    if not len(segments):
        return "1s"
    first_ns, last_ns = int(segments["start_ns"].min()), int(segments["alive_until_ns"].max())
    first_ns = first_ns if span.start_ns is None else max(first_ns, span.start_ns)
    last_ns = last_ns if span.end_ns is None else min(last_ns, span.end_ns)
    wanted_ms = (last_ns - first_ns) / 1e6 / 1_000
    step_ms = next((step for step in _STEPS_MS if step >= wanted_ms), _STEPS_MS[-1])
    return f"{step_ms}ms"
