"""`doctor` says what stands in the way, and what to do about it."""

import json
import re
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.cli.commands.doctor import exchanges, machine, storage
from collector.cli.commands.doctor.check_result import CheckResult
from collector.database.file_lock import WriterLock
from collector.network.markets import Source
from collector.network.probe import ClockAnswer
from collector.settings import load_settings
from collector.settings.model import DatabaseSettings
from collector.simulator import Simulator
from collector.sinks.sql.sink import SqlSink

sys.path.insert(0, str(Path(__file__).parent))
from program import BTC, Run, config


def by_name(found: Iterator[CheckResult] | list[CheckResult]) -> dict[str, CheckResult]:
    return {one.name: one for one in found}


def settings_of(simulator: Simulator, name: str = "bybit", **environ: str) -> Any:
    overrides: dict[str, object] = {f"exchanges.{name}.symbols": "BTC/USD" if name == "kraken" else BTC}
    overrides[f"exchanges.{name}.channels"] = "bbo"
    for side, url in simulator.endpoints(name).items():
        overrides[f"exchanges.{name}.endpoints.{side}"] = url
    return load_settings(overrides=overrides, environ=environ, env_file=None).exchanges[name]


def test_all_is_well_on_a_sound_machine(run: Run, tmp_path: Path, simulator: Simulator) -> None:
    words = ("doctor", "--config", config(tmp_path, simulator))
    shown = run(*words)
    assert shown.returncode == 0, shown.stdout
    told = {line.split()[1] for line in shown.stdout.splitlines()}
    assert {"python", "sqlite", "disk", "database", "configuration", "kernel", "memory", "bybit"} <= told
    assert "0 in the way" in shown.stdout
    machine_read = json.loads(run(*words, "--json").stdout)
    assert machine_read["ok"]
    names = {one["name"] for one in machine_read["verdicts"]}
    assert {"bybit REST", "bybit clock", "bybit websocket", "bybit credentials"} <= names


