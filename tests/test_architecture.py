"""Imports run one way, and the libraries stay where they belong."""

import functools
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from collector.face import offered

sys.path.insert(0, str(Path(__file__).parent))
from imports import circles, face_of, imported_names, imports_between, module_files, modules_named

# From top to bottom: each part may import only what stands below it.
FLOORS = [
    *("cli", "simulator", "__init__", "bot", "serve", "app", "settings", "retention", "export", "query"),
    *(
        "health",
        "consume",
        "backfilling",
        "live",
        "streams",
        "network",
        "writer",
        "spool",
        "features",
        "buffer",
        "log",
    ),
    *("exchanges", "book", "sinks", "migration", "database", "aws", "events", "histogram", "ids", "clock"),
    *(
        "loggers",
        "plugins",
        "resources",
        "lean",
        "retry",
        "masking",
        "nearest",
        "bounds",
        "errors",
        "version",
        "face",
    ),
]
ONLY_IN = {
    "ccxt": {"network", "live.unverified"},
    "sqlalchemy": {"database", "sinks.sql", "query", "export", "retention", "migration"},
    "alembic": {"database", "migration"},
    "structlog": {"log", "loggers"},
    "apscheduler": {"app"},
    **{library: {"aws"} for library in ("boto3", "botocore")},
    "fastavro": {"sinks.avro"},
    **{library: {"query.fast"} for library in ("adbc_driver_manager", "adbc_driver_sqlite")},
    **{library: {"serve"} for library in ("fastapi", "starlette", "uvicorn", "prometheus_client")},
}
NEVER_IN = {
    "streams": {"ccxt", "asyncio", "time"},
    "exchanges": {"ccxt", "asyncio"},
    "book": {"asyncio"},
    "health": {"time"},
}
READS = {"query", "export", "retention"}
WRITES = {"app", "buffer", "consume", "live", "network", "sinks", "spool", "streams", "writer"}
# What a person is told of an engine's error, or of the libraries there are, is the command line's business.
COMMAND_LINE = {"sqlalchemy": {"cli"}, "ccxt": {"cli"}}
# What a person or a bot wrote becomes Settings there; the library's own face offers the function for it.
MAKE_SETTINGS = {"settings", "cli", "bot", "__init__"}
# What reads Settings for all other parts: these files, and those whose names begin so.
WIRING = ("collector.app.wiring", "collector.serve.wiring")

GATHERED = "collector.cli.commands"  # one file a command; `cli/program.py` names each

FILES = module_files()


@functools.cache
def imports() -> dict[str, set[str]]:
    """Parse the whole package once, and only in a process that runs these tests."""
    return imports_between(FILES)


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def upward(imports: dict[str, set[str]]) -> list[str]:
    """List the imports that run up, or to a part that has no floor."""
    return [
        f"{module} imports {other}"
        for module, others in imports.items()
        for other in others
        if FLOORS.index(part_of(module)) > FLOORS.index(part_of(other))
    ]


def users_of(library: str) -> set[str]:
    return {
        module.partition(".")[2]
        for module, path in FILES.items()
        if library in {name.split(".")[0] for name in imported_names(path)}
    }


def test_every_part_has_its_floor() -> None:
    assert {part_of(module) for module in FILES} == set(FLOORS)


def test_imports_run_down_only() -> None:
    assert upward(imports()) == []


def test_an_import_that_runs_up_is_seen() -> None:
    assert upward({"collector.book.order_book": {"collector.live.feed"}}) == [
        "collector.book.order_book imports collector.live.feed"
    ]


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(imports()) == []


def test_a_circle_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()}) == [["a", "b", "c"]]


def past_a_face(imports: dict[str, set[str]], packages: set[str]) -> list[str]:
    """List the imports that reach past the face of a package, into one of its modules."""
    return [
        f"{module} imports {other}, not {face}"
        for module, others in imports.items()
        for other in sorted(others)
        if (face := face_of(module, other, packages)) not in {other, GATHERED}
    ]


def test_packages_are_imported_by_their_face() -> None:
    packages = {module for module, path in FILES.items() if path.name == "__init__.py"}
    imports = {module: modules_named(path, FILES) for module, path in FILES.items()}
    assert past_a_face(imports, packages) == []


def test_an_import_past_a_face_is_seen() -> None:
    packages = {"collector", "collector.query", "collector.query.rows", "collector.live"}
    wrong = {
        "collector.live.feed": {"collector.query.loaders", "collector.query.rows.series"},
        "collector.query.loaders": {
            "collector.query.rows.series",
            "collector.query.frames",
            "collector.live",
        },
        "collector.query.rows.series": {"collector.query.frames", "collector.errors"},
    }
    assert past_a_face(wrong, packages) == [
        "collector.live.feed imports collector.query.loaders, not collector.query",
        "collector.live.feed imports collector.query.rows.series, not collector.query",
        "collector.query.loaders imports collector.query.rows.series, not collector.query.rows",
    ]


FACES = {
    module: offered(path.read_text(encoding="utf-8"))
    for module, path in FILES.items()
    if path.name == "__init__.py"
}


