"""`tandem backtest`: the alerts that rules would have raised, over files or a journal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tandem.pipelines.console.help import flag_option
from tandem.pipelines.console.printing import console, print_json, say
from tandem.runners.options.flags.table import flag_named
from tandem.schemas.errors import UserError

if TYPE_CHECKING:
    from tandem.pipelines.backtest.history import History
    from tandem.pipelines.backtest.judging import Judged
    from tandem.pipelines.backtest.running import Swept
    from tandem.pipelines.backtest.scoring import Label
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.schemas.rules.compiled import CompiledRule

__all__ = ["backtest"]

_Text = str | None


def _option(name: str) -> Any:
    """The option for a flag of the table: jobs and templates have the same."""
    return flag_option(flag_named("backtest", name))


def backtest(
    definition: Annotated[str, typer.Argument(metavar="DEFINITION", help="file or URL of a definition")],
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES...", help="data files, globs, or the place of a journal or installation"),
    ],
    rules: Annotated[_Text, _option("rules")] = None,
    rule: Annotated[list[str] | None, _option("rule")] = None,
    settings: Annotated[list[str] | None, _option("set")] = None,
    labels: Annotated[_Text, _option("labels")] = None,
    sweep: Annotated[_Text, _option("sweep")] = None,
    plot: Annotated[_Text, _option("plot")] = None,
    complete_until: Annotated[_Text, _option("complete-until")] = None,
    as_known: Annotated[bool, _option("as-known")] = False,
    store: Annotated[_Text, _option("store")] = None,
    output: Annotated[_Text, _option("output")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print it as JSON, with every alert")] = False,
) -> None:
    """Judge all windows of the past by rules, and say how much was judged, and what would have alerted."""
    _check_flags(sweep, plot, labels, as_known, store)
    from tandem.output.backtest_tables import amount_text
    from tandem.pipelines.backtest.judging import backtest as judge
    from tandem.pipelines.backtest.running import chosen_rules, read_history, swept
    from tandem.pipelines.backtest.settings import parse_setting, parse_sweep, with_settings
    from tandem.runners.options.definition_places import definition_at
    from tandem.schemas.definition.compiled import compile_definition
    from tandem.serving.questions.selection.instants import parse_time

    report = _Report(as_json, output)
    compiled = compile_definition(definition_at(definition))
    chosen = chosen_rules(_rules_of(compiled, rules), rule or [])
    chosen = with_settings(compiled, chosen, [parse_setting(each) for each in settings or []])
    varied = None if sweep is None else parse_sweep(sweep)
    known = _labels_of(labels, compiled)
    history = read_history(compiled, chosen, files, time.time_ns() // 1000)
    ended = parse_time(complete_until, "--complete-until") if complete_until else None
    until = ended or (history.amount.last or 0) + 1
    say(amount_text(history.amount, until), err=as_json)
    if as_known:
        _as_known(compiled, chosen, files, store, history, ended, report)
        return
    if varied is None:
        _put_judged(judge(compiled, history, chosen, until), known, compiled.definition.key, report)
        return
    steps = swept(compiled, history, chosen, varied, until, known)
    _put_swept(varied[0], steps, report)
    if plot is not None:
        _draw(varied[0], steps, plot)
        say(f"drawn into {plot}", err=as_json)


@dataclass(frozen=True, slots=True)
class _Report:
    """The outputs of the findings: the terminal as tables or JSON, and a file or URL."""

    as_json: bool
    output: str | None

    def put(self, data: Any, printed: Callable[[], None]) -> None:
        """Print the data, and write them to the output if there is one. Raises UserError, PlaceError."""
        if self.as_json:
            print_json(data)
        else:
            printed()
        if self.output is not None:
            from tandem.storage.fetching import put_text

            put_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", self.output, "--output")
            say(f"written to {self.output}", err=True)


def _check_flags(sweep: str | None, plot: str | None, labels: str | None, as_known: bool, store: str | None) -> None:
    """Raise UserError for flags that exclude each other."""
    if plot is not None and (sweep is None or not plot.endswith(".svg")):
        raise UserError("--plot draws a --sweep, into a file that ends with .svg")
    if as_known and (sweep is not None or labels is not None):
        raise UserError("--as-known goes without --sweep and --labels")
    if store is not None and not as_known:
        raise UserError("--store says by which publications --as-known goes; without that nothing is read of a store")


def _rules_of(compiled: CompiledDefinition, file: str | None) -> Sequence[CompiledRule]:
    """The rules of a file, or the definition's own. Raises UserError for none."""
    from tandem.schemas.rules.compiled import compile_rules
    from tandem.schemas.rules.loading import load_rules
    from tandem.storage.fetching import fetched

    if file:
        with fetched(file, "--rules") as path:
            return load_rules(path, compiled)
    known = compile_rules(compiled, compiled.definition.rules)
    if not known:
        raise UserError(
            f"{compiled.definition.name} has no rules: its definition declares none, and --rules names none"
        )
    return known


def _labels_of(file: str | None, compiled: CompiledDefinition) -> list[Label]:
    from tandem.pipelines.backtest.scoring import read_labels
    from tandem.storage.fetching import fetched

    if file is None:
        return []
    with fetched(file, "--labels") as path:
        return read_labels(path, compiled)


def _put_judged(found: Sequence[Judged], known: Sequence[Label], key: Sequence[str], report: _Report) -> None:
    from tandem.output import backtest_tables as tables

    report.put(tables.judged_data(found, known, key), lambda: tables.print_judged(console(), found, known))


def _put_swept(name: str, steps: Sequence[Swept], report: _Report) -> None:
    from tandem.output import backtest_tables as tables

    report.put(tables.swept_data(name, steps), lambda: tables.print_swept(console(), name, steps))


def _draw(name: str, steps: Sequence[Swept], plot: str) -> None:
    from tandem.output.backtest_tables import sweep_svg
    from tandem.storage.fetching import put_text

    put_text(sweep_svg(name, steps), plot, "--plot")


def _as_known(
    compiled: CompiledDefinition, rules: Sequence[CompiledRule], places: list[str], store: str | None,
    history: History, until: int | None, report: _Report,
) -> None:  # fmt: skip
    from tandem.output import known_tables as tables
    from tandem.pipelines.backtest.as_known import as_known, boundaries_of, lateness_of
    from tandem.pipelines.backtest.history import files_decoded
    from tandem.pipelines.backtest.judging import backtest as judge
    from tandem.pipelines.backtest.running import places_of

    journal, files = places_of(places)
    if journal is None:
        raise UserError(
            "--as-known: name the folder of a journal or installation, or its URL; files don't say what was known when"
        )
    served = boundaries_of(journal, compiled.definition.name, store)
    now = time.time_ns() // 1000
    found = as_known(
        compiled, rules, journal, served or (lambda cut: cut.generation - 1), until,
        lambda: files_decoded(compiled, files, now) if files else (),
    )  # fmt: skip
    say(tables.known_text([each.known for each in found], served=served is not None), err=report.as_json)
    compared = [
        lateness_of(then, judge(compiled, history, [then.rule], each.until)[0])
        for each in found
        for then in each.judged
    ]
    report.put(
        tables.known_data(found, compared, compiled.definition.key), lambda: tables.print_known(console(), compared)
    )
