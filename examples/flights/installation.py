"""The demo's own Tandem: where its things lie, and what its commands are called with."""

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
    """All below one folder. The input is kept from run to run, the rest is made anew."""

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
        """Where `tandem` keeps the view store if it isn't told otherwise."""
        return f"sqlite:///{self.home / 'views.db'}"

    @cached_property
    def compiled(self) -> CompiledDefinition:
        """The definition, ready to be asked."""
        return compile_definition(load(DEFINITION))

    @property
    def name(self) -> str:
        """The definition's."""
        return self.compiled.definition.name

    @cached_property
    def store(self) -> ViewStore:
        """The view store, which the processes write; only to be read here."""
        return open_store(self.store_url)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """All keys, those with the most flights first."""
        routes = read_flights().group_by("origin", "carrier").len().sort("len", "origin", descending=True)
        return tuple(key_text(self.compiled, [origin, carrier]) for origin, carrier, _ in routes.iter_rows())

    def write_input(self) -> FlightFiles:
        """Write the data files, where they aren't there yet."""
        return write_files(self.input, HERE / "flights.avsc")

    def backfill(self, *files: Path) -> list[str]:
        """Arguments of `tandem`: take in files, or without any what live has sealed."""
        flags = [flag for file in files for flag in ("--files", str(file))]
        return ["backfill", "--definition", str(DEFINITION), *flags]

    def live(self, generation_seconds: float) -> list[str]:
        """Arguments of `tandem`: run live. It is ended by `tandem stop`; idle for long, it ends by itself."""
        ends = ["--until-idle", "60s", "--generation-interval", f"{round(generation_seconds * 1000)}ms"]
        return ["live", "--definition", str(DEFINITION), "--subscription", SUBSCRIPTION, *ends, "--no-screen"]

    def backtest(self, until: int, *files: Path) -> list[str]:
        """Arguments of `tandem`: judge files and journal by the rules, the windows that end by then (microseconds)."""
        ends = ["--complete-until", time_text(until), "--json"]
        return ["backtest", str(DEFINITION), *map(str, files), str(self.home), *ends]

    def publish(self, file: Path, speed: float) -> list[str]:
        """Arguments of `tandem`: publish a file in order of becoming known, at so many times real speed."""
        order = ["--order-by", "known_at", "--speed", f"{speed:.0f}"]
        return ["publish", "--definition", str(DEFINITION), "--files", str(file), "--topic", TOPIC, *order]
