"""What befalls all streams of a connection is one line, however many they are."""

from typing import Any

from structlog.testing import capture_logs

from collector.app.connection_log import ConnectionLog
from collector.events.bus import EventBus
from collector.events.notices import Reconnecting, SegmentChanged, State, SystemState

SYMBOLS = [f"C{number}/USDT:USDT" for number in range(200)]
FIRST = "bybit.linear.0"


class Rig:
    """A log on made-up time, and a connection that feeds 200 books."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.events = EventBus()
        self.log = ConnectionLog(monotonic_s=lambda: self.now_s)
        self.log.listen(self.events)
        self.lines: list[dict[str, Any]] = []

    def after(self, seconds: float) -> list[dict[str, Any]]:
        """Let time pass; return what was logged at info and above since the last call."""
        self.now_s += seconds
        with capture_logs() as lines:
            self.log.look()
        told, self.lines = [*self.lines, *lines], []
        return [line for line in told if line["log_level"] != "debug"]

    def publish(self, *events: object) -> None:
        with capture_logs() as lines:
            for event in events:
                self.events.publish(event)
        self.lines += lines

    def begin(self, symbols: list[str], connection: str = FIRST) -> None:
        for symbol in symbols:
            self.publish(
                SegmentChanged("bybit", symbol, "book.50", 1, 1, verified=True, connection=connection)
            )

    def end(self, symbols: list[str], cause: str) -> None:
        for symbol in symbols:
            self.publish(
                SegmentChanged("bybit", symbol, "book.50", 1, 1, False, cause, "why", connection=FIRST)
            )

    def lose(self, failures: int = 0, wait_s: float = 0.5, code: int | None = 1012, cause: str = "") -> None:
        cause = cause or "close_1012"
        self.publish(
            SystemState("bybit", FIRST, State.DISCONNECTED, 1, cause),
            Reconnecting("bybit", FIRST, 1, failures, wait_s, cause, "closed: Service Restart", code, False),
        )

    def connect(self) -> None:
        self.publish(SystemState("bybit", FIRST, State.CONNECTED, 1))


def names(lines: list[dict[str, Any]]) -> list[str]:
    return [line["event"] for line in lines]


def test_two_hundred_streams_that_begin_are_one_line() -> None:
    rig = Rig()
    rig.begin(SYMBOLS)
    assert rig.after(0.5) == []  # more may come
    (line,) = rig.after(0.5)
    assert (line["event"], line["log_level"]) == ("coverage.begun", "info")
    assert (line["connection"], line["streams"]) == (FIRST, 200)
    assert line["of"].startswith("C0/USDT:USDT book.50, C1/USDT:USDT book.50")
    assert line["of"].endswith(" and 192 more")
    assert rig.after(100.0) == []


def test_each_stream_is_a_line_for_those_who_look_closely() -> None:
    rig = Rig()
    rig.begin(SYMBOLS[:1])
    rig.end(SYMBOLS[:1], "sequence_gap")
    assert rig.lines == [
        {
            "event": "stream.verified",
            "log_level": "debug",
            "exchange": "bybit",
            "symbol": "C0/USDT:USDT",
            "channel": "book.50",
        },
        {
            "event": "stream.unverified",
            "log_level": "debug",
            "exchange": "bybit",
            "symbol": "C0/USDT:USDT",
            "channel": "book.50",
            "cause": "sequence_gap",
            "detail": "why",
        },
    ]


def test_two_connections_are_two_lines() -> None:
    rig = Rig()
    rig.begin(SYMBOLS[:3])
    rig.begin(SYMBOLS[3:8], "bybit.linear.1")
    assert [(line["connection"], line["streams"]) for line in rig.after(1.0)] == [
        (FIRST, 3),
        ("bybit.linear.1", 5),
    ]


def test_what_goes_on_beginning_is_logged_now_and_then_ever_more_rarely() -> None:
    rig, told_s, began_s = Rig(), [], 1000.0
    for _ in range(400):
        rig.begin(SYMBOLS[:1])
        if rig.after(0.5):
            told_s.append(round(rig.now_s - began_s))
    assert told_s == [5, 15, 35, 75, 135, 195]


def test_a_lost_connection_is_one_warning_with_what_comes_next() -> None:
    rig = Rig()
    rig.connect()
    rig.begin(SYMBOLS)
    rig.after(1.0)
    rig.end(SYMBOLS, "disconnect")
    rig.now_s += 1.0  # the socket closes slowly
    assert rig.after(0.0) == []
    rig.lose(wait_s=0.4567)
    assert rig.after(0.0) == [
        {
            "event": "connection.lost",
            "log_level": "warning",
            "connection": FIRST,
            "streams": 200,
            "attempt": 1,
            "cause": "close_1012",
            "close_code": 1012,
            "reason": "closed: Service Restart",
            "wait_s": 0.457,
        }
    ]
    rig.now_s += 6.0
    rig.connect()
    rig.begin(SYMBOLS)
    (line,) = rig.after(2.0)
    assert (line["event"], line["streams"], line["attempts"]) == ("coverage.begun", 200, 1)
    assert line["lost_for_s"] == 7.0


def test_attempts_that_fail_are_told_the_first_the_second_the_fourth_and_so_on() -> None:
    rig, told = Rig(), []
    rig.connect()
    rig.begin(SYMBOLS)
    rig.after(1.0)
    for attempt in range(1, 101):
        rig.lose(attempt - 1, cause="refused" if attempt > 1 else "", code=None)
        told += [(line["event"], line["attempt"]) for line in rig.after(60.0)]
    assert told == [
        ("connection.lost", 1),
        *(("connection.failed", attempt) for attempt in (2, 4, 8, 16, 32, 64)),
    ]


def test_a_book_that_is_back_tells_for_how_long_it_was_not_verified() -> None:
    rig = Rig()
    rig.begin(SYMBOLS)
    assert "lost_for_s" not in rig.after(1.0)[0]
    rig.end(SYMBOLS[:1], "sequence_gap")
    rig.after(90.0)
    rig.begin(SYMBOLS[:1])
    (line,) = rig.after(1.0)
    assert (line["streams"], line["lost_for_s"]) == (1, 90.0)
    assert "attempts" not in line


def test_a_hole_is_a_warning_and_the_end_of_what_was_asked_is_not() -> None:
    rig = Rig()
    rig.begin(SYMBOLS)
    rig.after(1.0)
    rig.end(SYMBOLS[:2], "sequence_gap")
    rig.end(SYMBOLS[2:5], "unsubscribed")
    assert [(line["cause"], line["streams"], line["log_level"]) for line in rig.after(1.0)] == [
        ("sequence_gap", 2, "warning"),
        ("unsubscribed", 3, "info"),
    ]


def test_a_stop_is_one_line_a_connection() -> None:
    rig = Rig()
    rig.connect()
    rig.begin(SYMBOLS)
    rig.after(1.0)
    rig.end(SYMBOLS, "stop")
    rig.publish(SystemState("bybit", FIRST, State.STOPPED, 1, "stopped"))
    (line,) = rig.after(0.0)
    assert (line["event"], line["streams"]) == ("connection.closed", 200)
    with capture_logs() as rest:
        rig.log.finish()
    assert rest == []


def test_what_is_held_back_is_logged_at_the_end() -> None:
    rig = Rig()
    rig.begin(SYMBOLS)
    with capture_logs() as lines:
        rig.log.finish()
    assert names(lines) == ["coverage.begun"]


def test_what_an_exchange_says_of_itself_is_a_warning_until_it_is_online() -> None:
    rig = Rig()
    for state in (State.ONLINE, State.MAINTENANCE, State.MAINTENANCE, State.ONLINE, State.ONLINE):
        rig.publish(SystemState("kraken", "kraken.spot.0", state, 1))
    assert [(line["status"], line["log_level"]) for line in rig.after(0.0)] == [
        ("maintenance", "warning"),
        ("online", "info"),
    ]
