"""Write what was found as a table and in words."""

import textwrap
from collections.abc import Iterator, Sequence

from checking.run import Result

WIDTHS = (9, 7, 8, 10, 8)
HEAD = ("exchange", "market", "env", "verdict", "seconds")
TEXT_WIDTH = 100
MOST_FINDINGS = 60  # of one place, in the text; JSON has all
NOTHING_CHECKED = (
    "NOTHING WAS CHECKED: none of the exchanges can be reached from here. "
    "This says nothing about the collector or the exchanges; run it again where there is a network."
)


def row(result: Result) -> str:
    """Return the line of one place."""
    place = result.place
    cells = (place.exchange, place.kind, place.environment, result.verdict, f"{result.seconds:.0f}")
    return f"{_line(cells)}{_found(result)}"


def table(results: Sequence[Result]) -> str:
    """Return all lines under their heads."""
    return "\n".join([f"{_line(HEAD)}found", *map(row, results)])


def words(results: Sequence[Result]) -> str:
    """Return the whole report: the table, what was checked, each difference by name, what it means."""
    parts = [
        table(results),
        *(_of_place(one) for one in results if one.verdict != "SKIPPED"),
        summary(results),
    ]
    return "\n\n".join(parts) + "\n"


def summary(results: Sequence[Result]) -> str:
    """Return the last sentences."""
    skipped = [one for one in results if one.verdict == "SKIPPED"]
    different = [one for one in results if one.verdict == "DIFFERENT"]
    if len(skipped) == len(results):
        return NOTHING_CHECKED
    names = ", ".join(str(one.place) for one in skipped)
    not_checked = f" Not checked, since not reachable: {names}." if skipped else ""
    if not different:
        return f"All {len(results) - len(skipped)} that could be reached behave as documented.{not_checked}"
    count = sum(len(one.differences) for one in different)
    where = ", ".join(str(one.place) for one in different)
    return (
        f"{count} difference{'s'[: count != 1]} at {where}.{not_checked}\n"
        "docs/live.md says what to do with them. The frames are in the files named above."
    )


def exit_code(results: Sequence[Result]) -> int:
    """Return 1 where something is different, else 0."""
    return int(any(one.verdict == "DIFFERENT" for one in results))


def _line(cells: Sequence[str]) -> str:
    return "".join(f"{cell:<{width + 2}}" for cell, width in zip(cells, WIDTHS, strict=True))


def _found(result: Result) -> str:
    if result.verdict == "SKIPPED":
        return result.why
    names = list(dict.fromkeys(one.name for one in result.differences))
    return ", ".join(names) or f"as documented; {result.checked[1] if len(result.checked) > 1 else ''}"


def _of_place(result: Result) -> str:
    lines = [f"{result.place}: {result.verdict}"]
    lines += _wrapped("checked: ", "; ".join(result.checked))
    for finding in result.findings[:MOST_FINDINGS]:
        lines += _wrapped("- ", str(finding))
    if len(result.findings) > MOST_FINDINGS:
        lines.append(f"  ... and {len(result.findings) - MOST_FINDINGS} more in report.json")
    return "\n".join([*lines, f"  frames: {result.frames}"])


def _wrapped(first: str, text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, TEXT_WIDTH, initial_indent=f"  {first}", subsequent_indent="    ") or [
        "  -"
    ]
