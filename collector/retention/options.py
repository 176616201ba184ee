"""Define which rows stay in the database. Without pandas: settings read it."""

from dataclasses import dataclass

from collector.bounds import Days, Text


@dataclass(frozen=True, slots=True)
class RetentionOptions:
    """What stays in the database, and where older rows go."""

    days: Days | None = None
    path: Text = "./archive"
