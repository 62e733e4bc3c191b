"""Provides Prism, the runner of unbounded pipelines on one machine, built so that no other host can reach it.

Go builds it from Beam's own module, of the same version, with another listening address. Without Go, Beam's binary is
downloaded; that one listens on all interfaces, and `tandem live` refuses it on hosts with other interfaces.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from apache_beam.runners.portability.prism_runner import PrismJobServer
from apache_beam.version import __version__ as beam_version

from tandem.runners.beam_patches.prism_source import bind
from tandem.runners.local.prism_binary import bound_path, cache_folder, cached_binary, downloaded_binary
from tandem.schemas.errors import LaunchError

__all__ = ["main", "provide"]

_MODULE = f"github.com/apache/beam/sdks/v2@v{beam_version}"
_COPIED = ("go.mod", "go.sum", "go")
"""The parts of the module that Prism is built from."""


def provide() -> tuple[Path, str]:
    """(Prism's path, its defect if any), built or downloaded if it is missing; bound wherever Go can build it.

    Raises LaunchError when both fail.
    """
    present = cached_binary()
    if present is not None:
        return present, ""
    try:
        return _build(), ""
    except (OSError, RuntimeError, LaunchError, subprocess.CalledProcessError) as error:
        why = f"no Prism could be built that is bound to this machine ({_reason(error)})"
    if downloaded_binary() is None:
        try:
            _download()
        except (OSError, RuntimeError) as error:
            raise LaunchError(
                f"Prism {beam_version} is not there, and {why}, and none could be downloaded ({error})",
                "install Go 1.25 or later and run `python -m tandem.runners.local.prism`",
            ) from None
    present = downloaded_binary()
    if present is None:
        raise LaunchError(f"Prism {beam_version} is not there, and {why}")
    return present, why


def _reason(error: Exception) -> str:
    said = getattr(error, "stderr", None) or str(error)
    return " ".join(str(said).strip().splitlines()[-1:]) or type(error).__name__


def _download() -> None:
    url = PrismJobServer._construct_download_url(
        f"v{beam_version}", f"v{beam_version}", platform.system(), platform.machine()
    )
    PrismJobServer.local_bin(url)


def _build() -> Path:
    """Build Prism. Raises RuntimeError without Go, LaunchError for an unknown source, CalledProcessError."""
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("no `go` on the PATH: it takes Go 1.25 or later")
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="building-") as folder:
        module = Path(folder) / "beam"
        _copy(_module_folder(go), module)
        bind(module)
        built = Path(folder) / "prism"
        _run([go, "build", "-trimpath", "-o", str(built), "./go/cmd/prism"], module)
        built.rename(bound_path())
    return bound_path()


def _module_folder(go: str) -> Path:
    """The module in Go's cache, downloaded and checked by Go."""
    said = _run([go, "mod", "download", "-json", _MODULE], cache_folder())
    return Path(json.loads(said)["Dir"])


def _copy(source: Path, target: Path) -> None:
    """A writable copy: Go's cache is read-only, and has to stay unchanged."""
    target.mkdir()
    for name in _COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(source / name, target / name)
    for path in (target, *target.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


def _run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def main() -> int:
    """Command: provide Prism and print where it is."""
    try:
        path, wrong = provide()
    except LaunchError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(f"Prism: {path}\n")
    if wrong:
        sys.stderr.write(f"warning: {wrong}; with the downloaded one `tandem live` asks for --accept open-port\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
