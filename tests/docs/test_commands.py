"""docs/commands.md names every command and every check of verify; the unit is one that systemd takes."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from collector.cli.program import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def table(heading: str) -> list[str]:
    """Return the first cells of the rows of a table."""
    rows = PAGE.split(heading, 1)[1].split("|---", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    return [row.split("|")[1] for row in rows]


def test_the_page_has_every_command_and_no_other() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    listed = {name for name, one in commands.items() if not one.hidden}
    assert {cell.strip(" `") for cell in table("# Commands")} == listed


def test_the_page_has_every_check_of_verify() -> None:
    named = {name for cell in table("## What `verify` checks") for name in re.findall(r"`([a-z ]+)`", cell)}
    sources = (ROOT / "collector" / "query" / "audit").glob("*.py")
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    used = set(re.findall(r'(?:Finding\(|ledger\.add\(\s*)"([a-z ]+)"', code))
    assert named == used


@pytest.mark.parametrize("name", ["collector.service", "collector-failed@.service"])
def test_the_unit_is_one_that_systemd_takes(name: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    for one in ("collector.service", "collector-failed@.service"):
        text = (ROOT / "deploy" / one).read_text(encoding="utf-8")
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
        (tmp_path / one).write_text(text.replace("file:///opt/collector/docs/service.md", "man:true(1)"))
    unit = tmp_path / name.replace("@", "@collector.service")
    if not unit.exists():
        unit.symlink_to(tmp_path / name)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "collector" in line]
    assert ours == []


def test_the_unit_leaves_settings_to_the_file_and_tells_of_a_failure() -> None:
    text = (ROOT / "deploy" / "collector.service").read_text(encoding="utf-8")
    assert not re.search(r"^Environment=.*COLLECTOR_", text, re.MULTILINE)  # it would outrank the file
    assert re.search(r"^OnFailure=collector-failed@%n.service$", text, re.MULTILINE)
    assert re.search(r"^ExecStopPost=.*SERVICE_RESULT.*collector-failed@%n.service", text, re.MULTILINE)


def test_the_service_page_runs_what_it_installed() -> None:
    """Debian has no `python`, the clone has a venv, and the service runs in a folder of its own."""
    page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    ours = [line for line in blocks.splitlines() if "run.py" in line or line.startswith("collector ")]
    assert any(line.startswith("collector doctor ") for line in ours)
    assert all(line.startswith("collector") for line in ours)  # the function, or its definition
    (defined,) = [line for line in ours if line.startswith("collector()")]
    assert "cd /var/lib/collector && exec /opt/collector/.venv/bin/python /opt/collector/run.py" in defined


def test_the_unit_waits_for_the_network_and_for_a_clock_that_is_set() -> None:
    """Where nothing wants `time-sync.target` it is reached at once, whatever comes after it."""
    text = (ROOT / "deploy" / "collector.service").read_text(encoding="utf-8")
    for key in ("Wants", "After"):
        units = {name for line in re.findall(rf"^{key}=(.*)$", text, re.MULTILINE) for name in line.split()}
        assert {"network-online.target", "time-sync.target"} <= units, key