def test_what_stands_in_the_way_is_told_at_once_and_with_advice(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("exchanges: {bybit: {symbols: [BTC/USDT:USDT], chanels: [trade]}}")
    shown = run("doctor", "--config", "bad.yaml", "--db", "no/such/live.db")
    assert shown.returncode == 1
    assert "chanels" in shown.stdout
    assert "python run.py config check" in shown.stdout
    shown = run("doctor", "--offline", "--symbols", BTC, "--db", "no/such/live.db")
    assert shown.returncode == 1
    assert "does not exist; create it first" in shown.stdout


@pytest.mark.parametrize("name", ["bybit", "binance", "kraken"])
def test_an_exchange_is_asked_for_its_time_and_dialled(name: str) -> None:
    with Simulator(symbols={name: ["BTC/USD" if name == "kraken" else "BTC/USDT"]}) as running:
        found = by_name(exchanges.exchange(name, settings_of(running, name)))
    assert [found[f"{name} {what}"].level for what in ("REST", "clock", "websocket")] == ["ok"] * 3
    assert found[f"{name} credentials"].level == "skip"


def test_a_clock_that_is_off_is_told() -> None:
    with Simulator(symbols={"bybit": [BTC]}) as running:
        running.faults.clock(-60.0)
        found = by_name(exchanges.exchange("bybit", settings_of(running)))
    assert found["bybit clock"].level == "warn"
    (off_s,) = re.findall(r"is (\d+\.\d+) s ahead", found["bybit clock"].found)
    assert float(off_s) == pytest.approx(60.0, abs=5.0)  # known to half of the time that the answer took
    assert "ahead of bybit" in found["bybit clock"].found
    assert "chrony" in found["bybit clock"].advice


def test_a_clock_that_tells_whole_seconds_is_not_taken_for_one_that_is_off() -> None:
    for off_s, level in ((0.0, "ok"), (60.0, "warn")):
        with Simulator(symbols={"kraken": ["BTC/USD"]}) as running:
            running.faults.clock(off_s)
            found = by_name(exchanges.exchange("kraken", settings_of(running, "kraken")))["kraken clock"]
        assert found.level == level
        assert found.found.startswith("kraken tells whole seconds: this machine")
        assert ("agrees with that, to within 1." in found.found) == (level == "ok"), found.found
        assert ("give or take 0." in found.found) == (level == "warn"), found.found


@pytest.mark.parametrize(
    ("ahead_s", "step_s", "told"),
    [
        (0.4, 1.0, "kraken tells whole seconds: this machine's clock agrees with that, to within 1.1 s"),
        (-0.9, 1.0, "kraken tells whole seconds: this machine is 0.90 s ahead of kraken, give or take 0.6 s"),
        (0.04, 0.001, "this machine is 0.04 s behind kraken"),
    ],
)
def test_how_far_off_a_clock_is_is_said_as_far_as_it_is_known(
    ahead_s: float, step_s: float, told: str
) -> None:
    assert exchanges._beside("kraken", ClockAnswer(0.1, ahead_s, step_s)) == told


def test_a_simulator_that_does_not_run_is_named_where_an_address_is_of_this_machine() -> None:
    with Simulator(symbols={"bybit": [BTC]}) as running:
        settings = settings_of(running)
    found = by_name(exchanges.exchange("bybit", settings))
    for name in ("bybit REST", "bybit websocket"):
        assert "python run.py simulate" in found[name].advice
    assert exchanges._advice(None) == exchanges._advice("https://api.bybit.com") == exchanges.NETWORK_ADVICE


def test_an_exchange_out_of_reach_is_told() -> None:
    with Simulator(symbols={"bybit": [BTC]}) as running:
        settings = settings_of(running)
    found = by_name(exchanges.exchange("bybit", settings))
    assert found["bybit REST"].level == found["bybit websocket"].level == "fail"
    assert found["bybit clock"].level == "skip"


class Keys(BaseHTTPRequestHandler):
    """Bybit's answer about a key: https://bybit-exchange.github.io/docs/v5/user/apikey-info."""

    def do_GET(self) -> None:
        answers = {
            "reads": {"retCode": 0, "retMsg": "OK", "result": {"readOnly": 1}},
            "trades": {"retCode": 0, "retMsg": "OK", "result": {"readOnly": 0}},
        }
        wrong = {"retCode": 10003, "retMsg": "API key is invalid.", "result": {}}
        body = json.dumps(answers.get(self.headers["X-BAPI-API-KEY"], wrong)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def asked() -> Iterator[Callable[[str], CheckResult]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def asked(key: str) -> CheckResult:
        settings = load_settings(
            overrides={
                "exchanges.bybit.symbols": BTC,
                "exchanges.bybit.endpoints.rest": f"http://127.0.0.1:{server.server_port}",
                "exchanges.bybit.endpoints.ws": f"ws://127.0.0.1:{server.server_port}",
            },
            environ={"BYBIT_API_KEY": key, "BYBIT_API_SECRET": "a-secret-1"},
            env_file=None,
        )
        return by_name(exchanges.exchange("bybit", settings.exchanges["bybit"]))["bybit credentials"]

    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("key", "level"), [("reads", "ok"), ("trades", "warn"), ("wrong-key-1", "fail")])
def test_a_key_is_checked_by_a_signed_request(
    asked: Callable[[str], CheckResult], key: str, level: str
) -> None:
    found = asked(key)
    assert found.level == level
    assert "a-secret-1" not in found.found + found.advice
    assert "wrong-key-1" not in found.found


def test_a_key_goes_nowhere_but_to_its_exchange() -> None:
    with Simulator(symbols={"kraken": ["BTC/USD"]}) as running:
        settings = settings_of(running, "kraken", KRAKEN_API_KEY="abcdefgh", KRAKEN_API_SECRET="abcdefgh")
        found = by_name(exchanges.exchange("kraken", settings))["kraken credentials"]
    assert found.level == "skip"
    assert "replaced" in found.found


def test_keys_of_an_exchange_that_nobody_wrote_a_folder_for_are_not_checked_and_it_says_why() -> None:
    settings = load_settings(
        overrides={"exchanges.gate.symbols": ["BTC/USDT"], "exchanges.gate.channels": ["bbo"]},
        environ={"GATE_API_KEY": "abcdefgh", "GATE_API_SECRET": "abcdefgh"},
        env_file=None,
    ).exchanges["gate"]
    source = Source("gate", settings.environment, settings.endpoints, ("spot",))
    found = exchanges._credentials("gate", source, settings)
    assert found.level == "skip"
    assert found.found == "not checked: which request would tell is not known of gate"


def test_a_database_in_use_is_told_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    settings = DatabaseSettings(url=str(path))
    assert storage.database(settings).level == "ok"
    assert "will be made" in storage.database(settings).found
    assert not path.exists()
    sink = SqlSink(str(path))
    sink.open()
    try:
        found = storage.database(settings)
        assert found.level == "warn"
        assert "in use by another collector: process" in found.found
    finally:
        sink.close()
    assert storage.database(settings).level == "ok"
    with WriterLock(path):  # and it was let go of
        pass


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is a letter, not a database\n" * 50)
    found = storage.database(DatabaseSettings(url=str(tmp_path / "x.db")))
    assert found.level == "fail"
    assert "not a database" in found.found


def test_a_schema_of_a_newer_version_is_told(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    sink = SqlSink(str(path))
    sink.open()
    sink.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE collector_alembic_version SET version_num = '0001'")
    connection.close()
    found = storage.database(DatabaseSettings(url=str(path)))
    assert found.level == "ok"
    assert "will be brought there at the start" in found.found


def test_a_server_behind_is_told_with_the_command(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "SLOW_ANSWER_S", 60.0)  # a busy machine's answer is late, and told so
    found = storage.database(DatabaseSettings(url=empty_postgres_url))
    assert found.level == "fail"
    assert "migrate up" in found.advice
    assert storage.database(DatabaseSettings(url=empty_postgres_url, auto_migrate=True)).level == "ok"
    wrong = sa.make_url(empty_postgres_url).set(database="nothing").render_as_string(hide_password=False)
    found = storage.database(DatabaseSettings(url=wrong))
    assert found.level == "fail"
    assert "does not exist" in found.found


def test_a_full_buffer_larger_than_the_memory_is_told() -> None:
    assert machine.memory(1000, 10).level == "ok"
    assert machine.memory(10_000_000_000, 10).level == "warn"


def test_a_disk_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    assert {one.level for one in machine.disk(tmp_path)} == {"ok"}
    assert list(tmp_path.iterdir()) == []
    (found,) = machine.disk(tmp_path / "none")
    assert found.level == "fail"
    (found,) = machine.disk(Path("/proc"))
    assert found.level == "fail"
