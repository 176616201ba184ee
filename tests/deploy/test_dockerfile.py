"""The image's recipe: small, repeatable, not root, one process that hears SIGTERM, no secrets."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from collector.masking import names_a_secret
from collector.version import __version__

sys.path.insert(0, str(Path(__file__).parent))
from dockerfile import Dockerfile, Stage, read_dockerfile

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "Dockerfile"
COMPILERS = re.compile(r"\b(gcc|g\+\+|clang|make|cargo|rustc|build-essential|python3?-dev|apk add)\b")


@pytest.fixture(scope="module")
def recipe() -> Dockerfile:
    return read_dockerfile(FILE)


@pytest.fixture(scope="module")
def image(recipe: Dockerfile) -> Stage:
    return recipe.stages[-1]


def of_run(step: str) -> Iterator[str]:
    """Yield what is wrong with a step."""
    if "apt-get install" in step and "--no-install-recommends" not in step:
        yield "apt-get installs what is only recommended"
    if "apt-get install" in step and "rm -rf /var/lib/apt/lists" not in step:
        yield "the lists of apt-get stay in the image"
    if ";" in step or "|" in step.replace("||", ""):
        yield f"a step that fails would not be seen: {step}"
    if COMPILERS.search(step):
        yield f"a compiler: {step}"


def of_base(base: str) -> Iterator[str]:
    """Yield what is wrong with a base image."""
    if "@sha256:" not in base and not re.match(r"\d+\.\d+", base.partition(":")[2]):
        yield f"the base {base} has no tag with a version"
    if "/" in base:
        yield f"the base {base} names a registry"


def of_image(image: Stage) -> Iterator[str]:
    """Yield what is wrong with the stage that is kept."""
    for name in ("ENTRYPOINT", "CMD"):
        if not image.last(name).is_exec:
            yield f"{name} is not in exec form"
    user = image.last("USER").rest
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", user):
        yield "the user is not a number other than 0, with a group"
    for one in image.all("COPY"):
        if one.flags.get("chown", "").partition(":")[0] in ("", user.partition(":")[0]):
            yield f"COPY {one.rest} does not say that the files are another's than the user's"
    names = [one.name for one in image.instructions]
    if {"RUN", "COPY"} & set(names[names.index("USER") :]):
        yield "something is built as the user"


def objections(recipe: Dockerfile) -> list[str]:
    """Return what is wrong with a recipe, whatever it makes."""
    steps = [one for stage in recipe.stages for one in stage.instructions]
    found = [text for stage in recipe.stages for text in of_base(stage.base)]
    found += [text for one in steps if one.name == "RUN" for text in of_run(one.rest)]
    found += [
        f"{one.name} {one.rest} has a secret's name: it would be in the image"
        for one in steps
        if one.name in ("ENV", "ARG") and any(map(names_a_secret, re.findall(r"(\w+)=?", one.rest)))
    ]
    if any(one.name == "COPY" and one.words[0] in (".", "./") for one in steps):
        found.append("COPY . takes whatever lies about")
    return [*found, *of_image(recipe.stages[-1])]


def test_nothing_is_to_be_objected(recipe: Dockerfile) -> None:
    assert objections(recipe) == []


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        ("ARG BASE=python:3.13-slim-trixie", "ARG BASE=python:latest", "no tag with a version"),
        ("ARG BASE=python:", "ARG BASE=registry.example/python:", "names a registry"),
        ("USER 10001:10001", "USER collector", "the user is not a number"),
        ("USER 10001:10001", "USER 0:0", "the user is not a number"),
        ('ENTRYPOINT ["collector"]', "ENTRYPOINT collector", "not in exec form"),
        ("--chown=0:0", "--chown=10001:10001", "another's than the user's"),
        (" --chown=0:0", "", "another's than the user's"),
        ("WORKDIR /data", "ENV COLLECTOR_SERVE__TOKEN=abc", "a secret's name"),
        ("WORKDIR /data", "RUN apt-get install curl", "lists of apt-get stay"),
        ("WORKDIR /data", "RUN apt-get install gcc", "a compiler"),
        ("WORKDIR /data", "RUN false; true", "would not be seen"),
        ("WORKDIR /data", "COPY --chown=0:0 . /data", "whatever lies about"),
        ("EXPOSE 8000\n", "USER 10001:10001\nRUN true\n", "built as the user"),
    ],
)
def test_a_bad_recipe_is_objected_to(tmp_path: Path, good: str, bad: str, words: str) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert good in text
    changed = tmp_path / "Dockerfile"
    changed.write_text(text.replace(good, bad, 1), encoding="utf-8")
    assert [one for one in objections(read_dockerfile(changed)) if words in one]


def test_it_has_no_instruction_that_fetches(tmp_path: Path) -> None:
    changed = tmp_path / "Dockerfile"
    changed.write_text("FROM python:3.13\nADD https://example.org/a.tar.gz /\n", encoding="utf-8")
    with pytest.raises(ValueError, match="ADD"):
        read_dockerfile(changed)


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint here")
    done = subprocess.run([hadolint, "--no-color", str(FILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_stage_has_the_same_base(recipe: Dockerfile) -> None:
    """An environment leads to the interpreter that it was made with."""
    assert len({stage.base for stage in recipe.stages}) == 1


def test_only_wheels_of_the_versions_that_were_tested_are_installed(recipe: Dockerfile) -> None:
    (run,) = recipe.stages[0].all("RUN")
    assert "--only-binary :all:" in run.rest
    assert "--constraint constraints.txt" in run.rest


def test_the_interpreter_and_the_extras_are_ones_that_the_package_has(recipe: Dockerfile) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = re.findall(r"python:(\d+\.\d+)", recipe.arguments["BASE"])[0]
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]
    (extras,) = [one.rest.partition("=")[2] for one in recipe.stages[0].all("ARG")]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_the_version_is_the_package_s(image: Stage) -> None:
    (argument,) = image.all("ARG")
    assert argument.rest == f"VERSION={__version__}"
    labels = image.last("LABEL").pairs({"VERSION": __version__})
    assert labels["org.opencontainers.image.version"] == __version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert labels["org.opencontainers.image.title"] == project["name"]
    assert labels["org.opencontainers.image.description"] == project["description"]
    assert labels["org.opencontainers.image.licenses"] == project["license"]


def test_sigterm_reaches_the_program_itself(image: Stage) -> None:
    assert image.last("STOPSIGNAL").rest == "SIGTERM"
    assert image.last("ENTRYPOINT").words == ["collector"]
    assert image.last("CMD").words == ["collect"]


def test_what_is_written_is_on_the_volume(image: Stage) -> None:
    environ = image.last("ENV").pairs({"PATH": "/usr/bin"})
    volume = image.last("VOLUME").rest
    assert image.last("WORKDIR").rest == volume
    assert environ["HOME"] == volume
    assert environ["XDG_STATE_HOME"].startswith(f"{volume}/")
    assert image.last("EXPOSE").rest == environ["COLLECTOR_SERVE__PORT"]


def sent(pattern_lines: list[str], name: str) -> bool:
    """Return whether a file of the tree goes to the builder: the last line that fits decides."""
    answer = True
    for line in pattern_lines:
        pattern = line.removeprefix("!")
        parts = [name, *(str(parent) for parent in Path(name).parents if str(parent) != ".")]
        fits = any(fnmatch(part, pattern) for part in parts)
        fits |= pattern.startswith("**/") and any(
            fnmatch(Path(part).name, pattern.removeprefix("**/")) for part in parts
        )
        answer = line.startswith("!") if fits else answer
    return answer


def test_the_builder_is_sent_what_is_copied_and_nothing_else(recipe: Dockerfile) -> None:
    text = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    sources = [one.words[:-1] for one in recipe.stages[0].all("COPY")]
    for source in [name for names in sources for name in names]:
        path = ROOT / source
        assert path.exists(), source
        inside = (
            [path]
            if path.is_file()
            else [one for one in path.rglob("*") if one.is_file() and "__pycache__" not in one.parts]
        )
        assert all(sent(lines, str(one.relative_to(ROOT))) for one in inside), source
    for name in (
        ".env",
        "live.db",
        "deploy/.env",
        "tests/conftest.py",
        ".git/config",
        "collector/__pycache__/a.pyc",
    ):
        assert not sent(lines, name), name


def test_the_wheel_finds_all_that_it_is_built_of(recipe: Dockerfile) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    wanted = {*wheel["packages"], *wheel["force-include"], "pyproject.toml", "README.md", "LICENSE"}
    copied = {name for one in recipe.stages[0].all("COPY") for name in one.words[:-1]}
    assert {name for name in wanted if not any(Path(name).is_relative_to(one) for one in copied)} == set()


@pytest.mark.proof
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_package_has_a_wheel(recipe: Dockerfile, tmp_path: Path, machine: str, version: str) -> None:
    """So that nothing is compiled, whatever the image is built for. Asks the registry, installs nothing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = [one.rest.partition("=")[2] for one in recipe.stages[0].all("ARG")]
    wanted = [
        *project["dependencies"],
        *(one for extra in extras.split(",") for one in project["optional-dependencies"][extra]),
    ]
    # pip asks markers of this machine, so that of another one is left out by hand.
    elsewhere = [one for one in wanted if "platform_machine" in one and machine not in one]
    assert [re.split(r"\W", one)[0] for one in elsewhere] == (["pysqlite3"] if machine == "aarch64" else [])
    words = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
    words += [
        "--only-binary",
        ":all:",
        "--constraint",
        str(ROOT / "constraints.txt"),
        "--target",
        str(tmp_path),
    ]
    words += ["--python-version", version, "--implementation", "cp", "--abi", f"cp{version.replace('.', '')}"]
    words += ["--abi", "abi3", "--abi", "none"]
    for glibc in ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34"):
        words += ["--platform", f"{glibc}_{machine}"]
    done = subprocess.run(
        [*words, *(one for one in wanted if one not in elsewhere)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
