"""Build a program from named components: made and started in order, stopped in reverse.

    factory = ComponentFactory()
    register(factory)                                  # what this package brings
    factory.register("strategy", build_strategy)       # def build_strategy(config, *, data_ingestor): ...
    with factory.create({"data_ingestor": {...}, "strategy": {...}}) as bot:
        bot["strategy"]

A builder is called with its part of the config and, by keyword, the components that its keyword-only
parameters name. What has `start` and `stop` is started and stopped; a `start` that returns False failed.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from collector.bot.ingestor import DataIngestor, create_data_ingestor
from collector.bot.live_bars import LiveBars
from collector.bot.tick_store import TickStore
from collector.errors import CollectorError, UserError
from collector.loggers import get_logger

Builder = Callable[..., Any]
KIND = "component"  # a part of the config may name another component than its own name does

log = get_logger(__name__)


class Registry(Protocol):
    """What a bot's own factory must have, for `register` to add our components to it."""

    def register(self, name: str, builder: Builder, /) -> Any:
        """Register a builder."""


def register(factory: Registry) -> None:
    """Add this package's components: data_ingestor, tick_store, live_bars."""
    factory.register("data_ingestor", build_data_ingestor)
    factory.register("tick_store", build_tick_store)
    factory.register("live_bars", build_live_bars)


def build_data_ingestor(config: Mapping[str, Any]) -> DataIngestor:
    """Build an ingestor from its short keys."""
    return create_data_ingestor(config)


def build_tick_store(_config: Mapping[str, Any], *, data_ingestor: DataIngestor) -> TickStore:
    """Return the ingestor's tick store."""
    return data_ingestor.ticks


def build_live_bars(config: Mapping[str, Any], *, data_ingestor: DataIngestor) -> LiveBars:
    """Build bars from the ingestor's trades: `interval`; `symbol` and `exchange` for those of one market."""
    return data_ingestor.bars(**config)


class ComponentFactory:
    """A registry of builders by name. Names are registered once."""

    def __init__(self) -> None:
        self._builders: dict[str, Builder] = {}

    def register(self, name: str, builder: Builder) -> None:
        """Register the builder of the component `name`."""
        if name in self._builders:
            raise UserError(f"the component {name!r} is registered already; expected a name of its own")
        self._builders[name] = builder

    @property
    def names(self) -> list[str]:
        """Return the registered names."""
        return list(self._builders)

    def create(self, config: Mapping[str, Mapping[str, Any]]) -> "Components":
        """Build every component that the config has a section for, in the order of their needs."""
        made: dict[str, Any] = {}
        builders = {name: self._builder(name, part) for name, part in config.items()}
        for name in _in_order(builders):
            part = {key: value for key, value in config[name].items() if key != KIND}
            needed = {one: made[one] for one in _needs(builders[name]) if one in made}
            made[name] = builders[name](part, **needed)
        return Components(made)

    def _builder(self, name: str, part: Mapping[str, Any]) -> Builder:
        if not isinstance(part, Mapping):
            raise UserError(f"the config of {name!r} is {part!r}; expected a mapping, perhaps an empty one")
        kind = part.get(KIND, name)
        if kind not in self._builders:
            raise UserError(f"no component is called {kind!r}; expected one of {', '.join(self._builders)}")
        return self._builders[kind]


class Components:
    """Components that belong together, in the order in which they were made."""

    def __init__(self, made: Mapping[str, Any]) -> None:
        self._made = dict(made)
        self._started: list[str] = []

    def __getitem__(self, name: str) -> Any:
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def start(self) -> None:
        """Start all, in order. If one fails, those before it are stopped and the failure is raised."""
        try:
            for name, component in self._made.items():
                if name not in self._started:
                    _start(name, component)
                    self._started.append(name)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> list[str]:
        """Stop all that was started, in reverse; returns the names of those that raised.

        Ctrl-C meanwhile is raised when all have been asked to stop.
        """
        failed = []
        interrupt: BaseException | None = None
        while self._started:
            name = self._started.pop()
            try:
                if hasattr(self._made[name], "stop"):
                    self._made[name].stop()
            except Exception:
                log.exception("component.stop_failed", component=name)
                failed.append(name)
            except BaseException as error:  # noqa: BLE001  (raised below)
                interrupt = interrupt or error
        if interrupt is not None:
            raise interrupt
        return failed

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _start(name: str, component: Any) -> None:
    if hasattr(component, "start") and component.start() is False:
        why = getattr(component, "start_failure", None)
        raise CollectorError(f"the component {name!r} did not start" + (f": {why}" if why else ""))


def _needs(builder: Builder) -> dict[str, bool]:
    """List the components that a builder takes, and whether each is required."""
    parameters = inspect.signature(builder).parameters.values()
    return {
        one.name: one.default is inspect.Parameter.empty
        for one in parameters
        if one.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _in_order(builders: Mapping[str, Builder]) -> list[str]:
    """Sort names so that each comes after what it needs, else as they stand."""
    order: list[str] = []

    def place(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise UserError(f"components need each other in a circle: {' needs '.join((*above, name))}")
        for needed, cannot_do_without in _needs(builders[name]).items():
            if needed in builders:
                place(needed, (*above, name))
            elif cannot_do_without:
                raise UserError(
                    f"the component {name!r} needs {needed!r}; expected a part of the config for it"
                )
        if name not in order:
            order.append(name)

    for name in builders:
        place(name, ())
    return order
