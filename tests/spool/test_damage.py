"""Whatever page of a spool is damaged: what can be read is brought in, in order."""

import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from one_segment import make_write_set

from collector.errors import SpoolError
from collector.events.batch import StreamKey
from collector.sinks.contract import AccountingState, Receipt, Rows, SessionState, WriteSet
from collector.spool import repair as spool_repair
from collector.spool.file import SpoolFile
from collector.writer.balance import Balance
from collector.writer.queued_write import QueuedWrite
from collector.writer.spool import Spool

PAGE = 4096
BATCHES = 60
NUMBERS = list(range(1, BATCHES + 1))
STREAM = StreamKey("bybit", "BTC/USDT:USDT", "book.50")
SESSION = SessionState("session-1", 1_000, "0", "host", 1, "{}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a spool of small batches, several a page, and of large ones, of several pages each."""
    path = tmp_path_factory.mktemp("whole") / "spool"
    spool = SpoolFile(path, max_bytes=1 << 24, synchronous="OFF")
    spool.open()
    draw = random.Random(7)
    for number in NUMBERS:
        count = 1500 if number % 30 == 0 else 3
        rows = Rows("book", {"sequence": list(range(count)), "price": [draw.random() for _ in range(count)]})
        account = AccountingState("session-1", *STREAM, received=count, written=count)
        spool.append(number, WriteSet(f"batch-{number}", SESSION, (rows,), (), (account,)))
    spool.close()
    return path


def leaves(path: Path) -> list[int]:
    """Return the pages on which entries begin."""
    content = path.read_bytes()
    return [1 + place // PAGE for place in range(0, len(content), PAGE) if content[place] == 0x0D]


def damaged(path: Path, page: int, how: bytes | None = None) -> Path:
    content = bytearray(path.read_bytes())
    noise = random.Random(page).randbytes(PAGE) if how is None else how * (PAGE // len(how))
    content[(page - 1) * PAGE : page * PAGE] = noise
    path.write_bytes(content)
    return path


def drained(path: Path, *, by_name: bool = True) -> Iterator[tuple[int, bool]]:
    """Yield the number of each entry that comes, and whether it is whole; the spool is empty then."""
    spool = SpoolFile(path, max_bytes=1 << 24, synchronous="OFF", by_name=by_name)
    spool.open()
    try:
        for _ in range(3 * BATCHES):
            entry = spool.first()
            if entry is None:
                break
            yield entry.number, not entry.damage
            if entry.damage:
                spool.set_aside(entry.number, entry.damage)
            else:
                spool.remove(entry.number)
        assert spool.entries == 0
    finally:
        spool.close()


LONG = pytest.mark.proof
NOISE, ZEROS = pytest.param(None, id="noise"), pytest.param(b"\0", id="zeros", marks=LONG)


@pytest.mark.parametrize("how", [NOISE, ZEROS, pytest.param(b"\x0d", id="leaves", marks=LONG)])
def test_each_page_in_turn(whole: Path, tmp_path: Path, how: bytes | None) -> None:
    pages = whole.stat().st_size // PAGE
    assert pages > 20
    worst = 0
    for page in range(1, pages + 1):
        path = tmp_path / f"spool-{page}"
        shutil.copy(whole, path)
        found = list(drained(damaged(path, page, how)))
        numbers = [number for number, _ in found]
        assert numbers == sorted(set(numbers)), f"page {page}: out of order, or twice"
        lost = set(NUMBERS) - {number for number, is_whole in found if is_whole}
        assert len(lost) <= 12, f"page {page}: {sorted(lost)}"
        worst = max(worst, len(lost))
        kept = list(tmp_path.glob(f"spool-{page}.damaged-*"))
        assert not lost or kept or path.exists(), f"page {page}: nothing is left for a person to look at"
    assert worst > 1  # small batches share a page


@pytest.mark.parametrize("pages", [(1,), (1, 2, 3, 4, 5)])
def test_one_at_a_path_of_the_user_s_is_known_by_what_is_left_of_it(
    whole: Path, tmp_path: Path, pages: tuple[int, ...]
) -> None:
    path = tmp_path / "mine"
    shutil.copy(whole, path)
    for page in pages:
        damaged(path, page)
    numbers = [number for number, is_whole in drained(path, by_name=False) if is_whole]
    assert len(numbers) > BATCHES // 2
    assert list(tmp_path.glob("mine.damaged-*"))


def test_half_of_the_pages_at_once_and_the_first_with_them(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "spool"
    shutil.copy(whole, path)
    for page in range(1, path.stat().st_size // PAGE + 1, 2):
        damaged(path, page)
    numbers = [number for number, _ in drained(path)]
    assert numbers == sorted(set(numbers))


def test_the_log_of_a_process_that_was_killed_is_read_as_well(
    open_spool: Callable[..., SpoolFile], tmp_path: Path
) -> None:
    spool = open_spool("running")
    for number in (1, 2, 3):
        spool.append(number, make_write_set(f"batch-{number}"))
    spool.remove(1)
    for suffix in ("", "-wal"):
        shutil.copy(f"{spool.path}{suffix}", f"{tmp_path / 'killed'}{suffix}")
    damaged(tmp_path / "killed", 1, b"\xff")
    found = [number for number, _ in drained(tmp_path / "killed")]
    assert found[-2:] == [2, 3]


class Counted:
    """A spool with the counts of its writer."""

    def __init__(self, path: Path) -> None:
        self.file = SpoolFile(path, max_bytes=1 << 24, synchronous="OFF")
        self.file.open()
        self.balance = Balance("session-2", lambda _number: None)  # type: ignore[arg-type,return-value]
        self.balance.carried_in(self.file.heads())
        self.spool = Spool(self.file, self.balance, "session-2")

    def damage(self, *pages: int) -> None:
        """Damage pages of the file while it is open, and let SQLite read them anew."""
        connection = self.file._connection
        assert connection is not None
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        descriptor = os.open(self.file.path, os.O_WRONLY)  # not closed: that would give up SQLite's lock
        for page in pages:
            os.pwrite(descriptor, b"\xff" * PAGE, (page - 1) * PAGE)
        connection.execute("PRAGMA shrink_memory")

    def terms(self) -> dict[str, int]:
        (state,) = self.balance.states(dict)
        assert state.difference == 0
        return {"carried_in": state.carried_in, "pending": state.pending, **state.rejected}


@pytest.fixture
def counted(whole: Path, tmp_path: Path) -> Iterator[Counted]:
    shutil.copy(whole, tmp_path / "spool")
    one = Counted(tmp_path / "spool")
    yield one
    one.file.close()


def test_what_is_lost_while_it_runs_is_counted_to_the_row(counted: Counted, tmp_path: Path) -> None:
    before = counted.terms()
    counted.damage(*leaves(counted.file.path)[2:5])
    seen = []
    while (queued := counted.spool.first()) is not None:
        seen.append(queued.number)
        counted.file.remove(queued.number)
        counted.balance.known_before(queued)
    assert seen == sorted(set(seen))
    assert len(seen) > BATCHES // 2
    after = counted.terms()
    assert after["pending"] == 0
    assert after["damaged"] > 0
    assert after["carried_in"] == after["damaged"]  # all others were settled
    assert before["carried_in"] == before["pending"]
    assert counted.spool.damaged >= 1
    assert list(tmp_path.glob("spool.damaged-*"))


def test_what_the_writer_holds_in_memory_is_put_back(counted: Counted) -> None:
    queued = counted.spool.first()
    assert queued is not None
    counted.damage(*range(3, counted.file.path.stat().st_size // PAGE + 1))  # every entry
    counted.spool.put(QueuedWrite(BATCHES + 1, queued.write_set))
    while counted.file.first() is None:
        counted.file.append(BATCHES + 2, queued.write_set)
    assert counted.spool.put(QueuedWrite(BATCHES + 3, queued.write_set))
    assert counted.file.numbers()[0] == queued.number


def test_a_damaged_file_that_cannot_be_replaced_is_tried_again(
    counted: Counted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counted.damage(*range(3, 8))

    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("collector.spool.file.write_copy", full)
        for _ in range(2):
            with pytest.raises(SpoolError, match=r"is damaged .* cannot be replaced: no space left"):
                counted.file.numbers()
    assert not list(tmp_path.glob("*.damaged-*"))
    entry = counted.file.first()
    assert entry is not None
    assert list(tmp_path.glob("*.damaged-*"))


@pytest.mark.parametrize("step", range(1, 6))
def test_a_kill_at_any_step_loses_nothing(
    whole: Path, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool"
    shutil.copy(whole, path)
    expected = list(drained(damaged(path, 4)))
    path.unlink(missing_ok=True)
    shutil.copy(whole, path)
    damaged(path, 4)

    class Killed(BaseException):
        pass

    steps = iter(range(1, 100))
    rename = Path.rename

    def count(self: Path, target: object) -> Path:
        if next(steps) == step:
            raise Killed
        return rename(self, target)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(spool_repair.Path, "rename", count)
        spool = SpoolFile(path, max_bytes=1 << 24, synchronous="OFF", by_name=True)
        try:
            spool.open()
        except Killed:
            pass
        else:
            spool.close()
    assert list(drained(path)) == expected


def test_what_cannot_be_counted_at_once_is_counted_later(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted.damage(*leaves(counted.file.path)[2:5])

    def full(*_: object) -> list[int]:
        raise SpoolError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(counted.file, "numbers", full)
        for number in NUMBERS:
            counted.spool.settle(QueuedWrite(number, left(number), spooled=True), Receipt(repeated=True))
        assert counted.spool.last_error == "no space left"
        assert counted.spool.damaged == 0
    assert counted.spool.first() is None
    assert counted.spool.damaged == 1


def left(number: int) -> WriteSet:
    return WriteSet(f"batch-{number}", SESSION)
