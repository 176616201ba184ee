"""Tell of what kind a frame is, and where it differs from what is documented. Pure.

`documented.txt` has a frame of each kind. The fields that the collector reads are among them, and so are
those that it leaves; a field that is not is a change of the exchange that nobody has looked at.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

OPTIONAL = "?"
Json = Any

DOCUMENTED: Mapping[str, Json] = {
    name: json.loads(frame)
    for name, frame in (
        line.split(" ", 1)
        for line in Path(__file__).with_name("documented.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
}
PONG = "pong"  # the bare text of OKX


def kind_of(exchange: str, market: str, frame: Json) -> str | None:
    """Return the kind of a frame under its name in `documented.txt`; None for one that is of none."""
    if not isinstance(frame, dict):
        return None
    word = _WORDS[exchange](frame)
    if word is None:
        return None
    names = f"{exchange}.{word}", f"{exchange}.{market}.{word}"
    return next((name for name in names if name in DOCUMENTED), None)


def differences(found: Json, documented: Json, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield what differs, each as its sort and a text that names the field."""
    if _sort(found) != _sort(documented):
        if documented is not None:
            yield "another type", f"{at or 'the frame'} is {_sort(found)}, documented {_sort(documented)}"
    elif isinstance(documented, dict):
        known = {key.removesuffix(OPTIONAL): (key, value) for key, value in documented.items()}
        for key in found.keys() - known.keys():
            yield "unknown field", f"{at}.{key}".removeprefix(".")
        for name, (key, value) in known.items():
            path = f"{at}.{name}".removeprefix(".")
            if name in found:
                yield from differences(found[name], value, path)
            elif not key.endswith(OPTIONAL):
                yield "missing field", path
    elif isinstance(documented, list) and documented:
        yield from _of_list(found, documented, at)


def _of_list(found: list[Json], documented: list[Json], at: str) -> Iterator[tuple[str, str]]:
    """Compare the items of a list, or where it is a row of values the row."""
    if len(documented) > 1 or (not isinstance(documented[0], dict | list)):
        if len(found) != len(documented):
            yield "another length", f"{at}: {len(found)} items, documented {len(documented)}"
        for each, value in zip(found, documented, strict=False):
            yield from differences(each, value, f"{at}[]")
        return
    seen: dict[tuple[str, str], None] = {}
    for each in found:
        seen |= dict.fromkeys(differences(each, documented[0], f"{at}[]"))
    yield from seen


def _sort(value: Json) -> str:
    if isinstance(value, bool):
        return "true or false"
    names = {dict: "an object", list: "a list", str: "text", type(None): "null"}
    return names.get(type(value), "a number")


def _bybit(frame: Mapping[str, Json]) -> str | None:
    if "topic" in frame:
        return str(frame["topic"]).partition(".")[0]
    if "pong" in (frame.get("op"), frame.get("ret_msg")):
        return "pong"
    return "ack" if frame.get("op") in {"subscribe", "unsubscribe"} else None


def _binance(frame: Mapping[str, Json]) -> str | None:
    if "e" in frame:
        return str(frame["e"])
    if "error" in frame:
        return "refusal"
    if "result" in frame:
        return "answer"
    return "bookTicker" if "B" in frame else None


def _kraken(frame: Mapping[str, Json]) -> str | None:
    if "channel" in frame:
        return str(frame["channel"])
    if frame.get("method") in {"subscribe", "unsubscribe"}:
        result = frame.get("result")
        channel = result.get("channel") if isinstance(result, dict) else None
        return f"ack.{channel}" if channel else "refusal"
    return "pong" if frame.get("method") == "pong" else None


def _okx(frame: Mapping[str, Json]) -> str | None:
    if "event" in frame:
        return {"subscribe": "ack", "unsubscribe": "ack"}.get(frame["event"], str(frame["event"]))
    argument = frame.get("arg")
    channel = str(argument.get("channel")) if isinstance(argument, dict) else ""
    return "candle" if channel.startswith("candle") else channel or None


_WORDS: Mapping[str, Callable[[Mapping[str, Json]], str | None]] = {
    "bybit": _bybit,
    "binance": _binance,
    "kraken": _kraken,
    "okx": _okx,
}
