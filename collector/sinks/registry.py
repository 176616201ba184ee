"""Find the sink that a URL means, by its scheme: one line for each kind, which is imported when first used.

A store holds coverage and accounting, and can be `database.url`. A follower gets what the store has
committed; every store can be one as well.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from collector.aws import KINESIS, StreamAddress
from collector.errors import UserError
from collector.plugins import Plugins
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


def register_sink(
    scheme: str, factory: Callable[[str, SinkOptions], Sink], *, is_store: bool = False
) -> None:
    """Add a sink of one's own for URLs of this scheme, as a plug-in does; docs/plugins.md says what it takes.

    `factory(url, options)` returns a sink, not opened. It follows the database; with `is_store` it can be the
    database. Raises UserError for a scheme that another has.
    """
    if not callable(factory):
        raise UserError(f"found {type(factory).__name__}, expected a function of a URL and SinkOptions")
    if re.fullmatch(r"[a-z][a-z0-9-]{1,30}", scheme) is None:
        raise UserError(f"found the scheme {scheme!r}, expected small letters, digits and -")
    if scheme in _STORES or scheme in _FOLLOWERS:
        raise UserError(f"a sink for {scheme}:// is registered already, expected another scheme")
    if is_store:
        _STORES[scheme] = lambda url, options: _made(scheme, partial(factory, url, options), Store)
    else:
        _FOLLOWERS[scheme] = lambda url, options, _: _made(scheme, partial(factory, url, options), Sink)


def _made(scheme: str, factory: Callable[[], Any], kind: type[Any]) -> Any:
    """Return what a factory makes, or raise UserError with the methods that it lacks."""
    try:
        made = factory()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"the sink for {scheme}:// cannot be made: {error!r}") from error
    members = [name for one in kind.__mro__ for name in vars(one) if not name.startswith("_")]
    lacking = [name for name in members if not hasattr(made, name)]
    if lacking:
        raise UserError(
            f"the sink for {scheme}:// is a {type(made).__name__} without {', '.join(lacking)}, "
            f"expected all that a {kind.__name__} has (collector/sinks/contract.py)"
        )
    return made


def _take_plugin(scheme: str, found: object) -> None:
    register_sink(scheme, found, is_store=bool(getattr(found, "is_store", False)))  # type: ignore[arg-type]


PLUGINS = Plugins("collector.sinks", _take_plugin)


def _plugin_problem(scheme: str) -> str | None:
    """Load the plug-in of a scheme that is none of ours, if there is one; return what is wrong with it."""
    return None if scheme in _STORES or scheme in _FOLLOWERS else PLUGINS.problem(scheme)


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
    return _plugin_problem(scheme_of(url)) is None and scheme_of(url) in _STORES


def is_follower(url: str) -> bool:
    """Return whether the URL means a kind of sink that can follow a store."""
    scheme = scheme_of(url)
    return _plugin_problem(scheme) is None and (scheme in _STORES or scheme in _FOLLOWERS)


def store_problem(url: str) -> str | None:
    """Return what is wrong with the URL of a store, without a part of it that may be secret; or None."""
    return None if is_store(url) else _plugin_problem(scheme_of(url)) or f"expected {expected_of_store()}"


def follower_problem(url: str) -> str | None:
    """Return what is wrong with the URL of a follower, without a part of it that may be secret; or None."""
    plugin = _plugin_problem(scheme_of(url))
    if plugin is not None:
        return plugin
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
    scheme = scheme_of(url)
    if not is_store(url):
        raise UserError(
            _plugin_problem(scheme) or f"{scheme}:// is no kind of database; expected {expected_of_store()}"
        )
    return _STORES[scheme](url, options)


def make_follower(url: str, options: SinkOptions, stream: StreamOptions = AS_A_RULE) -> Sink:
    """Return the follower that the URL means, not opened, or raise UserError with what was expected."""
    scheme = scheme_of(url)
    if not is_follower(url):
        raise UserError(
            _plugin_problem(scheme)
            or f"{scheme}:// is no kind of follower; expected {expected_of_follower()}"
        )
    if scheme in _FOLLOWERS:
        return _FOLLOWERS[scheme](url, options, stream)
    return _STORES[scheme](url, options)


def _expected(schemes: list[str]) -> str:
    begins = [f"{scheme}://" for scheme in schemes]
    words = ", ".join(begins[:-1]) + f" or {begins[-1]}"
    return f"a path of an SQLite file, or a URL that begins with {words}"
