"""Stopping, from whoever asks for it, and once more."""

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import running, wait_until


def test_a_callback_that_stops_while_another_thread_does_is_told_that_nothing_was_lost(
    tmp_path: Path,
) -> None:
    entered, said = threading.Event(), list[bool]()
    with running(tmp_path) as (ingestor, _):

        def stop_as_well(_update: object) -> None:
            entered.set()
            wait_until(lambda: ingestor.phase == "stopping", "the other thread stops")
            said.append(ingestor.stop())

        ingestor.add_update_callback(stop_as_well)
        assert entered.wait(10.0)
        assert ingestor.stop()
    assert said
    assert all(said)
