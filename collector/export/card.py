"""Write the card of a data set: its rows, its span, its holes."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from collector.export.day_file import whole_file
from collector.export.hftbacktest import FORM as HFTBACKTEST
from collector.query import holes, shown, union
from collector.version import __version__

FIRST_PART = "part-0"
_CARD = """\
# Market data

Written by collector {version}, format `{form}`. One file a day (UTC) of a symbol:
`<kind>/exchange=<exchange>/symbol=<symbol>/date=<date>/`; symbols are percent-encoded in the path and plain
in the column. Times ending in `_ns` are nanoseconds since 1970, UTC, as int64; what is missing is null. What
each column means stands in the documentation of the collector (docs/schema.md, docs/features.md).

{reading}

`coverage.parquet` says what was seen without a hole: rows of one `segment_id` have none between them.

## Rows

| kind | exchange | symbol | first day | last day | files | rows |
|---|---|---|---|---|---|---|
{rows}
{events}
## Coverage

| exchange | symbol | channel | from | until | covered | holes |
|---|---|---|---|---|---|---|
{coverage}

## Checksums

`sha256sum -c` takes these lines.

```text
{checksums}
```
"""

_READING = {
    False: """```python
pandas.read_parquet("features")
duckdb.sql("FROM read_parquet('features/**/*.parquet') WHERE symbol = 'BTC/USDT:USDT'")
```""",
    True: """```python
BacktestAsset().data(["hftbacktest/exchange=.../symbol=.../date=.../part-0.npz", ...])  # day after day
```""",
}
_EVENTS = """
## Events for hftbacktest

Local time is that of receipt, put forward by the shift (ms) where the exchange's clock was ahead, so that
nothing arrives before it happened. `untimed` events had no time of the exchange, or one that is
ahead of nearly all others by a second: that of receipt stands
there. `raised` ones of the book had one before their predecessor's, which they were given. `split` ones stand
twice, for the exchange and for the bot, for these saw them in another order. A day on which the clock was set
back has a file for each stretch (`part-1` and so on): their local times overlap, so replay each by itself.

| exchange | symbol | day | book | events | shift | untimed | raised | split | left out |
|---|---|---|---|---|---|---|---|---|---|
{lines}
"""


def write_card(
    folder: Path, files: Mapping[str, Mapping[str, Any]], segments: pd.DataFrame, form: str
) -> None:
    """Write README.md beside the files."""
    text = _CARD.format(
        version=__version__,
        form=form,
        rows="\n".join(_rows(files)),
        reading=_READING[form == HFTBACKTEST],
        events=_events(files),
        coverage="\n".join(_coverage(segments)),
        checksums="\n".join(f"{files[path]['sha256']}  {path}" for path in sorted(files)),
    )
    with whole_file(folder / "README.md") as path:
        path.write_text(text, encoding="utf-8")


def _rows(files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    frame = pd.DataFrame(list(files.values()))
    lines = []
    for (kind, exchange, symbol), own in frame.groupby(["kind", "exchange", "symbol"]):
        span = f"{own['date'].min()} | {own['date'].max()}"
        rows = own.drop_duplicates("date")["rows"].sum()  # a day may have several files
        lines.append(f"| {kind} | {exchange} | {symbol} | {span} | {len(own)} | {rows:,} |")
    return lines


def _events(files: Mapping[str, Mapping[str, Any]]) -> str:
    lines = []
    for path, entry in ((path, files[path]) for path in sorted(files) if "facts" in files[path]):
        facts, part = entry["facts"], PurePosixPath(path).stem
        day = entry["date"] + (f", {part}" if part != FIRST_PART else "")
        numbers = f"{facts['untimed']:,} | {facts['raised']:,} | {facts['split']:,}"
        counts = f"{facts['book']} | {facts['events']:,} | {facts['shift_ns'] / 1e6:,.3f} | {numbers}"
        names = f"{entry['exchange']} | {entry['symbol']} | {day}"
        lines.append(f"| {names} | {counts} | {'; '.join(facts['left_out'])} |")
    return _EVENTS.format(lines="\n".join(lines)) if lines else ""


def _coverage(segments: pd.DataFrame) -> list[str]:
    lines = []
    for (exchange, symbol, channel), own in segments.groupby(["exchange", "symbol", "channel"]):
        begin, end = int(own["start_ns"].min()), int(own["alive_until_ns"].max())
        spans = zip(own["start_ns"].tolist(), own["alive_until_ns"].tolist(), strict=True)
        covered_s = sum(until - start for start, until in union(spans)) / 1e9
        names = f"{exchange} | {symbol} | {channel}"
        lines.append(f"| {names} | {shown(begin)} | {shown(end)} | {covered_s:,.3f} s | {len(holes(own))} |")
    return lines
