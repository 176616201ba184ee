"""Every fault of the simulator on every market: noticed in time, told by its name, mended without help.

One line a fault. `docs/faults.md` has what was measured; `FAULT_TABLE_REPORT=<file>` measures again.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from collector.events.notices import State
from collector.simulator.faults.faults import fault_names

sys.path.insert(0, str(Path(__file__).parent))
from rig import MARKETS, Market, wait_until
from scene import (
    ANSWER_S,
    HEARTBEAT_S,
    STALE_S,
    TICK_S,
    Act,
    Counted,
    Fault,
    Harmless,
    Hole,
    Merged,
    Outcome,
    Refused,
    Scene,
    play,
    said,
    write_down,
)

DOCS = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
AT_ONCE_S = TICK_S
SILENT_S = 2 * HEARTBEAT_S + TICK_S
STALE_AFTER_S = STALE_S + ANSWER_S + TICK_S
REST_S = 2.0
ALL = ("bybit", "binance", "kraken", "okx")
# OKX repeats a book that does not change after a minute: before that, silence means nothing there.
ASKED_WHEN_SILENT = ("bybit", "binance", "kraken")


def every(outcome: Outcome) -> Mapping[str, Outcome]:
    return dict.fromkeys(ALL, outcome)


def hole(*causes: str, on: tuple[str, ...] = ALL) -> Mapping[str, Outcome]:
    return dict.fromkeys(on, Hole(causes))


# A message is missing: numbers tell it, or the checksum.
GAP = {**hole("sequence_gap", on=("bybit", "binance", "okx")), "kraken": Hole(("checksum",))}
UNPROVEN = hole("checksum", on=("kraken",))
CUT = every(Hole(("disconnect",), whole_connection=True))
MARKETS_LATER = every(said(State.DISCONNECTED))
BY_REST = {"binance": Hole(("sequence_gap",))}


def at_exchange(act: str, *arguments: object, **more: object) -> Act:
    """Have it happen to all connections of the exchange."""
    return lambda scene: getattr(scene.faults, act)(scene.exchange, *arguments, **more)


def at_market(act: str, *arguments: object) -> Act:
    """Have it happen to the victim's market."""
    return lambda scene: getattr(scene.faults, act)(scene.exchange, scene.victim, *arguments)


def in_book(act: str, **more: object) -> Act:
    """Have it happen to the victim's book."""
    return lambda scene: getattr(scene.faults, act)(*scene.book, **more)


def then(*acts: Act) -> Act:
    """Do one thing after the other."""

    def inflict(scene: Scene) -> None:
        for act in acts:
            act(scene)

    return inflict


def another_row(scene: Scene) -> None:
    scene.rig.wait_until_verified(scene.rig.written(scene.victim) + 1)


def until_refused(scene: Scene) -> None:
    wait_until(lambda: [one for one in scene.states if "429" in one.cause], "refused")


def ask_for_the_victim(scene: Scene) -> None:
    scene.rig.collector.subscribe(scene.exchange, scene.victim)


def enlist_another(scene: Scene) -> None:
    quote = scene.victim.partition("/")[2]
    scene.faults.enlist(scene.exchange, f"DOGE/{quote}")


def in_futures(act: str) -> Act:
    """Have it happen to the victim's market if that is one of futures."""
    return lambda scene: at_market(act)(scene) if ":" in scene.victim else None


CUT_OFF, MISSED = at_exchange("reset"), in_book("drop_frame")


def bad(value: str, part: str, *causes: str) -> Fault:
    """Send an impossible number. Where the frame cannot be read at all, the number that is missing tells."""
    inflict = in_book("bad_number", value=value, part=part)
    return Fault(f"bad_number ({part} {value})", inflict, hole(*causes), AT_ONCE_S)


def at_the_start(name: str, inflict: Act) -> Fault:
    """Have REST fail while the markets are asked for."""
    return Fault(name, inflict, MARKETS_LATER, REST_S, at_start=True)


def of_a_snapshot(name: str, inflict: Act, mend: Act | None = None) -> Fault:
    """Have REST fail when a book asks for its snapshot."""
    return Fault(f"{name} (of a book)", then(inflict, MISSED), BY_REST, AT_ONCE_S, mend=mend)


