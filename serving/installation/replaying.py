"""Replays dead letters for a server: by an operator's command, in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tandem.serving.installation.commands import run_command

__all__ = ["ReplayPlaces", "replay_letters"]

_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class ReplayPlaces:
    """The places of the installation, in the form of the command's flags."""

    home: str
    store: str
    journal: str
    dead_letters: str

    @property
    def flags(self) -> tuple[str, ...]:
        """The places as flags."""
        given = (("home", self.home), ("store", self.store), ("journal", self.journal))
        pairs = (*given, ("dead-letters", self.dead_letters))
        return tuple(f"--{name}={value}" for name, value in pairs)


async def replay_letters(places: ReplayPlaces, name: str, letters: Sequence[str]) -> list[str]:
    """Replay the readable ones of these letters (ids), and return the command's output.

    Raises UserError with its last line where it fails, or takes too long.
    """
    command = ["deadletters", "replay", "--only-readable", *places.flags, "--", name, *letters]
    return await run_command(command, f"{name}: the replay", _SECONDS)
