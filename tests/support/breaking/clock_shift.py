"""A wall clock that jumps while a process runs, by a small library that is loaded before the C library.

Programs that are linked statically, Prism for one, keep their clock.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

__all__ = ["ClockShift"]

SOURCE = Path(__file__).with_suffix(".c")


class ClockShift:
    """The shift of the wall clock in every process that is started with `variables`."""

    def __init__(self, folder: Path) -> None:
        """Compile the library. Raises LookupError, saying why, where this machine can't."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None or sys.platform != "linux":
            raise LookupError("no C compiler (cc) on this machine" if compiler is None else "needs Linux's LD_PRELOAD")
        self._file, library = folder / "clock_shift", folder / "clock_shift.so"
        self.set(0)
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"]
        built = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if built.returncode:
            raise LookupError(f"the clock's library doesn't compile here: {built.stderr.splitlines()[:1]}")
        self.variables = {"LD_PRELOAD": str(library), "CLOCK_SHIFT_FILE": str(self._file)}
        if not self._works():
            raise LookupError("this Python doesn't read its clock through the C library")

    def set(self, seconds: int) -> None:
        """Let the wall clock be so many seconds ahead (negative: behind), at once."""
        mode = "r+b" if self._file.exists() else "wb"
        with self._file.open(mode) as file:
            file.write(struct.pack("=q", seconds * 1_000_000))

    def _works(self) -> bool:
        self.set(3600)
        said = subprocess.run(
            [sys.executable, "-c", "import time; print(time.time())"],
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        now = subprocess.run(["date", "+%s"], capture_output=True, text=True, timeout=60)
        self.set(0)
        return abs(float(said.stdout or 0) - float(now.stdout) - 3600) < 60
