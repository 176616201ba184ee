"""The compiled kernel of this source, built once a run: it is tested whatever is installed."""

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "kernel" / "collector_kernel"
FLAGS = ("-std=c11", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")


def compiler() -> str:
    """Return the compiler; without one the test is skipped, and fails where all are to be run."""
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    has_headers = (Path(sysconfig.get_path("include")) / "Python.h").exists()
    if found and has_headers:
        return found
    assert not os.environ.get("CI"), "no C compiler, or no headers of Python: the kernel is not tested"
    pytest.skip("the kernel is not tested: no C compiler here, or no headers of Python")


def compile_into(folder: Path, *flags: str) -> Path:
    """Compile the extension."""
    folder.mkdir(parents=True, exist_ok=True)
    made, ready = folder / f"{os.getpid()}.so", folder / "kernel.abi3.so"
    command = [compiler(), *FLAGS, *flags, f"-I{sysconfig.get_path('include')}"]
    done = subprocess.run(
        [*command, str(SOURCE / "kernel.c"), "-o", str(made)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return made.replace(ready)


def built(folder: Path) -> ModuleType:
    """Return the extension of this source, compiled by the first test process that needs it."""
    compiler()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        extension = folder / "kernel.abi3.so"
        if not extension.exists():
            compile_into(folder)
    return loaded(extension)


def loaded(extension: Path) -> ModuleType:
    """Load an extension, whatever is known by its name."""
    spec = importlib.util.spec_from_file_location("collector_kernel.kernel", extension)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "collector_kernel" not in sys.modules or module is not sys.modules["collector_kernel"]
    return module
