"""The duration of rebuilding a view store: `python -m benchmarks.parts.rebuild [--files N] [--journal N]`.

A home takes in files of clicks (Parquet) and a journal (JSON messages), which is timed. Then its store is lost, with
all that lies below `layers/`; then it is one of a schema before, which is refused; then a segment of the journal is
gone as well. Each time `tandem rebuild` is timed, from start to end of the process. Answers are held against those of
before, all of them; without the segment each may have fewer events.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inputs.clicks import DEFINITIONS, Shape, files
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import load
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.tables import store_version
from tandem.views.store import ViewStore

__all__ = ["Installation", "main"]

Events = dict[tuple[str, int], int]
"""Events by key and tile."""


@dataclass
class Installation:
    """A home on this machine."""

    folder: Path
    definition: Path = DEFINITIONS["clicks"]

    @property
    def store(self) -> Path:
        """The view store."""
        return self.folder / "views.db"

    def run(self, *arguments: str) -> tuple[float, subprocess.CompletedProcess[str]]:
        """(seconds of `tandem ARGUMENTS`, the ended process)."""
        begun = time.perf_counter()
        command = [sys.executable, "-m", "tandem", *arguments, "--home", str(self.folder)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        return time.perf_counter() - begun, ended

    def done(self, *arguments: str) -> float:
        """The seconds of a command that must end with exit code 0."""
        seconds, ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stderr
        return seconds

    def events(self) -> Events:
        """The events of all answers."""
        with closing(ViewStore(str(self.store), create=False)) as store:
            rows = all_answers(store, compile_definition(load(self.definition)))
            return {(row.key, row.start): row.events for row in rows}

    def lose(self) -> None:
        """Delete everything but the journal, files and the records of what was taken in."""
        for path in self.folder.glob("views.db*"):
            path.unlink()
        shutil.rmtree(self.folder / "layers", ignore_errors=True)

    def age(self) -> None:
        """Give the store the schema version of an earlier release."""
        with closing(sqlite3.connect(self.store)) as connection:
            connection.execute(f"UPDATE {store_version.name} SET schema_version = schema_version - 1")
            connection.commit()


def main() -> None:
    """Measure each case, and print a row of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=3_000_000, help="events of files")
    parser.add_argument("--journal", type=int, default=1_000_000, help="events of the journal")
    options = parser.parse_args()
    (journal,) = files(Shape(options.journal, seed=2), "journal-json")
    parquet = files(Shape(options.files), "parquet")
    with tempfile.TemporaryDirectory(prefix="tandem-rebuild-") as folder:
        home = Installation(Path(folder) / "home")
        shutil.copytree(journal, home.folder / "journal")
        given = ["--definition", str(home.definition), *(word for path in parquet for word in ("--files", str(path)))]
        _say("built for the first time", home.done("backfill", *given))
        wanted = home.events()
        print(f"{sum(wanted.values()):,} events, {len(wanted):,} states")
        home.lose()
        _say("made anew after all of the store was lost", home.done("rebuild"))
        assert home.events() == wanted
        home.age()
        _, refused = home.run("status", "clicks")
        assert refused.returncode != 0
        assert len(refused.stderr.strip().splitlines()) == 1, refused.stderr
        print(refused.stderr.strip())
        _say("made anew after it was refused", home.done("rebuild"))
        assert home.events() == wanted
        _without_a_segment(home, wanted)


def _without_a_segment(home: Installation, wanted: Events) -> None:
    lane = next((home.folder / "journal" / "lanes").glob("*/*"))
    segments = sorted(lane.glob("*.avro"))
    segments[len(segments) // 2].unlink()
    home.lose()
    seconds, ended = home.run("rebuild")
    assert ended.returncode == 0, ended.stderr
    assert "answers are PARTIAL" in ended.stdout
    _say("made anew without one segment", seconds)
    found = home.events()
    assert all(found.get(place, 0) <= count for place, count in wanted.items())
    print(f"{sum(wanted.values()) - sum(found.values()):,} events are missing, and named: {_missing(ended.stdout)}")


def _missing(said: str) -> str:
    return next(line for line in said.splitlines() if "missing: segment" in line)


def _say(what: str, seconds: float) -> None:
    print(f"{what}: {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
