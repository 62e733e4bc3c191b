"""An image without a builder or a registry: the Dockerfile's steps, done in a folder that processes are locked into.

What comes from a registry has a stand-in: Python's base is Debian's own Python (debootstrap), Beam's boot is built of
the SDK's module by Go, and the launcher of templates, whose binary is Google's, is a script that starts what that would
start. Needs root, to lock processes in, and the network, to install packages.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from deployments.container_file import context, stages
from deployments.deploy_tools import ROOT

__all__ = ["BOOT", "LAUNCHER", "Image", "built", "lacking"]

BOOT: Final = "/opt/apache/beam/boot"
LAUNCHER: Final = "/opt/google/dataflow/python_template_launcher"
_TOOLS: Final = ("debootstrap", "go", "chroot", "unshare")
_SUITE: Final = "bookworm"
_PACKAGES: Final = "ca-certificates,python3,python3-venv"
_LOCK_IN: Final = (
    'mount -t proc proc "$1/proc"; mkdir -p "$1/dev/shm"; mount -t tmpfs -o mode=1777 shm "$1/dev/shm"; '
    'mount -t tmpfs -o mode=1777 tmp "$1/tmp"; shift; exec chroot "$@"'
)
_LAUNCHES: Final = '#!/bin/sh\nexec python "$FLEX_TEMPLATE_PYTHON_PY_FILE" "$@"\n'
_OF_THE_NETWORK: Final = ("PIP_", "UV_", "SSL_", "http_proxy", "https_proxy", "no_proxy")
_SAYS_NOTHING_HERE: Final = frozenset({"LABEL", "HEALTHCHECK"})


@dataclass(frozen=True)
class Image:
    """A file system, and how processes are started in it."""

    root: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = "0:0"
    folder: str = "/"
    entry_point: tuple[str, ...] = ()

    def command(self, *words: str, more: Mapping[str, str] = MappingProxyType({})) -> list[str]:
        """The command line, on this machine, of a process that sees nothing else; `more`: variables that it gets."""
        variables = [f"{name}={value}" for name, value in {"HOME": self._home(), **self.environment, **more}.items()]
        inside = [f"--userspec={self.user}", str(self.root), "/usr/bin/env", "-i", "-C", self.folder, *variables]
        return ["unshare", "--mount", "sh", "-ec", _LOCK_IN, "image", str(self.root), *inside, *words]

    def _home(self) -> str:
        """The user's, which a container is given as HOME."""
        lines = (self.root / "etc/passwd").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[5] for line in lines if line.split(":")[2] == self.user.partition(":")[0])

    def run(
        self, *words: str, more: Mapping[str, str] = MappingProxyType({}), seconds: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = self.command(*words, more=more)
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


def lacking() -> str:
    """Why there can be no such folder on this machine; empty where there can."""
    if os.getuid() != 0:
        return "only root may lock processes into a folder"
    gone = [name for name in _TOOLS if not shutil.which(name)]
    return f"no {', '.join(gone)} in PATH" if gone else ""


def built(target: str, folder: Path, arguments: Mapping[str, str], beam: str) -> Image:
    """The image of a stage, with --build-arg's values, below a folder; `beam`: the SDK's version."""
    made, known = dict[str, Image](), stages()
    for name in (each for each in known if each in _needed(target, known)):
        root = folder / name
        base = known[name][0][1].split(" AS ")[0]
        image = _upon(made[base], root) if base in made else _from_registry(base, root, beam)
        for word, rest in known[name][1:]:
            image = _done(word, rest, image, made, arguments)
        made[name] = image
    return made[target]


def _needed(target: str, known: Mapping[str, Sequence[tuple[str, str]]]) -> set[str]:
    """The stages that one is made of."""
    found = {target}
    for word, rest in known[target]:
        of = rest.split(" AS ")[0] if word == "FROM" else rest.partition("--from=")[2].split(" ")[0]
        if word in ("FROM", "COPY") and of in known:
            found |= _needed(of, known)
    return found


def _upon(image: Image, root: Path) -> Image:
    """Another image's files, shared with it until one of them is replaced."""
    subprocess.run(["cp", "-al", str(image.root), str(root)], check=True)
    return replace(image, root=root)


def _from_registry(base: str, root: Path, beam: str) -> Image:
    """What stands in for a base."""
    if base.startswith("python:"):
        shutil.copytree(_debian(root.parent), root, symlinks=True, copy_function=os.link)
        return Image(root, {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    root.mkdir()
    if base.startswith("apache/beam_python"):
        _put_program(root / BOOT[1:], _boot(root.parent, beam))
    else:
        script = root.parent / "launcher.sh"
        script.write_text(_LAUNCHES, encoding="utf-8")
        _put_program(root / LAUNCHER[1:], script)
    return Image(root)


def _debian(folder: Path) -> Path:
    """Debian with its Python, and this machine's way into the network."""
    root = folder / "debian"
    if not root.exists():
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)]
        subprocess.run(command, check=True, capture_output=True)
        for file in ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"):
            if os.path.exists(file):
                shutil.copy(file, root / file[1:])
        (root / "usr/bin/python").symlink_to("python3")
    return root


def _boot(folder: Path, beam: str) -> Path:
    """What Beam's images start workers by, for these as for those without any of the C library."""
    package = f"github.com/apache/beam/sdks/v2/python/container@v{beam}"
    subprocess.run(["go", "install", package], check=True, env={**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"})
    return folder / "container"


def _put_program(place: Path, program: Path) -> None:
    place.parent.mkdir(parents=True)
    shutil.copy(program, place)
    place.chmod(0o755)


def _done(word: str, rest: str, image: Image, made: Mapping[str, Image], arguments: Mapping[str, str]) -> Image:
    """An image after one instruction."""
    for name, value in arguments.items():
        rest = rest.replace(f"${{{name}}}", value)
    if word == "ENV":
        return replace(image, environment={**image.environment, **dict(one.split("=", 1) for one in shlex.split(rest))})
    if word == "USER":
        return replace(image, user=rest)
    if word == "WORKDIR":
        (image.root / rest[1:]).mkdir(parents=True, exist_ok=True)
        return replace(image, folder=rest)
    if word == "ENTRYPOINT":
        return replace(image, entry_point=tuple(json.loads(rest)))
    if word == "COPY":
        _copy(shlex.split(rest), image, made)
    elif word == "RUN":
        _run(rest, image)
    elif word not in {*_SAYS_NOTHING_HERE, "ARG", "CMD"}:
        raise LookupError(f"{word} isn't understood")
    return image


def _run(line: str, image: Image) -> None:
    """One step; what this machine needs to install packages is told to it."""
    network = {name: value for name, value in os.environ.items() if name.startswith(_OF_THE_NETWORK)}
    done = image.run("/bin/sh", "-c", line, more=network, seconds=1800)
    assert done.returncode == 0, f"RUN {line}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


def _copy(words: Sequence[str], image: Image, made: Mapping[str, Image]) -> None:
    *sources, target = (word for word in words if not word.startswith("--"))
    (stage,) = [word.removeprefix("--from=") for word in words if word.startswith("--from=")] or [""]
    into = image.root / os.path.join(image.folder, target)[1:]
    if sources == ["."] and not stage:
        for path in context():
            _copy_one(ROOT / path, into / path)
        return
    for source in sources:
        found = (made[stage].root if stage else ROOT) / source.lstrip("/")
        if found.is_dir():
            subprocess.run(["cp", "-a", "--remove-destination", f"{found}/.", str(_folder(into))], check=True)
        else:
            _copy_one(found, into / found.name if target.endswith("/") or len(sources) > 1 else into)


def _copy_one(source: Path, target: Path) -> None:
    _folder(target.parent)
    target.unlink(missing_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
