"""The drift as one HTML page: a plot over event time above the numbers. It has no script, and loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tandem.output.drift.tables import CAUSES
from tandem.serving.installation.drift_data import point_data
from tandem.serving.questions.answers.shown_times import short_time

if TYPE_CHECKING:
    from tandem.views.reconcile.receipts import DriftPoint

__all__ = ["drift_page"]

_WIDTH: Final = 960
_HEIGHT: Final = 260
_LEFT: Final = 64
_BARS: Final = 480
"""Most bars in the plot; more tiles than this share bars."""
_COLOURS: Final = {
    "late": "#c98a1b",
    "straddlers": "#4a78b5",
    "missing": "#b3261e",
    "extra": "#8e44ad",
    "logic": "#111111",
}
_STYLE: Final = (
    "body{font:14px system-ui,sans-serif;margin:2em;color:#1a1a1a}table{border-collapse:collapse}"
    "td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}td:first-child{text-align:left}"
    "text{font:11px system-ui,sans-serif}"
)


def drift_page(name: str, points: Sequence[DriftPoint]) -> str:
    """A whole page; its rows are the points in which live and batch differ."""
    different = [p for p in points if p.absolute or p.causes.cross_duplicates or not p.causes.explained]
    legend = " ".join(f'<span style="color:{colour}">&#9632;</span> {cause}' for cause, colour in _COLOURS.items())
    columns = ("tile", "generation", "live", "batch", "absolute", "relative", *CAUSES, "agreed_after")
    head = "".join(f"<th>{column.replace('_', ' ')}</th>" for column in columns)
    rows = "".join(f"<tr>{_cells(point, columns)}</tr>" for point in different)
    title = f"{escape(name)}: drift between live and batch"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{len(points):,} generations of tiles, {len(different):,} differ. Events by cause, "
        f"over event time (UTC). {legend}</p>{_plot(points)}"
        f"<table><tr>{head}</tr>{rows}</table></html>\n"
    )


def _cells(point: DriftPoint, columns: Sequence[str]) -> str:
    data = point_data(point)
    data["relative"] = "-" if point.relative is None else f"{point.relative:+.3%}"
    return "".join(f"<td>{escape(str(data[column] if data[column] is not None else '-'))}</td>" for column in columns)


def _plot(points: Sequence[DriftPoint]) -> str:
    """Stacked bars, one a tile, or one for several adjacent tiles."""
    if not points:
        return "<p>Nothing was reconciled yet.</p>"
    first, last = min(p.tile for p in points), max(p.tile for p in points)
    tiles = sorted({p.tile for p in points})
    gap = min((b - a for a, b in pairwise(tiles)), default=1)
    bars = min(_BARS, (last - first) // gap + 1)
    sums = [dict.fromkeys(CAUSES, 0) for _ in range(bars)]
    for point in points:
        data, at = point_data(point), (point.tile - first) * bars // (last - first + gap)
        for cause in CAUSES:
            sums[at][cause] += abs(data[cause])
    most = max(1, *(sum(each.values()) for each in sums))
    return _drawn(sums, most, short_time(first), short_time(last))


def _drawn(sums: Sequence[dict[str, int]], most: int, start: str, end: str) -> str:
    width, shapes = (_WIDTH - _LEFT) / len(sums), list[str]()
    for number, causes in enumerate(sums):
        top = float(_HEIGHT)
        for cause, count in causes.items():
            if count:
                height = count / most * (_HEIGHT - 20)
                top -= height
                x = _LEFT + number * width
                shapes.append(
                    f'<rect x="{x:.2f}" y="{top:.2f}" width="{max(width - 0.5, 0.5):.2f}" height="{height:.2f}" '
                    f'fill="{_COLOURS[cause]}"><title>{count:,} {cause}</title></rect>'
                )
    axis = (
        f'<line x1="{_LEFT}" y1="{_HEIGHT}" x2="{_WIDTH}" y2="{_HEIGHT}" stroke="#888"/>'
        f'<text x="{_LEFT - 6}" y="24" text-anchor="end">{most:,}</text>'
        f'<text x="{_LEFT - 6}" y="{_HEIGHT}" text-anchor="end">0</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT + 18}">{escape(start)}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 18}" text-anchor="end">{escape(end)}</text>'
    )
    view = f'viewBox="0 0 {_WIDTH} {_HEIGHT + 30}" width="{_WIDTH}" role="img"'
    return f'<svg {view} aria-label="events that differ, by cause, over event time">{axis}{"".join(shapes)}</svg>'
