"""The picture in README is of a real run, and loads nothing from anywhere."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from collector.cli.commands.demo import demo_markets
from collector.exchanges.registry import EXCHANGES

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "pictures" / "demo.svg"
NAMESPACE = "http://www.w3.org/2000/svg"
MOST_BYTES = 100_000


def words(picture: Path) -> str:
    """Return the text of a picture, line by line."""
    lines: dict[float, list[str]] = {}
    for text in ET.fromstring(picture.read_text(encoding="utf-8")).iter(f"{{{NAMESPACE}}}text"):
        lines.setdefault(float(text.get("y", "0")), []).append("".join(text.itertext()).replace("\xa0", " "))
    return "\n".join(" ".join(" ".join(parts).split()) for _, parts in sorted(lines.items()))


def check(picture: Path) -> None:
    """Hold a picture against what README promises."""
    source = picture.read_text(encoding="utf-8")
    assert len(source) < MOST_BYTES
    assert set(re.findall(r"\w+://[^\"'\s)]*", source)) == {NAMESPACE}
    assert set(re.findall(r"url\(([^)]*)\)", source)) <= set(re.findall(r"url\((#[^)]*)\)", source))
    for loading in ("<script", "<image", "<foreignObject", "@import", "@font-face", "href", "//fonts"):
        assert loading not in source
    assert not re.search(r"/(tmp|home|root|Users)/", source)
    shown = words(picture)
    for exchange, symbols in demo_markets().items():
        assert f"\n{exchange}\n" in shown
        for symbol in symbols:
            for channel in EXCHANGES[exchange].demo_channels:
                assert f"{symbol} {channel} verified" in shown
    assert re.search(r"identity .*received = .* written", shown)


def test_the_picture_shows_every_stream_and_has_no_foreign_address() -> None:
    check(PICTURE)
    assert re.search(r"identity exact [\d,]+ received", words(PICTURE))


def test_readme_shows_the_picture_on_its_first_screen() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first = readme.partition("\n## ")[0]
    assert "](docs/pictures/demo.svg)" in first
    assert first.index("python run.py demo") < first.index("demo.svg") < first.index("python run.py init")


@pytest.mark.proof
def test_the_command_draws_such_a_picture_from_a_run(tmp_path: Path) -> None:
    picture = tmp_path / "pictures" / "demo.svg"
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", str(ROOT / "examples" / "make_picture.py")),
            *("--seconds", "2", "--to", str(picture)),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    check(picture)
    assert re.search(r"collecting 0:0\d:\d\d 17 of 17 streams verified", words(picture))


@pytest.mark.parametrize("name", ["README.md", "docs/commands.md"])
def test_a_picture_is_not_fetched_from_elsewhere(name: str) -> None:
    assert not re.search(r"!\[[^\]]*\]\(\w+://", (ROOT / name).read_text(encoding="utf-8"))
