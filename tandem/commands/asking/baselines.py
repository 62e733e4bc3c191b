"""`tandem baselines`: a key's baseline, window by window, printed and drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tandem.named import DefinitionArgument, compiled_named
from tandem.pipelines.console.printing import console, print_json, say
from tandem.places import HomeOption, StoreOption, existing_store
from tandem.runners.options.places import Home
from tandem.schemas.errors import UserError

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition
    from tandem.schemas.rules.compiled import CompiledRule

__all__ = ["baselines"]

_Text = str | None


def baselines(
    definition: DefinitionArgument,
    key: Annotated[_Text, typer.Option(metavar="KEY", help="JFK,UA or origin=JFK,carrier=UA or a JSON array")] = None,
    rule: Annotated[_Text, typer.Option(metavar="NAME", help="by its baseline (default: the first rule)")] = None,
    rules: Annotated[_Text, typer.Option(metavar="FILE", help="rules of a file of their own")] = None,
    measure: Annotated[_Text, typer.Option(metavar="NAME", help="of this result (default: the rule's first)")] = None,
    window: Annotated[_Text, typer.Option(metavar="DURATION", help="without rules: windows (default: a tile)")] = None,
    season: Annotated[_Text, typer.Option(metavar="SEASON", help="hour_of_day, hour_of_week, day_type, none")] = None,
    statistic: Annotated[
        _Text, typer.Option(metavar="NAME", help="median, mean, quantiles, previous, absolute")
    ] = None,
    periods: Annotated[int | None, typer.Option(metavar="N", help="periods before that are looked at")] = None,
    min_periods: Annotated[int | None, typer.Option(metavar="N", help="of these as many must have a value")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="as of `tandem backtest`; repeatable")
    ] = None,
    start: Annotated[
        _Text, typer.Option("--from", metavar="TIME", help="start of a span (default: 48 windows back)")
    ] = None,
    end: Annotated[_Text, typer.Option("--to", metavar="TIME", help="its end, exclusive")] = None,
    plot: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="draw into FILE.png or FILE.html; repeatable")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
    home: HomeOption = "tandem-data",
    store: StoreOption = None,
) -> None:
    """Show what is usual for a key, window by window, by batch alone, beside what it had, and its alerts."""
    from tandem.output.baseline_plots import write_plot
    from tandem.output.baseline_tables import baseline_data, print_baselines
    from tandem.serving.questions.answers.baselines import baseline_series, measure_of
    from tandem.serving.questions.selection.instants import parse_span
    from tandem.serving.questions.selection.naming import asked_key, known_keys

    for path in plot or []:
        if not path.endswith((".png", ".html")):
            raise UserError(f"--plot {path}: its name ends with .png or .html")
    fields = {"season": season, "statistic": statistic, "periods": periods, "min_periods": min_periods}
    changed = [(f"baseline.{name}", value) for name, value in fields.items() if value is not None]
    with existing_store(Home.of(home, store)) as views:
        compiled = compiled_named(definition, views)
        chosen = _rule(compiled, rule, rules, window, [*changed, *_settings(settings)])
        of_key = asked_key(compiled, key)
        if of_key is None:
            known = ", ".join(known_keys(views, compiled.version, 5))
            raise UserError(f"--key: name one; there are {known or 'none'}")
        found = baseline_series(views, compiled, chosen, measure_of(chosen, measure), of_key, parse_span(start, end))
    if as_json:
        print_json(baseline_data(found, compiled.definition.key))
    else:
        print_baselines(console(), found)
    for path in plot or []:
        write_plot(path, found)
        say(f"drawn into {path}", err=as_json)


def _settings(settings: list[str] | None) -> list[tuple[str, Any]]:
    from tandem.pipelines.backtest.settings import parse_setting

    return [parse_setting(each) for each in settings or []]


def _rule(
    compiled: CompiledDefinition, name: str | None, file: str | None, window: str | None,
    settings: list[tuple[str, Any]],
) -> CompiledRule:  # fmt: skip
    """The chosen rule, or one with only a window and a baseline. Raises UserError, DefinitionError."""
    from tandem.pipelines.backtest.running import chosen_rules
    from tandem.pipelines.backtest.settings import with_settings
    from tandem.schemas.rules.compiled import compile_rules
    from tandem.schemas.rules.loading import load_rules
    from tandem.schemas.time.durations import format_duration

    known = load_rules(file, compiled) if file else compile_rules(compiled, compiled.definition.rules)
    if window is not None or not (known or name):
        if name is not None:
            raise UserError("--window goes without --rule, which has its own")
        length = window or format_duration(compiled.definition.tile)
        known = compile_rules(compiled, {"none": _without_rule(length)})
    chosen = chosen_rules(known, [name] if name else [])[:1]
    return with_settings(compiled, chosen, settings)[0]


def _without_rule(window: str) -> Any:
    from pydantic import ValidationError

    from tandem.schemas.definition.loading import structural_problems
    from tandem.schemas.rules.models import Rule

    try:
        return Rule.model_validate({"window": window, "expr": "false"})
    except ValidationError as error:
        raise UserError(f"--window {window[:80]}: {structural_problems(error)[0].message}") from None
