"""Say what a session came to: what became of every event, and what went wrong."""

from dataclasses import dataclass

from collector.sinks import AccountingState
from collector.writer import FollowerState


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a session: the terms of the identity for each stream, and what went wrong."""

    session_id: str
    accounting: tuple[AccountingState, ...]
    batches: int
    seconds: float
    problems: tuple[str, ...]
    waiting: int = 0  # rows that the spool holds: durable, and brought in at the next start
    spool: str = ""  # its file
    refused: tuple[str, ...] = ()  # of the problems, markets that are not there: of them nothing was accepted
    notes: tuple[str, ...] = ()  # what happened to the database that a person has to know of
    followers: tuple[FollowerState, ...] = ()  # sinks behind the database: no part of the identity

    @property
    def exact(self) -> bool:
        """Whether every event is accounted for."""
        return all(state.difference == 0 for state in self.accounting)

    @property
    def lost_nothing(self) -> bool:
        """Whether all that was accepted is stored, or waits in the spool, and nothing failed."""
        pending = sum(state.pending for state in self.accounting)
        lost = pending > self.waiting or any(state.dropped for state in self.accounting)
        return self.exact and not lost and set(self.problems) <= set(self.refused)

    @property
    def good(self) -> bool:
        """Whether nothing that was accepted was lost, and not all was refused."""
        nothing_came = bool(self.refused) and not any(state.received for state in self.accounting)
        return self.lost_nothing and not nothing_came
