"""REST answers that are valid JSON and yet not what anybody expects: pure functions of a body."""

import json
from collections.abc import Callable
from typing import Any

from collector.simulator.exchanges.messages import compact_json

_SIDES = ("bids", "asks", "b", "a")


def empty_book(body: str) -> str:
    """Take every level out of a book."""

    def emptied(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            key: [] if key in _SIDES and isinstance(inner, list) else emptied(inner)
            for key, inner in value.items()
        }

    return compact_json(_data_of(json.loads(body), emptied))


def nothing(body: str) -> str:
    """Answer well, and with nothing in it, in the form that each exchange's answers have."""
    answer = json.loads(body)
    if not isinstance(answer, dict):
        return "[]"
    if "result" in answer:
        return compact_json(answer | {"result": {}} | ({"error": None} if "error" in answer else {}))
    if isinstance(answer.get("data"), list):
        return compact_json(answer | {"data": []})
    return "{}"


def without_key(key: str) -> Callable[[str], str]:
    """Leave out a key where it comes first."""

    def edit(body: str) -> str:
        answer = json.loads(body)
        _remove_first(answer, key)
        return compact_json(answer)

    return edit


def _data_of(answer: Any, edit: Callable[[Any], Any]) -> Any:
    """Edit an answer, also where its data are a list of objects."""
    if isinstance(answer, dict) and isinstance(answer.get("data"), list):
        return answer | {"data": [edit(row) for row in answer["data"]]}
    return edit(answer)


def _remove_first(value: Any, key: str) -> bool:
    if isinstance(value, dict):
        if key in value:
            del value[key]
            return True
        return any(_remove_first(inner, key) for inner in value.values())
    return isinstance(value, list) and any(_remove_first(inner, key) for inner in value)
