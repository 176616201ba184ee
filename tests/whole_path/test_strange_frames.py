"""Frames that nobody asked for: counted, told once each, and the connection goes on."""

import sys
from pathlib import Path

import structlog

from collector.events.batch import UNKNOWN
from collector.events.notices import State, SystemState

sys.path.insert(0, str(Path(__file__).parent))
from rig import BTC, MARKETS, Rig, running, wait_until

KRAKEN = MARKETS[-1]
CCXT_STUMBLES = '{"topic":"wallet","data":7}'


def unknown(rig: Rig) -> dict[str, int]:
    """Count what belongs to no stream, by reason."""
    states = rig.collector.accounting()
    return next(dict(one.rejected) for one in states if one.symbol == UNKNOWN)


def test_a_frame_on_which_ccxt_raises_is_counted_and_the_connection_goes_on(tmp_path: Path) -> None:
    states: list[SystemState] = []
    with running(tmp_path / "live.db", [BTC]) as rig, structlog.testing.capture_logs() as lines:
        rig.collector.events.attach(SystemState, states.append)
        for _ in range(3):
            rig.simulator.faults.raw_frame("bybit", CCXT_STUMBLES)
        wait_until(lambda: unknown(rig) == {"unread_by_ccxt": 3} or states, "three frames")
        before = rig.received(BTC)
        wait_until(lambda: rig.received(BTC) > before + 5, "updates after them")
        assert states == []
        (told,) = [line for line in lines if line["event"] == "frame.rejected"]
        assert (told["reason"], told["frame"]) == ("unread_by_ccxt", CCXT_STUMBLES)
        assert rig.collector.stop().exact
        assert [one["end_cause"] for one in rig.segments(BTC)] == ["stop"]


def test_channels_and_errors_of_kraken_that_nobody_asked_for_are_told_once_each(tmp_path: Path) -> None:
    states: list[SystemState] = []
    with (
        running(tmp_path / "live.db", market=KRAKEN) as rig,
        structlog.testing.capture_logs() as lines,
    ):
        rig.collector.events.attach(SystemState, states.append)
        for text in (
            '{"channel":"level3","type":"update","data":[]}',
            '{"channel":"level3","type":"update","data":[{}]}',
            '{"channel":"instrument","type":"snapshot","data":{}}',
            '{"error":"Malformed request","method":"","success":false}',
        ):
            rig.simulator.faults.raw_frame("kraken", text)
        expected = {"unknown_channel": 3, "exchange_error": 1}
        wait_until(lambda: unknown(rig) == expected, "all four")
        told = [(one["reason"], one["detail"]) for one in lines if one["event"] == "frame.rejected"]
        assert told == [
            ("unknown_channel", "level3"),
            ("unknown_channel", "instrument"),
            ("exchange_error", "Malformed request"),
        ]
        assert [one for one in states if one.state is State.DISCONNECTED] == []
        assert rig.collector.stop().exact