def test_a_face_offers_names_that_no_module_of_it_has() -> None:
    """Python puts an imported module into its package under its name, in the place of what was offered."""
    assert [name for package, names in FACES.items() for name in names if f"{package}.{name}" in FILES] == []


@pytest.mark.parametrize("package", FACES)
def test_every_name_that_a_face_offers_is_there(package: str) -> None:
    face = importlib.import_module(package)
    assert [name for name in FACES[package] if not hasattr(face, name)] == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_in_its_own_folders_only(library: str) -> None:
    allowed = ONLY_IN[library] | COMMAND_LINE.get(library, set())
    strangers = {
        user for user in users_of(library) if not any(f"{user}.".startswith(f"{one}.") for one in allowed)
    }
    assert strangers == set()


@pytest.mark.parametrize("part", NEVER_IN)
def test_a_part_stays_pure(part: str) -> None:
    for module, path in FILES.items():
        if part_of(module) == part:
            roots = {name.split(".")[0] for name in imported_names(path)}
            assert not roots & NEVER_IN[part], f"{module} imports {roots & NEVER_IN[part]}"


def writers_read_by(imports: dict[str, set[str]]) -> list[str]:
    """List the imports of the reading side that reach into the writing side."""
    return [
        f"{module} imports {other}"
        for module, others in imports.items()
        for other in others
        if part_of(module) in READS and part_of(other) in WRITES
    ]


def test_what_reads_imports_nothing_of_what_writes() -> None:
    assert writers_read_by(imports()) == []


def test_a_reader_that_imports_a_writer_is_seen() -> None:
    both = {
        "collector.query.identity": {"collector.writer.balance"},
        "collector.app.view": {"collector.writer.x"},
    }
    assert writers_read_by(both) == ["collector.query.identity imports collector.writer.balance"]


def readers_of_settings(imports: dict[str, set[str]]) -> list[str]:
    """List the imports of settings by parts that are to be handed what they need of them."""
    return [
        f"{module} imports {other}"
        for module, others in imports.items()
        for other in sorted(others)
        if part_of(other) == "settings"
        and part_of(module) not in MAKE_SETTINGS
        and not module.startswith(WIRING)
    ]


def test_only_the_wiring_reads_settings() -> None:
    assert readers_of_settings(imports()) == []
    assert any(
        module.startswith(WIRING) and "collector.settings" in imports()[module] for module in imports()
    )


def test_another_reader_of_settings_is_seen() -> None:
    assert readers_of_settings({"collector.live.feed": {"collector.settings.model"}}) == [
        "collector.live.feed imports collector.settings.model"
    ]


BRINGS = """
import sys
def brought(*names): print(sorted(set(names) & sys.modules.keys()))
import collector.settings
brought('numpy', 'pandas', 'ccxt', 'aiohttp', 'sqlalchemy', 'alembic', 'apscheduler')
from collector.query import failing_chores, run_audit, sessions_now
brought('pandas')
"""


@pytest.fixture(scope="module")
def brought() -> list[str]:
    """Tell, a line for each, what imports bring into a program: first settings, then what looks at tables."""
    done = subprocess.run([sys.executable, "-c", BRINGS], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_settings_bring_nothing_heavy(brought: list[str]) -> None:
    """The classes of the parts that settings compose cost neither numpy nor ccxt nor SQLAlchemy."""
    assert brought[0] == "[]"


def test_status_and_verify_bring_no_pandas(brought: list[str]) -> None:
    """It would double the time until they begin."""
    assert brought[1:] == ["[]"]


MOST_LINES, FEWEST_LINES = 320, 30
# A package's face, and the options or limits of a part, which its maker fills in.
SMALL_BY_NATURE = {"__init__.py", "options.py", "limits.py"}
SMALL_FOR_A_REASON = {
    "migration": "the name under which a user's own revisions import their steps",
    "nearest": "a leaf: which name was meant, for settings, questions and commands",
    "resources": "a leaf: where the files are that travel with the code",
    "retry": "a leaf: how long to wait",
    "version": "a leaf: read by the build as well",
    "events.intervals": "a leaf: how long a bar lasts, for all who ask",
    "events.instants": "a leaf: how a time is written, for all who write or read one",
    "app.wakeup": "one trap of threading with its explanation",
    "cli.commands.doctor.check_result": "what every check returns; in any of them it would close a circle",
    "exchanges.unverified.frames": "each exchange's folder has a file of this name",
    "exchanges.unverified.rule": "each exchange's folder has a file of this name",
    "simulator.faults.faults": "puts the families of faults together, one file each",
    "simulator.faults.on_markets": "one family of faults",
}


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_every_file_can_be_read_at_one_sitting() -> None:
    counted = {module: lines_of(path) for module, path in FILES.items()}
    assert {module: lines for module, lines in counted.items() if lines > MOST_LINES} == {}


def test_no_file_is_a_crumb() -> None:
    """An idea of a few lines stands beside what uses it, so that nobody opens a file for it."""
    small = {
        module.partition(".")[2]
        for module, path in FILES.items()
        if path.name not in SMALL_BY_NATURE and lines_of(path) < FEWEST_LINES
    }
    assert small - set(SMALL_FOR_A_REASON) == set()
