"""Define the one tree of errors.

CollectorError
├── UserError            the user can fix it; shown without a traceback
│   ├── MissingExtra     something asked for needs a package that an extra brings
│   ├── SettingsError    a configuration that cannot be used; holds every problem found
│   ├── SchemaError      a database whose tables are not what they must be
│   ├── DatabaseInUse    another collector holds this database
│   ├── SpoolRefused     a spool that this collector cannot use; `held`: another one has it
│   ├── DatabaseAway     a database that cannot be opened now; waiting may help
│   └── QueryError       a question that the stored data cannot answer as asked
│       └── ReadTooLong  a question that takes longer than reading may
├── FrameError           a frame that cannot be used; `reason` is the word under which it is counted
├── IngestorError        a running ingestor has trouble, or it did not start; handed to error callbacks
├── StreamError          a connection or subscription failed; `permanent` says whether a retry can help
├── SinkError            a sink refused a batch; `transient` says whether a retry can help
├── SpoolError           the spool refused a batch; `full` says that its cap is reached
├── UnfitRow             a row that a record cannot hold; `table` says of which table
└── BadRecord            a record of a stream that cannot be read; `reason` says why
"""


class CollectorError(Exception):
    """Root of everything this package raises on purpose."""


class UserError(CollectorError):
    """Something the user can fix: printed in a line or three, without a traceback."""


class MissingExtra(UserError):  # noqa: N818  (a state, not a fault)
    """Something asked for needs a package that is not installed; an extra brings it."""

    def __init__(self, package: str, extra: str) -> None:
        # A path and no name: nothing is published under ours, and `collector` is another project.
        super().__init__(f"this needs {package}: run `pip install -e '.[{extra}]'` in the source folder")


class SettingsError(UserError):
    """A configuration that cannot be used."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''} in the configuration"
        super().__init__("\n".join([f"{count}:", *(f"  {problem}" for problem in problems)]))


class SchemaError(UserError):
    """A database whose tables are not what they must be."""


class DatabaseInUse(UserError):  # noqa: N818  (a state, not a fault)
    """Another collector holds this database."""


class DatabaseAway(UserError):  # noqa: N818  (a state, not a fault)
    """A database that cannot be opened now: away, locked or without room. Waiting may help."""


class QueryError(UserError):
    """A question that the stored data cannot answer as asked.

    An argument that it names is written `name=`, or begins it: the command line puts its option there.
    """


class ReadTooLong(QueryError):  # noqa: N818  (a state, not a fault)
    """A question that takes longer than a reader may keep the database."""


class SpoolRefused(UserError):  # noqa: N818  (a state, not a fault)
    """A spool that this collector cannot use."""

    def __init__(
        self, message: str, *, held: bool = False, of_another: bool = False, passing: bool = False
    ) -> None:
        self.held = held
        self.passing = passing  # waiting may help: there is no room now
        self.of_another = of_another  # its rows are meant for another database
        super().__init__(message)


class FrameError(CollectorError):
    """A frame that cannot be used."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}" if detail else reason)


class IngestorError(CollectorError):
    """Something went wrong in a running ingestor, or it did not start."""

    def __init__(self, code: str, message: str, *, cause: object = None) -> None:
        self.code = code
        self.cause = cause  # the event or the exception that it is about
        super().__init__(f"{code}: {message}")


class StreamError(CollectorError):
    """A connection or a subscription failed; `unanswered`: nothing came within the time."""

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        retry_after_s: float | None = None,
        unanswered: bool = False,
    ) -> None:
        self.permanent = permanent
        self.retry_after_s = retry_after_s
        self.unanswered = unanswered
        super().__init__(message)


class SinkError(CollectorError):
    """A sink refused a batch."""

    def __init__(self, message: str, *, transient: bool) -> None:
        self.transient = transient
        super().__init__(message)


class SpoolError(CollectorError):
    """The spool refused a batch."""

    def __init__(self, message: str, *, full: bool = False) -> None:
        self.full = full
        super().__init__(message)


class UnfitRow(CollectorError):  # noqa: N818  (a state, not a fault)
    """A row that a record cannot hold."""

    def __init__(self, table: str, reason: str) -> None:
        self.table = table
        self.reason = reason
        super().__init__(f"{table}: {reason}")


class BadRecord(CollectorError):  # noqa: N818  (a state, not a fault)
    """A record of a stream that cannot be read."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def in_one_line(error: Exception) -> str:
    """Return an error that is not ours in one line; SQLAlchemy's goes on with statement and values."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
