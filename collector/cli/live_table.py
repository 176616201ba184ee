"""Draw a running collector as a table, as wide and as high as the terminal is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from collector.cli.plain import follower_text, span
from collector.events import UNKNOWN

if TYPE_CHECKING:
    from collector.app import StreamView, View

STATE_STYLES = {
    "verified": "green",
    "syncing": "yellow",
    "down": "bold red",
    "missing": "bold red",
    "left": "dim",
}
SETTLED_STATES = {"verified", "left"}
LATE_MS = 1000.0
FRAME_LINES = 7  # heading, column names, and what stands below the streams
TERMS = {
    "received": "received",
    "carried in": "carried_in",
    "written": "written",
    "merged": "merged",
    "sampled out": "sampled_out",
    "rejected": "rejected_total",
    "dropped": "dropped",
    "pending": "pending",
}
SETTLED = ("written", "merged", "sampled out", "rejected", "dropped", "pending")
ALWAYS_SHOWN = {"written", "pending"}


@dataclass(frozen=True, slots=True)
class StreamLine:
    """A stream as it is drawn."""

    view: "StreamView"
    rate: float | None  # updates a second
    age_s: float | None  # of the last cause


@dataclass(frozen=True, slots=True)
class Column:
    """One column: from which width of the terminal on it is shown, and what it says."""

    heading: str
    width: int
    from_width: int
    text: Callable[[StreamLine], str]
    left: bool = False
    style: Callable[[StreamLine], str] = lambda _: ""


def draw(view: "View", rates: Sequence[float | None], now_ns: int, width: int, height: int) -> Group:
    """Return the table of a view; `rates` are the updates a second of its streams."""
    lines = [
        StreamLine(stream, rate, (now_ns - stream.last_cause_ns) / 1e9 if stream.gaps else None)
        for stream, rate in zip(view.streams, rates, strict=True)
        if stream.key.symbol != UNKNOWN or stream.counts.received
    ]
    columns = _columns(lines, width)
    below = _below(view)
    drawn = [_heading(view, lines, width), _names(columns)]
    drawn += _streams(lines, columns, max(3, height - FRAME_LINES - len(below) + 4))
    drawn += below
    for text in drawn:
        text.truncate(width, overflow="ellipsis")
        text.no_wrap = True
    return Group(*drawn)


def _columns(lines: Sequence[StreamLine], width: int) -> list[Column]:
    longest = max((len(line.view.key.symbol) for line in lines), default=0)
    columns = [
        Column("symbol", min(max(longest, 8), 13 + max(0, width - 80) // 8), 0, _symbol, left=True),
        Column("channel", 8, 0, lambda line: line.view.key.channel, left=True),
        Column("state", 8, 0, lambda line: line.view.state, left=True, style=_state_style),
        Column("upd/s", 6, 0, lambda line: _rate(line.rate)),
        Column("lag ms", 6, 0, _lag, style=_lag_style),
        Column("mid", 10, 0, _mid),
        Column("spread", 9, 110, _spread),
        Column("bps", 5, 0, _bps),
        Column("received", 11, 100, lambda line: f"{line.view.counts.received:,}"),
        Column("written", 11, 125, lambda line: f"{line.view.counts.written:,}"),
        Column("rejected", 8, 138, lambda line: f"{line.view.counts.rejected_total:,}"),
        Column("gaps", 4, 0, lambda line: str(line.view.gaps), style=_gaps_style),
    ]
    shown = [column for column in columns if width >= column.from_width]
    left = width - sum(column.width + 1 for column in shown)
    room = max(left, 4)
    return [*shown, Column("last cause", room, 0, lambda line: _cause(line, room), left=True)]


def _heading(view: "View", lines: Sequence[StreamLine], width: int) -> Text:
    asked = [stream.state for stream in view.asked]
    verified = asked.count("verified")
    minutes, seconds = divmod(int(view.uptime_s), 60)
    clock = f"{minutes // 60:d}:{minutes % 60:02d}:{seconds:02d}"
    rate = sum(line.rate or 0.0 for line in lines)
    text = Text(f"collecting {clock}", style="bold")
    style = "green" if asked and verified == len(asked) else "yellow"
    text.append(f"   {verified} of {len(asked)} streams verified", style=style)
    text.append(f"   {_rate(rate)} updates/s", style="not bold")
    stopped = "   no answer from a thread" if not view.answers else ""
    text.append(stopped, style="bold red")
    stop = "Ctrl-C stops"
    room = width - text.cell_len - len(stop)
    if room > 1:
        text.append(" " * room + stop, style="not bold dim")
    return text


def _names(columns: Sequence[Column]) -> Text:
    cells = [_cell(column.heading, column) for column in columns]
    return Text(" ".join(cells), style="dim underline")


def _streams(lines: Sequence[StreamLine], columns: Sequence[Column], room: int) -> list[Text]:
    """Draw the streams, exchange by exchange; where there is no room for all, those in trouble first."""
    exchanges = len({line.view.key.exchange for line in lines})
    shown, hidden = list(lines), 0
    if len(lines) + exchanges > room:
        most = max(1, room - exchanges - 1)
        urgent = sorted(range(len(lines)), key=lambda at: (lines[at].view.state in SETTLED_STATES, at))
        shown = [lines[at] for at in sorted(urgent[:most])]
        hidden = len(lines) - len(shown)
    drawn: list[Text] = []
    for exchange, group in groupby(shown, key=lambda line: line.view.key.exchange):
        drawn.append(Text(exchange, style="bold cyan"))
        drawn += [_row(line, columns) for line in group]
    if hidden:
        verified = sum(line.view.state == "verified" for line in lines)
        verified -= sum(line.view.state == "verified" for line in shown)
        what = "all verified" if verified == hidden else f"{verified} of them verified"
        drawn.append(Text(f"and {hidden} more, {what}", style="dim"))
    return drawn


def _row(line: StreamLine, columns: Sequence[Column]) -> Text:
    cells = [Text(_cell(column.text(line), column), style=column.style(line)) for column in columns]
    return Text(" ").join(cells)


def _cell(text: str, column: Column) -> str:
    if len(text) > column.width:
        text = text[: column.width - 1] + "…"
    return text.ljust(column.width) if column.left else text.rjust(column.width)


def _below(view: "View") -> list[Text]:
    writer = view.writer
    peak = f"peak {writer.buffer_high_rows:,} of {writer.buffer_max_rows:,}"
    texts = [
        Text(""),
        _waiting(view, peak),
        Text(
            f"database  {writer.batches:,} batches, {writer.rows:,} rows, "
            f"last commit {writer.last_commit_s * 1000:.1f} ms, {writer.retries:,} retries   {view.database}"
        ),
        _identity(view),
    ]
    if writer.last_error is not None:
        texts.append(Text(f"refused   {writer.last_error}", style="bold red"))
    for follower in view.followers:
        style = "bold red" if follower.dropped else "yellow" if follower.last_error else ""
        texts.append(Text(f"follower  {follower_text(follower)}", style=style))
    if view.last_halt is not None:
        halt = view.last_halt
        where = " ".join(filter(None, (halt.exchange, halt.symbol)))
        texts.append(Text(f"alarm {view.halts:<3} {where}: {halt.code}: {halt.reason}", style="yellow"))
    texts += [Text(f"status    {text}", style="yellow") for text in view.statuses]
    texts += [Text(f"paused    {text}", style="yellow") for text in view.paused]
    texts += [Text(f"not had   {text}", style="yellow") for text in view.refused[:3]]
    texts += [Text(f"no answer {text}; tries go on", style="yellow") for text in view.unreached[:3]]
    if view.unreached:
        texts.append(Text("          python run.py demo needs no network", style="yellow"))
    return texts


def _waiting(view: "View", peak: str) -> Text:
    spooled = view.writer.spooled_rows
    text = Text(f"buffer    {max(0, view.pending - spooled):,} rows waiting, {peak}, ")
    text.append(f"spool {spooled:,} rows" if spooled else "spool empty", style="yellow" if spooled else "")
    return text


def _identity(view: "View") -> Text:
    """Draw whether all events are accounted for; those of a batch being committed are on their way."""
    totals = {name: sum(getattr(one.counts, term) for one in view.streams) for name, term in TERMS.items()}
    came = totals["received"] + totals["carried in"]
    settled = [f"{totals[name]:,} {name}" for name in SETTLED if totals[name] or name in ALWAYS_SHOWN]
    text = Text("identity  ")
    if view.difference:
        settled.append(f"{view.difference:,} being committed")
    else:
        text.append("exact  ", style="green")
    text.append(f"{came:,} received = {' + '.join(settled)}")
    if view.dropped:
        text.stylize("bold red")
    return text


def _symbol(line: StreamLine) -> str:
    return line.view.key.symbol


def _state_style(line: StreamLine) -> str:
    return STATE_STYLES.get(line.view.state, "")


def _rate(rate: float | None) -> str:
    if rate is None:
        return "-"
    return f"{rate:.1f}" if rate < 100 else f"{rate:,.0f}"  # noqa: PLR2004  (three digits say enough)


def _lag(line: StreamLine) -> str:
    lag_ms = line.view.glance.lag_ms if line.view.glance is not None else None
    if lag_ms is None:
        return "-"
    return f"{lag_ms:.1f}" if abs(lag_ms) < 100 else f"{lag_ms:,.0f}"  # noqa: PLR2004


def _lag_style(line: StreamLine) -> str:
    lag_ms = line.view.glance.lag_ms if line.view.glance is not None else None
    return "yellow" if lag_ms is not None and abs(lag_ms) > LATE_MS else ""


def _sides(line: StreamLine) -> tuple[float, float] | None:
    now = line.view.glance
    if now is None or now.bid is None or now.ask is None:
        return None
    return now.bid, now.ask


def _mid(line: StreamLine) -> str:
    sides = _sides(line)
    return "-" if sides is None else price((sides[0] + sides[1]) / 2)


def _spread(line: StreamLine) -> str:
    sides = _sides(line)
    return "-" if sides is None else f"{sides[1] - sides[0]:.6g}"


def _bps(line: StreamLine) -> str:
    sides = _sides(line)
    return "-" if sides is None else f"{(sides[1] - sides[0]) / (sides[0] + sides[1]) * 20_000:.2f}"


def _gaps_style(line: StreamLine) -> str:
    return "yellow" if line.view.gaps else "dim"


def _cause(line: StreamLine, room: int) -> str:
    """Draw the last cause, and how long ago it was where there is room."""
    if line.age_s is None:
        return ""
    long = f"{line.view.last_cause} {span(line.age_s)} ago"
    return long if len(long) <= room else line.view.last_cause


def price(value: float) -> str:
    """Write a price with as many digits as a person compares."""
    if value >= 1000:  # noqa: PLR2004
        return f"{value:,.2f}"
    return f"{value:.4f}" if value >= 1 else f"{value:.6g}"
