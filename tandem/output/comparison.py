"""The output of `tandem diff`: tables for people, one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from tandem.pipelines.console.printing import cell
from tandem.pipelines.console.tables import Column, print_table
from tandem.schemas.certificate import time_text
from tandem.schemas.time.durations import format_duration
from tandem.serving.questions.answers.json_values import json_value, key_data

if TYPE_CHECKING:
    from rich.console import Console

    from tandem.schemas.definition.changes import Change
    from tandem.schemas.definition.loading import Definition
    from tandem.views.answers.differences import Comparison, Difference, Sample, Side

__all__ = ["comparison_data", "print_comparison"]


def comparison_data(old: Definition, new: Definition, changes: Sequence[Change], found: Comparison) -> dict[str, Any]:
    """The whole comparison; times as ISO 8601, the step in seconds, keys by column."""
    return {
        "name": old.name,
        "equal": found.equal,
        "old": asdict(found.old),
        "new": asdict(found.new),
        "changes": [{"field": c.field, "old": json_value(c.old), "new": json_value(c.new)} for c in changes],
        "step": found.step / 1e6,
        "upto": found.upto,
        "uncovered": list(found.uncovered),
        "left_out": list(found.left_out),
        "keys": asdict(found.keys),
        "tiles": asdict(found.steps),
        "measures": {
            name: {"different": measure.different, "largest": [_difference(each, old) for each in measure.largest]}
            for name, measure in found.measures.items()
        },
        "only_in_old": [name for name in _results(old) if name not in _results(new)],
        "only_in_new": [name for name in _results(new) if name not in _results(old)],
        "samples": [_sample(sample, old if sample.old is not None else new) for sample in found.samples],
    }


def _results(definition: Definition) -> list[str]:
    return [*definition.measures, *definition.derive_results]


def _difference(found: Difference, definition: Definition) -> dict[str, Any]:
    return {
        "key": key_data(definition.key, found.key),
        "start": time_text(found.start),
        "old": json_value(found.old),
        "new": json_value(found.new),
        "amount": found.amount,
        "relative": found.relative,
    }


def _sample(sample: Sample, definition: Definition) -> dict[str, Any]:
    return {
        "key": key_data(definition.key, sample.key),
        "start": time_text(sample.start),
        "old": json_value(sample.old),
        "new": json_value(sample.new),
    }


def print_comparison(
    to: Console, old: Definition, new: Definition, changes: Sequence[Change], found: Comparison
) -> None:
    """Print the changes of the definition, the compared runs, the counts, the largest differences, and some rows."""

    def say(text: str) -> None:
        to.print(cell(text), soft_wrap=True)

    say(f"{old.name}: {_side(found.old)}")
    say(f"{' ' * len(old.name)}  {_side(found.new)}")
    for change in changes:
        say(f"  {change.field}: {_short(change.old)} -> {_short(change.new)}")
    say(f"compared up to generation {found.upto}, by steps of {format_duration(found.step)}")
    for problem in found.uncovered:
        say(f"  not the same events: {problem}")
    if found.left_out:
        say(f"  left out: generations {found.left_out[0]} to {found.left_out[-1]}, which not both hold whole yet")
    names = ("equal", "different", f"only in {found.old.version}", f"only in {found.new.version}")
    columns = [Column("", keep=True), *(Column(name, right=True, keep=True) for name in names)]
    counts = (
        (name, *(f"{n:,}" for n in (tally.equal, tally.different, tally.only_old, tally.only_new)))
        for name, tally in (("keys", found.keys), ("keys by step", found.steps))
    )
    print_table(to, columns, counts)
    if any(measure.different for measure in found.measures.values()):
        print_table(to, _LARGEST, _largest(found))
    lonely = [s for s in found.samples if s.old is None or s.new is None]
    for sample in lonely:
        there, values = (found.new, sample.new) if sample.old is None else (found.old, sample.old)
        say(f"  only in {there.version}: {sample.key} at {time_text(sample.start)}: {_short(json_value(values))}")
    say("equal" if found.equal else "different")


def _side(side: Side) -> str:
    state = "served" if side.served else "not served"
    late = f", {side.pending_late:,} late events pending" if side.pending_late else ""
    runs = f"batch run {side.batch_run or '-'}, boundary {side.boundary}, live run {side.live_run or '-'}"
    return f"version {side.version} ({state}): {runs}{late}"


_LARGEST: Final = (
    Column("measure", keep=True),
    Column("different", right=True, keep=True),
    Column("largest at", keep=True),
    Column("old", right=True, keep=True),
    Column("new", right=True, keep=True),
    Column("difference", right=True),
)


def _largest(found: Comparison) -> Iterator[Sequence[str]]:
    for name, measure in found.measures.items():
        for at, each in enumerate(measure.largest):
            share = f" ({each.relative:.3%})" if each.relative is not None else ""
            amount = f"{each.amount:g}{share}" if each.amount is not None else "-"
            place = f"{each.key} {time_text(each.start)}"
            heading = (name, f"{measure.different:,}") if at == 0 else ("", "")
            values = (_short(json_value(each.old)), _short(json_value(each.new)))
            yield (*heading, place, *values, amount)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str) if value is not None else "-"
    return text if len(text) <= 80 else f"{text[:77]}..."