FAULTS = [
    # Connections
    *(
        Fault(f"close ({code})", at_exchange("close", code=code), CUT, AT_ONCE_S)
        for code in (1000, 1001, 1006, 1011, 1012, 1013, 4000)
    ),
    Fault("reset", CUT_OFF, CUT, AT_ONCE_S),
    Fault("half_open", at_exchange("half_open"), CUT, SILENT_S),
    Fault("accept_silently", then(at_exchange("accept_silently"), CUT_OFF), CUT, AT_ONCE_S),
    Fault("refuse (503)", then(at_exchange("refuse", 503, 3), CUT_OFF), CUT, AT_ONCE_S),
    Fault("refuse (cut off)", then(at_exchange("refuse", 0, 3), CUT_OFF), CUT, AT_ONCE_S),
    Fault("expire", at_exchange("expire"), CUT, AT_ONCE_S),
    Fault(
        "connection_allowance",
        then(at_exchange("connection_allowance", 0), CUT_OFF, until_refused),
        {name: CUT[name] for name in ("binance", "kraken")},  # Bybit says 403: see test_sharding.py
        AT_ONCE_S,
        mend=at_exchange("connection_allowance", 1000),
    ),
    Fault(
        "stall, unstall",
        in_book("stall"),
        hole("stale", on=ASKED_WHEN_SILENT),
        STALE_AFTER_S,
        mend=in_book("unstall"),
    ),
    Fault("latency", at_exchange("latency", 30.0, 5.0), every(Harmless()), AT_ONCE_S),
    Fault("batch_diffs", at_exchange("batch_diffs"), {"binance": Harmless()}, AT_ONCE_S),
    # Subscriptions
    Fault(
        "reject_subscription",
        then(at_exchange("reject_subscription"), ask_for_the_victim),
        every(Refused()),
        AT_ONCE_S,
        late_victim=True,
    ),
    Fault("ignore_subscription", then(at_exchange("ignore_subscription"), CUT_OFF), CUT, AT_ONCE_S),
    Fault("refuse_subscription", then(at_exchange("refuse_subscription"), CUT_OFF), CUT, AT_ONCE_S),
    Fault(
        "message_allowance",
        then(at_exchange("message_allowance", 1), CUT_OFF),
        {"kraken": CUT["kraken"]},
        AT_ONCE_S,
        mend=at_exchange("message_allowance", None),
    ),
    Fault(
        "server_shutdown",
        at_exchange("server_shutdown", 600.0),
        {"binance": said(State.SHUTTING_DOWN)},
        AT_ONCE_S,
    ),
    # Frames
    Fault("raw_frame", at_exchange("raw_frame", "hello"), every(Counted("malformed")), AT_ONCE_S),
    Fault("malformed_frame", at_exchange("malformed_frame"), every(Counted("malformed")), AT_ONCE_S),
    Fault("stray_frame", at_exchange("stray_frame"), every(Harmless()), AT_ONCE_S),
    Fault("deep_frame", at_exchange("deep_frame"), every(Counted("malformed")), AT_ONCE_S),
    Fault("huge_frame", at_exchange("huge_frame", 12_000_000), CUT, AT_ONCE_S),
    Fault("bomb", at_exchange("bomb", 20_000_000), every(Harmless()), AT_ONCE_S),
    Fault("drop_frame", MISSED, GAP, AT_ONCE_S),
    Fault("reorder", in_book("reorder"), GAP, AT_ONCE_S),
    Fault(
        "duplicate_frame",
        in_book("duplicate_frame"),
        {**dict.fromkeys(("bybit", "binance"), Counted("stale", of_the_book=True)), "kraken": Merged()},
        AT_ONCE_S,
    ),
    # Content
    Fault("gap", in_book("gap"), hole("sequence_gap", on=("bybit", "binance", "okx")), AT_ONCE_S),
    Fault("restart", in_book("restart"), hole("restart", on=("bybit",)), AT_ONCE_S),
    bad("NaN", "price", "not_finite", "malformed", "sequence_gap"),
    bad("-1", "price", "out_of_range"),
    bad("1e400", "price", "not_finite", "malformed", "sequence_gap"),
    bad("-1", "size", "out_of_range"),
    # Several: the checksum is of ten levels, and of 100 messages 7 change deeper ones that never come up.
    Fault("corrupt_level", then(*[in_book("corrupt_level")] * 5), UNPROVEN, AT_ONCE_S),
    Fault("corrupt_checksum", in_book("corrupt_checksum"), UNPROVEN, AT_ONCE_S),
    Fault("checksum_without_data", in_book("checksum_without_data"), UNPROVEN, AT_ONCE_S),
    Fault(
        "unchanged_update", in_book("unchanged_update"), {"kraken": Harmless(), "okx": Harmless()}, AT_ONCE_S
    ),
    Fault("two_in_one_frame", in_book("two_in_one_frame"), {"kraken": Harmless()}, AT_ONCE_S),
    Fault("placeholder_trade", in_futures("placeholder_trade"), {"binance": Harmless()}, AT_ONCE_S),
    Fault("status", at_exchange("status"), {"kraken": said(State.MAINTENANCE)}, AT_ONCE_S),
    # Markets
    Fault("crossed_book", at_market("crossed_book"), hole("crossed"), AT_ONCE_S),
    Fault("sweep", at_market("sweep"), every(Harmless()), AT_ONCE_S),
    Fault("clock", lambda scene: scene.faults.clock(5.0), every(Harmless()), AT_ONCE_S),
    Fault(
        "delist",
        at_market("delist"),
        dict.fromkeys(ASKED_WHEN_SILENT, Refused("stale", "refused")),
        2 * STALE_AFTER_S,
    ),
    Fault("enlist", enlist_another, every(Harmless()), AT_ONCE_S),
    Fault("tempo", at_market("tempo", 4.0, 1.0), every(Harmless()), AT_ONCE_S),
    Fault("volume", at_market("volume", 0.1), every(Harmless()), AT_ONCE_S),
    # REST, of the markets
    at_the_start("rest_status (500)", at_exchange("rest_status", 500, 2, body="trouble")),
    at_the_start("rest_status (429)", at_exchange("rest_status", 429, 1, retry_after_s=1)),
    at_the_start("rest_html", at_exchange("rest_html", 2)),
    at_the_start("rest_truncated", at_exchange("rest_truncated", 2)),
    at_the_start("rest_slow", at_exchange("rest_slow", 4.0)),
    Fault(
        "rest_allowance",
        at_exchange("rest_allowance", 0),
        {name: MARKETS_LATER[name] for name in ("binance", "kraken")},  # Bybit's 403: ten minutes
        REST_S,
        mend=at_exchange("rest_allowance", 10_000),
        at_start=True,
        back_within_s=90.0,  # at the end of the minute, as Retry-After said
    ),
    # REST, of the books that need it
    of_a_snapshot("rest_status, 500", at_exchange("rest_status", 500, 2, "depth", "trouble")),
    of_a_snapshot("rest_status, 418", at_exchange("rest_status", 418, 1, "depth", retry_after_s=1)),
    of_a_snapshot("rest_html", at_exchange("rest_html", 2, "depth")),
    of_a_snapshot("rest_truncated", at_exchange("rest_truncated", 2, "depth")),
    of_a_snapshot("rest_slow", at_exchange("rest_slow", 4.0, 1, "depth")),
    of_a_snapshot("rest_empty_book", at_exchange("rest_empty_book", 1, "depth")),
    of_a_snapshot("rest_nothing", at_exchange("rest_nothing", 1, "depth")),
    of_a_snapshot("rest_missing_key", at_exchange("rest_missing_key", "lastUpdateId", 1, "depth")),
    of_a_snapshot("rest_queue", at_exchange("rest_queue", 300.0)),
    of_a_snapshot("rest_ban", at_exchange("rest_ban", 1.0)),
    of_a_snapshot("stale_snapshot", at_market("stale_snapshot"), mend=at_market("stale_snapshot", 0)),
    Fault(
        "snapshot_edge",
        then(at_market("snapshot_edge", 20), MISSED, another_row, at_market("sweep", 30)),
        {"binance": Hole(("sequence_gap", "edge"))},
        AT_ONCE_S,
        mend=at_market("snapshot_edge", None),
    ),
]


