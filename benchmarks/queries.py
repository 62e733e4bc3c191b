"""The time of answers while live writes: `python -m benchmarks.queries --tiles 10000000 --seconds 60`.

A view store is filled with `--tiles` rows of batch states: those of one real hour of clicks, encoded by the store's own
code, inserted once for each hour of the past (straight into batch_states: the ids and digests beside them aren't asked
for). After the boundary come live generations, written through the store. Then a process writes live updates, `--rate`
transactions a second of all changed keys of the newest tile, while this process asks: answers of random keys over
random minutes, hours and days, and a day's series by minute; each in one read transaction with its certificate, as
`tandem query` asks. A series is held against the answers of some of its minutes.

Times are by the clock; `p99_ran_s` is without the time in which this process waited for a core, on Linux: with it alone
can figures of a busy machine be compared. What is loaded is kept out of Python's garbage collections (gc.freeze), as a
serving process should do it: a full one takes 180 ms with Beam imported.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.inputs.clicks import HOUR, START
from benchmarks.inputs.filled_store import (
    GENERATIONS,
    LIVE_END,
    MINUTE,
    Load,
    blocks_of,
    compiled_clicks,
    fill,
    segment_of,
    update_of,
)
from benchmarks.measuring.results import RESULTS, Row, record
from tandem.schemas.columns import KEY
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.views.answers.point import answer, series
from tandem.views.store import ViewStore

__all__ = ["main", "measure"]

_DAY: Final = 24 * HOUR
_TILE_LASTS: Final = 100
"""Transactions until the writer begins the next tile."""
_ROUND: Final = ["minute"] * 60 + ["hour"] * 20 + ["day"] * 5 + ["series"] * 5
"""The questions of one round, which is shuffled."""
_SCHEDULER: Final = Path("/proc/thread-self/schedstat")


def _write(path: str, size: Load, stop: Event, figures: Any) -> None:
    """Run the writer's process: it writes the states of the newest tile's keys repeatedly."""
    compiled, store = compiled_clicks(), ViewStore(path)
    blocks, number, took = blocks_of(compiled, size), 1_000, list[float]()
    generation, counted, begun = GENERATIONS + 1, 0, time.perf_counter()
    while not stop.is_set():
        tile, more = divmod(number - 1_000, _TILE_LASTS)
        update = update_of(blocks[tile % 60], LIVE_END + tile * MINUTE, generation, more)
        total, counted = update.tallies[0].counted, update.tallies[0].counted if more else 0
        at = time.perf_counter()
        store.live.write_segments(compiled.version, "L1", [segment_of(number, generation, total - counted)])
        store.live.write(compiled, "L1", [update])
        took.append(time.perf_counter() - at)
        number += 1
        time.sleep(max(begun + (number - 1_000) / size.rate - time.perf_counter(), 0))
    figures.put((took, time.process_time(), sum(block.num_rows for block in blocks) / len(blocks)))
    store.close()


def _ask(store: ViewStore, compiled: CompiledDefinition, kind: str, key: str, chance: random.Random, past: int) -> None:
    """Ask one question of a kind about a key; one in five about events of live."""
    end = LIVE_END if chance.random() < 0.2 else START - chance.randrange(max(past - 24, 1)) * HOUR
    if kind == "series":
        steps = len(series(store, compiled, key, end - _DAY, end).points)
        if steps != 1_440:
            raise AssertionError(f"a day's series has {steps} points")
        return
    span = {"minute": MINUTE, "hour": HOUR, "day": _DAY}[kind]
    end -= chance.randrange(60) * MINUTE
    answered = answer(store, compiled, key, end - span, end)
    if answered.certificate.publication != 1:
        raise AssertionError(f"an answer of publication {answered.certificate.publication}")


def _check(store: ViewStore, compiled: CompiledDefinition, key: str) -> None:
    """Compare the series of a day with answers of its minutes, where nothing is being written."""
    found = series(store, compiled, key, START - _DAY, START)
    for point in found.points[:: max(len(found.points) // 20, 1)]:
        alone = answer(store, compiled, key, point.start, point.end)
        if (alone.results, alone.certificate.events) != (point.results, point.events):
            raise AssertionError(f"{key}: the series and the answer differ at {point.start}")


def measure(path: Path, size: Load, seconds: float, seed: int = 1) -> dict[str, dict[str, float]]:
    """By kind of question p50, p99, maximum and count; under 'writer' and 'process' their own figures."""
    compiled, chance = compiled_clicks(), random.Random(seed)
    context = multiprocessing.get_context("spawn")
    stop, figures = context.Event(), context.Queue()
    writer = context.Process(target=_write, args=(str(path), size, stop, figures)) if size.rate else None
    store = ViewStore(str(path), create=False)
    keys = sorted({key for block in blocks_of(compiled, size)[:5] for key in block.column(KEY).to_pylist()})
    _check(store, compiled, chance.choice(keys))
    past, took = _hours(store), _nothing()
    gc.collect()
    gc.freeze()
    if writer is not None:
        writer.start()
    begun = None
    while begun is None or time.perf_counter() < begun[0] + seconds:
        for kind in chance.sample(_ROUND, len(_ROUND)):
            at, waited = time.perf_counter(), _waited()
            _ask(store, compiled, kind, chance.choice(keys), chance, past)
            passed = time.perf_counter() - at
            took[kind].append((passed, passed - (_waited() - waited)))
        if begun is None and (writer is None or _is_writing(store)):
            took = _nothing()
            begun = time.perf_counter(), time.process_time()
    cpu = time.process_time() - begun[1]
    found = {kind: _question_figures(times) for kind, times in took.items()}
    found["process"] = {"cpu_s": round(cpu, 2), "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}
    if writer is not None:
        found["writer"] = _stopped(writer, stop, figures)
    store.close()
    return found


def _stopped(writer: Any, stop: Event, figures: Any) -> dict[str, float]:
    """End the writer's process; returns its figures."""
    stop.set()
    times, cpu, rows = figures.get(timeout=60)
    writer.join()
    return {**_figures(times), "cpu_s": round(cpu, 2), "keys": round(rows)}


