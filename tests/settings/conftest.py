"""Load a piece of YAML, and read the problems it has."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from collector.errors import SettingsError
from collector.settings import Settings, load_settings

Load = Callable[..., Settings]
Problems = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder: no `.env` of the developer's is read, and paths in messages are short."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load() -> Load:
    def _load(
        text: str | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        dotenv: str | None = None,
        overrides: Mapping[str, object] | None = None,
    ) -> Settings:
        file = Path("live.yaml")
        if text is not None:
            file.write_text(text)
        if dotenv is not None:
            Path(".env").write_text(dotenv)
        return load_settings(file if text is not None else None, environ=environ or {}, overrides=overrides)

    return _load


@pytest.fixture
def problems(load: Load) -> Problems:
    def _problems(*args: object, **kwargs: object) -> list[str]:
        with pytest.raises(SettingsError) as caught:
            load(*args, **kwargs)
        return caught.value.problems

    return _problems
