"""Say which database and which table of books a spool belongs to, and refuse it to any other."""

from collections.abc import Callable, Collection
from dataclasses import dataclass


def _unknown() -> str:
    return ""


def _knows_all(_sessions: Collection[str]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a spool says of its database; empty in one that an older version has written."""

    identity: str = ""
    address: str = ""
    table: str = ""


@dataclass(frozen=True, slots=True)
class SpoolOwner:
    """The database that the rows of a spool are meant for."""

    address: str = ""  # without a password
    identity: Callable[[], str] = _unknown  # empty while the database has not been open
    knows: Callable[[Collection[str]], bool] = _knows_all  # whether one of these sessions has written there
    table: str = ""  # that its books go to: a database may have several

    def stamp(self, before: Stamp) -> Stamp:
        """Return what a spool of ours says, as far as that is known; `before`: what it has said so far."""
        return Stamp(self.identity() or before.identity, self.address, self.table or before.table)

    def other(self, stamp: Stamp) -> str:
        """Say to whom a spool belongs that is not ours, and who we are."""
        identity = self.identity()
        if stamp.table != self.table and stamp.identity == identity:
            return f"another table of this database, {stamp.table}; this one is {self.table}"
        there = f"{stamp.address or 'that is not named'} (identity {stamp.identity or 'unknown'})"
        return f"another database, {there}; this one is {self.address} (identity {identity or 'unknown'})"


def is_of(owner: SpoolOwner, stamp: Stamp, sessions: Collection[str], *, by_name: bool) -> bool:
    """Return whether a spool with rows of these sessions belongs to the database.

    One without an identity does if its name or its address says so, or if the database knows a session.
    `by_name`: its name is made of the address of this database. One that says for which table its books are
    is none of another table's.
    """
    if stamp.table and owner.table and stamp.table != owner.table:
        return False
    identity = owner.identity()
    if stamp.identity and identity:
        return stamp.identity == identity
    if by_name or stamp.address == owner.address:
        return True
    return bool(identity) and not stamp.identity and owner.knows(sessions)
