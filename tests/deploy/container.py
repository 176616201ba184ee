"""Carry out a Dockerfile without a container engine: in folders, by chroot, in namespaces of its own.

The base image is stood in for by this machine's programs and Python, which the folder sees and cannot change.
What is ours is as in a container: the files that COPY and RUN left, the environment, the user, a root that
cannot be written to, the number 1 for the program, SIGTERM. It takes root, and a kernel that lets it mount.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dockerfile import Dockerfile, Instruction, Stage, filled

BASE_PATH = "/base/bin:/usr/local/bin:/usr/bin:/bin"
OF_MACHINE = ("usr", "bin", "sbin", "lib", "lib64", "etc")
OF_NETWORK = (
    "PIP_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
ENTER = """
set -e
root=$1 user=$2 folder=$3 volume=$4
shift 4
if [ -n "$volume" ]; then
    mount --bind "$root" "$root"
    mount -o remount,bind,ro "$root"
    mount --bind "$root$volume" "$root$volume"
    mount -o remount,bind,rw "$root$volume"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
fi
while [ "$1" != -- ]; do
    mount --rbind "$1" "$root$2"
    mount -o remount,bind,ro "$root$2"
    shift 2
done
shift
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot --userspec="$user" "$root" env --ignore-environment --chdir="$folder" "$@"
"""


def can_be_used() -> bool:
    """Return whether this process may do what is needed."""
    words = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", "mount --bind / / && chroot / true"]
    if shutil.which("unshare") is None or os.geteuid() != 0:
        return False
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@dataclass
class Image:
    """What a stage comes to."""

    root: Path
    environ: dict[str, str] = field(default_factory=lambda: {"PATH": BASE_PATH})
    arguments: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    volume: str = ""
    of_machine: dict[Path, str] = field(default_factory=dict)  # its folders, seen under which name

    def command(self, words: Sequence[str], environ: Mapping[str, str], *, builds: bool = False) -> list[str]:
        """Return the words that run a command in it: as root while it is built, else as its user."""
        user, volume = ("0:0", "") if builds else (self.user, self.volume)
        seen = [text for path, name in self.of_machine.items() for text in (str(path), name)]
        variables = [f"{name}={value}" for name, value in {**self.environ, **environ}.items()]
        return [
            *("unshare", "--mount", "--pid", "--fork", "sh", "-c", ENTER, "enter"),
            *(str(self.root), user, self.folder, volume),
            *(*seen, "--", *variables, *words),
        ]


def built(recipe: Dockerfile, context: Path, folder: Path) -> Image:
    """Carry out every stage of a recipe; return the last."""
    images: dict[str, Image] = {}
    for number, stage in enumerate(recipe.stages):
        images[stage.name] = image = empty_image(folder / f"stage-{number}")
        for one in stage.instructions:
            carry_out(one, image, context, images)
    return image


def empty_image(root: Path) -> Image:
    """Return a folder with this machine's programs."""
    image = Image(root)
    for name in ("proc", "dev", "tmp", "root", "opt", "var", "run", "base/bin"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    interpreter = Path(os.path.realpath(sys._base_executable))
    (root / "base" / "bin" / "python").symlink_to(interpreter)
    for name in OF_MACHINE:
        there = Path("/", name)
        if there.is_symlink():
            (root / name).symlink_to(there.readlink())
        elif there.exists():
            (root / name).mkdir()
            image.of_machine[there] = f"/{name}"
    if not interpreter.is_relative_to("/usr"):
        see(image, Path(sys.base_prefix), sys.base_prefix)
    return image


def see(image: Image, path: Path, name: str) -> None:
    """Let an image see a folder of this machine."""
    (image.root / name.lstrip("/")).mkdir(parents=True, exist_ok=True)
    image.of_machine[path] = name


def carry_out(one: Instruction, image: Image, context: Path, images: Mapping[str, Image]) -> None:
    """Carry out one instruction."""
    values = {**image.environ, **image.arguments}
    if one.name == "ARG":
        name, _, value = one.rest.partition("=")
        image.arguments[name] = value
    elif one.name == "ENV":
        image.environ |= one.pairs(values)
    elif one.name == "WORKDIR":
        image.folder = one.rest
        (image.root / one.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif one.name == "USER":
        image.user = one.rest
    elif one.name == "VOLUME":
        image.volume = one.rest
    elif one.name == "COPY":
        source = images[one.flags["from"]].root if "from" in one.flags else context
        copy(one, source, image)
    elif one.name == "RUN":
        environ = {name: text for name, text in os.environ.items() if name.startswith(OF_NETWORK)}
        words = ["/bin/sh", "-c", one.rest]
        command = image.command(words, {**environ, **image.arguments}, builds=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{filled(one.rest, values)}\n{done.stdout}\n{done.stderr}"


def copy(one: Instruction, source: Path, image: Image) -> None:
    """Carry out COPY: what it names goes to root, or to whom it says."""
    *names, target = one.words
    at = image.root / (target if target.startswith("/") else f"{image.folder}/{target}").lstrip("/")
    for name in names:
        found = source / name.lstrip("/")
        to = at / found.name if target.endswith("/") else at
        to.parent.mkdir(parents=True, exist_ok=True)
        if found.is_dir():
            ignored = () if "from" in one.flags else ("__pycache__",)
            shutil.copytree(found, to, symlinks=True, ignore=shutil.ignore_patterns(*ignored))
        else:
            shutil.copy(found, to)
        user, _, group = one.flags.get("chown", "0:0").partition(":")
        for path in (to, *to.rglob("*")):
            os.chown(path, int(user), int(group or user), follow_symlinks=False)


class Container:
    """A program that runs in an image, as an engine would run it."""

    def __init__(
        self, image: Image, stage: Stage, environ: Mapping[str, str], words: Sequence[str] = ()
    ) -> None:
        self._stage = stage
        self._image = image
        self._environ = {**image.environ, **environ}
        entry = [*stage.last("ENTRYPOINT").words, *(words or stage.last("CMD").words)]
        self.process = subprocess.Popen(
            image.command(entry, environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def _inner(self) -> int:
        """Return the number, seen from outside, of the program whose own number is 1, once it runs."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        user = int(self._image.user.partition(":")[0])
        until_s = time.monotonic() + 30.0
        while time.monotonic() < until_s and self.process.poll() is None:
            for number in map(int, listed.read_text().split()):
                with suppress(OSError):
                    if Path(f"/proc/{number}").stat().st_uid == user:
                        return number
            time.sleep(0.01)
        raise AssertionError(self.process.communicate())

    def run(self, words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run a command beside the program, as its user: what `docker exec` does."""
        user, _, group = self._image.user.partition(":")
        enter = ["nsenter", "--target", str(self._inner()), "--mount", "--pid", "--root", "--wd"]
        variables = [f"{name}={value}" for name, value in self._environ.items()]
        command = [
            *enter,
            "--setuid",
            user,
            "--setgid",
            group,
            "env",
            "--ignore-environment",
            *variables,
            *words,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def check_health(self) -> int:
        """Run the check of the image; return its exit code."""
        return self.run(self._stage.last("HEALTHCHECK").check).returncode

    def stop(self) -> tuple[int, str, str]:
        """Send what the image wants to be stopped by; return the exit code and what was printed."""
        os.kill(self._inner(), signal.Signals[self._stage.last("STOPSIGNAL").rest])
        out, err = self.process.communicate(timeout=90)
        return self.process.returncode, out, err

    def end(self) -> None:
        """Leave nothing running, however a test ended."""
        if self.process.poll() is None:
            os.kill(self._inner(), signal.SIGKILL)
        self.process.communicate()
