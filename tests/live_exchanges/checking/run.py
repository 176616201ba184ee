"""Check places, exchanges side by side, the places of one exchange one after the other."""

import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from checking import books_check, frames_check, rates, stored
from checking.finding import Finding, counted
from checking.places import Place, unreachable
from checking.recording import Recording, recording, seams
from checking.session import Seen, Session
from collector.errors import CollectorError, StreamError
from collector.network.markets import Markets, load_markets
from collector.version import __version__

Verdict = Literal["ok", "DIFFERENT", "SKIPPED"]
MARKETS_TIMEOUT_S = 30.0
BLOCKED = {403: "refuses this address", 451: "does not serve this country"}
FRAMES = "{exchange}-{kind}-{environment}.jsonl.gz"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one place."""

    place: Place
    verdict: Verdict
    why: str  # it was skipped
    checked: tuple[str, ...]
    findings: tuple[Finding, ...]
    seconds: float
    frames: str = ""  # the file that they are in

    @property
    def differences(self) -> list[Finding]:
        """Return the findings that are no mere notes."""
        return [one for one in self.findings if not one.is_note]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        findings = [{"name": one.name, "detail": one.detail, "note": one.is_note} for one in self.findings]
        place = self.place
        return {
            "exchange": place.exchange,
            "market": place.kind,
            "environment": place.environment,
            "verdict": self.verdict,
            "skipped_because": self.why,
            "checked": list(self.checked),
            "findings": findings,
            "seconds": round(self.seconds, 1),
            "frames": self.frames,
        }


def run(
    places: Sequence[Place], folder: Path, seconds: float, on_result: Callable[[Result], None]
) -> list[Result]:
    """Check all places and return what was found, in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    by_exchange: dict[str, list[Place]] = {}
    for place in places:
        by_exchange.setdefault(place.exchange, []).append(place)

    def check_all(some: Sequence[Place]) -> list[Result]:
        results = []
        for place in some:
            results.append(check(place, folder, seconds))
            on_result(results[-1])
        return results

    with seams(), ThreadPoolExecutor(max(1, len(by_exchange))) as pool:
        found = {one.place: one for some in pool.map(check_all, by_exchange.values()) for one in some}
    return [found[place] for place in places]


def check(place: Place, folder: Path, seconds: float) -> Result:
    """Check one place; skipped where it cannot be reached."""
    began_s = time.monotonic()
    why = unreachable(place)
    if why is not None:
        return Result(place, "SKIPPED", why, (), (), time.monotonic() - began_s)
    findings: list[Finding] = []
    checked: list[str] = []
    with recording(place.exchange) as recorded:
        try:
            seen = _collect(place, recorded, seconds)
            findings += judge(seen)
            checked += _checked(seen)
        except StreamError as error:
            status = {line.status for line in recorded.of("http")} & BLOCKED.keys()
            if status:
                text = f"answers {(code := status.pop())}: {BLOCKED[code]}"
                return Result(place, "SKIPPED", text, (), (), time.monotonic() - began_s)
            findings.append(Finding("market list", str(error)))
        except (CollectorError, TimeoutError) as error:
            findings.append(Finding("the check itself failed", f"{type(error).__name__}: {error}"))
        except Exception:  # noqa: BLE001  (one place must not end the others; the report has all of it)
            findings.append(Finding("the check itself failed", traceback.format_exc()))
    together = tuple(sorted(counted(findings), key=lambda one: (one.is_note, one.name)))
    name = FRAMES.format(exchange=place.exchange, kind=place.kind, environment=place.environment)
    recorded.write(folder / name, _header(place, seconds))
    verdict: Verdict = "DIFFERENT" if any(not one.is_note for one in together) else "ok"
    took_s = time.monotonic() - began_s
    return Result(place, verdict, "", tuple(checked), together, took_s, str(folder / name))


def _collect(place: Place, recorded: Recording, seconds: float) -> Seen:
    markets: Markets = load_markets(place.source, MARKETS_TIMEOUT_S)
    missing = list(stored.listed(place, markets.by_symbol))
    with tempfile.TemporaryDirectory(prefix="live-check-") as scratch:
        session = Session(place, markets, recorded, Path(scratch) / "live.db", seconds)
        seen = session.run()
    seen.findings += missing
    return seen


def judge(seen: Seen) -> list[Finding]:
    """Return all that is different from what is known."""
    place, lines = seen.place, list(seen.recording.lines)
    frames = [line for line in lines if line.what == "recv"]
    markets = {symbol: seen.markets.by_symbol[symbol] for symbol in place.symbols}
    return [
        *seen.findings,
        *frames_check.forms(place, frames),
        *frames_check.refusals(place, frames),
        *frames_check.pings(place, lines),
        *frames_check.bars(place, frames, markets),
        *books_check.depths(place, lines),
        *books_check.steps(place, lines, markets),
        *rates.rates(place, frames, seen.steady_ns, markets[place.symbols[0]]),
        *stored.identity(seen),
        *stored.rows(seen),
        *stored.covered(seen),
    ]


def _checked(seen: Seen) -> list[str]:
    counts, report = seen.recording.counts(), seen.report
    exact = "identity exact" if report is not None and report.exact else "identity not exact"
    rows = 0 if seen.audit is None else seen.audit.rows
    return [
        f"{', '.join(seen.place.channels)} of {' and '.join(seen.place.symbols)}",
        f"{counts['recv']} frames, {counts['http'] + counts['rest']} REST answers",
        *seen.done,
        f"{exact}, {rows} rows verified",
    ]


def _header(place: Place, seconds: float) -> dict[str, object]:
    return {
        "format": 2,
        "exchange": place.exchange,
        "market": place.kind,
        "environment": place.environment,
        "symbols": list(place.symbols),
        "channels": list(place.channels),
        "seconds": seconds,
        "recorded_by": f"collector {__version__}, make live",
    }
