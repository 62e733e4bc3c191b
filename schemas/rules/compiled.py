"""A rule ready to judge: its expressions are compiled over a definition's results and baselines."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.errors import DefinitionError
from tandem.schemas.expressions import Expression
from tandem.schemas.rules.automaton import Hysteresis, Verdict
from tandem.schemas.rules.baselines import PARTS
from tandem.schemas.rules.checks import check_rule, results_schema
from tandem.schemas.rules.models import Rule
from tandem.schemas.rules.templates import names_in
from tandem.schemas.time.instants import instant_of
from tandem.schemas.time.windows import CalendarWindow, Window

__all__ = ["BaselineColumn", "CompiledRule", "compile_rules", "inhibiting_first"]

_NO_DATA = {"ok": Verdict.OK, "alert": Verdict.ACTIVE, "keep": Verdict.CANT_JUDGE}
_DAYS = {"day": 23, "week": 167, "month": 28 * 24 - 1, "quarter": 90 * 24 - 1, "year": 365 * 24 - 1}
"""Hours of the shortest period of each kind."""


@dataclass(frozen=True, slots=True)
class BaselineColumn:
    """`baseline.MEASURE` or one of its parts."""

    column: str
    measure: str
    part: str
    """One of PARTS, or '' for the middle."""


@dataclass(frozen=True)
class CompiledRule:
    """A rule with its expressions; immutable."""

    name: str
    rule: Rule
    expr: Expression
    recover: Expression | None
    definition: str
    """The version of the definition that it was compiled for."""

    @cached_property
    def version(self) -> str:
        """Content hash, 16 hex digits, of everything that verdicts and episodes depend on; not of texts and actions."""
        stated = {"labels", "annotations", "severity", "shadow", "to", "early", "partial", "inhibited_by"}
        stated |= {"group_by", "group_wait", "group_interval"}
        content = self.rule.model_dump(mode="json", exclude=stated)
        text = json.dumps(["tandem rule 1", self.definition, self.name, content], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def first_pass(self) -> CompiledRule:
        """The same rule with a baseline that leaves no window out; its verdicts tell `without_alerts` which to leave
        out.
        """
        baseline = self.rule.baseline.model_copy(update={"without_alerts": False})
        return replace(self, rule=self.rule.model_copy(update={"baseline": baseline}))

    @cached_property
    def first(self) -> int | None:
        """The time (microseconds UTC) at or after which the first judged window starts; None for no limit."""
        return None if self.rule.since is None else instant_of(self.rule.since)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that both expressions read, in the schema's order."""
        read = {*self.expr.columns, *(self.recover.columns if self.recover else ())}
        return tuple(name for name in self.expr.schema.names if name in read)

    @cached_property
    def results(self) -> tuple[pa.Field, ...]:
        """The results that are read, of the judged window or of those before it."""
        named = {name for name in self.columns if not name.startswith("baseline.")}
        named |= {column.measure for column in self.baselines}
        return tuple(field for field in self.expr.schema if field.name in named)

    @cached_property
    def baselines(self) -> tuple[BaselineColumn, ...]:
        """The columns of baselines that are read."""
        return tuple(map(_baseline_column, (name for name in self.columns if name.startswith("baseline."))))

    @cached_property
    def reported_baselines(self) -> tuple[BaselineColumn, ...]:
        """The columns of baselines that are reported: all parts of each that expressions or texts name."""
        texts = [*self.rule.annotations.values(), *self.rule.labels.values()]
        named = {name for text in texts for name in names_in(text)}
        named = {*self.columns, *named} & set(self.expr.schema.names)
        measures = {_baseline_column(name).measure for name in named if name.startswith("baseline.")}
        columns = (name for name in self.expr.schema.names if name.startswith("baseline."))
        return tuple(column for column in map(_baseline_column, columns) if column.measure in measures)

    @cached_property
    def reported_results(self) -> tuple[pa.Field, ...]:
        """The results that are reported: those named by expressions, texts or baselines."""
        texts = [*self.rule.annotations.values(), *self.rule.labels.values()]
        named = {name for text in texts for name in names_in(text)} | {field.name for field in self.results}
        named |= {column.measure for column in self.reported_baselines}
        return tuple(f for f in self.expr.schema if f.name in named and not f.name.startswith("baseline."))

    @property
    def every(self) -> int:
        """Microseconds from one window to the next; for calendar windows the least."""
        window = self.rule.window
        if isinstance(window, Window):
            return window.every
        assert isinstance(window, CalendarWindow)
        return _DAYS[window.calendar] * 3_600_000_000

    @cached_property
    def hysteresis(self) -> Hysteresis:
        """The rule's durations as numbers of windows: n windows in a row span (n - 1) steps."""
        steps = [math.ceil(wait / self.every) for wait in (self.rule.for_, self.rule.keep_firing_for)]
        forget = max(self.rule.forget // self.every, 1)
        return Hysteresis(steps[0] + 1, steps[1] + 1, _NO_DATA[self.rule.no_data], forget)


def compile_rules(compiled: CompiledDefinition, rules: Mapping[str, Rule]) -> tuple[CompiledRule, ...]:
    """The rules ready to judge a definition's answers. Raises DefinitionError for the first mistake."""
    return tuple(_compiled(compiled, name, rule) for name, rule in rules.items())


def inhibiting_first(rules: Sequence[CompiledRule]) -> tuple[CompiledRule, ...]:
    """The rules ordered so that an inhibiting rule precedes those that it inhibits; circles stay as they are."""
    known, found = {rule.name: rule for rule in rules}, dict[str, CompiledRule]()

    def add(name: str, above: frozenset[str]) -> None:
        if name in known and name not in found and name not in above:
            for other in known[name].rule.inhibited_by:
                add(other, above | {name})
            found[name] = known[name]

    for rule in rules:
        add(rule.name, frozenset())
    return tuple(found.values())


def _compiled(compiled: CompiledDefinition, name: str, rule: Rule) -> CompiledRule:
    schema = results_schema(compiled.measures, compiled.derive_results)
    expressions, problems = check_rule(compiled.definition, schema, rule)
    if problems:
        where, message = problems[0]
        raise DefinitionError(message, field=f"rules.{name}.{where}")
    return CompiledRule(name, rule, expressions["expr"], expressions.get("recover"), compiled.version)


def _baseline_column(column: str) -> BaselineColumn:
    rest = column.removeprefix("baseline.")
    measure, _, part = rest.partition(".")
    return BaselineColumn(column, measure, part if part in PARTS else "")
