"""Find the sink that a URL means, by its scheme: one line for each kind, which is imported when first used.

A store holds coverage and accounting, and can be `database.url`. A follower gets what the store has
committed; every store can be one as well.
"""

from collections.abc import Callable

from collector.aws import KINESIS, StreamAddress
from collector.errors import UserError
from collector.sinks.contract import Sink, Store
from collector.sinks.options import AS_A_RULE, SinkOptions, StreamOptions

PATH_SCHEME = "sqlite"  # of a text that is no URL: it is a path


MakeStore = Callable[[str, SinkOptions], Store[object]]
MakeFollower = Callable[[str, SinkOptions, StreamOptions], Sink]


def _sql(url: str, options: SinkOptions) -> Store[object]:
    from collector.sinks.sql import SqlSink  # noqa: PLC0415  (costs what it imports)

    return SqlSink(
        url,
        options.table_name,
        synchronous=options.synchronous.upper(),
        auto_migrate=options.auto_migrate,
        busy_timeout_s=options.busy_timeout_s,
        call_timeout_s=options.call_timeout_s,
    )


_STORES: dict[str, MakeStore] = {
    "sqlite": _sql,
    "postgresql": _sql,
}


def _kinesis(url: str, options: SinkOptions, stream: StreamOptions) -> Sink:
    from collector.aws import check_installed  # noqa: PLC0415

    check_installed()
    from collector.sinks.kinesis import KinesisSink  # noqa: PLC0415  (needs the extra)

    return KinesisSink(url, stream, call_timeout_s=options.call_timeout_s)


_FOLLOWERS: dict[str, MakeFollower] = {KINESIS: _kinesis}


def register_store(scheme: str, make: MakeStore) -> None:
    """Add a kind of store for URLs of this scheme, or replace one."""
    _STORES[scheme] = make


def register_follower(scheme: str, make: MakeFollower) -> None:
    """Add a kind of sink that can only follow a store, for URLs of this scheme, or replace one."""
    _FOLLOWERS[scheme] = make


def unregister(scheme: str) -> None:
    """Remove a kind of sink. Idempotent."""
    _STORES.pop(scheme, None)
    _FOLLOWERS.pop(scheme, None)


def scheme_of(url: str) -> str:
    """Return the scheme without a driver: `postgresql` of `postgresql+psycopg://...`; of a path, `sqlite`."""
    scheme, separator, _ = url.partition("://")
    return scheme.partition("+")[0].lower() if separator else PATH_SCHEME


def expected_of_store() -> str:
    """Return the words for what the URL of a store must be."""
    return _expected(list(_STORES))


def expected_of_follower() -> str:
    """Return the words for what the URL of a follower must be."""
    return _expected([*_STORES, *_FOLLOWERS])


def is_store(url: str) -> bool:
    """Return whether the URL means a kind of sink that can be a store."""
    return scheme_of(url) in _STORES


def is_follower(url: str) -> bool:
    """Return whether the URL means a kind of sink that can follow a store."""
    return scheme_of(url) in _STORES or scheme_of(url) in _FOLLOWERS


def follower_problem(url: str) -> str | None:
    """Return what is wrong with the URL of a follower, without a part of it that may be secret; or None."""
    if not is_follower(url):
        return f"expected {expected_of_follower()}"
    if scheme_of(url) == KINESIS:
        try:
            StreamAddress.parse(url)
        except UserError as error:
            return str(error)
    return None


def make_store(url: str, options: SinkOptions) -> Store[object]:
    """Return the store that the URL means, not opened, or raise UserError with what was expected."""
    make = _STORES.get(scheme_of(url))
    if make is None:
        raise UserError(f"{scheme_of(url)}:// is no kind of database; expected {expected_of_store()}")
    return make(url, options)


def make_follower(url: str, options: SinkOptions, stream: StreamOptions = AS_A_RULE) -> Sink:
    """Return the follower that the URL means, not opened, or raise UserError with what was expected."""
    scheme = scheme_of(url)
    if scheme in _FOLLOWERS:
        return _FOLLOWERS[scheme](url, options, stream)
    if scheme not in _STORES:
        raise UserError(f"{scheme}:// is no kind of follower; expected {expected_of_follower()}")
    return _STORES[scheme](url, options)


def _expected(schemes: list[str]) -> str:
    begins = [f"{scheme}://" for scheme in schemes]
    words = ", ".join(begins[:-1]) + f" or {begins[-1]}"
    return f"a path of an SQLite file, or a URL that begins with {words}"
