"""An ingestor in a program that is asyncio: nothing blocks its loop, and what would is refused at once."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from collector import DataIngestor, IngestorError, L2Update, UserError, create_data_ingestor
from collector.simulator import Simulator

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import config, threads, wait_until


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60.0):
        while not condition():  # noqa: ASYNC110  (what other threads do is awaited)
            await asyncio.sleep(0.005)


def made(simulator: Simulator, folder: Path) -> DataIngestor:
    return create_data_ingestor(config(simulator, folder))


def test_it_starts_and_stops_while_the_loop_goes_on_and_calls_back_on_it(tmp_path: Path) -> None:
    loops: list[object] = []
    turns = 0

    async def on_update(_update: L2Update) -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    async def main(ingestor: DataIngestor) -> None:
        nonlocal turns
        over = False

        async def turn() -> None:
            nonlocal turns
            while not over:
                turns += 1
                await asyncio.sleep(0.001)

        turning = asyncio.create_task(turn())
        assert await ingestor.astart()
        assert ingestor.is_healthy()
        await until(lambda: len(loops) > 30)
        assert set(loops) == {asyncio.get_running_loop()}
        before = turns
        assert await ingestor.astop()
        assert turns > before
        assert await ingestor.astop()
        over = True
        await turning

    with Simulator(updates_per_s=250.0) as simulator:
        ingestor = made(simulator, tmp_path)
        ingestor.add_update_callback(on_update)  # before any loop runs
        for _ in range(2):  # another loop each time
            loops.clear()
            asyncio.run(main(ingestor))
            assert threads() == []
            (one,) = ingestor.get_stats()["callbacks"]
            assert one["failed"] == 0


def test_as_a_context_manager_it_raises_why_it_does_not_start(tmp_path: Path) -> None:
    async def main(well: DataIngestor, ill: DataIngestor) -> None:
        async with well as ingestor:
            assert ingestor.phase == "running"
        assert well.phase == "stopped"
        with pytest.raises(IngestorError, match="'NOPE/USDT:USDT' is not a market there"):
            async with ill:
                pass

    with Simulator(updates_per_s=250.0) as simulator:
        folder = tmp_path / "ill"
        folder.mkdir()
        ill = create_data_ingestor(config(simulator, folder, symbol="NOPE/USDT:USDT"))
        asyncio.run(main(made(simulator, tmp_path), ill))
        assert ill.stop()  # nothing was accepted, so nothing is lost
    assert [name for name in threads() if name != "markets"] == []


def test_what_would_block_the_loop_is_answered_at_once(tmp_path: Path) -> None:
    async def main(ingestor: DataIngestor) -> None:
        began_s = time.monotonic()
        with pytest.raises(UserError, match=r"expected `await ingestor.astart\(\)` or `async with ingestor`"):
            ingestor.start()
        with (
            pytest.raises(UserError, match=r"with ingestor would block .* expected `async with ingestor`"),
            ingestor,
        ):
            pass
        assert ingestor.stop()  # there is nothing to stop, so nothing blocks
        assert time.monotonic() - began_s < 5.0
        assert ingestor.phase == "stopped"
        async with ingestor:
            with pytest.raises(UserError, match=r"stop\(\) would block .* `await ingestor.astop\(\)`"):
                ingestor.stop()
            assert ingestor.is_healthy()

    with Simulator(updates_per_s=250.0) as simulator:
        asyncio.run(main(made(simulator, tmp_path)))
    assert threads() == []


def test_a_start_whose_task_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async def main(ingestor: DataIngestor) -> None:
        starting = asyncio.create_task(ingestor.astart(60.0))
        await until(lambda: ingestor.phase == "starting")
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert ingestor.phase == "stopped"

    with Simulator(updates_per_s=250.0) as simulator:
        simulator.faults.refuse("bybit", 503, count=10_000)
        ingestor = made(simulator, tmp_path)
        began_s = time.monotonic()
        asyncio.run(main(ingestor))
        assert time.monotonic() - began_s < 45.0
        wait_until(lambda: [name for name in threads() if name != "markets"] == [], "nothing runs")


def test_a_stop_whose_task_is_cancelled_is_finished(tmp_path: Path) -> None:
    async def main(ingestor: DataIngestor) -> None:
        assert await ingestor.astart()
        stopping = asyncio.create_task(ingestor.astop())
        await until(lambda: ingestor.phase == "stopping")
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping

    with Simulator(updates_per_s=250.0) as simulator:
        ingestor = made(simulator, tmp_path)
        asyncio.run(main(ingestor))
        assert ingestor.stop()
        assert ingestor.report is not None
        assert ingestor.report.good
    assert threads() == []


def test_an_async_callback_may_stop_the_ingestor(tmp_path: Path) -> None:
    stopped: list[object] = []

    async def stop(_update: L2Update) -> None:
        if not stopped:
            stopped.append(None)
            try:
                ingestor.stop()
            except UserError as error:
                stopped.append(str(error))
            stopped.append(await ingestor.astop())

    with Simulator(updates_per_s=250.0) as simulator:
        ingestor = made(simulator, tmp_path)
        ingestor.add_update_callback(stop)  # no loop runs here: it gets one of its own
        assert ingestor.start()
        began_s = time.monotonic()
        wait_until(lambda: len(stopped) == 3, "stopped by the callback")
        assert time.monotonic() - began_s < 10.0
        assert "await ingestor.astop()" in str(stopped[1])
        assert stopped[2] is True
        wait_until(lambda: threads() == [], "nothing runs")
    assert ingestor.report is not None
    assert ingestor.report.good


def test_what_an_async_callback_raises_is_told_to_an_async_error_callback(tmp_path: Path) -> None:
    errors: list[IngestorError] = []

    async def broken(_update: L2Update) -> None:
        await asyncio.sleep(0)
        raise ValueError("mine")

    async def on_error(error: IngestorError) -> None:
        await asyncio.sleep(0)
        errors.append(error)

    with Simulator(updates_per_s=250.0) as simulator:
        ingestor = made(simulator, tmp_path)
        ingestor.add_update_callback(broken, name="bot")
        ingestor.add_error_callback(on_error)
        with ingestor:
            wait_until(lambda: errors, "it is told")
        assert str(errors[0]) == "callback_failed: bot raised ValueError('mine')"
        bot = ingestor.get_stats()["callbacks"][0]
        assert (bot["name"], bot["handled"]) == ("bot", 0)
        assert bot["failed"] > 0
