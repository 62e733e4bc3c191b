"""The demo's own installation: its paths, and the arguments of its commands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from examples.flights.data import FlightFiles, read_flights, write_files
from tandem.schemas.certificate import time_text
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition, key_text
from tandem.schemas.definition.loading import load
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["SUBSCRIPTION", "TOPIC", "Installation"]

HERE: Final = Path(__file__).parent
DEFINITION: Final = HERE / "flights.yaml"
TOPIC: Final = "projects/demo/topics/flights"
SUBSCRIPTION: Final = "projects/demo/subscriptions/flights"


@dataclass(frozen=True)
class Installation:
    """The paths and commands below one folder. The input is kept from run to run, the rest is written again."""

    folder: Path

    @property
    def home(self) -> Path:
        """TANDEM_HOME of all commands."""
        return self.folder / "home"

    @property
    def input(self) -> Path:
        """The data files, and the raw CSV that the oracle reads."""
        return self.folder / "input"

    @property
    def store_url(self) -> str:
        """The view store's URL, by the default of `tandem`."""
        return f"sqlite:///{self.home / 'views.db'}"

    @cached_property
    def compiled(self) -> CompiledDefinition:
        """The compiled definition."""
        return compile_definition(load(DEFINITION))

    @property
    def name(self) -> str:
        """The definition's name."""
        return self.compiled.definition.name

    @cached_property
    def store(self) -> ViewStore:
        """The view store, which the processes write; here it is only read."""
        return open_store(self.store_url)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """All keys, those with the most flights first."""
        routes = read_flights().group_by("origin", "carrier").len().sort("len", "origin", descending=True)
        return tuple(key_text(self.compiled, [origin, carrier]) for origin, carrier, _ in routes.iter_rows())

    def write_input(self) -> FlightFiles:
        """Write the data files that don't exist yet."""
        return write_files(self.input, HERE / "flights.avsc")

    def backfill(self, *files: Path) -> list[str]:
        """Arguments of `tandem`: backfill files, or without any the generations that live has sealed."""
        flags = [flag for file in files for flag in ("--files", str(file))]
        return ["backfill", "--definition", str(DEFINITION), *flags]

    def live(self, generation_seconds: float) -> list[str]:
        """Arguments of `tandem`: run live until `tandem stop`, or until it has been idle for long."""
        ends = ["--until-idle", "60s", "--generation-interval", f"{round(generation_seconds * 1000)}ms"]
        return ["live", "--definition", str(DEFINITION), "--subscription", SUBSCRIPTION, *ends, "--no-screen"]

    def backtest(self, until: int, *files: Path) -> list[str]:
        """Arguments of `tandem`: judge files and journal by the rules, for windows that end by then (microseconds
        UTC).
        """
        ends = ["--complete-until", time_text(until), "--json"]
        return ["backtest", str(DEFINITION), *map(str, files), str(self.home), *ends]

    def publish(self, file: Path, speed: float) -> list[str]:
        """Arguments of `tandem`: publish a file in the order in which flights became known, at a multiple of real
        speed.
        """
        order = ["--order-by", "known_at", "--speed", f"{speed:.0f}"]
        return ["publish", "--definition", str(DEFINITION), "--files", str(file), "--topic", TOPIC, *order]
