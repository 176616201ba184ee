"""What docs/reading.md shows is what happens."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_examples_run_one_after_the_other(tmp_path: Path) -> None:
    for needed in ("duckdb", "pyarrow"):
        pytest.importorskip(needed)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    demo = [sys.executable, str(ROOT / "run.py"), "demo", "--seconds", "2", "--db", "demo.db"]
    subprocess.run(demo, cwd=tmp_path, check=True, capture_output=True, env=environ)
    page = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
    examples = re.findall(r"<!-- example -->\n```python\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 7
    checks = (
        "assert len(ticks) and len(bars) and len(trades) and rows and len(frame)\n"
        "assert len(inputs) == len(targets) and len(table)\n"
        "assert len(latest) >= len(then) and not len(changed)\n"
    )
    program = "\n".join([*examples, checks])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        check=False,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
