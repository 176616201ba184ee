"""What must hold of a shared store at any moment, and what at the end: each reader is one that users have."""

from collections import Counter
from typing import Any

import sqlalchemy as sa
from one_collector import BOOK, EXCHANGE, TRADE, Place
from shared_store import Bar, Row, SharedStore

from collector import iter_features, load_features, load_trades
from collector.errors import QueryError
from collector.query.audit import run_audit

Known = tuple[int, int]  # when it was received, and in which segment

_BARS = sa.text(
    "SELECT symbol, open_time, close, received_at_ns, segment_id, 0 AS corrected FROM collector_ohlcv "
    "WHERE confirmed = 1 UNION ALL "
    "SELECT symbol, open_time, close, received_at_ns, segment_id, 1 FROM collector_ohlcv_corrections"
)
_COVERAGE = sa.text(  # one without a row ends as it begins, and claims nothing
    "SELECT symbol, channel, start_ns, alive_until_ns FROM collector_coverage "
    "WHERE rows > 0 OR start_ns < alive_until_ns"
)


class Promises:
    """Remembers what was seen, and holds against it what is seen now."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store
        self._rows: dict[Row, Known] = {}
        self._bars: dict[tuple[str, int], tuple[float, Known]] = {}
        self._iterations: list[Iteration] = []

    def rows(self, place: Place, stream: int) -> None:
        """Read hot and archived rows together: each committed one once, as it was seen before."""
        store = self._store
        wanted = {row for row in store.committed if row[:2] == (place.number, stream)}
        frame = self._loaded(place, stream)
        found = [] if frame is None else self._of(place, stream, frame)
        check(found, wanted, set(store.sent))
        if frame is not None:
            known = zip(frame.index.asi8.tolist(), frame["segment"].astype("int64").tolist(), strict=True)
            for row, now in zip(found, known, strict=True):
                before = self._rows.setdefault(row, now)
                assert before == now, f"{row} was {before} when it was first read, and is {now} now"
                assert now[0] in store.sent[row], f"{row} was never received at {now[0]}"

    def bars(self) -> None:
        """Look at the bars that are over: what was said first stands, what was said otherwise beside it."""
        told = set()
        with self._store.engine.connect() as connection:
            found = connection.execute(_BARS).all()
        for symbol, open_ms, close, *known, is_correction in found:
            told.add(Bar(symbol, open_ms, close))
            if not is_correction:
                now = close, (known[0], known[1])
                before = self._bars.setdefault((symbol, open_ms), now)
                assert before == now, f"bar {symbol} {open_ms} was {before}, and is {now} now"
        assert self._store.bars_committed <= told, f"bars are lost: {self._store.bars_committed - told}"
        repeated = [
            bar for bar, count in Counter((one[0], one[1], one[2]) for one in found).items() if count > 1
        ]
        assert not repeated, f"bars are stored twice: {repeated}"

    def any(self) -> None:
        """Read one thing."""
        store = self._store
        place = store._draw.choice(store.places)
        what = store._draw.randrange(3)
        if what == 2:
            self.bars()
        else:
            self.rows(place, (BOOK, TRADE)[what])

    def begin_iteration(self, place: Place) -> None:
        """Begin to read everything, in pieces."""
        if len(self._iterations) < 2:
            self._iterations.append(Iteration(self._store, place))

    def iterate(self, pieces: int) -> None:
        """Read some pieces more."""
        for one in list(self._iterations):
            if one.read(pieces):
                self._iterations.remove(one)

    def at_the_end(self) -> None:
        """Read all when everything is brought in and moved, and hold the database against itself."""
        store = self._store
        assert not store.hung, "a call could not be broken off"
        self.iterate(10_000)
        stored: set[Row] = set()
        for place in store.places:
            for stream in (BOOK, TRADE):
                self.rows(place, stream)
                frame = self._loaded(place, stream)
                stored.update([] if frame is None else self._of(place, stream, frame))
        self.bars()
        excused = store.lost | store.doubtful | {row for row in store.sent if row.number in store.poison}
        missing = set(store.sent) - stored - excused
        assert not missing, f"{len(missing)} rows are lost: {sorted(missing)[:3]}"
        assert not {row for row in stored if row.number in store.poison}
        self._holes(set(store.sent) - stored)
        for table in dict.fromkeys(place.table for place in store.places):
            audit = run_audit(store.url, table_name=table)
            assert audit.passed, "\n".join(map(str, audit.findings))

    def _holes(self, missing: set[Row]) -> None:
        """Look for what is not stored in what is said to be covered."""
        with self._store.engine.connect() as connection:
            covered = connection.execute(_COVERAGE).all()
        channels = {place.number: place.keys for place in self._store.places}
        for row in sorted(missing):
            _, symbol, channel = channels[row.place][row.stream]
            for at_ns in self._store.sent[row]:
                claims = [
                    one for one in covered if one[:2] == (symbol, channel) and one[2] <= at_ns <= one[3]
                ]
                assert not claims, f"{row}, received at {at_ns}, is not stored, and covered: {claims}"

    def _loaded(self, place: Place, stream: int) -> Any:
        asked: dict[str, Any] = {"exchange": EXCHANGE, "table_name": place.table}
        try:
            if stream == BOOK:
                return load_features(
                    self._store.url, place.book, depth=place.depth, columns=["sequence"], **asked
                )
            return load_trades(self._store.url, place.market, columns=["trade_id"], **asked)
        except QueryError as error:
            if "nothing is stored for" in str(error) or "has no table" in str(error):
                return None
            raise

    def _of(self, place: Place, stream: int, frame: Any) -> list[Row]:
        column = "sequence" if stream == BOOK else "trade_id"
        return [Row(place.number, stream, number) for number in frame[column].astype("int64")]


class Iteration:
    """A reader that takes its time: what was committed when it began is in its pieces, whatever is moved."""

    def __init__(self, store: SharedStore, place: Place) -> None:
        self._store = store
        self._place = place
        self._wanted = {row for row in store.committed if row[:2] == (place.number, BOOK)}
        self._found: list[Row] = []
        self._pieces: Any = iter(())
        if self._wanted:
            self._pieces = iter(
                iter_features(
                    store.url,
                    place.book,
                    exchange=EXCHANGE,
                    depth=place.depth,
                    table_name=place.table,
                    columns=["sequence"],
                    end=store.now_ns + 1,
                )
            )

    def read(self, pieces: int) -> bool:
        """Read some pieces; return whether these were the last, and everything was there."""
        for _ in range(pieces):
            frame = next(self._pieces, None)
            if frame is None:
                check(self._found, self._wanted, set(self._store.sent))
                return True
            numbers = frame["sequence"].astype("int64")
            self._found += [Row(self._place.number, BOOK, number) for number in numbers]
        return False


def check(found: list[Row], wanted: set[Row], sent: set[Row]) -> None:
    """Hold what was read against what is committed, and against what came at all."""
    repeated = [row for row, count in Counter(found).items() if count > 1]
    assert not repeated, f"{len(repeated)} rows came more than once: {repeated[:3]}"
    strangers = set(found) - sent
    assert not strangers, f"{len(strangers)} rows are not of here: {sorted(strangers)[:3]}"
    missing = wanted - set(found)
    assert not missing, f"{len(missing)} of {len(wanted)} committed rows are missing: {sorted(missing)[:3]}"
