"""Scale by simulation: `python -m benchmarks.scale [--short] [--lanes N] [--folder docs/performance]`.

The product's journal, plans and folds run on simulated clocks, over an object store whose requests take time and cost
money (`benchmarks.simulation`): lanes, generations, shards and files in larger numbers than this machine can hold. Lost
or repeated messages, generations that no lane seals, and files that are read twice or never end it with an error.
Figures follow from a seed and are the same each time, but for processor time. `--short`: small numbers, without a plot.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.simulation.folding import Folded, Folding, simulate_folding
from benchmarks.simulation.lanes import Lanes, Simulated, simulate_lanes
from benchmarks.simulation.many_files import ManyFiles, Planned, simulate_files
from tandem.journal.clocks import SECOND

__all__ = ["LONG", "SHORT", "Scale", "check", "main", "simulate"]


@dataclass(frozen=True, slots=True)
class Scale:
    """The simulated cases."""

    lanes: tuple[Lanes, ...]
    generations: tuple[Lanes, ...]
    shards: tuple[Folding, ...]
    files: tuple[ManyFiles, ...]


LONG = Scale(
    lanes=tuple(
        Lanes(lanes, rate, 20, 5 * SECOND) for lanes, rate in ((1, 1_000), (10, 500), (50, 100), (200, 25), (1_000, 5))
    ),
    generations=tuple(Lanes(20, 50, 120, length * SECOND) for length in (2, 5, 15, 60)),
    shards=tuple(Folding(shards) for shards in (1, 2, 4, 8, 16)),
    files=(ManyFiles(10_000, 1), ManyFiles(10_000, 20)),
)
SHORT = Scale(
    lanes=(Lanes(1, 100, 6, 2 * SECOND), Lanes(12, 20, 6, 2 * SECOND)),
    generations=(Lanes(4, 20, 8, 2 * SECOND), Lanes(4, 20, 8, 4 * SECOND)),
    shards=(Folding(1, 3, 400, 100), Folding(4, 3, 400, 100)),
    files=(ManyFiles(300, 3),),
)


@dataclass(frozen=True, slots=True)
class Found:
    """The results, in the order of the cases."""

    lanes: tuple[tuple[Simulated, float], ...]
    """With the processor seconds of the whole simulation."""
    generations: tuple[tuple[Simulated, float], ...]
    shards: tuple[Folded, ...]
    files: tuple[Planned, ...]


def simulate(scale: Scale) -> Found:
    """Run every simulation. Raises AssertionError if a guarantee doesn't hold."""
    with tempfile.TemporaryDirectory(prefix="tandem-scale-") as folder:
        places = [Path(folder) / str(number) for number in range(len(scale.files))]
        for place in places:
            place.mkdir()
        found = Found(
            lanes=tuple(map(_timed, scale.lanes)),
            generations=tuple(map(_timed, scale.generations)),
            shards=tuple(map(simulate_folding, scale.shards)),
            files=tuple(map(simulate_files, scale.files, places)),
        )
    check(scale, found)
    return found


def check(scale: Scale, found: Found) -> None:
    """Check that nothing is lost or counted twice, every generation is sealed, and every file is read once."""
    for simulated, _ in (*found.lanes, *found.generations):
        assert (simulated.lost, simulated.twice) == (0, 0), (
            f"{simulated.lost} messages lost, {simulated.twice} twice: {simulated}"
        )
        assert simulated.sealed == simulated.generations, (
            f"{simulated.sealed} of {simulated.generations} generations are sealed"
        )
    counted = {(folded.counted, folded.conflicts) for folded in found.shards}
    assert len(counted) <= 1, f"shards count differently: {counted}"
    for what, planned in zip(scale.files, found.files, strict=True):
        assert (planned.read, planned.twice, planned.left) == (what.files, 0, 0), planned


def _timed(what: Lanes) -> tuple[Simulated, float]:
    begun = time.process_time()
    return simulate_lanes(what), round(time.process_time() - begun, 1)


def _shard_row(what: Any, found: Any) -> tuple[Any, ...]:
    each = round(found.seconds / found.counted * 1e6, 1)
    return what.shards, f"{found.counted:,}", found.updates, round(found.sent / 1e6, 2), found.busiest, each


