"""What docs/reading.md shows is what happens."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- example -->\n```python\n(.*?)```", PAGE, re.DOTALL)
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT)}
CHECKS = """
assert len(ticks) and len(bars) and len(trades) and rows and len(frame)
assert len(inputs) == len(targets) > 20 and len(table)
assert len(latest) >= len(then) and not len(changed)
assert model.score(inputs, targets) >= targets.value_counts(normalize=True).max() - 0.1
"""


def run_the_page(folder: Path) -> None:
    """Run all of its blocks, one after the other, where warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", "\n".join([*BLOCKS, CHECKS])]
    done = subprocess.run(command, cwd=folder, check=False, env=ENVIRON, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_each_block_of_python_is_run() -> None:
    assert len(BLOCKS) == PAGE.count("```python") == 7


def test_the_examples_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for needed in ("duckdb", "pyarrow", "sklearn.linear_model"):
        pytest.importorskip(needed)
    shutil.copy(ROOT / "trading_bot_live.db.example", tmp_path / "demo.db")
    monkeypatch.chdir(tmp_path)
    with pytest.importorskip("threadpoolctl").threadpool_limits(1):  # small sums on many threads wait
        exec("\n".join([*BLOCKS, CHECKS]), {})


@pytest.mark.proof
def test_they_run_on_what_the_demo_leaves(tmp_path: Path) -> None:
    demo = [sys.executable, str(ROOT / "run.py"), "demo", "--seconds", "20", "--db", "demo.db"]
    subprocess.run(demo, cwd=tmp_path, check=True, capture_output=True, env=ENVIRON)
    run_the_page(tmp_path)
