"""Patches Beam's job server so that the state of an unbounded source doesn't grow on Flink.

Flink keeps a source's residual at the end of a bundle as keyed state, under a name with a number that rises with each
bundle. Flink never forgets a name: each stays in the TaskManager's heap and, described in 5 KB, in every checkpoint,
1.3 MB a minute for two lanes at two bundles a second. One name would do, since state is kept by key, and a key, which
is a lane here, has one residual at a time.

So in streaming jobs the number is left out. The class that makes the name gets a twin that differs by one instruction,
which appends null in place of the number; and the operator of streaming jobs names the twin instead. Bounded jobs keep
the class unchanged: there residuals have no keys, only numbers.

The job server's ports are patched as well, see `java_server_address`.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Final

from tandem.runners.beam_patches import java_server_address
from tandem.runners.beam_patches.known import Patch
from tandem.schemas.errors import LaunchError

__all__ = ["PATCH", "patch"]

PATCH: Final = Patch(
    else_would="keep a state more on Flink with each bundle of a source",
    issue="https://github.com/apache/beam/issues/27648",
    tried=("2.62.0",),
    goes_when="the name of what a source leaves has no number",
)

_CLASS: Final = b"StateAndTimerBundleCheckpointHandler"
_TWIN: Final = b"OneStateTimerBundleCheckpointHandler"
"""The same length, so that no length in a class file changes."""
_PLACE: Final = "org/apache/beam/runners/fnexecution/control/BundleCheckpointHandlers$"
_OPERATOR: Final = "org/apache/beam/runners/flink/translation/wrappers/streaming/ExecutableStageDoFnOperator"
_NUMBERED: Final = bytes.fromhex("b6000e 2a b6000e 120f b6000e 1b")
"""In constructSdfCheckpointId: append(prefix), aload_0 (the number), append, ldc ":", append, iload_1 (the index)."""
_ALONE: Final = bytes.fromhex("b6000e 01 b6000e 120f b6000e 1b")
"""The same with aconst_null instead of aload_0."""


def patch(folder: Path) -> None:
    """Patch the jars of a job server in parts. Raises LaunchError where they differ from the known ones."""
    twins = operators = 0
    original = f"{_PLACE}{_CLASS.decode()}.class"
    for jar in sorted(folder.glob("beam-runners-*.jar")):
        with zipfile.ZipFile(jar) as archive:
            names = archive.namelist()
            changed = {name: archive.read(name) for name in names if name.startswith(_OPERATOR)}
            changed = {name: data.replace(_CLASS, _TWIN) for name, data in changed.items() if _CLASS in data}
            operators += len(changed)
            if original in names:
                changed[f"{_PLACE}{_TWIN.decode()}.class"] = _twin(archive.read(original), jar)
                twins += 1
        if changed:
            _write(jar, changed)
    if twins != 1 or not operators:
        raise LaunchError(f"{folder}: {twins} classes name a source's state and {operators} use it, not 1 and some")
    _patch_addresses(folder)


def _patch_addresses(folder: Path) -> None:
    """Bind the servers of all parts to loopback, see `java_server_address`."""
    found = 0
    for jar in sorted(folder.glob("beam-sdks-java-core-*.jar")):
        with zipfile.ZipFile(jar) as archive:
            if java_server_address.CLASS not in archive.namelist():
                continue
            changed = {java_server_address.CLASS: java_server_address.patched(archive.read(java_server_address.CLASS))}
        _write(jar, changed)
        found += 1
    if found != 1:
        raise LaunchError(f"{folder}: {found} classes make servers, not 1")


def _twin(original: bytes, jar: Path) -> bytes:
    if original.count(_NUMBERED) != 1:
        raise LaunchError(f"{jar.name}: {_CLASS.decode()} isn't the class that is known")
    return original.replace(_NUMBERED, _ALONE).replace(_CLASS, _TWIN)


def _write(jar: Path, changed: dict[str, bytes]) -> None:
    """Write the jar with these entries, which replace its own of the same names."""
    making = jar.with_name(f"making-{os.getpid()}-{jar.name}")
    with zipfile.ZipFile(jar) as archive, zipfile.ZipFile(making, "w", zipfile.ZIP_DEFLATED) as target:
        # The first of two entries with one name.
        entries = {info.filename: info for info in reversed(archive.infolist())}
        for info in reversed(entries.values()):
            data = changed.pop(info.filename) if info.filename in changed else archive.read(info)
            target.writestr(info, data)
        for name, data in changed.items():
            target.writestr(name, data)
    making.replace(jar)
