"""Point answers of a store on PostgreSQL, with layers on this machine's disk: `python -m benchmarks.parts.postgres
--store postgresql://tandem@/postgres?host=/var/run/postgresql [--events N] [--readers N] [--seconds N]`.

A backfill takes clicks in, all of it as layers; the store must be empty. Then one reader asks for random keys over
random minutes, hours and days, each answer in one read transaction with its certificate; then so many readers at once,
as threads of one process with a connection each. `ran`: without the time in which the asking thread waited for a core.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.inputs.clicks import DEFINITIONS, HOUR, Shape, files
from tandem.schemas.definition.compiled import CompiledDefinition, compile_definition
from tandem.schemas.definition.loading import load
from tandem.views.answers.all_steps import all_answers
from tandem.views.answers.point import answer
from tandem.views.store import ViewStore

__all__ = ["asked", "main"]

Times = list[tuple[float, float]]
"""Wall-clock seconds, and the same without waiting for a core."""

_SPANS: Final[Mapping[str, int]] = {"minute": HOUR // 60, "hour": HOUR, "day": 24 * HOUR}
_SCHEDULER: Final = Path("/proc/thread-self/schedstat")


def asked(
    url: str, compiled: CompiledDefinition, places: Sequence[tuple[str, int]], seconds: float, seed: int
) -> dict[str, Times]:
    """By kind of question the time of each answer, for `seconds`."""
    chance, found = random.Random(seed), {kind: Times() for kind in _SPANS}
    with closing(ViewStore(url, create=False)) as store:
        answer(store, compiled, places[0][0], 0, compiled.definition.tile)  # connected
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for kind, span in _SPANS.items():
                key, tile = chance.choice(places)
                start = tile // span * span
                begun, waited = time.perf_counter(), _waited()
                answered = answer(store, compiled, key, start, start + span)
                passed = time.perf_counter() - begun
                found[kind].append((passed, passed - (_waited() - waited)))
                assert answered.certificate.events > 0
    return found


def _waited() -> float:
    """Seconds that this thread was runnable without a core; 0 where the system doesn't report them."""
    try:
        return int(_SCHEDULER.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _at_once(
    url: str, compiled: CompiledDefinition, places: Sequence[tuple[str, int]], seconds: float, readers: int
) -> dict[str, Times]:
    found: list[dict[str, Times]] = []
    threads = [
        threading.Thread(target=lambda seed=seed: found.append(asked(url, compiled, places, seconds, seed)))
        for seed in range(readers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == readers, "a reader has failed"
    return {kind: [one for each in found for one in each[kind]] for kind in _SPANS}


def _line(kind: str, readers: int, times: Times) -> str:
    clock, ran = ([one[at] * 1e3 for one in times] for at in (0, 1))
    figures = [*np.percentile(clock, [50, 99]), *np.percentile(ran, [50, 99])]
    p50, p99, ran50, ran99 = (f"{figure:.1f}" for figure in figures)
    return f"{readers:>4} {kind:<7} {len(times):>8,} {p50:>9} {p99:>9} {ran50:>9} {ran99:>9}"


def main(arguments: Sequence[str] | None = None, show: Callable[[str], None] = print) -> None:
    """Fill the store, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, metavar="URL", help="of an empty database")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args(arguments)
    definition = DEFINITIONS["clicks"]
    with tempfile.TemporaryDirectory(prefix="tandem-postgres-") as name:
        folder = Path(name)
        parquet = [word for path in files(Shape(options.events), "parquet") for word in ("--files", str(path))]
        command = ["backfill", "--definition", str(definition), *parquet, "--layer-threshold", "0"]
        places = ["--home", str(folder / "home"), "--store", options.store, "--layers", str(folder / "home/layers")]
        subprocess.run([sys.executable, "-m", "tandem", *command, *places], check=True)
        compiled = compile_definition(load(definition))
        with closing(ViewStore(options.store, create=False)) as store:
            known = [(row.key, row.start) for row in all_answers(store, compiled)]
        show(f"{len(known):,} tiles; milliseconds\nreaders asked   answers       p50       p99   p50 ran   p99 ran")
        for readers in (1, options.readers):
            found = _at_once(options.store, compiled, known, options.seconds, readers)
            for kind, times in found.items():
                show(_line(kind, readers, times))


if __name__ == "__main__":
    main()
