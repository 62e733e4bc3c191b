"""Tables of results, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.growth import ALL_ENGINES, grown_to
from benchmarks.measuring.comparing import RIGHT, SKIPPED
from benchmarks.measuring.engines import ENGINES
from benchmarks.measuring.results import Figure, Row, machines, median, spread

__all__ = ["any_table", "growth_tables", "machine_text", "peers_detail", "peers_overview", "table", "work"]

_FORMS: Final = {
    "parquet": "Parquet",
    "jsonl": "JSON Lines",
    "avro": "Avro",
    "avro-deflate": "Avro, deflate",
    "journal-json": "journal of JSON messages",
    "journal-json-2": "the same in 2 lanes",
    "journal-json-4": "in 4 lanes",
    "journal-avro": "journal of Avro messages",
}
_DETAIL: Final = ("engine", "work s", "spread", "start-up s", "CPU s", "peak MB", "work / Tandem's", "wall / Tandem's",
                  "distinct error", "answers")  # fmt: skip


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are right-aligned."""
    lines = [head, ["---", *(["---:"] * (len(head) - 1))], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def machine_text(folder: Path) -> str:
    """One line for each machine that a file of the folder names."""
    found = {
        key: value
        for path in sorted(folder.glob("*.json"))
        for key, value in machines(path.stem, folder=folder).items()
    }
    lines = []
    for here in found.values():
        versions = ", ".join(f"{name} {version}" for name, version in here["versions"].items())
        lines.append(
            f"- {here['cpu']}, {here['cores']} cores, {here['memory_gb']:.0f} GB, {here['system']}, "
            f"Python {here['python']}; {versions}\n"
        )
    return "".join(dict.fromkeys(lines))


def work(row: Row | None) -> float | None:
    """Median seconds of work of a case that was measured and whose answers were right."""
    return median(row.figures["work_s"]) if row is not None and row.figures["status"] == RIGHT else None


def peers_overview(rows: Sequence[Row]) -> str:
    """For each job and number of events a table of engines by forms: seconds of work, and how many times Tandem's."""
    parts = []
    for job, events in _distinct(rows, "job", "events"):
        own = [row for row in rows if (row.case["job"], row.case["events"]) == (job, events)]
        forms = [form for form in _FORMS if any(row.case["form"] == form for row in own)]
        lines = []
        for name, engine in ENGINES.items():
            if any(row.case["engine"] == name for row in own):
                lines.append([engine.label, *(_cell(own, name, form) for form in forms)])
            elif extrapolated := _extrapolated(rows, name, str(job), int(events), forms):
                lines.append([f"{engine.label} (10 x its 1,000,000)", *extrapolated])
        head = [f"`{job}`, {events:,} events", *(_FORMS[form] for form in forms)]
        parts.append(table(head, lines))
    return "\n".join(parts)


def _cell(rows: Sequence[Row], engine: str, form: str) -> str:
    row, tandem = _find(rows, engine, form), work(_find(rows, "tandem", form))
    if row is None:
        return "-"
    if row.figures["status"] != RIGHT:
        return str(row.figures["status"])
    return _seconds(work(row), tandem)


def _seconds(value: float | None, tandem: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" + (f" ({value / tandem:.2g}x)" if tandem else "")


def _extrapolated(rows: Sequence[Row], engine: str, job: str, events: int, forms: Sequence[str]) -> list[str] | None:
    """The extrapolated cells at ten million events of an engine that only runs one million."""
    if ENGINES[engine].most_events >= events or events != 10_000_000:
        return None
    million = [row for row in rows if (row.case["job"], row.case["events"]) == (job, 1_000_000)]
    here = [row for row in rows if (row.case["job"], row.case["events"]) == (job, events)]
    cells = []
    for form in forms:
        small = work(_find(million, engine, form))
        cells.append(_seconds(small * 10 if small else None, work(_find(here, "tandem", form))))
    return cells if set(cells) != {"-"} else None


def peers_detail(rows: Sequence[Row]) -> str:
    """A table for each job, number of events and form."""
    parts = []
    for job, events, form in _distinct(rows, "job", "events", "form"):
        own = [row for row in rows if (row.case["job"], row.case["events"], row.case["form"]) == (job, events, form)]
        tandem = _find(own, "tandem", str(form))
        lines = [_detail(row, tandem) for name in ENGINES for row in own if row.case["engine"] == name]
        parts.append(f"`{job}`, {events:,} events, {_FORMS[str(form)]}:\n\n{table(_DETAIL, lines)}")
    return "\n".join(parts)


def _detail(row: Row, tandem: Row | None) -> list[str]:
    figures, label = row.figures, ALL_ENGINES[str(row.case["engine"])].label
    if figures["status"] != RIGHT:
        reason = str(figures["why"]).replace("|", "/").replace("\n", " ")
        status = figures["status"] if figures["status"] == SKIPPED else f"**{figures['status']}**"
        return [label, *(["-"] * 8), f"{status}: {reason}"]
    ratios = [_ratio(figures[name], tandem, name) for name in ("work_s", "wall_s")]
    wide = spread(figures["work_s"])
    times = [_number(figures["work_s"]), "-" if wide is None else f"{wide:.0%}", _number(figures["start_up_s"])]
    error = median(figures["distinct_error"]) or 0.0
    rest = [_number(figures["cpu_s"]), _number(figures["peak_mb"], "{:,.0f}"), *ratios, f"{error:.1%}", RIGHT]
    return [label, *times, *rest]


def _ratio(figure: Figure, tandem: Row | None, name: str) -> str:
    own, other = median(figure), median(tandem.figures[name]) if tandem and tandem.figures["status"] == RIGHT else None
    return f"{own / other:.2f}" if own is not None and other else "-"


def growth_tables(rows: Sequence[Row]) -> str:
    """A table for each series."""
    parts = []
    for (series,) in _distinct(rows, "series"):
        own = [row for row in rows if row.case["series"] == series]
        lines = [
            [ALL_ENGINES[str(row.case["engine"])].label, f"{grown_to(row):,}", *_grown(row)]
            for row in sorted(own, key=lambda row: (list(ALL_ENGINES).index(str(row.case["engine"])), grown_to(row)))
        ]
        head = ["engine", "events" if series == "definitions" else str(series), "work s", "spread", "CPU s", "peak MB"]
        parts.append(f"By {series}:\n\n{table(head, lines)}")
    return "\n".join(parts)


def _grown(row: Row) -> list[str]:
    figures = row.figures
    if figures["status"] != RIGHT:
        return [str(figures["status"]), "-", "-", "-"]
    wide = spread(figures["work_s"])
    return [_number(figures["work_s"]), "-" if wide is None else f"{wide:.0%}", _number(figures["cpu_s"]),
            _number(figures["peak_mb"], "{:,.0f}")]  # fmt: skip


def any_table(rows: Sequence[Row]) -> str:
    """All cases and their figures, samples as their medians; series over time, which are longer, are left out.

    Cases that say `what` they are get a table for each.
    """
    kinds = list(dict.fromkeys(row.case.get("what") for row in rows))
    if len(kinds) > 1:
        return "\n".join(any_table([row for row in rows if row.case.get("what") == kind]) for kind in kinds)
    cases = list(dict.fromkeys(name for row in rows for name in row.case))
    figures = list(dict.fromkeys(name for row in rows for name, value in row.figures.items() if _is_short(value)))
    lines = [
        [*(str(row.case.get(name, "")) for name in cases), *(_plain(row.figures.get(name)) for name in figures)]
        for row in rows
    ]
    return table([*cases, *figures], lines) if rows else ""


def _is_short(value: Figure) -> bool:
    return not isinstance(value, list) or len(value) <= 9


def _plain(value: Figure) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    middle = median(value)
    return "" if middle is None else f"{middle:,.0f}" if abs(middle) >= 1000 else f"{middle:.3g}"


def _number(figure: Figure, form: str = "{:.2f}") -> str:
    middle = median(figure)
    return "-" if middle is None else form.format(middle)


def _find(rows: Sequence[Row], engine: str, form: str) -> Row | None:
    found = [row for row in rows if row.case["engine"] == engine and row.case["form"] == form]
    return found[0] if found else None


def _distinct(rows: Sequence[Row], *names: str) -> list[tuple[Any, ...]]:
    return list(dict.fromkeys(tuple(row.case[name] for name in names) for row in rows))
