"""What /live, /ready and /health say in each state of a collector."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from collector.serve.access import Access
from collector.serve.shown import Phase

sys.path.insert(0, str(Path(__file__).parent))
from serve_rig import BOOK, FACTS, TOKEN, MadeUp, ask, checked_of, serving

DEGRADED = replace(FACTS, streams=(BOOK, replace(BOOK, state="syncing")))
UNHEALTHY = replace(FACTS, streams=(replace(BOOK, state="down"),))
STATES = [
    ("healthy", MadeUp(), (200, 200, 200), "healthy"),
    ("degraded", MadeUp(latest=checked_of(DEGRADED)), (200, 200, 200), "degraded"),
    ("unhealthy", MadeUp(latest=checked_of(UNHEALTHY)), (200, 503, 503), "unhealthy"),
    ("before the first check", MadeUp(latest=None, checked_ago_s=None), (200, 503, 503), "unhealthy"),
    ("starting", MadeUp(phase=Phase.STARTING, latest=None), (200, 503, 503), "unhealthy"),
    ("draining", MadeUp(phase=Phase.STOPPING, loop_silent_s=99.0), (200, 503, 503), "unhealthy"),
    ("the loop is a little late", MadeUp(loop_silent_s=29.0), (200, 200, 200), "healthy"),
    ("the loop is wedged", MadeUp(loop_silent_s=31.0), (503, 200, 200), "healthy"),
    ("the thread ended", MadeUp(loop_ended=True), (503, 200, 200), "healthy"),
    ("nobody checks any more", MadeUp(checked_ago_s=11.0), (200, 503, 503), "unhealthy"),
]


@pytest.mark.parametrize(
    ("shown", "statuses", "word"), [one[1:] for one in STATES], ids=[one[0] for one in STATES]
)
def test_a_state_has_its_status(shown: MadeUp, statuses: tuple[int, int, int], word: str) -> None:
    with serving(shown) as port:
        live, ready, health = (ask(port, path) for path in ("/live", "/ready", "/health"))
    assert (live.status, ready.status, health.status) == statuses
    assert live.json == {"status": "healthy" if statuses[0] == 200 else "unhealthy"}
    assert health.json["status"] == ready.json["status"] == word
    assert bool(health.json["reasons"]) == (word != "healthy")


def test_health_names_each_part_with_its_state_reason_and_figures() -> None:
    with serving(MadeUp(latest=checked_of(DEGRADED))) as port:
        body = ask(port, "/health").json
    assert body["parts"]["streams"] == {
        "status": "degraded",
        "reason": "bybit BTC/USDT book.50 is syncing",
        "asked_for": 2,
        "verified": 1,
    }
    assert {"database", "spool", "housekeeping", "disk", "memory", "cpu", "clock", "exchange bybit"} <= set(
        body["parts"]
    )
    assert (body["since_s"], body["checked_s_ago"]) == (7.2, 0.2)


def test_no_reason_tells_a_secret() -> None:
    """An error of a driver may hold what it was given."""
    refusing = replace(FACTS, database_error=f"no access with {TOKEN}")
    with serving(MadeUp(latest=checked_of(refusing))) as port:
        answer = ask(port, "/health")
    assert answer.json["reasons"] == ["database: it refuses: no access with ****"]
    assert TOKEN.encode() not in answer.raw


def test_who_asks_for_the_head_gets_it() -> None:
    with serving() as port:
        answer = ask(port, "/live", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


def test_a_stranger_is_told_a_word_and_no_more() -> None:
    """A probe from outside knows neither the server's name nor a token."""
    with serving(access=Access("0.0.0.0", token=TOKEN)) as port:
        live, ready = ask(port, "/live", host="10.1.2.3"), ask(port, "/ready", host="pod.example:8000")
        without = ask(port, "/ready", host="localhost")
        known = ask(port, "/ready", f"Authorization: Bearer {TOKEN}")
    assert live.json == ready.json == without.json == {"status": "healthy"}
    assert "parts" in known.json