LONG = {
    "rest_allowance",  # half a minute: the budget is used up, and must come back
    "connection_allowance",  # seconds of waiting; a storm of connections has its own test
    "stall, unstall",  # likewise: quiet and stalled topics have theirs
    # Variants of a fault that stays in the short form:
    *("close (1000)", "close (1001)", "close (1011)", "close (1012)", "close (1013)", "refuse (cut off)"),
    *("bad_number (price NaN)", "bad_number (size -1)", "rest_html", "rest_truncated", "rest_slow"),
    *("rest_status, 418 (of a book)", "rest_html (of a book)", "rest_truncated (of a book)"),
    *("rest_nothing (of a book)", "rest_empty_book (of a book)", "close (4000)", "rest_status (429)"),
    "bad_number (price 1e400)",
    "refuse_subscription",  # test_refused_for_now.py
}


def cells() -> Iterator[object]:
    """Each fault on each market that has it; the short form has each fault once, spread over the markets."""
    for number, fault in enumerate(FAULTS):
        markets = [market for market in MARKETS if market.exchange in fault.owed]
        for place, market in enumerate(markets):
            is_short = place == number % len(markets) and fault.name not in LONG
            marks = () if is_short else (pytest.mark.proof,)
            yield pytest.param(fault, market, id=f"{fault.name} on {market}", marks=marks)


@pytest.mark.parametrize(("fault", "market"), list(cells()))
def test_what_is_owed_after_a_fault(fault: Fault, market: Market, tmp_path: Path) -> None:
    noticed_s, recovered_s = play(fault, market, tmp_path)
    write_down(fault, market, noticed_s, recovered_s)


def test_the_table_has_every_fault_of_the_simulator() -> None:
    ours = {name for fault in FAULTS for name in re.findall(r"[a-z_]{3,}", fault.name.partition(" (")[0])}
    assert ours == set(fault_names())


def test_the_page_shows_every_fault() -> None:
    page = DOCS.read_text(encoding="utf-8")
    table = page[page.index("<!-- fault table -->") : page.index("<!-- end -->")]
    assert re.findall(r"^\| (\S.*?) \|", table, re.MULTILINE)[1:] == [fault.name for fault in FAULTS]
