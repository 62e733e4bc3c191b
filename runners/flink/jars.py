"""Provides the jars of Flink and of Beam's job server, from package registries, in a cache outside the checkout.

Flink's come in a source archive on the Python package index, the job server's from Maven; both are pinned in
`requirements/`, with digests. Each is made in a temporary folder and renamed, so that interrupted or concurrent builds
leave no partial result.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tandem.runners.beam_patches.flink_source_state import patch
from tandem.schemas.errors import LaunchError

__all__ = [
    "FLINK_LINE",
    "FLINK_VERSION",
    "JOB_SERVER_VERSION",
    "PATCHED",
    "Jars",
    "cache_folder",
    "cached",
    "java",
    "main",
    "provide",
]

FLINK_VERSION: Final = "1.19.3"
FLINK_LINE: Final = "1.19"
"""The value of `--flink_version`."""
JOB_SERVER_VERSION: Final = "2.62.0"
"""The newest job server of Beam that Maven has in parts; a newer one is a single jar, which Beam fetches itself."""

PATCHED: Final = "-mended-2"
"""Part of the names of patched files, see `beam_patches`; its number rises with changes to the patches."""
_NOT_STAGED: Final = "gradle/wrapper"
"""A job server sends its whole class path to Flink with each job, 300 MB, except for paths that contain this. Processes
of this machine find the jars by the manifest of the one that is sent."""
_WANTED: Final = ("flink-dist-", "log4j-")
"""The jars of Flink that are needed; the others are for SQL and for Scala."""
_JOB_SERVER: Final = "org.apache.beam.runners.flink.FlinkJobServerDriver"
_REQUIREMENTS: Final = Path(__file__).parent
"""The folder of the lists of jars with their digests: beside this module, also in an installation."""
_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"
_MINUTES: Final = 20 * 60
"""Seconds; longer than any download should take."""


@dataclass(frozen=True, slots=True)
class Jars:
    """The jars in the cache."""

    flink: Path
    """Folder: Flink, without its scripts."""
    beam: Path
    """Folder: the job server in parts, without its copy of Flink."""
    job_server: Path
    """One small jar for `--flink_job_server_jar` whose manifest names all others, by this machine's paths."""

    @property
    def class_path(self) -> str:
        """The class path of every Java process that Tandem starts: Flink's own jars come first."""
        return f"{self.flink}/*:{self.beam}/*"


def cache_folder() -> Path:
    """$TANDEM_CACHE/flink, else ~/.cache/tandem/flink."""
    return Path(os.environ.get("TANDEM_CACHE") or Path.home() / ".cache" / "tandem").absolute() / "flink"


def cached() -> Jars:
    """The paths of the jars in the cache; doesn't check that they exist."""
    root = cache_folder()
    kept = root / _NOT_STAGED
    flink, beam = kept / f"flink-{FLINK_VERSION}", kept / f"beam-{JOB_SERVER_VERSION}-flink-{FLINK_LINE}{PATCHED}"
    return Jars(flink, beam, root / f"job-server-{JOB_SERVER_VERSION}-flink-{FLINK_VERSION}{PATCHED}.jar")


def provide(note: Callable[[str], object] = lambda line: None) -> Jars:
    """The jars, fetched if they are missing; reports slow steps to `note`. Raises LaunchError."""
    java()
    root, jars = cache_folder(), cached()
    flink, beam = jars.flink, jars.beam
    if jars.job_server.is_file() and flink.is_dir() and beam.is_dir():
        return jars
    try:
        with _alone(root):
            for folder, fetch in ((flink, _fetch_flink), (beam, _fetch_beam)):
                if not folder.is_dir():
                    note(f"fetching {folder.name} into {root}")
                    _make(folder, fetch)
            _write_job_server(jars)
    except OSError as error:
        raise LaunchError(f"{root}: Flink can't be kept there: {error}; TANDEM_CACHE names another folder") from error
    return jars


