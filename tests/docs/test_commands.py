"""docs/commands.md names every command and every check of verify; the unit is one that systemd takes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def table(heading: str) -> list[str]:
    """Return the first cells of the rows of a table."""
    rows = PAGE.split(heading, 1)[1].split("|---", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    return [row.split("|")[1] for row in rows]


def test_the_page_has_every_command_and_no_other() -> None:
    helped = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "--help"], capture_output=True, text=True, check=True
    ).stdout
    listed = set(re.findall(r"^│ ([a-z]+) ", helped.split("Commands", 1)[1], re.MULTILINE))
    assert {cell.strip(" `") for cell in table("# Commands")} == listed


def test_the_page_has_every_check_of_verify() -> None:
    named = {name for cell in table("## What `verify` checks") for name in re.findall(r"`([a-z ]+)`", cell)}
    sources = (ROOT / "collector" / "query" / "audit").glob("*.py")
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    used = set(re.findall(r'(?:Finding\(|ledger\.add\(\s*)"([a-z ]+)"', code))
    assert named == used


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    text = (ROOT / "deploy" / "collector.service").read_text(encoding="utf-8")
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
    unit = tmp_path / "collector.service"
    unit.write_text(text.replace("file:///opt/collector/docs/service.md", "man:true(1)"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "collector.service" in line]
    assert ours == []


def test_the_unit_waits_for_the_network_and_for_a_clock_that_is_set() -> None:
    """Where nothing wants `time-sync.target` it is reached at once, whatever comes after it."""
    text = (ROOT / "deploy" / "collector.service").read_text(encoding="utf-8")
    for key in ("Wants", "After"):
        units = {name for line in re.findall(rf"^{key}=(.*)$", text, re.MULTILINE) for name in line.split()}
        assert {"network-online.target", "time-sync.target"} <= units, key
