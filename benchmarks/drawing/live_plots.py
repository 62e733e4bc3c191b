"""Plots of live: memory and backlog over time, and the cost of a firing; SVG as in benchmarks.drawing.plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Canvas

from benchmarks.drawing.plots import save
from benchmarks.measuring.results import Row

__all__ = ["draw_firing", "draw_live"]


def draw_live(rows: Sequence[Row], folder: Path) -> list[Path]:
    """For each sustained run, memory of every process and the backlog against time."""
    drawn = []
    for row in rows:
        times: Any = row.figures.get("at_s")
        if row.case.get("what") != "sustained" or not times:
            continue
        canvas = Canvas(figsize=(8.4, 3.2), layout="constrained")
        memory, backlog = canvas.subplots(1, 2)
        for name, series in row.figures.items():
            if name.endswith("_mb") and isinstance(series, Sequence):
                memory.plot(times, series, label=name.removesuffix("_mb"))
        memory.set_title("resident memory, MB", fontsize=10)
        memory.legend(fontsize=8)
        backlog.plot(times, row.figures["backlog"], color="#e4572e")
        backlog.set_title("published and not yet in the view store, events", fontsize=10)
        for panel in (memory, backlog):
            panel.set_xlabel("seconds")
            panel.set_ylim(bottom=0)
        canvas.suptitle(f"{row.case['rate']:,} events/s, {row.case['form']}, key {row.case['key']}", fontsize=11)
        name = f"live-{row.case['form']}-{row.case['key']}-{row.case['rate']}-{row.case['seconds']}.svg"
        drawn.append(save(canvas, folder / name))
    return drawn


def draw_firing(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Processor time of merging a pane of some keys against the keys that are open."""
    if not rows:
        return []
    canvas = Canvas(figsize=(4.6, 3.2), layout="constrained")
    panel = canvas.subplots()
    for changed in dict.fromkeys(row.case["changed"] for row in rows):
        own = [row for row in rows if row.case["changed"] == changed]
        points = sorted((int(row.case["open_keys"]), float(str(row.figures["cpu_ms"]))) for row in own)
        panel.plot(*zip(*points, strict=True), marker="o", label=f"{int(changed):,} keys changed")
    panel.set_xscale("log")
    panel.set_ylim(bottom=0)
    panel.set_xlabel("open keys of the tile")
    panel.set_title("processor time of a firing, ms", fontsize=10)
    panel.legend(fontsize=8)
    return [save(canvas, folder / "firing.svg")]
