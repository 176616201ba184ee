"""The kernel's own wheel: one for every Python from 3.11 on, which a collector finds and trusts."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import built_kernel

ROOT = Path(__file__).resolve().parents[1]
MAKES_WHEELS_FROM = 77  # setuptools


def test_the_wheel_serves_every_python_and_is_found(tmp_path: Path) -> None:
    built_kernel.compiler()
    if int(version("setuptools").partition(".")[0]) < MAKES_WHEELS_FROM:
        assert not os.environ.get("CI"), "setuptools is too old to make the kernel's wheel"
        pytest.skip("the kernel's wheel is not made: setuptools is too old (pip install -e '.[dev]')")
    source = tmp_path / "kernel"
    shutil.copytree(ROOT / "kernel", source, ignore=shutil.ignore_patterns("*.so", "build", "*.egg-info"))
    options = ["--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    built = subprocess.run(
        [sys.executable, "-m", "build", *options, str(source)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith("market_collector_kernel-")
    assert "-cp311-abi3-" in wheel.name
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        packed.extractall(site)
    assert {
        "collector_kernel/kernel.abi3.so",
        "collector_kernel/kernel.pyi",
        "collector_kernel/py.typed",
    } <= names
    program = "from collector.book import find_kernel; print(find_kernel('required')[1])"
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", str(ROOT))])
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout.strip() == f"compiled {wheel.name.split('-')[1]}", told.stderr
