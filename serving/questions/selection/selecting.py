"""Selects results and answers: measures, a condition, and the first by a ranking."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa

from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import DefinitionError, UserError
from tandem.schemas.expressions import Expression, compile_expression, evaluate_rows, type_name
from tandem.schemas.results import computed, computing_schema, typed_column

if TYPE_CHECKING:
    from tandem.schemas.definition.compiled import CompiledDefinition

__all__ = ["EVENTS", "Condition", "Found", "Ranking", "asked_results", "condition_of", "ranking_of", "result_names"]

EVENTS: Final = "events"
"""The name of the number of events in a condition and a ranking, unless a result has it."""


class Found(NamedTuple):
    """One of many answers, as input of conditions and rankings."""

    key: str
    events: int
    results: Mapping[str, Any]


@dataclass(frozen=True)
class Condition:
    """A boolean expression over results, `events` and the columns of the key."""

    compiled: CompiledDefinition
    expression: Expression
    results: frozenset[str]
    """Names of results; other names in the expression are `events` or columns of the key."""

    def holds(self, found: Sequence[Found]) -> list[bool]:
        """Whether each answer meets the condition; False where it is NULL or can't be computed."""
        if not found:
            return []
        fields = [(name, _type_of(self.compiled, name, self.results)) for name in self.expression.columns]
        columns = [self._column(found, name, kind) for name, kind in fields]
        if columns:
            batch = pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
        else:
            batch = pa.RecordBatch.from_arrays([pa.nulls(len(found))], names=["nothing"])
        values, _ = evaluate_rows(self.expression, batch)
        return [value is True for value in values.to_pylist()]

    def _column(self, found: Sequence[Found], name: str, kind: pa.DataType) -> pa.Array:
        if name in self.results:
            return typed_column(computed(self.compiled.measures, [each.results for each in found], name), kind)
        columns = self.compiled.definition.key
        if name in columns:
            at = columns.index(name)
            return key_column([json.loads(each.key)[at] for each in found], kind)
        return pa.array([each.events for each in found], kind)


@dataclass(frozen=True)
class Ranking:
    """The highest, or the lowest, `count` answers by one result; without a count all, sorted."""

    compiled: CompiledDefinition
    by: str
    count: int | None
    least: bool

    def chosen(self, found: Sequence[Found]) -> list[int]:
        """Indices of the chosen answers, the first one first; equal ones keep their order, nulls come last."""
        if self.by == EVENTS and self.by not in result_names(self.compiled):
            values: list[Any] = [each.events for each in found]
        else:
            values = computed(self.compiled.measures, [each.results for each in found], self.by)
        known = [place for place, value in enumerate(values) if value is not None]
        # reverse keeps the order of equal ones, too
        known.sort(key=lambda place: _order(values[place]), reverse=not self.least)
        return (known + [place for place, value in enumerate(values) if value is None])[: self.count]


def key_column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """One column of keys, from values of canonical keys: times are ISO 8601, others unchanged."""
    if pa.types.is_temporal(kind):
        texts = pa.array(values, pa.string())
        try:
            return texts.cast(kind)
        except pa.ArrowInvalid:
            return pa.concat_arrays([_cast(texts.slice(row, 1), kind) for row in range(len(texts))])
    return typed_column(values, kind)


def _cast(text: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return text.cast(kind)
    except pa.ArrowInvalid:
        return pa.nulls(1, kind)


def result_names(compiled: CompiledDefinition) -> tuple[str, ...]:
    """All results of an answer: the measures, then those derived from them."""
    definition = compiled.definition
    return (*definition.measures, *definition.derive_results)


def asked_results(compiled: CompiledDefinition, text: str | None) -> tuple[str, ...]:
    """The results of `--measures NAME,...`, in this order; all without it. Raises UserError."""
    known = result_names(compiled)
    chosen = tuple(name.strip() for name in text.split(",")) if text is not None else known
    for name in chosen:
        if name not in known:
            raise UserError(
                f"--measures: {compiled.definition.name} has no measure {name!r}; {suggestion(name, known)}"
            )
    return tuple(dict.fromkeys(chosen))


def condition_of(compiled: CompiledDefinition, text: str | None) -> Condition | None:
    """The condition of `--where`; None without it. Raises UserError for one that is invalid, or isn't boolean."""
    if text is None:
        return None
    scalars = _scalars(compiled)
    names = dict.fromkeys([*scalars, EVENTS, *compiled.definition.key])
    fields = [(name, _type_of(compiled, name, frozenset(scalars))) for name in names]
    try:
        expression = compile_expression(text, pa.schema(fields), "--where", zero_division=True)
    except DefinitionError as error:
        raise UserError(str(error)) from None
    if expression.type != pa.bool_():
        raise UserError(f"--where: the expression is {type_name(expression.type)}; it must be boolean")
    return Condition(compiled, expression, frozenset(scalars))


def ranking_of(compiled: CompiledDefinition, by: str | None, top: int | None, bottom: int | None) -> Ranking | None:
    """The ranking of `--top`, `--bottom` and `--by`; None without them. Raises UserError.

    Without `--by` it ranks by the first result that has an order.
    """
    if top is None and bottom is None and by is None:
        return None
    if top is not None and bottom is not None:
        raise UserError("--top and --bottom exclude each other; give one or the other")
    known = [*_scalars(compiled), EVENTS]
    name = known[0] if by is None else by
    if name not in known:
        raise UserError(f"--by {name}: {suggestion(name, known)}")
    return Ranking(compiled, name, bottom if bottom is not None else top, bottom is not None)


def _scalars(compiled: CompiledDefinition) -> dict[str, pa.DataType]:
    """The results of a single value, by name, with their types; quantiles one by one."""
    known = {field.name: field.type for field in computing_schema(compiled.measures)}
    return known | {name: expression.type for name, expression in compiled.derive_results}


def _type_of(compiled: CompiledDefinition, name: str, results: frozenset[str]) -> pa.DataType:
    if name in results:
        return _scalars(compiled)[name]
    for field in compiled.key_fields:
        if field.name == name:
            return field.type
    return pa.int64()


def _order(value: Any) -> tuple[bool, Any]:
    """A sort key with NaN above all numbers."""
    undefined = isinstance(value, float) and math.isnan(value)
    return undefined, 0 if undefined else value
