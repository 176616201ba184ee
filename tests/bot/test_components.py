"""Components by name: made and started in order, stopped in reverse, and ours in a bot's own factory."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from collector.bot.components import ComponentFactory, register
from collector.bot.ingestor import DataIngestor
from collector.errors import CollectorError, UserError


class Part:
    def __init__(self, name: str, told: list[str], config: Mapping[str, Any], **needed: Any) -> None:
        self.name, self.told, self.config, self.needed = name, told, config, needed
        told.append(f"made {name}")

    def start(self) -> bool | None:
        self.told.append(f"start {self.name}")
        if self.config.get("fails") == "raises":
            raise ValueError(self.name)
        return self.config.get("fails") != "refuses"

    def stop(self) -> None:
        self.told.append(f"stop {self.name}")
        if self.config.get("fails") == "stop":
            raise ValueError(self.name)
        if self.config.get("fails") == "interrupted":
            raise KeyboardInterrupt


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def factory(told: list[str]) -> ComponentFactory:
    factory = ComponentFactory()
    factory.register("feed", lambda config: Part("feed", told, config))
    factory.register("book", lambda config, *, feed: Part("book", told, config, feed=feed))
    factory.register(
        "bot", lambda config, *, book, clock=None: Part("bot", told, config, book=book, clock=clock)
    )
    return factory


def test_components_are_made_and_started_in_order_and_stopped_in_reverse(
    factory: ComponentFactory, told: list[str]
) -> None:
    with factory.create({"bot": {"size": 1}, "book": {}, "feed": {}}) as made:
        assert list(made) == ["feed", "book", "bot"]
        assert made["bot"].config == {"size": 1}
        assert made["bot"].needed == {"book": made["book"], "clock": None}
        made.start()  # once is enough
    assert made.stop() == []
    steps = ["made feed", "made book", "made bot", "start feed", "start book", "start bot"]
    assert told == [*steps, "stop bot", "stop book", "stop feed"]


@pytest.mark.parametrize(("how", "error"), [("refuses", CollectorError), ("raises", ValueError)])
def test_when_one_does_not_start_those_before_it_are_stopped(
    factory: ComponentFactory, told: list[str], how: str, error: type[Exception]
) -> None:
    made = factory.create({"feed": {}, "book": {"fails": how}, "bot": {}})
    with pytest.raises(error, match="book"):
        made.start()
    assert told[3:] == ["start feed", "start book", "stop feed"]


def test_one_that_cannot_be_stopped_stops_no_other(factory: ComponentFactory, told: list[str]) -> None:
    made = factory.create({"feed": {}, "book": {"fails": "stop"}})
    made.start()
    assert made.stop() == ["book"]
    assert told[-2:] == ["stop book", "stop feed"]


def test_ctrl_c_while_one_stops_stops_the_others_too(factory: ComponentFactory, told: list[str]) -> None:
    parts = factory.create({"feed": {}, "book": {"fails": "interrupted"}})
    parts.start()
    with pytest.raises(KeyboardInterrupt):
        parts.stop()
    assert told[-2:] == ["stop book", "stop feed"]
    assert parts.stop() == []


def test_a_part_of_the_config_may_name_another_component(factory: ComponentFactory) -> None:
    made = factory.create({"feed": {}, "second": {"component": "feed", "speed": 2}})
    assert made["second"].config == {"speed": 2}


def test_mistakes_are_told(factory: ComponentFactory) -> None:
    with pytest.raises(UserError, match="'feed' is registered already"):
        factory.register("feed", dict)
    with pytest.raises(UserError, match="no component is called 'x'; expected one of feed, book, bot"):
        factory.create({"x": {}})
    with pytest.raises(UserError, match="'book' needs 'feed'; expected a part of the config for it"):
        factory.create({"book": {}})
    with pytest.raises(UserError, match="the config of 'feed' is 5; expected a mapping"):
        factory.create({"feed": 5})  # type: ignore[dict-item]
    factory.register("one", lambda _config, *, two: two)
    factory.register("two", lambda _config, *, one: one)
    with pytest.raises(UserError, match="circle: one needs two needs one"):
        factory.create({"one": {}, "two": {}})


def test_our_components_go_into_a_bots_own_factory() -> None:
    class Own:
        def __init__(self) -> None:
            self.builders: dict[str, Callable[..., Any]] = {}

        def register(self, name: str, builder: Callable[..., Any]) -> None:
            self.builders[name] = builder

    own = Own()
    register(own)
    assert set(own.builders) == {"data_ingestor", "tick_store", "live_bars"}
    ingestor = own.builders["data_ingestor"]({"symbol": "ETH/USDT:USDT"})
    assert isinstance(ingestor, DataIngestor)
    assert own.builders["tick_store"]({}, data_ingestor=ingestor) is ingestor.ticks


def test_ours_fit_together_in_our_factory() -> None:
    factory = ComponentFactory()
    register(factory)
    made = factory.create({"live_bars": {"interval": "1s"}, "tick_store": {}, "data_ingestor": {}})
    assert list(made) == ["data_ingestor", "live_bars", "tick_store"]
    assert made["live_bars"].interval == "1s"
