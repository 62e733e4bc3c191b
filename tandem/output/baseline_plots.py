"""Draws baselines: the band, the values over it, and the alerts; as PNG, or as an HTML page."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tandem.output.baseline_tables import baseline_title
from tandem.output.plots import Band, Line, Marks, plot_svg
from tandem.schemas.errors import LaunchError, UserError
from tandem.serving.questions.answers.shown_times import short_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tandem.serving.questions.answers.baselines import BaselineSeries

__all__ = ["alert_colour", "baseline_page", "baseline_svg", "draw_baselines", "write_plot"]

_TICKS: Final = 6
_STYLE: Final = (
    "body{font:14px system-ui,sans-serif;margin:2em;color:#1a1a1a}table{border-collapse:collapse}"
    "td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}td:first-child{text-align:left}"
    "svg{width:100%;max-width:1100px}"
)
_COLOURS: Final = {"CONFIRMED": "#c0392b", "RAISED_LATE": "#8e44ad", "WITHDRAWN": "#7f8c8d", "TENTATIVE": "#e67e22"}


def alert_colour(state: str) -> str:
    """The colour of an alert's span."""
    return _COLOURS.get(state, "#7f8c8d")


def write_plot(path: str, found: BaselineSeries) -> None:
    """Draw to a .png or .html file. Raises UserError, and LaunchError where Matplotlib is missing."""
    try:
        if path.endswith(".html"):
            Path(path).write_text(baseline_page(found), encoding="utf-8")
        elif path.endswith(".png"):
            _write_png(path, found)
        else:
            raise UserError(f"--plot {path}: its name ends with .png or .html")
    except OSError as error:
        raise UserError(f"--plot {path}: {error.strerror}") from None


def baseline_svg(found: BaselineSeries) -> str:
    """A plot of the band, its middle and the values, at the middle of each window."""
    at = [(start + end) / 2 for start, end in zip(found.starts.tolist(), found.ends.tolist(), strict=True)]
    usual = found.usual
    lines = [
        Line(found.measure, list(zip(at, found.values.tolist(), strict=True))),
        Line("usual", list(zip(at, usual.middle.tolist(), strict=True))),
    ]
    band = Band("low to high", list(zip(at, usual.low.tolist(), usual.high.tolist(), strict=True)))
    low, high = (float(found.starts[0]), float(found.ends[-1])) if len(found) else (0.0, 1.0)
    spans = [(float(max(a.since, low)), float(min(a.until, high))) for a in found.alerts if a.since < high]
    return plot_svg(baseline_title(found), lines, [band], [Marks("alerts", spans)] if spans else [], _ticks(found))


def _ticks(found: BaselineSeries) -> list[tuple[float, str]]:
    count = min(_TICKS, len(found))
    places = [at * (len(found) - 1) // max(count - 1, 1) for at in range(count)]
    zone = found.rule.rule.baseline.zone
    return [(float(found.starts[at]), short_time(int(found.starts[at]), zone=zone)[:16]) for at in places]


def baseline_page(found: BaselineSeries) -> str:
    """A whole page: the plot, and a table of the alerts. It has no script, and loads nothing."""
    title, zone = escape(baseline_title(found)), found.rule.rule.baseline.zone
    rows = "".join(
        f"<tr><td>{escape(a.id[:8])}</td><td>{escape(a.state)}</td><td>{short_time(a.since, zone=zone)}</td>"
        f"<td>{short_time(a.until, zone=zone)}</td></tr>"
        for a in found.alerts
    )
    head = "".join(f"<th>{name}</th>" for name in ("alert", "state", "since", "until"))
    table = f"<table><tr>{head}</tr>{rows}</table>" if rows else "<p>No alerts.</p>"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1>{baseline_svg(found)}{table}</html>\n"
    )


def _write_png(path: str, found: BaselineSeries) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise LaunchError(f"{error.name} isn't installed", "pip install 'tandem-beam[plots]'") from error
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    draw_baselines(figure.subplots(), found)
    figure.savefig(path, dpi=110)


def draw_baselines(axes: Any, found: BaselineSeries) -> None:
    """Draw on Matplotlib's axes: each window's band and value as a step, alerts as spans coloured by state."""
    import numpy as np

    edges: Sequence[Any] = [np.datetime64(int(at), "us") for at in [*found.starts, *found.ends[-1:]]]

    def steps(values: Any) -> Any:
        return [*values, *values[-1:]]

    usual = found.usual
    axes.fill_between(edges, steps(usual.low), steps(usual.high), step="post", color="#57606a", alpha=0.2,
                      label="low to high", linewidth=0)  # fmt: skip
    axes.step(edges, steps(usual.middle), where="post", color="#57606a", linewidth=1, label="usual")
    axes.step(edges, steps(found.values), where="post", color="#1f6feb", linewidth=1.4, label=found.measure)
    known = set[str]()
    for alert in found.alerts:
        begin, end = np.datetime64(alert.since, "us"), np.datetime64(alert.until, "us")
        label = None if alert.state in known else alert.state.lower().replace("_", " ")
        axes.axvspan(begin, end, color=alert_colour(alert.state), alpha=0.25, label=label, linewidth=0)
        known.add(alert.state)
    axes.set_title(baseline_title(found), loc="left", fontsize=11)
    axes.legend(loc="upper left", fontsize=9)