def tables(scale: Scale, found: Found) -> str:
    """The tables as Markdown."""
    lanes = [
        (f"{w.lanes:,}", f"{w.lanes * w.rate:,.0f}", t.fresh_p50, t.fresh_p99, t.seal_p50, *_requests(w, t), cpu)
        for w, (t, cpu) in zip(scale.lanes, found.lanes, strict=True)
    ]
    generations = [
        (w.generation // SECOND, t.generations, t.fresh_p50, t.fresh_p99, t.seal_p50, *_requests(w, t))
        for w, (t, _) in zip(scale.generations, found.generations, strict=True)
    ]
    shards = [_shard_row(w, f) for w, f in zip(scale.shards, found.shards, strict=True)]
    files = [
        (f"{w.files:,}", w.backfills, f"{p.read:,}", p.twice, p.left, p.seconds)
        for w, p in zip(scale.files, found.files, strict=True)
    ]
    asked = ("requests/s", "segments", "dollars an hour", "dollars per million messages")
    fresh = ("fresh p50, s", "fresh p99, s", "sealed by all after, s")
    return "\n\n".join(
        (
            _table(("lanes", "messages/s", *fresh, *asked, "processor s of the simulation"), lanes),
            _table(("generation, s", "begun and sealed", *fresh, *asked), generations),
            _table(
                ("shards", "events", "updates", "MB to the view store", "busiest shard, times even", "us an event"),
                shards,
            ),
            _table(("files", "backfills", "read", "twice", "left", "reading, s"), files),
        )
    )


def _requests(what: Lanes, simulated: Simulated) -> tuple[Any, ...]:
    a_second = (sum(simulated.meter.requests.values()) / what.seconds, simulated.meter.dollars * 3600 / what.seconds)
    return (
        f"{a_second[0]:,.0f}",
        f"{simulated.segments:,}",
        f"{a_second[1]:,.2f}",
        f"{simulated.dollars_per_million:,.2f}",
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def draw(scale: Scale, found: Found, path: Path) -> Path:
    """Draw freshness and cost by lanes, freshness and requests by generation length, and bytes by shards."""
    from matplotlib.figure import Figure as Canvas

    from benchmarks.drawing.plots import save

    canvas = Canvas(figsize=(9.6, 3.2), layout="constrained")
    lanes, money, shards = canvas.subplots(1, 3)
    numbers = [what.lanes for what in scale.lanes]
    for name in ("fresh_p50", "fresh_p99"):
        lanes.plot(
            numbers,
            [getattr(simulated, name) for simulated, _ in found.lanes],
            marker="o",
            label=name.removeprefix("fresh_"),
        )
    lanes.set_xscale("log")
    lanes.set_yscale("log")
    lanes.set_title("freshness by lanes, s", fontsize=10)
    lengths = [what.generation / SECOND for what in scale.generations]
    money.plot(
        lengths, [simulated.dollars_per_million for simulated, _ in found.generations], marker="o", color="#e4572e"
    )
    money.set_title("dollars per million messages\nby seconds of a generation", fontsize=10)
    sent = [folded.sent / max(folded.counted, 1) for folded in found.shards]
    shards.plot([what.shards for what in scale.shards], sent, marker="o", color="#4c9f70")
    shards.set_title("bytes an event to the view store\nby shards", fontsize=10)
    lanes.legend(fontsize=8)
    for panel in (money, shards):
        panel.set_ylim(bottom=0)
    return save(canvas, path)


def main() -> None:
    """Simulate, print the tables, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--lanes", type=int, help="so many more, of 5 messages a second, for 20 s")
    parser.add_argument("--folder", type=Path, default=Path("docs/performance"))
    options = parser.parse_args()
    scale = SHORT if options.short else LONG
    if options.lanes:
        scale = replace(scale, lanes=(*scale.lanes, Lanes(options.lanes, 5, 20, 5 * SECOND)))
    found = simulate(scale)
    print(tables(scale, found))
    if not options.short:
        print(draw(scale, found, options.folder / "scale.svg"))


if __name__ == "__main__":
    main()
