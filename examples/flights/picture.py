"""Pictures of one series, with its parts from batch and live, and of alerts over their baselines' bands."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tandem.output.baseline_plots import draw_baselines
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.serving.questions.answers.baselines import BaselineSeries
from tandem.views.answers.reading.rows import tile_rows
from tandem.views.answers.reading.scope import read_scope
from tandem.views.store import ViewStore

__all__ = ["Step", "Steps", "draw", "draw_alerts", "read_steps", "write_page"]

BATCH: Final = "#2b6cb0"
LIVE: Final = "#ed8936"
INK: Final = "#2d3748"
FAINT: Final = "#718096"
HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Step:
    """The events of one step, by batch and live; its start in microseconds UTC."""

    start: int
    batch: int
    live: int


@dataclass(frozen=True, slots=True)
class Steps:
    """A key's series at one instant."""

    key: str
    now: int
    """The simulated time."""
    watermark: int | None
    boundary: int
    generations: int
    """The number of live generations after the boundary that hold events of the key."""
    days: tuple[Step, ...]
    hours: tuple[Step, ...]
    """Hours around the time at which the two views meet."""

    @property
    def live_share(self) -> float:
        """The live share of the events of all days, 0 to 1."""
        total = sum(step.batch + step.live for step in self.days)
        return sum(step.live for step in self.days) / total if total else 0.0