def _hours(store: ViewStore) -> int:
    with store.database.read() as connection:
        first = connection.exec_driver_sql("SELECT min(tile) FROM batch_states WHERE key = "
                                           "(SELECT min(key) FROM batch_states)").scalar()  # fmt: skip
    return (START - int(first or START)) // HOUR + 1


def _is_writing(store: ViewStore) -> bool:
    return GENERATIONS + 1 in store.residues.of_live_run(compiled_clicks().version, "L1")


def _nothing() -> dict[str, list[tuple[float, float]]]:
    """By kind of question the time of each, and the time without waiting for a core."""
    return {kind: [] for kind in dict.fromkeys(_ROUND)}


def _waited() -> float:
    """Seconds that this thread was runnable without a core; 0 where the system doesn't report them."""
    try:
        return int(_SCHEDULER.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _question_figures(times: Sequence[tuple[float, float]]) -> dict[str, float]:
    ran = _figures([ran for _, ran in times])
    return {**_figures([passed for passed, _ in times]), "p50_ran_s": ran["p50_s"], "p99_ran_s": ran["p99_s"]}


def _figures(times: Sequence[float]) -> dict[str, float]:
    p50, p99 = np.percentile(times, [50, 99]) if times else (0.0, 0.0)
    return {"p50_s": round(float(p50), 5), "p99_s": round(float(p99), 5), "max_s": round(max(times, default=0.0), 5),
            "times": len(times)}  # fmt: skip


def _rows(size: Load, tiles: int, found: dict[str, dict[str, float]], store_mb: float) -> Iterator[Row]:
    beside = {"writer_rate_per_s": size.rate, **{f"process_{name}": value for name, value in found["process"].items()}}
    for kind, figures in found.items():
        if kind != "process":
            case: dict[str, str | int] = {"asked": kind, "tiles": tiles, "writing": "live" if size.rate else "nothing"}
            yield Row(case, {**figures, **beside, "store_mb": store_mb})


def main(arguments: Sequence[str] | None = None, show: Callable[[str], None] = print) -> None:
    """Fill a store (or use the one of --store), measure, print, and record with --record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=Load.tiles)
    parser.add_argument("--events", type=int, default=Load.events, help="of the hour whose states are taken")
    parser.add_argument("--pages", type=int, default=Load.pages)
    parser.add_argument("--rate", type=float, default=Load.rate, help="live transactions a second, 0 for none")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--store", type=Path, help="keep the store in this file; one that exists is used as it is")
    parser.add_argument("--record", action="store_true", help="keep the figures in benchmarks/results/queries.json")
    parser.add_argument("--results", type=Path, default=RESULTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    size = Load(options.tiles, options.events, options.pages, options.rate)
    folder = Path(tempfile.mkdtemp(prefix="tandem-queries-"))
    path = options.store or folder / "views.db"
    try:
        begun = time.perf_counter()
        if not path.exists():
            rows = fill(path, size)
            show(f"filled with {rows:,} rows in {time.perf_counter() - begun:.1f} s")
        used = path if options.store is None else Path(shutil.copy(path, folder / "views.db"))
        store_mb = round(os.path.getsize(used) / 1e6)
        os.sync()  # else the system writes gigabytes to the disk meanwhile
        found = measure(used, size, options.seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for kind, figures in found.items():
        show(f"{kind:8} " + "  ".join(f"{name} {value:g}" for name, value in figures.items()))
    if options.record:
        record("queries", _rows(replace(size), size.tiles, found, store_mb), folder=options.results)


if __name__ == "__main__":
    main()
