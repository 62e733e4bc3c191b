"""`tandem backtest`: what rules would have alerted of, over files or a journal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.pipelines.console.printing import console, print_json, say
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


def backtest(
    definition: Annotated[str, typer.Argument(metavar="DEFINITION", help="file of a definition")],
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES...", help="data files, globs, or the folder of a journal or installation"),
    ],
    rules: Annotated[
        _Text, typer.Option("--rules", metavar="FILE", help="rules of a file of their own (default: the definition's)")
    ] = None,
    rule: Annotated[list[str] | None, typer.Option(metavar="NAME", help="this one only; repeatable")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="a parameter or field of the rules; repeatable"),
    ] = None,
    labels: Annotated[_Text, typer.Option(metavar="FILE", help="known incidents, CSV or JSON Lines")] = None,
    sweep: Annotated[_Text, typer.Option(metavar="NAME=LOW:HIGH[:STEPS]", help="vary one number")] = None,
    plot: Annotated[_Text, typer.Option(metavar="FILE.svg", help="draw the sweep")] = None,
    complete_until: Annotated[
        _Text, typer.Option(metavar="TIME", help="windows that end by then are judged (default: the newest event)")
    ] = None,
    as_known: Annotated[
        bool, typer.Option("--as-known", help="by what a journal had when each window was over, and what lateness cost")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON, with every alert")] = False,
) -> None:
    """Judge all windows of the past by rules, and say how much was judged, and what would have alerted."""
    _check_flags(sweep, plot, labels, as_known)
    from tandem.output.backtest_tables import amount_text
    from tandem.pipelines.backtest.judging import backtest as judge
    from tandem.pipelines.backtest.running import chosen_rules, read_history, swept
    from tandem.pipelines.backtest.scoring import read_labels
    from tandem.pipelines.backtest.settings import parse_setting, parse_sweep, with_settings
    from tandem.schemas.definition.compiled import compile_definition
    from tandem.schemas.definition.loading import load
    from tandem.serving.questions.selection.instants import parse_time

    compiled = compile_definition(load(definition))
    chosen = chosen_rules(_rules_of(compiled, rules), rule or [])
    chosen = with_settings(compiled, chosen, [parse_setting(each) for each in settings or []])
    varied = None if sweep is None else parse_sweep(sweep)
    known = read_labels(labels, compiled) if labels else []
    history = read_history(compiled, chosen, files, time.time_ns() // 1000)
    until = parse_time(complete_until, "--complete-until") if complete_until else (history.amount.last or 0) + 1
    say(amount_text(history.amount, until), err=as_json)
    if as_known:
        _as_known(compiled, chosen, files, history, parse_time(complete_until, "") if complete_until else None, as_json)
        return
    if varied is None:
        _print_judged(judge(compiled, history, chosen, until), known, compiled.definition.key, as_json)
        return
    steps = swept(compiled, history, chosen, varied, until, known)
    _print_swept(varied[0], steps, as_json)
    if plot is not None:
        _draw(varied[0], steps, plot)
        say(f"drawn into {plot}", err=as_json)


def _check_flags(sweep: str | None, plot: str | None, labels: str | None, as_known: bool) -> None:
    """Raises UserError for flags that don't go together."""
    if plot is not None and (sweep is None or not plot.endswith(".svg")):
        raise UserError("--plot draws a --sweep, into a file that ends with .svg")
    if as_known and (sweep is not None or labels is not None):
        raise UserError("--as-known goes without --sweep and --labels")


def _rules_of(compiled: CompiledDefinition, file: str | None) -> Sequence[CompiledRule]:
    """Those of a file, or the definition's own. Raises UserError for none."""
    from tandem.schemas.rules.compiled import compile_rules
    from tandem.schemas.rules.loading import load_rules

    known = load_rules(file, compiled) if file else compile_rules(compiled, compiled.definition.rules)
    if not known:
        raise UserError(
            f"{compiled.definition.name} has no rules: its definition declares none, and --rules names none"
        )
    return known


def _print_judged(found: Sequence[Judged], known: Sequence[Label], key: Sequence[str], as_json: bool) -> None:
    from tandem.output import backtest_tables as tables

    if as_json:
        print_json(tables.judged_data(found, known, key))
    else:
        tables.print_judged(console(), found, known)


def _print_swept(name: str, steps: Sequence[Swept], as_json: bool) -> None:
    from tandem.output import backtest_tables as tables

    if as_json:
        print_json(tables.swept_data(name, steps))
    else:
        tables.print_swept(console(), name, steps)


def _draw(name: str, steps: Sequence[Swept], plot: str) -> None:
    from tandem.output.backtest_tables import sweep_svg

    try:
        Path(plot).write_text(sweep_svg(name, steps), encoding="utf-8")
    except OSError as error:
        raise UserError(f"--plot {plot}: {error.strerror}") from None


def _as_known(
    compiled: CompiledDefinition, rules: Sequence[CompiledRule], places: list[str], history: History,
    until: int | None, as_json: bool,
) -> None:  # fmt: skip
    from tandem.output import known_tables as tables
    from tandem.pipelines.backtest.as_known import as_known, boundaries_of, lateness_of
    from tandem.pipelines.backtest.history import files_decoded
    from tandem.pipelines.backtest.judging import backtest as judge
    from tandem.pipelines.backtest.running import places_of

    journal, files = places_of(places)
    if journal is None:
        raise UserError("--as-known: name the folder of a journal or installation; files don't say what was known when")
    served = boundaries_of(str(Path(journal).parent), compiled.definition.name)
    now = time.time_ns() // 1000
    found = as_known(
        compiled, rules, journal, served or (lambda cut: cut.generation - 1), until,
        lambda: files_decoded(compiled, files, now) if files else (),
    )  # fmt: skip
    say(tables.known_text([each.known for each in found], served=served is not None), err=as_json)
    compared = [
        lateness_of(then, judge(compiled, history, [then.rule], each.until)[0])
        for each in found
        for then in each.judged
    ]
    if as_json:
        print_json(tables.known_data(found, compared, compiled.definition.key))
    else:
        tables.print_known(console(), compared)
