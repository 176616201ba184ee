"""A collector that serves, in a process of its own: what it used, and when its bot's callback heard what."""

import threading
import time
from pathlib import Path
from typing import Any, NamedTuple, cast

from bench.book_frames import STYLES
from bench.programs import LOOK_S, READY_TIMEOUT_S, OwnProcess, Setting
from bench.server import BookServer
from collector import L2Update, create_data_ingestor
from collector.database.sqlite_file import use_newest_sqlite
from collector.log.options import LogOptions
from collector.log.output import set_up_logging

LAST_WAIT_S = 5.0
SERVER_THREAD = "http"


class Told(NamedTuple):
    """What the process says of a round."""

    cpu_s: float  # of the whole process
    serving_cpu_s: float  # of the server's thread
    heard: list[tuple[str, int, int]]  # symbol, the exchange's time, by which an update is known, and when


class Served(NamedTuple):
    """What one round took."""

    sent: int
    seconds: float
    cpu_s: float
    serving_cpu_s: float
    took_us: list[float]  # from the exchange's send to the callback, of each update that was heard

    @property
    def per_s(self) -> float:
        """Updates sent in a second: fewer than were to be where the machine was too busy."""
        return self.sent / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU microseconds of the whole process, an update sent."""
        return self.cpu_s / self.sent * 1e6

    @property
    def collecting_us(self) -> float:
        """The same without the server's thread."""
        return (self.cpu_s - self.serving_cpu_s) / self.sent * 1e6


class Serving(OwnProcess):
    """The handle of the process."""

    stop_timeout_s = READY_TIMEOUT_S

    def __init__(self, server: BookServer, folder: Path) -> None:
        self._server = server
        super().__init__(_run, _Bot, Setting(server.style_name, server.symbols, server.endpoints, folder))

    @property
    def url(self) -> str:
        """Where it serves."""
        self._pipe.send("url")
        return cast("str", self._pipe.recv())

    def round(self, updates: int, changed: int, per_s: float) -> Served:
        """Send so many updates evenly, over all symbols in turn."""
        order = {symbol: place for place, symbol in enumerate(self._server.prepare(updates, changed))}
        self._pipe.send("begin")
        self._pipe.recv()
        sent = self._server.release(per_s)
        sent_ns = self._server.sent_ns()
        self._pipe.send(updates)
        told = cast("Told", self._pipe.recv())
        first_ms = sent.last_ms - updates // len(order) + 1
        took = [
            (at_ns - sent_ns[(of_ms - first_ms) * len(order) + order[symbol]]) / 1000
            for symbol, of_ms, at_ns in told.heard
            if of_ms >= first_ms
        ]
        return Served(updates, sent.seconds, told.cpu_s, told.serving_cpu_s, took)


class _Bot:
    """A bot that notes when its callback heard an update."""

    def __init__(self, setting: Setting) -> None:
        self.heard: list[tuple[str, int, int]] = []
        style = STYLES[setting.style]
        self.ingestor = create_data_ingestor(
            {
                "exchange": style.exchange,
                "symbol": list(setting.symbols),
                "db_path": setting.folder / "served.db",
                "endpoints": setting.endpoints._asdict(),
                "serve_port": 0,
                "settings": {"health.lag_s": 3600.0},  # frames have times of their own
            }
        )
        self.ingestor.add_update_callback(self._on_update)

    def _on_update(self, update: L2Update) -> None:
        self.heard.append((update.symbol, update.exchange_ms or 0, time.monotonic_ns()))

    def start(self) -> None:
        if not self.ingestor.start():
            raise RuntimeError(str(self.ingestor.start_failure))

    def stop(self) -> None:
        if not self.ingestor.stop():
            raise RuntimeError(f"the collector lost something: {self.ingestor.report}")

    def used_s(self) -> tuple[float, float]:
        """Return the CPU seconds of the process, and those of the server's thread."""
        serving = [one.ident for one in threading.enumerate() if one.name == SERVER_THREAD]
        clocks = [time.pthread_getcpuclockid(ident) for ident in serving if ident is not None]
        return time.process_time(), sum(map(time.clock_gettime, clocks))


def _run(make: type[_Bot], setting: Setting, pipe: Any) -> None:
    use_newest_sqlite()
    set_up_logging(LogOptions(level="warning"))
    bot = make(setting)
    bot.start()
    try:
        while len({symbol for symbol, _, _ in bot.heard}) < len(setting.symbols):
            time.sleep(LOOK_S)
        pipe.send("ready")
        while (order := pipe.recv()) is not None:
            pipe.send(bot.ingestor.serve_url if order == "url" else _round(bot, pipe))
    finally:
        bot.stop()


def _round(bot: _Bot, pipe: Any) -> Told:
    bot.heard.clear()
    before_s, serving_before_s = bot.used_s()
    pipe.send("begun")
    updates = pipe.recv()
    deadline_s = time.monotonic() + LAST_WAIT_S
    while len(bot.heard) < updates and time.monotonic() < deadline_s:
        time.sleep(LOOK_S)
    after_s, serving_after_s = bot.used_s()
    return Told(after_s - before_s, serving_after_s - serving_before_s, list(bot.heard))
