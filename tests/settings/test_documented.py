"""Code, config/default.yaml and docs/configuration.md name the same keys and the same defaults."""

import re
from pathlib import Path

import pytest
import yaml

from collector.errors import SettingsError
from collector.exchanges import EXCHANGES
from collector.settings import Settings, load_settings
from collector.settings.keys import ANY_EXCHANGE, KEYS

ROOT = Path(__file__).parents[2]
DEFAULT_FILE = ROOT / "config" / "default.yaml"
PAGE = ROOT / "docs" / "configuration.md"

ROW = re.compile(
    r"^\| `(?P<key>[\w.<>]+)` \| `(?P<default>[^`]+)` \| (?P<unit>\w*) ?\| (?P<meaning>.+) \|$", re.MULTILINE
)


def of_code() -> dict[str, object]:
    return {
        ".".join(map(str, path)): list(key.default) if isinstance(key.default, tuple) else key.default
        for path, key in KEYS.items()
    }


def flat(tree: dict[str, object], above: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found


def of_file() -> dict[str, object]:
    """Read the file with its block for one exchange uncommented."""
    text = DEFAULT_FILE.read_text().replace("exchanges: {}", "exchanges:")
    text = re.sub(r"^# \S.*\n", "", text, flags=re.MULTILINE)
    values = flat(yaml.safe_load(re.sub(r"^#", "", text, flags=re.MULTILINE)))
    return {key.replace("exchanges.bybit", f"exchanges.{ANY_EXCHANGE}"): values[key] for key in values}


def test_the_file_has_every_key_and_default_of_the_code() -> None:
    assert of_file() == of_code()


def test_the_page_has_every_key_and_default_of_the_code() -> None:
    rows = list(ROW.finditer(PAGE.read_text()))
    page = {row["key"].replace("<exchange>", ANY_EXCHANGE): yaml.safe_load(row["default"]) for row in rows}
    assert page == of_code()
    assert len(rows) == len(page)


def test_the_page_names_every_verified_exchange_and_no_other() -> None:
    (listed,) = re.findall(r"`<exchange>` is (`.+?), or another of ccxt\.pro's", PAGE.read_text())
    assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(EXCHANGES)


def test_the_page_gives_the_unit_that_the_name_ends_in() -> None:
    for row in ROW.finditer(PAGE.read_text()):
        assert (row["unit"] == "s") == row["key"].endswith("_s"), row["key"]
        if row["key"].endswith("_rows"):
            assert row["unit"] == "rows"


def test_every_key_of_the_file_has_a_line_of_comment() -> None:
    for line in DEFAULT_FILE.read_text().splitlines():
        if re.match(r"#? +\w+: +\S", line) and not re.match(r"# \S", line):
            assert re.search(r"\S +# \w", line), line


def test_the_default_file_changes_nothing() -> None:
    assert load_settings(DEFAULT_FILE, environ={}, env_file=None) == Settings()


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.name)
def test_every_file_of_the_folder_loads(path: Path) -> None:
    load_settings(path, environ={}, env_file=None)


def test_the_local_file_means_the_simulator() -> None:
    bybit = load_settings(ROOT / "config" / "local.yaml", environ={}, env_file=None).exchanges["bybit"]
    assert bybit.stored_data_source == "simulator"


def test_the_example_means_production() -> None:
    bybit = load_settings(ROOT / "config" / "live.example.yaml", environ={}, env_file=None).exchanges["bybit"]
    assert (bybit.environment, bybit.stored_data_source) == ("live", "live_trading")


def test_the_page_shows_messages_as_they_are(tmp_path: Path) -> None:
    """The example of five mistakes on the page is what these five mistakes give."""
    (tmp_path / "live.yaml").write_text(
        """\
exchanges:
  bybit:
    enviroment: demo
    symbols: ["BTC/USDT:USDT"]
    channels: [book.30]
    api_key: abcdefgh
database:
  auto_migrate: NO
buffer:
  max_rows: 500
"""
    )
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "live.yaml", environ={}, env_file=None)
    assert str(caught.value).replace(f"{tmp_path}/", "") in PAGE.read_text()
