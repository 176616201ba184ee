"""How an exchange treats the next who come: refused, let in and left in silence, rejected, ignored."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Door:
    """The faults armed for new connections and new subscriptions of one exchange."""

    refusals: list[int] = field(default_factory=list)
    silent_count: int = 0
    rejections: int = 0
    ignored: int = 0

    def refuse(self, status: int, count: int) -> None:
        """Refuse the next connections."""
        self.refusals.extend([status] * count)

    def silent(self, count: int) -> None:
        """Say nothing on the next connections."""
        self.silent_count += count

    def reject(self, count: int) -> None:
        """Reject the next requests to subscribe."""
        self.rejections += count

    def ignore(self, count: int) -> None:
        """Ignore the next requests to subscribe."""
        self.ignored += count

    def take_refusal(self) -> int | None:
        """Use up one refusal, if there is one."""
        return self.refusals.pop(0) if self.refusals else None

    def take_silence(self) -> bool:
        """Use up one silence, if there is one."""
        self.silent_count, was = max(0, self.silent_count - 1), self.silent_count
        return was > 0

    def take_rejection(self) -> bool:
        """Use up one rejection, if there is one."""
        self.rejections, was = max(0, self.rejections - 1), self.rejections
        return was > 0

    def take_ignored(self) -> bool:
        """Use up one unanswered request, if there is one."""
        self.ignored, was = max(0, self.ignored - 1), self.ignored
        return was > 0
