"""Runs a backtest for a server: the served definition's rules, over all of the journal."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tandem.schemas.errors import UserError
from tandem.serving.installation.commands import run_command
from tandem.storage.urls import is_url

__all__ = ["Backtest", "run_backtest"]

_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Backtest:
    """A backtest's parameters, in the form of the flags of `tandem backtest`."""

    rules: Sequence[str] = ()
    settings: Mapping[str, str] | None = None
    sweep: str | None = None
    complete_until: str | None = None

    @property
    def flags(self) -> list[str]:
        """The parameters as flags."""
        found = [f"--rule={rule}" for rule in self.rules]
        found += [f"--set={name}={value}" for name, value in (self.settings or {}).items()]
        found += [f"--sweep={self.sweep}"] if self.sweep is not None else []
        return found + ([f"--complete-until={self.complete_until}"] if self.complete_until is not None else [])


async def run_backtest(name: str, text: str, journal: str, asked: Backtest) -> Any:
    """The output of `tandem backtest --json`; `text` is the definition's. Raises UserError for its errors."""
    if is_url(journal):
        raise UserError(f"{name}: the journal lies in a bucket; `tandem backtest` takes a copy of it on a disk")
    with tempfile.TemporaryDirectory(prefix="tandem-backtest-") as folder:
        file = Path(folder, "definition.yaml")
        file.write_text(text, encoding="utf-8")
        command = ["backtest", str(file), journal, "--json", *asked.flags]
        return json.loads("\n".join(await run_command(command, f"{name}: the backtest", _SECONDS, apart=True)))
