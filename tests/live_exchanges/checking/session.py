"""Collect at one place with the real collector: begin, observe, leave and join again, be cut off, stop."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from checking.finding import Finding
from checking.places import Place
from checking.recording import Recording
from checking.rest_books import RestBook, RestClient, State, all_compared, state_of
from collector.app.report import Report
from collector.app.wiring import make_collector
from collector.book.verified import Did
from collector.bot.health import reasons_of
from collector.events.market import L2Update
from collector.events.notices import PotentialHalt
from collector.network.markets import Markets
from collector.query.audit import Audit, run_audit
from collector.query.covered import coverage
from collector.settings import Settings, load_settings
from collector.streams.book_stream import BookStream

if TYPE_CHECKING:
    from collector.app.collector import Collector

PATIENCE_S = 30.0  # for streams to begin and to come back
SILENT_WITHIN_S = 10.0  # of leaving a market
LOOK_EVERY_S = 0.02
CALL_TIMEOUT_S = 10.0
REST_BOOKS = 3
MOST_STATES = 5000
LEAST_MARGIN_S, MOST_MARGIN_S = 0.5, 1.5  # around the answer of REST
QUIET_S = 0.5  # without a frame of the market that was left
RESUBSCRIBED = "live_check"  # the cause under which we end a segment on purpose


@dataclass
class Seen:
    """What was seen at one place. Times are in ns."""

    place: Place
    markets: Markets
    recording: Recording
    findings: list[Finding] = field(default_factory=list)
    steady_ns: tuple[int, int] = (0, 0)  # all streams went, and nothing was done to them
    report: Report | None = None
    audit: Audit | None = None
    coverage: pd.DataFrame | None = None
    outage_ns: int = 0  # that we made on purpose
    done: list[str] = field(default_factory=list)  # what was checked, in words

    def find(self, name: str, detail: str, *, is_note: bool = False) -> None:
        """Add a finding."""
        self.findings.append(Finding(name, detail, is_note))


class Session:
    """One run of the collector at one place."""

    def __init__(
        self, place: Place, markets: Markets, recording: Recording, database: Path, seconds: float
    ) -> None:
        self.seen = Seen(place, markets, recording)
        self._place = place
        self._recording = recording
        self._database = database
        self._seconds = seconds
        self._patience_s = max(PATIENCE_S, seconds / 2)
        self._margin_s = min(MOST_MARGIN_S, max(LEAST_MARGIN_S, seconds / 8))
        self._first, self._second = place.symbols
        self._states: deque[State] = deque(maxlen=MOST_STATES)
        self._collector: Collector = make_collector(_settings(place, database, seconds))
        self._collector.events.attach(L2Update, self._keep)
        self._collector.events.attach(PotentialHalt, self._alarmed)
        self._wanted = {(symbol, channel) for symbol in place.symbols for channel in place.channels}

    def run(self) -> Seen:
        """Go through all stages; what goes wrong in one is found, and the next is tried where it can be."""
        self._collector.start()
        try:
            if self._wait_for_all("begin"):
                self._observe(self._seconds * 0.6)
                self._resubscribe()
                self._leave_and_join()
                self._cut()
                self._pause(self._seconds * 0.3)
                self._check_health()
            else:
                self._pause(self._seconds * 0.1)
        finally:
            self._stop()
        self.seen.audit = run_audit(str(self._database))
        self.seen.coverage = coverage(str(self._database))
        return self.seen

    def _keep(self, update: L2Update) -> None:
        if update.symbol == self._first and update.channel == self._place.deepest_book:
            self._states.append(state_of(update))

    def _alarmed(self, halt: PotentialHalt) -> None:
        self.seen.find(f"alarm {halt.code}", f"{halt.symbol or ''} {halt.reason}".strip())

    # The stages.

    def _observe(self, seconds: float) -> None:
        """Let all streams go, and hold the deepest book against REST meanwhile."""
        began_ns = time.time_ns()
        client = RestClient(self._place, self.seen.markets, self._first)
        try:
            answers = list(self._rest_books(client, seconds))
        finally:
            client.close()
        self.seen.steady_ns = began_ns, time.time_ns()
        states, margin_ns = list(self._states), int(self._margin_s * 1e9)
        self.seen.findings += all_compared(answers, states, margin_ns)
        self.seen.done.append(f"{self._place.deepest_book} held against REST {len(answers)} times")

    def _rest_books(self, client: RestClient, seconds: float) -> Iterator[RestBook | Finding]:
        for _ in range(REST_BOOKS):
            until_s = time.monotonic() + seconds / REST_BOOKS
            yield client.book()
            self._pause(max(self._margin_s, until_s - time.monotonic()))

    def _resubscribe(self) -> None:
        """Doubt the deepest book, so that the collector asks for it anew."""
        channel = self._place.deepest_book

        def doubt() -> None:
            for stream in self._book_streams(channel):
                outcome = stream.doubt(RESUBSCRIBED, "asked for anew on purpose")
                if outcome.did is Did.BROKE:
                    stream.on_doubt(stream, outcome)

        began_ns = time.monotonic_ns()
        self._collector.stream.call(doubt, CALL_TIMEOUT_S)
        if self._wait_for_all("come back after it was asked for anew"):
            self.seen.outage_ns += time.monotonic_ns() - began_ns
            self.seen.done.append("book asked for anew")

    def _book_streams(self, channel: str) -> list[BookStream]:
        running = [feed._connections for feed in self._collector.stream.feeds]
        connections = [one for each in running if each is not None for one in each.connections]
        books = [stream for one in connections for stream in one.subscriptions.books]
        return [one for one in books if one.key.symbol == self._first and one.key.channel == channel]

    def _leave_and_join(self) -> None:
        """Unsubscribe the second market, see it fall silent and the first go on, subscribe it again."""
        before = self._gaps()
        self._collector.unsubscribe(self._place.exchange, self._second)
        if not self._wait(self._is_silent, SILENT_WITHIN_S):
            self.seen.find("goes on after unsubscribing", f"{self._second} is still sent")
        if self._gaps() != before:
            self.seen.find("unsubscribing disturbs", f"{self._first} had a gap when {self._second} was left")
        self._collector.subscribe(self._place.exchange, self._second)
        if self._wait_for_all(f"begin again after {self._second} was left"):
            self.seen.done.append("unsubscribed and subscribed again")

    def _is_silent(self) -> bool:
        ids = _names(self.seen.markets, self._second)
        since_ns = time.time_ns() - int(QUIET_S * 1e9)
        latest = self._recording.lines[-2000:]
        return not any(
            line.what == "recv" and line.at_ns > since_ns and any(name in line.text for name in ids)
            for line in latest
        )

    def _cut(self) -> None:
        """Cut all sockets under the collector; it has to come back by itself."""
        connected = self._recording.counts()["connect"]
        cut, began_ns = self._recording.cut(), time.monotonic_ns()
        # Counted by new dials: each comes after the streams of its socket were given up.
        if not self._wait(lambda: self._recording.counts()["connect"] >= connected + cut, self._patience_s):
            self.seen.find("cut not noticed", f"{cut} sockets were cut, and not as many dialled anew")
        if self._wait_for_all("come back after its socket was cut"):
            made, took_ns = self._recording.counts()["connect"] - connected, time.monotonic_ns() - began_ns
            self.seen.outage_ns += took_ns
            text = f"{cut} sockets cut, {made} dialled anew, all back after {took_ns / 1e9:.1f} s"
            self.seen.done.append(text)

    def _check_health(self) -> None:
        for reason in reasons_of(self._collector.view()):
            self.seen.find("not healthy", reason)

    def _stop(self) -> None:
        began_s = time.monotonic()
        self.seen.report = report = self._collector.stop()
        took_s = time.monotonic() - began_s
        for problem in report.problems:
            self.seen.find("stop", problem)
        if self._collector.stream.alive or self._collector.writer.alive:
            self.seen.find("stop", "a thread of the collector still runs")
        if self._recording.open:
            self.seen.find("stop", f"{len(self._recording.open)} sockets are still open")
        self.seen.done.append(f"stopped within {took_s:.1f} s")

    # Waiting.

    def _wait_for_all(self, what: str) -> bool:
        """Wait until every stream is verified; a finding for each that is not in time."""
        began = self._wait(lambda: self._wanted <= self._verified() or self._is_refused(), self._patience_s)
        if began and not self._is_refused():
            return True
        view = self._collector.view()
        for text in (*view.refused, *view.unreached):
            self.seen.find("refused", text)
        causes = {stream.key[1:]: stream.last_cause for stream in view.streams}
        missing = self._wanted - self._verified()
        for symbol, channel in sorted(missing):
            cause = causes.get((symbol, channel)) or "nothing came"
            text = f"{symbol} {channel} did not {what} within {self._patience_s:g} s: {cause}"
            self.seen.find("did not begin", text, is_note=not self._place.is_real)
        self._wanted -= missing
        return not self._place.is_real and bool(self._wanted) and not self._is_refused()

    def _verified(self) -> set[tuple[str, str]]:
        view = self._collector.view()
        return {stream.key[1:] for stream in view.streams if stream.state == "verified"}

    def _is_refused(self) -> bool:
        return bool(self._collector.view().refused)

    def _gaps(self) -> int:
        streams = self._collector.view().streams
        return sum(stream.gaps for stream in streams if stream.key.symbol == self._first)

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        until_s = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until_s:
                return False
            self._pause(LOOK_EVERY_S)
        return True

    def _pause(self, seconds: float) -> None:
        self._collector.wait(seconds)


def _names(markets: Markets, symbol: str) -> set[str]:
    """Return what a market may be called in a frame."""
    market = markets.by_symbol[symbol]
    return {f'"{market["id"]}"', f'"{symbol}"', f'.{market["id"]}"'}


def _settings(place: Place, database: Path, seconds: float) -> Settings:
    section = f"exchanges.{place.exchange}"
    return load_settings(
        overrides={
            f"{section}.environment": place.environment,
            f"{section}.market": place.kind,
            f"{section}.symbols": list(place.symbols),
            f"{section}.channels": list(place.channels),
            f"{section}.endpoints.rest": place.endpoints.rest,
            f"{section}.endpoints.ws": place.endpoints.ws,
            "database.url": str(database),
            "database.auto_migrate": True,
            "stream.heartbeat_s": min(10.0, max(0.5, seconds / 6)),
            "integrity.witness_every_s": max(1.0, seconds / 4),
        },
        environ={},
        env_file=None,
    )
