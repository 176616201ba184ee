"""One server over the example database, for all tests that only ask it."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).parent))
from api_rig import EXAMPLE, serving_database
from serve_rig import TOKEN


@pytest.fixture(scope="session")
def stored_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve a copy of it, with a token; yields the port. Nothing that is asked changes anything."""
    path = Path(shutil.copy(EXAMPLE, tmp_path_factory.mktemp("example") / "live.db"))
    with serving_database(path, token=SecretStr(TOKEN)) as port:
        yield port
