"""The output of `tandem status` and `tandem publications`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text

from tandem.pipelines.console.printing import cell
from tandem.pipelines.console.tables import Column, print_pairs, print_table
from tandem.schemas.privacy.printable import printable
from tandem.schemas.time.units import UNIT_QUESTION
from tandem.serving.questions.answers.shown_times import ago_text, short_time

if TYPE_CHECKING:
    from tandem.serving.installation.journal_state import HeldGeneration, JournalState
    from tandem.views.rows import Publication

__all__ = ["journal_lines", "print_publications", "print_status", "results_text"]

_COUNTS: Final = ("received", "counted", "filtered", "duplicates", "late", "dead")
_MOST_GENERATIONS: Final = 12


def print_status(to: Console, report: dict[str, Any], journal: JournalState | None, now: int) -> None:
    """Print the served publication, the live run's conservation, and the journal. `now`: wall clock, microseconds
    UTC.
    """
    print_pairs(to, _served_pairs(report, now))
    live = _served_live(report)
    if live is not None and live["generations"]:
        _print_generations(to, live, report["served"]["boundary"], journal)
    others = [run for run in report["live_runs"] if run is not live]
    for run in others:
        state = "caught up" if run["caught_up"] else "catching up"
        to.print(cell(f"  live run {run['run']} of version {run['version']}: {state}, not served"), soft_wrap=True)
    if journal is None:
        to.print("  no journal here: --home or --journal names it")
    else:
        for line in journal_lines(journal, now):
            to.print(cell(f"  {line}"), soft_wrap=True)


def print_publications(to: Console, publications: Sequence[Publication], served: int) -> None:
    """One row a publication; the one of number `served` is marked."""
    columns = [
        Column("", keep=True),
        Column("number", right=True, keep=True),
        Column("published", keep=True),
        Column("boundary", right=True, keep=True),
        Column("version", keep=True),
        Column("kind"),
        Column("batch run"),
        Column("live run"),
        Column("note", wrap=True),
    ]
    rows = (
        (
            "served" if row.ordinal == served else "",
            str(row.ordinal),
            short_time(row.published_at, seconds=True),
            str(row.boundary),
            row.version,
            row.kind.value,
            row.batch_run or "-",
            row.live_run or "-",
            row.note,
        )
        for row in publications
    )
    print_table(to, columns, rows)


def journal_lines(journal: JournalState, now: int) -> Iterator[str]:
    """The generations, the last run, and the lanes that hold up a seal, a sentence each."""
    if not journal.current:
        yield "journal: empty"
        return
    since = f", begun {ago_text(now - journal.current_since)} ago" if journal.current_since is not None else ""
    open_ones = journal.current - journal.sealed
    state = f"generation {journal.current} is current{since}" if open_ones else "no lane writes any more"
    sealed = f"up to {journal.sealed} all are sealed" if journal.sealed else "none is sealed yet"
    yield f"journal: {state}; {sealed}"
    run = journal.last_run
    if run is not None:
        lanes = "1 lane" if run.lanes == 1 else f"{run.lanes} lanes"
        behind = any(gap.run == run.id for gap in journal.gaps)
        life = "its end may lie behind a missing segment" if behind else _life(run.ended, run.last_sign, now)
        yield f"last run: {run.id}, {lanes}, {life}"
    yield from _held(journal.held, now)


def _life(ended: bool, last_sign: int | None, now: int) -> str:
    if ended:
        return "ended"
    if last_sign is None:
        return "not ended, no sign of life yet"
    return f"not ended, last sign of life {ago_text(now - last_sign)} ago"


def _held(held: Sequence[HeldGeneration], now: int) -> Iterator[str]:
    """A line for each lane that holds up a seal, with the oldest generation affected."""
    seen: set[tuple[str, int]] = set()
    for generation in held:
        since = f" for {ago_text(now - generation.since)}" if generation.since is not None else ""
        for lane in generation.lanes:
            if (lane.run, lane.lane) not in seen:
                seen.add((lane.run, lane.lane))
                why = f": {lane}" if lane.gap is not None else f" to be sealed by {lane}"
                yield f"generation {generation.generation} waits{since}{why}"


def _served_live(report: dict[str, Any]) -> dict[str, Any] | None:
    served = report["served"]
    runs = report["live_runs"] if served is not None else []
    wanted = [r for r in runs if r["run"] == served["live_run"] and r["version"] == served["version"]]
    return wanted[0] if wanted else None


def _served_pairs(report: dict[str, Any], now: int) -> Iterator[tuple[str, str | Text]]:
    served = report["served"]
    yield "name", cell(report["name"], "bold")
    if served is None:
        yield "served", "nothing is published yet"
    else:
        when = f"{served['kind']}, {ago_text(now - served['published_at'])} ago"
        yield "served", f"publication {served['publication']} ({when}), version {served['version']}"
        yield "batch run", f"{served['batch_run'] or '-'}  boundary {served['boundary']}"
        yield "complete", _complete_text(report)
        yield "live run", _live_text(_served_live(report))
        residues = report["batch_residues"]
        residue = ", ".join(f"generation {g}: {n:,}" for g, n in residues.items())
        yield "batch residue", cell(residue, "bold red") if residues else "0"
    early = ["batch"] if report["batch_early"] else []
    early += [f"live run {run['run']}: {run['early']:,}" for run in report["live_runs"] if run["early"]]
    if early:
        yield "times", cell(f"some lie {UNIT_QUESTION} ({', '.join(early)})", "bold red")
    building = [run["id"] for run in report["batch_runs"] if run["status"] == "BUILDING"]
    if building:
        yield "unfinished", ", ".join(building)
    letters = ", ".join(f"{count:,} {state}" for state, count in sorted(report["dead_letters"].items()))
    yield "dead letters", letters or "0"
    if report["reconciled"] is not None:
        yield "reconciled", _reconciled_text(report["reconciled"], now)
    if report["results"] is not None:
        yield "results", results_text(report["results"], now)


def results_text(results: dict[str, Any], now: int) -> Text:
    """The waiting work of results, their deliverer, and failing outputs."""
    oldest = f", the oldest for {ago_text(now - results['oldest'])}" if results["outbox"] else ""
    waits = f"{results['due']:,} tiles due, {results['held']:,} held back by triggers"
    text = cell(f"{waits}, {results['outbox']:,} messages to send{oldest}; ")
    delivered = results["deliverer"] is not None and results["until"] > now
    if delivered:
        text.append(f"delivered by {results['deliverer']}")
    else:
        text.append("nobody delivers: `tandem deliver` does", "bold red" if results["due"] or results["outbox"] else "")
    if results["dead"]:
        text.append(", ").append(f"{results['dead']:,} messages refused", "bold red")
    for output, stated in results["outputs"].items():
        if stated["error"]:
            text.append(", ").append(printable(f"{output} fails: {stated['error']}"), "bold red")
    return text


def _reconciled_text(last: dict[str, Any], now: int) -> Text:
    """The last reconcile run with findings, its repair, and the drift that it measured."""
    found = last["summary"]
    wrong = sum(found[cause] for cause in ("wrong", "missing", "extra"))
    done = f"{wrong:,} states repaired by {last['repair']}" if last["repair"] else "nothing to repair"
    drift = f"drift {found['late']:,} late, {found['straddlers']:,} cross-boundary duplicates"
    text = cell(f"number {last['number']}, {ago_text(now - last['created_at'])} ago: {done}; {drift}")
    live = found["missing_in_live"] + found["extra_in_live"]
    if live:
        text.append(", ").append(f"{live:,} wrong in live", "bold red")
    if found["logic"]:
        text.append(", ").append(f"{found['logic']:,} LOGIC", "bold red")
    return text


def _complete_text(report: dict[str, Any]) -> Text:
    """The times up to which batch's sources are complete, and what is missing in it."""
    served = report["served"]
    run = next((run for run in report["batch_runs"] if run["id"] == served["batch_run"]), None)
    if run is None:
        return cell("-")
    ends = [("files", run["files_until"]), ("journal", run["journal_until"])]
    text = cell(", ".join(f"{what} until {short_time(time)}" for what, time in ends if time is not None) or "not told")
    if run["missing"]:
        text.append(", ").append(f"missing: {', '.join(run['missing'])}", "bold red")
    return text