def java() -> str:
    """Path of Java. Raises LaunchError without one."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found is None:
        where = f"in JAVA_HOME, {home}" if home else "on the PATH"
        raise LaunchError(f"Flink needs Java 11 or 17, and there is no `java` {where}; install a JDK or JRE 17")
    return found


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Serialize processes that make the same files; the second then finds them made."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in (root / _NOT_STAGED).glob("making-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _make(folder: Path, fetch: Callable[[Path], Path]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as making:
        fetch(Path(making)).rename(folder)


def _fetch_flink(making: Path) -> Path:
    """Fetch Flink with pip, which checks the digest before it opens the archive."""
    wanted = _required("flink.txt")
    pip = [sys.executable, "-m", "pip", "--no-input"]
    options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
    _run([*pip, "download", *options, "--dest", str(making), "--requirement", str(wanted)], f"Flink {FLINK_VERSION}")
    (archive,) = making.glob("apache*flink*libraries*.tar.gz")
    lib = making / "lib"
    lib.mkdir()
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.isfile() and "/deps/lib/" in member.name and Path(member.name).name.startswith(_WANTED):
                content = opened.extractfile(member)
                assert content is not None
                with (lib / Path(member.name).name).open("wb") as target:
                    shutil.copyfileobj(content, target)
    if not any(lib.glob("flink-dist-*.jar")):
        raise LaunchError(f"{archive.name} holds no flink-dist jar under deps/lib: it isn't the Flink that is wanted")
    return lib


def _fetch_beam(making: Path) -> Path:
    pom, digests = _required("flink-job-server.xml"), _required("flink-job-server.txt")
    maven = shutil.which("mvn")
    if maven is None:
        raise LaunchError(
            f"Beam's job server for Flink {FLINK_LINE} is fetched by Maven, and there is no `mvn` on the PATH; install "
            "Maven 3, or pass --flink_job_server_jar=PATH_OR_URL of beam-runners-flink-1.19-job-server"
        )
    # A copy, since Maven writes beside its file.
    shutil.copy(pom, making / "pom.xml")
    lib = making / "lib"
    options = ["-DincludeScope=runtime", "-DexcludeGroupIds=org.apache.flink", f"-DoutputDirectory={lib}"]
    command = [maven, "--batch-mode", "--quiet", "--file", str(making / "pom.xml"), _COPY, *options]
    _run(command, f"Beam's job server {JOB_SERVER_VERSION}")
    _check_digests(lib, digests)
    patch(lib)
    return lib


def _required(name: str) -> Path:
    path = _REQUIREMENTS / name
    if not path.is_file():
        raise LaunchError(f"{path} is missing: Flink is fetched from a checkout of Tandem, not from its wheel")
    return path


def _check_digests(lib: Path, digests: Path) -> None:
    lines = digests.read_text(encoding="utf-8").splitlines()
    wanted = {name: digest for digest, name in (line.split() for line in lines if not line.startswith("#"))}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in lib.glob("*.jar")}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise LaunchError(f"{name}: sha256 {found.get(name)}, but {digests.name} says {wanted.get(name)}")


def _run(command: list[str], what: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MINUTES, check=False)
    except subprocess.TimeoutExpired as error:
        raise LaunchError(f"{what} could not be fetched within {_MINUTES // 60} minutes") from error
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "error" in line.lower()]
        why = (lines or [f"exit code {done.returncode}"])[0].strip()
        raise LaunchError(f"{what} could not be fetched with {Path(command[0]).name}: {why[:300]}")


def _write_job_server(jars: Jars) -> None:
    paths = " ".join(jar.as_uri() for folder in (jars.flink, jars.beam) for jar in sorted(folder.glob("*.jar")))
    lines = ["Manifest-Version: 1.0", f"Main-Class: {_JOB_SERVER}", f"Class-Path: {paths}"]
    making = jars.job_server.with_name(f"making-{os.getpid()}.jar")
    with zipfile.ZipFile(making, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "".join(map(_wrapped, lines)))
    making.replace(jars.job_server)


def _wrapped(line: str) -> str:
    """A manifest's lines hold at most 72 bytes; a space begins a continuation."""
    first, rest = line[:70], line[70:]
    return "\r\n ".join([first, *(rest[at : at + 69] for at in range(0, len(rest), 69))]) + "\r\n"


def main() -> int:
    """Command: provide the jars and print where they are."""
    try:
        jars = provide(lambda line: sys.stderr.write(f"{line}\n"))
        sys.stdout.write(f"Flink: {jars.job_server}\n")
    except LaunchError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
