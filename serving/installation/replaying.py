"""Dead letters sent again for a server: by the command that an operator would run, in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tandem.serving.installation.commands import run_command

__all__ = ["ReplayPlaces", "replay_letters"]

_SECONDS: Final = 600.0


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
    return await run_command(command, f"{name}: the replay", _SECONDS)
