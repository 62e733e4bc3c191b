"""A backfill of many files on a slow object store: every file is planned and read exactly once."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from benchmarks.simulation.folding import TEXT
from tandem.formats.files.pieces import FileRef
from tandem.pipelines.bounded.plan import BackfillConfig, Plan, plan
from tandem.runners.options.places import Home
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import loads
from tandem.views.rows import BatchManifest, GenerationCounts
from tandem.views.store import ViewStore

__all__ = ["ManyFiles", "Planned", "simulate_files"]

_FIRST_BYTE, _BYTES_A_SECOND = 0.12, 60e6


@dataclass(frozen=True, slots=True)
class ManyFiles:
    """The simulated case."""

    files: int
    backfills: int
    """Consecutive backfills, each with its part of the files added."""
    workers: int = 16
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Planned:
    """The results."""

    read: int
    """Files that some backfill read."""
    twice: int
    left: int
    """Files that the last backfill would still read."""
    seconds: float
    """Seconds of the store's time with all workers."""


def simulate_files(what: ManyFiles, folder: Path) -> Planned:
    """Run backfills with the product's plans in a new store below `folder`; reading alone is simulated."""
    compiled, random = compile_definition(loads(TEXT)), Random(what.seed)
    home, store = Home.at(str(folder)), ViewStore(str(folder / "views.db"))
    store.definitions.register(compiled, TEXT)
    config = BackfillConfig(compiled.definition, TEXT, ("gs://simulated/*",), home, None, True, 0, False)
    listed = [_ref(number, random) for number in range(what.files)]
    seen: list[str] = []
    seconds = 0.0
    for turn in range(1, what.backfills + 1):
        work = plan(config, store, listed=listed[: what.files * turn // what.backfills])
        seen += [ref.path for ref in work.files]
        seconds += _reading(work, what.workers, random)
        _build(store, compiled.definition.version, work)
        store.publishing.publish(compiled.definition.name, compiled.definition.version, work.batch_run)
    left = len(plan(config, store, listed=listed).files)
    store.close()
    return Planned(len(set(seen)), len(seen) - len(set(seen)), left, round(seconds, 1))


def _ref(number: int, random: Random) -> FileRef:
    size = round(random.lognormvariate(16, 1))
    return FileRef(f"gs://simulated/{number:06d}.jsonl", size, f"{random.getrandbits(128):032x}", "jsonl")


def _build(store: ViewStore, version: str, work: Plan) -> None:
    parent = work.parent.id if work.parent else None
    store.batch.start(version, work.batch_run, boundary=0, parent=parent, file_sets=work.file_sets)
    counts = tuple(GenerationCounts(generation, 0, 0) for generation in work.generations)
    store.batch.finish(work.batch_run, replace(BatchManifest(counts), segments=work.manifest_files))


def _reading(work: Plan, workers: int, random: Random) -> float:
    """Seconds until the last worker has read its last file."""
    free = [0.0] * workers
    for ref in work.files:
        slow = 10 if random.random() < 0.01 else 1
        heapq.heappush(free, heapq.heappop(free) + _FIRST_BYTE * slow + ref.size / _BYTES_A_SECOND)
    return max(free)
