"""Plots of results, as SVG that is the same for the same results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks.growth import ALL_ENGINES, grown_to
from benchmarks.measuring.comparing import RIGHT
from benchmarks.measuring.results import Row, median

__all__ = ["draw_growth", "draw_peers", "save"]

_COLOURS: Final = {"start-up": "#b9c0c8", "work": "#4c78a8", "Tandem": "#e4572e"}


def draw_peers(rows: Sequence[Row], folder: Path) -> list[Path]:
    """For each job and number of events, bars of work by engine, one panel a form; logarithmic."""
    drawn = []
    for job, events in dict.fromkeys((row.case["job"], row.case["events"]) for row in rows):
        own = [row for row in rows if (row.case["job"], row.case["events"]) == (job, events)]
        own = [row for row in own if row.figures["status"] == RIGHT]
        forms = list(dict.fromkeys(str(row.case["form"]) for row in own))
        if forms:
            canvas = Canvas(figsize=(4.2 * len(forms), 3.6), layout="constrained")
            panels = canvas.subplots(1, len(forms), squeeze=False)[0]
            for panel, form in zip(panels, forms, strict=True):
                _bars(panel, form, [row for row in own if row.case["form"] == form])
            canvas.suptitle(f"{job}, {events:,} events: seconds of work (median)")
            drawn.append(save(canvas, folder / f"peers-{job}-{events}.svg"))
    return drawn


def _bars(panel: Any, form: str, rows: Sequence[Row]) -> None:
    order = list(ALL_ENGINES)
    rows = sorted(rows, key=lambda row: order.index(str(row.case["engine"])), reverse=True)
    labels = [ALL_ENGINES[str(row.case["engine"])].label for row in rows]
    values = [median(row.figures["work_s"]) or 0.0 for row in rows]
    colours = [_COLOURS["Tandem" if label.startswith("Tandem") else "work"] for label in labels]
    bars = panel.barh(labels, values, color=colours)
    panel.bar_label(bars, labels=[f"{value:.2f}" for value in values], padding=2, fontsize=8)
    panel.set_xscale("log")
    panel.margins(x=0.2)
    panel.set_title(form, fontsize=10)
    panel.tick_params(labelsize=8)


def draw_growth(rows: Sequence[Row], folder: Path) -> list[Path]:
    """For each series, seconds of work and peak memory against what grows; both logarithmic, with a linear guide."""
    drawn = []
    for series in dict.fromkeys(str(row.case["series"]) for row in rows):
        own = [row for row in rows if row.case["series"] == series and row.figures["status"] == RIGHT]
        if not own:
            continue
        canvas = Canvas(figsize=(8.4, 3.4), layout="constrained")
        for panel, figure, title in zip(
            canvas.subplots(1, 2), ("work_s", "peak_mb"), ("seconds of work", "peak memory, MB"), strict=True
        ):
            _grown(panel, series, figure, own)
            panel.set_title(title, fontsize=10)
        drawn.append(save(canvas, folder / f"growth-{series}.svg"))
    return drawn


def _grown(panel: Any, series: str, figure: str, rows: Sequence[Row]) -> None:
    names = [name for name in ALL_ENGINES if any(row.case["engine"] == name for row in rows)]
    if series == "definitions":
        values = [median(next(row for row in rows if row.case["engine"] == name).figures[figure]) for name in names]
        panel.bar([ALL_ENGINES[name].label for name in names], values, color=_COLOURS["Tandem"], width=0.5)
        return
    for name in names:
        own = [row for row in rows if row.case["engine"] == name]
        points = sorted((grown_to(row), median(row.figures[figure]) or 0.0) for row in own)
        panel.plot(*zip(*points, strict=True), marker="o", label=ALL_ENGINES[name].label)
        if name == "tandem" and figure == "work_s" and series == "events":
            (first, value), (last, _) = points[0], points[-1]
            panel.plot([first, last], [value, value * last / first], "k:", linewidth=1, label="linear")
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel(series)
    panel.legend(fontsize=8)


def save(canvas: Canvas, path: Path) -> Path:
    """Save as SVG without time stamps and random ids."""
    with mpl.rc_context({"svg.hashsalt": "tandem", "svg.fonttype": "none"}):
        canvas.savefig(path, metadata={"Date": None})
    return path