def read_steps(
    store: ViewStore, compiled: CompiledDefinition, key: str, start: int, end: int, now: int, hours: int = 72
) -> Steps:
    """Read the days of [start, end), and as many hours around the time at which the views meet, in one transaction."""
    with store.database.read() as connection:
        scope = read_scope(connection, store.chains, compiled)
        rows = tile_rows(connection, scope, key, start, end)
    batch, live = dict[int, int](), dict[int, int]()
    for row in rows:
        part = live if row.generation else batch
        part[row.tile] = part.get(row.tile, 0) + row.events
    middle = min((tile for tile, events in live.items() if events > batch.get(tile, 0)), default=now // HOUR * HOUR)
    first = min(max(middle - hours // 2 * HOUR, start), end - hours * HOUR)
    return Steps(
        key=key,
        now=now,
        watermark=scope.watermark,
        boundary=scope.boundary,
        generations=len({row.generation for row in rows if row.generation}),
        days=_steps(batch, live, start, end, DAY),
        hours=_steps(batch, live, first, first + hours * HOUR, HOUR),
    )


def _steps(batch: dict[int, int], live: dict[int, int], start: int, end: int, size: int) -> tuple[Step, ...]:
    def total(part: dict[int, int], at: int) -> int:
        return sum(part.get(tile, 0) for tile in range(at, at + size, HOUR))

    return tuple(Step(at, total(batch, at), total(live, at)) for at in range(start, end, size))


def draw(steps: Steps, path: Path, name: str) -> Path:
    """Draw days above and hours below; returns the path of the PNG."""
    with plt.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12)
        figure, (upper, lower) = plt.subplots(2, 1, figsize=(11, 7.4), height_ratios=(3, 2), layout=layout)
        title = f"Flights of {name}: one answer, made by two speeds"
        figure.suptitle(title, x=0.015, ha="left", size=15, weight="bold")
        _bars(upper, steps.days, DAY, "flights a day")
        _mark(upper, steps)
        mondays = [step.start for step in steps.days if datetime.fromtimestamp(step.start / 1e6, UTC).weekday() == 0]
        upper.set_xticks([_date(start + DAY // 2) for start in mondays])
        upper.xaxis.set_major_formatter(mdates.DateFormatter("Mon %d %b"))  # type: ignore[no-untyped-call]
        upper.set_title(_caption(steps), loc="left", size=10, color=FAINT)
        _bars(lower, steps.hours, HOUR, "flights an hour")
        _mark(lower, steps)
        lower.xaxis.set_major_locator(mdates.HourLocator(byhour=(0, 12)))  # type: ignore[no-untyped-call]
        lower.xaxis.set_major_formatter(mdates.DateFormatter("%d %b %H:%M"))  # type: ignore[no-untyped-call]
        title = "where they meet, by tile of an hour (UTC): a flight belongs to the generation in which it became known"
        lower.set_title(title, loc="left", size=10, color=FAINT)
        handles, labels = upper.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=len(labels), frameon=False)
        figure.savefig(path, dpi=130)
        plt.close(figure)
    return path


def _caption(steps: Steps) -> str:
    live = f"{steps.live_share:.0%} of these flights from live, in {steps.generations} generations"
    return f"boundary: batch covers the journal up to generation {steps.boundary}; {live} after it"


def _bars(axes: Axes, steps: Sequence[Step], size: int, label: str) -> None:
    middles = [_date(step.start + size // 2) for step in steps]
    width = size / DAY * 0.86
    batch, live = [step.batch for step in steps], [step.live for step in steps]
    axes.bar(middles, batch, width, color=BATCH, label="batch view")
    axes.bar(middles, live, width, bottom=batch, color=LIVE, label="live view")
    axes.set_ylabel(label, color=FAINT)
    axes.tick_params(colors=INK, length=0)
    axes.grid(axis="y", color="#e2e8f0", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_ylim(0, 1.1 * max(1, *(step.batch + step.live for step in steps)))
    axes.set_xlim(_date(steps[0].start), _date(steps[-1].start + size))


def _mark(axes: Axes, steps: Steps) -> None:
    """Draw the replay's time and live's watermark as lines, and a tint from the first step with live events."""
    least, most = axes.get_xlim()
    shown = steps.days if most - least > 10 else steps.hours
    first = next((step.start for step in shown if step.live), None)
    if first is not None:
        end = min(_date(steps.now), most)
        axes.axvspan(_date(first), end, color=LIVE, alpha=0.09, zorder=0, label="merged from both, or live")
    for time, style, label in ((steps.now, "-", "now, in the replay"), (steps.watermark, ":", "live's watermark")):
        if time is not None and least <= _date(time) <= most:
            axes.axvline(_date(time), color=INK, linewidth=1.3, linestyle=style, label=label)


def draw_alerts(series: Sequence[tuple[str, BaselineSeries]], path: Path) -> Path:
    """Draw each series with its baseline's band and its alerts below its title; returns the path of the PNG."""
    with plt.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12)
        figure, places = plt.subplots(len(series), 1, figsize=(11, 3.1 * len(series)), layout=layout, squeeze=False)
        for axes, (title, found) in zip(places[:, 0], series, strict=True):
            draw_baselines(axes, found)
            axes.set_title(title, loc="left", size=10, color=INK)
            axes.xaxis.set_major_formatter(mdates.DateFormatter("%d %b %H:%M"))  # type: ignore[no-untyped-call]
        figure.savefig(path, dpi=130)
        plt.close(figure)
    return path


def _date(time: int) -> float:
    return time / DAY  # as matplotlib counts: days since 1970-01-01


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #2d3748; margin: 2rem auto; max-width: 62rem; padding: 0 1rem }}
img {{ width: 100%; height: auto }} table {{ border-collapse: collapse; margin: 1rem 0 }}
td {{ border-bottom: 1px solid #e2e8f0; padding: .3rem 1.2rem .3rem 0; vertical-align: top }}
td:first-child {{ color: #718096; white-space: nowrap }}
</style></head><body><h1>{title}</h1>
{images}
<table>{rows}</table></body></html>
"""


def write_page(path: Path, pictures: Mapping[str, Path], title: str, rows: Sequence[tuple[str, Any]]) -> Path:
    """Write one self-contained HTML file with the pictures, each with its alternative text, and the summary."""
    cells = ((html.escape(name), html.escape(str(value))) for name, value in rows)
    lines = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>\n" for name, value in cells)
    encoded = {alt: base64.b64encode(picture.read_bytes()).decode("ascii") for alt, picture in pictures.items()}
    images = "\n".join(
        f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{each}">' for alt, each in encoded.items()
    )
    path.write_text(_PAGE.format(title=html.escape(title), images=images, rows=lines), encoding="utf-8")
    return path
