"""Draws plots as SVG: lines, a band, marks. Every browser shows them, and no library is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

__all__ = ["Band", "Line", "Marks", "plot_svg"]

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 960, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 170, 40, 40
_COLOURS: Final = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points; NaN breaks it."""

    name: str
    points: Points


@dataclass(frozen=True, slots=True)
class Band:
    """The area between two lines: (x, low, high)."""

    name: str
    points: Sequence[tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Marks:
    """Shaded intervals of the x axis."""

    name: str
    spans: Points


def plot_svg(
    title: str,
    lines: Sequence[Line],
    bands: Sequence[Band] = (),
    marks: Sequence[Marks] = (),
    ticks: Sequence[tuple[float, str]] = (),
) -> str:
    """The SVG text. `ticks`: places on the x axis with their texts; by default five numbers."""
    xs = [x for line in lines for x, _ in line.points] + [x for band in bands for x, _, _ in band.points]
    ys = [y for line in lines for _, y in line.points]
    ys += [y for band in bands for _, low, high in band.points for y in (low, high)]
    scale = _Scale(*_span(xs), *_span([*ys, 0.0]))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12" role="img" aria-label="{_text(title)}"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="15">{_text(title)}</text>',
        *_axes(scale, ticks),
        *(part for mark in marks for part in _mark(scale, mark)),
        *(part for band in bands for part in _band(scale, band)),
        *(part for at, line in enumerate(lines) for part in _line(scale, line, _COLOURS[at % len(_COLOURS)])),
        *_legend([line.name for line in lines], [band.name for band in bands], [mark.name for mark in marks]),
        "</svg>\n",
    ]
    return "\n".join(parts)


@dataclass(frozen=True, slots=True)
class _Scale:
    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return round(_LEFT + (value - self.left) / (self.right - self.left) * (_WIDTH - _LEFT - _RIGHT), 2)

    def y(self, value: float) -> float:
        return round(_HEIGHT - _BOTTOM - (value - self.low) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM), 2)


def _span(values: Sequence[float]) -> tuple[float, float]:
    there = [value for value in values if math.isfinite(value)]
    low, high = min(there, default=0.0), max(there, default=1.0)
    return (low, high) if high > low else (low - 1, high + 1)


def _axes(scale: _Scale, ticks: Sequence[tuple[float, str]]) -> Iterator[str]:
    for step in range(5):
        value = scale.low + (scale.high - scale.low) * step / 4
        y = scale.y(value)
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#d8dee4"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{value:.4g}</text>'
    places = [scale.left + (scale.right - scale.left) * step / 4 for step in range(5)]
    for place, text in ticks or [(place, f"{place:.4g}") for place in places]:
        yield f'<text x="{scale.x(place)}" y="{_HEIGHT - 16}" text-anchor="middle">{_text(text)}</text>'


def _mark(scale: _Scale, mark: Marks) -> Iterator[str]:
    for start, end in mark.spans:
        x, width = scale.x(start), max(scale.x(end) - scale.x(start), 1.5)
        height = _HEIGHT - _TOP - _BOTTOM
        yield f'<rect x="{x}" y="{_TOP}" width="{width:.2f}" height="{height}" fill="#d1242f" opacity="0.18"/>'


def _band(scale: _Scale, band: Band) -> Iterator[str]:
    for piece in _pieces([(x, low, high) for x, low, high in band.points]):
        above = [f"{scale.x(x)},{scale.y(high)}" for x, _, high in piece]
        below = [f"{scale.x(x)},{scale.y(low)}" for x, low, _ in reversed(piece)]
        yield f'<polygon points="{" ".join([*above, *below])}" fill="#57606a" opacity="0.2"/>'


def _line(scale: _Scale, line: Line, colour: str) -> Iterator[str]:
    for piece in _pieces([(x, y, y) for x, y in line.points]):
        points = " ".join(f"{scale.x(x)},{scale.y(y)}" for x, y, _ in piece)
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _pieces(points: Sequence[tuple[float, float, float]]) -> Iterator[list[tuple[float, float, float]]]:
    """Runs of consecutive finite points."""
    held: list[tuple[float, float, float]] = []
    for point in points:
        if all(map(math.isfinite, point)):
            held.append(point)
        elif held:
            yield held
            held = []
    if held:
        yield held


def _legend(lines: Sequence[str], bands: Sequence[str], marks: Sequence[str]) -> Iterator[str]:
    entries = [(name, _COLOURS[at % len(_COLOURS)], 1.0) for at, name in enumerate(lines)]
    entries += [(name, "#57606a", 0.3) for name in bands] + [(name, "#d1242f", 0.3) for name in marks]
    for row, (name, colour, opacity) in enumerate(entries):
        y, x = _TOP + 18 * row, _WIDTH - _RIGHT + 14
        yield f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}" opacity="{opacity}"/>'
        yield f'<text x="{x + 18}" y="{y + 11}">{_text(name[:24])}</text>'


def _text(text: str) -> str:
    return escape(text, {'"': "&quot;"})
