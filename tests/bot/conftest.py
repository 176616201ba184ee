"""What every test of a bot begins with."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bot_rig import remember_threads


@pytest.fixture(autouse=True)
def _threads_before() -> None:
    """Remember the threads that an earlier test's server has yet to end: no test here started them."""
    remember_threads()
