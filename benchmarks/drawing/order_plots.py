"""Orders: seconds of work, processor seconds and disk against the number of states."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure as Canvas

from benchmarks.drawing.plots import save
from benchmarks.measuring.results import Row, median

__all__ = ["draw_orders"]

_PANELS: Final = (("work_s", "seconds of work"), ("cpu_s", "processor seconds, start-up included"))
_DISK: Final = (("disk_peak_mb", "at most"), ("disk_mb", "at the end"))


def draw_orders(rows: Sequence[Row], folder: Path) -> list[Path]:
    """A drawing for each key, all axes logarithmic, with a linear guide."""
    return [
        _drawn([row for row in rows if row.case["key"] == key], folder / f"orders-{key}.svg")
        for key in dict.fromkeys(str(row.case["key"]) for row in rows)
    ]


def _drawn(rows: Sequence[Row], path: Path) -> Path:
    canvas = Canvas(figsize=(12.6, 3.4), layout="constrained")
    *times, disk = canvas.subplots(1, 3)
    for panel, (figure, title) in zip(times, _PANELS, strict=True):
        for engine in dict.fromkeys(str(row.case["engine"]) for row in rows):
            _line(panel, [row for row in rows if row.case["engine"] == engine], figure, engine)
        _dressed(panel, title)
    for figure, label in _DISK:
        _line(disk, [row for row in rows if figure in row.figures], figure, label)
    _dressed(disk, "disk of tandem, MB")
    return save(canvas, path)


def _line(panel: Any, rows: Sequence[Row], figure: str, label: str) -> None:
    points = sorted((median(row.figures["states"]) or 0.0, median(row.figures[figure]) or 0.0) for row in rows)
    if not points:
        return
    panel.plot(*zip(*points, strict=True), marker="o", label=label)
    if label == "tandem" and figure == "work_s":
        (first, value), (last, _) = points[0], points[-1]
        panel.plot([first, last], [value, value * last / first], "k:", linewidth=1, label="linear")


def _dressed(panel: Any, title: str) -> None:
    panel.set_title(title, fontsize=10)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("states")
    panel.legend(fontsize=8)
