"""Provide Prism, the runner of unbounded pipelines on one machine, in the place where Beam looks for it.

Beam downloads Prism at first use. Where it can't, Go builds the same version from Beam's source, and the binary is put
into Beam's own cache, so that Beam's ordinary flags find it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from apache_beam.runners.portability.prism_runner import PrismJobServer
from apache_beam.version import __version__ as beam_version

from tandem.schemas.errors import LaunchError

__all__ = ["cached_binary", "main", "provide"]

_MODULE = f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{beam_version}"


def _platform_name() -> str:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    return f"apache_beam-v{beam_version}-prism-{platform.system().lower()}-{machine}"


def cached_binary() -> Path | None:
    """Prism in Beam's cache, or None."""
    cache = Path(PrismJobServer.BIN_CACHE)
    found = [cache / f"{_platform_name()}.zip", cache / _platform_name()]
    return next((path for path in found if path.is_file()), None)


def provide() -> Path:
    """Prism's path, after downloading or building it where it is missing. Raises LaunchError when neither goes."""
    present = cached_binary()
    if present is not None:
        return present
    problems = []
    for attempt in (_download, _build):
        try:
            attempt()
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            problems.append(f"{attempt.__name__[1:]}: {error}")
        present = cached_binary()
        if present is not None:
            return present
    raise LaunchError(
        f"Prism {beam_version} is not there and could not be provided ({'; '.join(problems)}); "
        f"install Go 1.25 or later and run `go install {_MODULE}`, then pass --prism_location=PATH"
    )


def _download() -> None:
    url = PrismJobServer._construct_download_url(
        f"v{beam_version}", f"v{beam_version}", platform.system(), platform.machine()
    )
    PrismJobServer.local_bin(url)


def _build() -> None:
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("no `go` on the PATH")
    cache = Path(PrismJobServer.BIN_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        environment = {**os.environ, "GOBIN": folder, "GOFLAGS": "-buildvcs=false"}
        subprocess.run([go, "install", _MODULE], env=environment, check=True)
        packed = Path(folder) / "prism.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(Path(folder) / "prism", _platform_name())
        packed.rename(cache / f"{_platform_name()}.zip")


def main() -> int:
    """Command: provide Prism and print where it is."""
    try:
        sys.stdout.write(f"Prism: {provide()}\n")
    except LaunchError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
