"""The alarm goes off at the configured number of troubles within the window, exchange by exchange."""

from collector.app.alarm import HaltAlarm
from collector.events.bus import EventBus
from collector.events.notices import PotentialHalt, SegmentChanged, SnapshotFailed, State, SystemState


class Rig:
    def __init__(self, most: int = 3, *, on_status: bool = True) -> None:
        self.bus, self.now_s = EventBus(), 0.0
        self.halts: list[PotentialHalt] = []
        self.bus.attach(PotentialHalt, self.halts.append)
        HaltAlarm(self.bus, most=most, window_s=60.0, on_status=on_status, monotonic_s=lambda: self.now_s)

    def cut(self, exchange: str = "bybit", state: State = State.DISCONNECTED) -> None:
        self.bus.publish(SystemState(exchange, f"{exchange}.0", state, 7, "reset"))

    def doubt(self, cause: str) -> None:
        self.bus.publish(SegmentChanged("bybit", "BTC/USDT", "book.50", 1, 7, False, cause))


def test_troubles_of_all_kinds_count_together() -> None:
    rig = Rig()
    rig.cut()
    rig.doubt("checksum")
    assert rig.halts == []
    rig.bus.publish(SnapshotFailed("bybit", "BTC/USDT", 9, "timeout"))
    reason = "3 critical errors within 60 s, the last: timeout"
    assert rig.halts == [PotentialHalt("bybit", "critical_errors", reason, 9)]


def test_each_exchange_counts_by_itself_and_what_is_long_ago_does_not() -> None:
    rig = Rig()
    for exchange in ("bybit", "kraken", "binance"):
        rig.cut(exchange)
    rig.now_s = 30.0
    rig.cut()
    rig.now_s = 61.0
    rig.cut()
    assert rig.halts == []
    rig.cut()
    assert [halt.exchange for halt in rig.halts] == ["bybit"]


def test_the_next_alarm_takes_as_many_again() -> None:
    rig = Rig(most=2)
    for _ in range(5):
        rig.cut()
    assert len(rig.halts) == 2


def test_what_was_asked_for_or_goes_well_is_no_trouble() -> None:
    rig = Rig(most=1)
    rig.cut(state=State.STOPPED)
    rig.cut(state=State.CONNECTED)
    for cause in ("stop", "unsubscribed", "restart", "disconnect", "no_room"):  # a cut is counted as such
        rig.doubt(cause)
    assert rig.halts == []


def test_an_exchange_that_says_it_is_not_online_alarms_once_until_it_is_again() -> None:
    rig = Rig()
    for state in (State.ONLINE, State.CANCEL_ONLY, State.CANCEL_ONLY, State.ONLINE, State.CANCEL_ONLY):
        rig.cut("kraken", state)
    words = "kraken takes cancellations of orders only"
    assert rig.halts == [PotentialHalt("kraken", "exchange_status", words, 7)] * 2


def test_where_nobody_wants_it_what_an_exchange_says_is_no_alarm() -> None:
    rig = Rig(on_status=False)
    rig.cut("kraken", State.MAINTENANCE)
    assert rig.halts == []
