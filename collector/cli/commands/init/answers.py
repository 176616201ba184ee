"""Parse the answers, typed or given as options, with the same rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.cli.commands.init.purposes import PURPOSES, Purpose
from collector.database import database_url, sqlite_path, without_password
from collector.errors import UserError
from collector.exchanges import EXCHANGES, UNVERIFIED_NAMES, is_known, one_of
from collector.nearest import did_you_mean


@dataclass(frozen=True, slots=True)
class Database:
    """Where rows go."""

    url: str  # without a password
    is_server: bool
    has_password: bool  # it was given one, which is not kept


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to the four questions."""

    markets: Mapping[str, Sequence[str]]  # by exchange
    purpose: Purpose
    database: Database


def exchanges(text: str) -> tuple[str, ...]:
    """Read names, or numbers of those that are listed, separated by commas."""
    listed = list(EXCHANGES)
    found: list[str] = []
    for word in (part.strip().lower() for part in text.split(",")):
        if not word:
            continue
        name = _numbered(listed, word)
        if not is_known(name):
            close = did_you_mean(name, EXCHANGES) or did_you_mean(name, sorted(UNVERIFIED_NAMES))
            raise UserError(
                f"{word!r} is no exchange that is known, expected some of {', '.join(listed)} (or another of "
                f"ccxt.pro's){close}"
            )
        if name not in found:
            found.append(name)
    if not found:
        raise UserError(f"no exchange is named, expected some of {', '.join(listed)}")
    return tuple(found)


def purpose(text: str) -> Purpose:
    """Read the name of a purpose, or its number."""
    listed = list(PURPOSES)
    name = _numbered(listed, text.strip().lower())
    if name not in PURPOSES:
        raise UserError(
            f"{text.strip()!r} is no purpose, expected {one_of(listed)}{did_you_mean(name, listed)}"
        )
    return PURPOSES[name]


def database(text: str) -> Database:
    """Read the path of an SQLite file or a URL, and leave its password out."""
    text = text.strip()
    url = database_url(text)
    if sqlite_path(url) is not None:
        return Database(text, is_server=False, has_password=False)
    kept = without_password(url)
    has_password = url.password is not None or len(url.query) > len(kept.query)
    return Database(kept.render_as_string(hide_password=False), is_server=True, has_password=has_password)


def _numbered(listed: Sequence[str], word: str) -> str:
    """Return the name that a number stands for, or the word itself."""
    return listed[int(word) - 1] if word.isdecimal() and 0 < int(word) <= len(listed) else word
