"""Runs commands for a server as an operator would: in processes of their own.

The server stays without Beam, and a command's memory and failures aren't the server's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Final

from tandem.schemas.errors import UserError
from tandem.schemas.privacy.printable import printable

__all__ = ["run_command"]

_LINES: Final = 200


async def run_command(arguments: Sequence[str], what: str, seconds: float, *, apart: bool = False) -> list[str]:
    """Run `tandem ARGUMENTS`; returns the last lines of its output. `apart`: only standard output, all of it.

    Raises UserError with its last line where it fails, or takes too long; `what` names it.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tandem",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if apart else asyncio.subprocess.STDOUT,
    )
    try:
        said, errors = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        raise UserError(f"{what} was ended after {seconds:g} seconds; run it from the command line") from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        lines = _lines(errors or said)
        raise UserError(lines[-1] if lines else f"{what} ended with {process.returncode}")
    return said.decode(errors="replace").splitlines() if apart else _lines(said)


def _lines(said: bytes) -> list[str]:
    return [printable(line) for line in said.decode(errors="replace").splitlines() if line.strip()][-_LINES:]
