"""Report mistakes of the full settings by the short keys that their writer used, with their limits."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collector.errors import SettingsError
from collector.settings import Settings
from collector.settings.layers import shown

_ITEM = re.compile(r"(?P<key>.+)\[(?P<number>\d+)\]")
MOST_ROWS = 1_000_000  # that may trigger a flush


@dataclass(frozen=True, slots=True)
class WrittenConfig:
    """A config as written, and the full settings that it stands for."""

    name: str  # what messages call the config
    values: Mapping[str, object]  # by short key
    places: Sequence[tuple[str, str]]  # short key, path in the full settings
    more: Mapping[str, Any]  # full keys that he wrote himself
    channels: Sequence[str]  # what he calls each channel


def in_short_keys(
    problems: Sequence[str], written: WrittenConfig, settings_of: Callable[[], Settings]
) -> list[str]:
    """Return the problems in short keys; `settings_of` returns the settings beside the written ones."""
    return list(dict.fromkeys(_reworded(problems, written, settings_of)))


def _reworded(
    problems: Sequence[str], written: WrittenConfig, settings_of: Callable[[], Settings]
) -> Iterator[str]:
    for problem in problems:
        place, _, rest = problem.partition(": ")
        key, separator, text = rest.partition(": ")
        if place != written.name or not separator:
            yield _worded(problem, written)
            continue
        if _is_own(key, written):
            yield f"{place}: {key}: {_worded(text, written)}"
            continue
        short = _short(key, written)
        limited = _limits(settings_of).get(short)
        if limited is not None:
            text = f"found {shown(written.values[short])}, expected {limited}"
        elif short == "environment" and written.values["sandbox"] is True:
            short, text = "sandbox", text.replace("found 'testnet'", "found true").partition(", expected")[0]
        elif short == "data_source" and written.values["sandbox"] is True:
            text = text.replace("the environment is testnet", "sandbox is true")
        yield f"{place}: {short}: {_worded(text, written)}"


def _is_own(key: str, written: WrittenConfig) -> bool:
    """Return whether the full key was written itself."""
    return any(key == own or key.startswith((f"{own}.", f"{own}[")) for own in written.more)


def _short(key: str, written: WrittenConfig) -> str:
    """Return the short key, with what follows it: `symbol[1]` of `exchanges.bybit.symbols[1]`."""
    limits = {"buffer.max_rows": "buffer_size", "stream.backoff_max_s": "reconnect_delay"}
    if key in limits:  # what is told is that it is below the short key's value
        return limits[key]
    item = _ITEM.fullmatch(key)
    for short, path in written.places:
        if short == "channels" and item is not None and item["key"] == path:
            return written.channels[int(item["number"])]
        if key == path or key.startswith((f"{path}.", f"{path}[")):
            return short + key[len(path) :]
    return key


def _worded(text: str, written: WrittenConfig) -> str:
    """Replace full keys within a text by short ones."""
    for short, path in written.places:
        if path not in written.more:
            text = re.sub(rf"{re.escape(path)}(?![\w*])", short, text)
    return text


def _limits(settings_of: Callable[[], Settings]) -> dict[str, str]:
    """Describe what a short key may hold when another key limits it as well."""
    try:
        settings = settings_of()
    except SettingsError:  # told by itself
        settings = Settings.model_validate({})
    rows, seconds = settings.buffer.max_rows, settings.stream.backoff_max_s
    why_rows = " (buffer.max_rows)" if rows < MOST_ROWS else ""
    return {
        "buffer_size": f"a whole number from 1 to {min(rows, MOST_ROWS)}{why_rows}",
        "reconnect_delay": f"seconds, above 0 and at most {seconds:g} (stream.backoff_max_s)",
    }
