"""Dead letters sent again for a server: by the command that an operator would run, in a process of its own.

A server stays without Beam, and what a replay takes or breaks is not the server's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tandem.schemas.errors import UserError
from tandem.schemas.privacy.printable import printable

__all__ = ["ReplayPlaces", "replay_letters"]

_SECONDS: Final = 600.0
_LINES: Final = 200


@dataclass(frozen=True, slots=True)
class ReplayPlaces:
    """Where the installation is, as the flags of the command have it."""

    home: str
    store: str
    journal: str
    dead_letters: str

    @property
    def flags(self) -> tuple[str, ...]:
        """Those flags."""
        given = (("home", self.home), ("store", self.store), ("journal", self.journal))
        pairs = (*given, ("dead-letters", self.dead_letters))
        return tuple(f"--{name}={value}" for name, value in pairs)


async def replay_letters(places: ReplayPlaces, name: str, letters: Sequence[str]) -> list[str]:
    """Send letters (their ids) that can be read now through the pipeline again, and return what the command says.

    Raises UserError with its last line where it refuses, or takes too long.
    """
    command = ["deadletters", "replay", "--only-readable", *places.flags, "--", name, *letters]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tandem",
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), _SECONDS)
    except TimeoutError:
        raise UserError(
            f"{name}: the replay was ended after {_SECONDS:g} seconds; run it from the command line"
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
    lines = [printable(line) for line in said.decode(errors="replace").splitlines() if line.strip()][-_LINES:]
    if process.returncode:
        raise UserError(lines[-1] if lines else f"{name}: the replay ended with {process.returncode}")
    return lines
