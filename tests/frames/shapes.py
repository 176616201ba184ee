"""The form of frames: keys in order, types, how numbers are written. `shapes.txt` has one frame of each."""

import json
import re
from pathlib import Path
from typing import Any


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def parse(text: str) -> Any:
    """Read JSON, numbers as they were written."""
    return json.loads(text, parse_float=Number, parse_int=Number)


SHAPES: dict[str, Any] = {
    name: parse(frame)
    for name, frame in (
        line.split(" ", 1)
        for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
}


def differences(found: Any, wanted: Any, at: str = "") -> list[str]:
    """Tell where a frame has another form than it should have; a list may be empty."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        if list(found) != list(wanted):
            return [f"{at or 'the frame'}: keys {list(found)}, {list(wanted)} expected"]
        return [
            line for key, value in found.items() for line in differences(value, wanted[key], f"{at}.{key}")
        ]
    if isinstance(found, list) and isinstance(wanted, list):
        if not wanted:
            return [f"{at}: nothing expected, {found} found"] if found else []
        is_pair = not isinstance(wanted[0], dict | list) and len(wanted) > 1
        if is_pair and len(found) != len(wanted):
            return [f"{at}: {len(wanted)} items expected, {len(found)} found"]
        return sorted({line for each in found for line in differences(each, wanted[0], f"{at}[]")})
    kinds = _kind(found), _kind(wanted)
    return [] if kinds[0] == kinds[1] else [f"{at}: {kinds[0]} {found!r}, {kinds[1]} expected"]


def by_column(value: Any) -> Any:
    """Turn rows whose columns are of several kinds into objects, so that each column is compared."""
    if isinstance(value, dict):
        return {key: by_column(inner) for key, inner in value.items()}
    if isinstance(value, list):
        if len(value) > 1 and not isinstance(value[0], dict | list):
            return dict(enumerate(value))
        return [by_column(inner) for inner in value]
    return value


def _kind(value: Any) -> str:
    if isinstance(value, Number):
        is_time = re.fullmatch(r"1[4-9]\d{11}", value)
        return "number" if "." in value or "e" in value else "milliseconds" if is_time else "integer"
    if isinstance(value, str):
        time = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.(\d+)Z", value)
        if time:
            return f"time with {len(time[1])} decimals"
        return "decimal" if re.fullmatch(r"-?\d+(\.\d+)?", value) else "text"
    return type(value).__name__
