"""A real collector on simulated exchanges, asked over HTTP: well, cut off, wedged, drained; in a bot."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from collector.bot import create_data_ingestor
from collector.events.notices import PotentialHalt
from collector.serve.server import Server
from collector.serve.shown import ShownCollector
from collector.serve.wiring import server_of
from collector.settings import ServeSettings, load_settings
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parents[1] / "whole_path"))
from rig import BTC, Rig, running, wait_until

ON = ServeSettings(port=0)
PASSWORD = "pp-Word-0123456789"


def get(server: Server, path: str) -> tuple[int, Any]:
    assert server.url is not None
    return get_url(server.url, path)


def get_url(url: str, path: str) -> tuple[int, Any]:
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=30.0)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@contextmanager
def served(rig: Rig) -> Iterator[Server]:
    settings = rig.settings.model_copy(update={"serve": ON})
    server = server_of(settings, rig.collector, by_default=True)
    assert server is not None
    assert server.start()
    try:
        yield server
    finally:
        server.close()


def state_is(server: Server, wanted: str) -> bool:
    return bool(get(server, "/health")[1]["status"] == wanted)


def test_a_collector_turns_degraded_and_well_again(tmp_path: Path) -> None:
    with (
        Simulator(symbols={"bybit": [BTC], "kraken": ["BTC/USD"]}, updates_per_s=20.0) as simulator,
        running_two(simulator, tmp_path) as rig,
        served(rig) as server,
    ):
        wait_until(lambda: state_is(server, "healthy"), "healthy")
        status, body = get(server, "/health")
        assert (status, body["phase"], body["reasons"]) == (200, "running", [])
        assert (
            body["parts"]["streams"] | {"status": "healthy", "asked_for": 2, "verified": 2}
            == body["parts"]["streams"]
        )
        simulator.faults.refuse("kraken", count=100_000)
        simulator.faults.close("kraken")
        wait_until(lambda: state_is(server, "degraded"), "degraded")
        status, body = get(server, "/health")
        assert status == get(server, "/ready")[0] == get(server, "/live")[0] == 200
        assert body["parts"]["streams"]["verified"] == 1
        assert "kraken BTC/USD book.25 is" in body["parts"]["streams"]["reason"]
        simulator.calm()
        wait_until(lambda: state_is(server, "healthy"), "healthy again")


@contextmanager
def running_two(simulator: Simulator, folder: Path) -> Iterator[Rig]:
    kraken = simulator.endpoints("kraken")
    rig = Rig(
        simulator,
        str(folder / "live.db"),
        [BTC],
        exchanges__kraken__symbols=["BTC/USD"],
        exchanges__kraken__channels=["book.25"],
        exchanges__kraken__endpoints=kraken,
        health__every_s=0.1,
        stream__backoff_max_s=0.2,
    )
    rig.collector.start()
    try:
        yield rig
    finally:
        rig.collector.stop()


def test_only_a_wedged_loop_is_not_alive_and_it_is_told_by_another_loop(tmp_path: Path) -> None:
    wedged, over = threading.Event(), threading.Event()

    def wedge() -> None:
        wedged.set()
        over.wait(60.0)

    with (
        running(
            tmp_path / "live.db", [BTC], health__every_s=0.1, health__wedged_after_s=2.0, updates_per_s=20.0
        ) as rig,
        served(rig) as server,
    ):
        wait_until(lambda: get(server, "/live")[0] == 200, "alive")
        caller = threading.Thread(target=rig.collector.stream.call, args=(wedge, 60.0))
        caller.start()
        try:
            assert wedged.wait(30.0)
            began_s = time.monotonic()
            wait_until(lambda: get(server, "/live")[0] == 503, "wedged")
            assert time.monotonic() - began_s > 0.4  # it turns every second
            wait_until(lambda: get(server, "/ready")[0] == 503, "not ready")
            assert "has not turned" in get(server, "/health")[1]["parts"]["collecting"]["reason"]
        finally:
            over.set()
            caller.join()
        wait_until(lambda: get(server, "/live")[0] == get(server, "/ready")[0] == 200, "alive again")


def test_a_threshold_raises_one_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.health.alarms.STARTS_WITHIN_S", 0.3)
    heard: list[PotentialHalt] = []
    with Simulator(symbols={"bybit": [BTC]}, updates_per_s=20.0) as simulator:
        limits = {"health__every_s": 0.1, "health__memory_bytes": 65_536}
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC], **limits)
        rig.collector.events.attach(PotentialHalt, heard.append)  # before there can be one
        rig.collector.start()
        try:
            with served(rig) as server:
                wait_until(lambda: heard, "an alarm")
                after = rig.collector.monitor.latest.at_ns
                wait_until(lambda: rig.collector.monitor.latest.at_ns > after + 500_000_000, "more checks")
                assert state_is(server, "degraded")
                _, body = get(server, "/ready")
        finally:
            rig.collector.stop()
    assert [one.code for one in heard] == ["health_memory"]
    assert "more than 65,536" in body["parts"]["memory"]["reason"]


def test_answers_wait_for_no_lock_of_the_path(tmp_path: Path) -> None:
    """Who asks gets what was found last, though buffer, writer and bus are all held."""
    with (
        running(tmp_path / "live.db", [BTC], health__every_s=0.1, updates_per_s=20.0) as rig,
        served(rig) as server,
    ):
        wait_until(lambda: state_is(server, "healthy"), "healthy")
        collector = rig.collector
        with (
            collector.buffer._lock,
            collector.writer.balance._lock,
            collector.writer._queue._lock,
            collector.stream._lock,
            collector.events._lock,
        ):
            statuses = [get(server, path)[0] for path in ("/live", "/ready", "/health")]
            assert statuses == [200, 200, 200]
            assert server.url is not None
            with urlopen(f"{server.url}/metrics", timeout=30.0) as answer:
                assert b"messages_received_total" in answer.read()


def test_secrets_of_the_settings_are_masked(tmp_path: Path) -> None:
    with Simulator() as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC])
        url = f"postgresql://collector:{PASSWORD}@127.0.0.1/x"
        shown = ShownCollector(
            rig.collector, load_settings(overrides={"database.url": url}, environ={}, env_file=None).secrets()
        )
        assert shown.masked(f"refused: {url}") == "refused: postgresql://collector:****@127.0.0.1/x"


def test_before_the_start_it_is_alive_and_not_ready(tmp_path: Path) -> None:
    with Simulator(updates_per_s=20.0) as simulator:
        rig = Rig(simulator, str(tmp_path / "live.db"), [BTC])
        with served(rig) as server:
            assert get(server, "/live") == (200, {"status": "healthy"})
            assert get(server, "/ready")[1]["phase"] == "starting"
            rig.collector.start()
            wait_until(lambda: get(server, "/ready")[0] == 200, "ready")
            rig.collector.stop()
            status, body = get(server, "/ready")
            assert (status, body["phase"]) == (503, "stopping")
            assert get(server, "/live")[0] == 200


def test_a_bot_serves_only_if_it_is_told_a_port(tmp_path: Path) -> None:
    with Simulator(updates_per_s=20.0) as simulator:
        config = {
            "symbol": BTC,
            "db_path": tmp_path / "bot.db",
            "endpoints": simulator.endpoints("bybit"),
            "settings": {"health.every_s": 0.1},
        }
        with create_data_ingestor(config) as quiet:
            assert quiet.serve_url is None
        with create_data_ingestor({**config, "serve_port": 0}) as bot:
            url = bot.serve_url
            assert url is not None
            wait_until(lambda: get_url(url, "/health")[1]["status"] == "healthy", "healthy")
        assert bot.serve_url is None
        with pytest.raises(ConnectionRefusedError):
            get_url(url, "/live")