def _live_text(live: dict[str, Any] | None) -> str:
    if live is None:
        return "-"
    watermark = "no watermark yet" if live["watermark"] is None else f"watermark {short_time(live['watermark'])}"
    return f"{live['run']}  {watermark}"


def _print_generations(to: Console, live: dict[str, Any], boundary: int, journal: JournalState | None) -> None:
    """The live run's conservation: received = counted + filtered + duplicates + late + dead + in flight."""
    columns = [Column("generation", right=True, keep=True), Column("is", keep=True)]
    columns += [Column(name, right=True, keep=True) for name in (*_COUNTS, "in flight")]
    rows = list[Sequence[str]]()
    generations = sorted(live["generations"].items())
    hidden = generations[:-_MOST_GENERATIONS]
    if hidden:
        counts = [sum(totals[name] for _, totals in hidden) for name in _COUNTS]
        rest = sum(live["residues"].get(generation, 0) for generation, _ in hidden)
        rows.append((f"{hidden[0][0]} to {hidden[-1][0]}", "", *(f"{n:,}" for n in (*counts, rest))))
    for generation, totals in generations[-_MOST_GENERATIONS:]:
        numbers = [totals[name] for name in _COUNTS] + [live["residues"].get(generation, 0)]
        state = _state(generation, boundary, journal)
        rows.append((str(generation), state, *(f"{number:,}" for number in numbers)))
    print_table(to, columns, rows)


def _state(generation: int, boundary: int, journal: JournalState | None) -> str:
    if generation <= boundary:
        return "in batch"
    if journal is None:
        return "live"
    return "sealed" if generation <= journal.sealed else "open"
