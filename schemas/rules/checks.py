"""Checks a rule against its definition: its window, its expressions, its baseline, and its texts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from tandem.schemas.definition.models import Definition
from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import DefinitionError
from tandem.schemas.expressions import Expression, compile_expression, type_name
from tandem.schemas.measures.base import Measure
from tandem.schemas.result_windows.checks import EVENTS_NAME
from tandem.schemas.results import computing_schema
from tandem.schemas.rules.baselines import PARTS
from tandem.schemas.rules.models import Rule
from tandem.schemas.rules.templates import template_problems
from tandem.schemas.time.durations import DAY, SECOND, format_duration
from tandem.schemas.time.instants import instant_of
from tandem.schemas.time.windows import CumulativeWindow, SessionWindow, Window, window_problems

__all__ = ["check_rule", "results_schema", "rule_problems", "template_names"]

_PREFIX: Final = "baseline."
_PARAM: Final = re.compile(r"'(?:[^']|'')*'|\bparams\.(\w+)", re.ASCII)
_LEAST_EARLY: Final = SECOND // 10
_OWN: Final = ("rule", "definition", "severity", "start", "end", EVENTS_NAME)


def results_schema(measures: Sequence[tuple[str, Measure]], derived: Sequence[tuple[str, Expression]]) -> pa.Schema:
    """The names that rules' expressions may use: results, `events`, and baselines of the numeric ones."""
    schema = computing_schema(measures)
    for name, expression in derived:
        schema = schema.append(pa.field(name, expression.type))
    if EVENTS_NAME not in schema.names:
        schema = schema.append(pa.field(EVENTS_NAME, pa.int64()))
    for field in list(schema):
        if _is_number(field.type):
            for part in ("", *PARTS):
                name = f"{_PREFIX}{field.name}{'.' if part else ''}{part}"
                schema = schema.append(pa.field(name, pa.float64()))
    return schema


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def check_rule(
    definition: Definition, schema: pa.Schema, rule: Rule
) -> tuple[dict[str, Expression], list[tuple[str, str]]]:
    """(`expr` and `recover` compiled, [(field, message)] of mistakes) of a rule over results of `schema`."""
    expressions: dict[str, Expression] = {}
    problems = [*_window_problems(definition, rule), *_text_problems(definition, schema, rule)]
    problems += _group_problems(definition, rule)
    for field, text in (("expr", rule.expr), ("recover", rule.recover)):
        if text is None:
            continue
        try:
            expressions[field] = compile_expression(_with_params(rule, text), schema, field, zero_division=True)
        except DefinitionError as error:
            problems.append((field, error.message))
            continue
        if expressions[field].type != pa.bool_():
            kind = type_name(expressions[field].type)
            problems.append((field, f"the expression is {kind}; it must be boolean"))
    return expressions, problems


def _with_params(rule: Rule, text: str) -> str:
    """The expression with its parameters' values; quoted texts stay as they are. Raises DefinitionError."""

    def number(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return found.group(0)
        if name not in rule.params:
            raise DefinitionError(f"unknown parameter '{name}'; {suggestion(name, sorted(rule.params))}")
        value = rule.params[name]
        return f"({value!r})" if math.isfinite(value) else "CAST(NULL AS DOUBLE)"

    return _PARAM.sub(number, text)


def rule_problems(definition: Definition, schema: pa.Schema) -> Iterator[tuple[str, str]]:
    """(field, message) of mistakes in a definition's rules."""
    for name, rule in definition.rules.items():
        for field, message in check_rule(definition, schema, rule)[1]:
            yield f"rules.{name}.{field}", message
        for other in rule.inhibited_by:
            if other not in definition.rules or other == name:
                known = suggestion(other, sorted(set(definition.rules) - {name}))
                yield f"rules.{name}.inhibited_by", f"there is no other rule '{other[:80]}'; {known}"


def template_names(definition: Definition, schema: pa.Schema) -> list[str]:
    """The names that annotations may use."""
    return [*_OWN, *schema.names, *(f"key.{name}" for name in definition.key)]


def _window_problems(definition: Definition, rule: Rule) -> Iterator[tuple[str, str]]:
    if isinstance(rule.window, SessionWindow | CumulativeWindow):
        kind = "session" if isinstance(rule.window, SessionWindow) else "cumulative"
        yield "window", f"{kind} windows can't be judged; use a fixed or sliding window, or one of a calendar"
        return
    for part, message in window_problems(rule.window, definition.tile):
        yield f"window.{part}", message
    if rule.lateness_of(definition.lateness) < definition.lateness:
        own, least = (format_duration(wait) for wait in (rule.lateness or 0, definition.lateness))
        yield "lateness", f"{own} is shorter than the definition's, {least}: live still takes events in by then"
    if rule.baseline.season != "none" and isinstance(rule.window, Window) and DAY % rule.window.every:
        every = format_duration(rule.window.every)
        yield "baseline.season", f"windows every {every} don't divide a day, so no two of them are alike; use none"
    if rule.early is not None and rule.early < _LEAST_EARLY:
        yield "early", f"{format_duration(rule.early)} is too short; at least {format_duration(_LEAST_EARLY)}"
    if rule.since is not None:
        try:
            instant_of(rule.since)
        except ValueError as error:
            yield "from", str(error)


def _group_problems(definition: Definition, rule: Rule) -> Iterator[tuple[str, str]]:
    for name in rule.group_by:
        if name not in definition.key:
            yield "group_by", f"'{name[:80]}' is no field of the key; {suggestion(name, definition.key)}"
    for field in ("group_wait", "group_interval"):
        if field in rule.model_fields_set and not rule.is_grouped:
            yield field, "goes with `group_by`"


def _text_problems(definition: Definition, schema: pa.Schema, rule: Rule) -> Iterator[tuple[str, str]]:
    known = template_names(definition, schema)
    for field, texts in (("annotations", rule.annotations), ("labels", rule.labels)):
        for name, text in texts.items():
            for problem in template_problems(text, known):
                yield f"{field}.{name}", problem
