"""Define which rows stay in the database. Without pandas: settings read it."""

from dataclasses import dataclass

from collector.bounds import Days, Hours, Text


@dataclass(frozen=True, slots=True)
class RetentionOptions:
    """What stays in the database, and where older rows go."""

    days: Days | None = None
    hot_hours: Hours | None = None
    path: Text = "./archive"

    @property
    def is_on(self) -> bool:
        """Return whether rows leave the database at all."""
        return self.days is not None or self.hot_hours is not None
