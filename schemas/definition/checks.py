"""Checks a definition as a whole: names exist, types fit, durations agree.

All mistakes are collected, not only the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from tandem.schemas.avro.types import arrow_schema
from tandem.schemas.columns import ID, TIME
from tandem.schemas.definition.models import Definition
from tandem.schemas.definition.suggestions import known_names, suggestion
from tandem.schemas.errors import DefinitionError, SchemaError
from tandem.schemas.expressions import Expression, compile_expression, type_name
from tandem.schemas.keys import KEY_TYPES, is_key_type
from tandem.schemas.measures.base import Measure
from tandem.schemas.measures.registry import build
from tandem.schemas.result_windows.checks import EVENTS_NAME, mode_problems, result_problems, table_problems
from tandem.schemas.results import computing_schema
from tandem.schemas.rules.checks import results_schema, rule_problems
from tandem.schemas.source.spellings import spelling_problems
from tandem.schemas.time.durations import DAY, SECOND, format_duration
from tandem.schemas.time.windows import window_problems

__all__ = ["Checked", "check_definition", "id_type"]

_LEAST_FRESHNESS = SECOND // 100


@dataclass
class Checked:
    """The parts of a definition that could be built, and the errors of the others."""

    source_schema: pa.Schema
    """All usable fields of the source."""
    columns: pa.Schema
    """The source's fields, the derived fields, columns.TIME and columns.ID."""
    where: Expression | None = None
    derive: tuple[tuple[str, Expression], ...] = ()
    measures: tuple[tuple[str, Measure], ...] = ()
    derive_results: tuple[tuple[str, Expression], ...] = ()
    result_wheres: tuple[tuple[str, Expression], ...] = ()
    errors: list[DefinitionError] = field(default_factory=list)

    def wrong(self, where: str, message: str) -> None:
        self.errors.append(DefinitionError(message, field=where))


def id_type(definition: Definition, source_schema: pa.Schema) -> pa.DataType:
    """int64 for a single integer id field, else string."""
    fields = definition.source.event_id
    single = len(fields) == 1 and pa.types.is_integer(source_schema.field(fields[0]).type)
    return pa.int64() if single else pa.string()


def check_definition(definition: Definition) -> Checked:
    """Check everything about a definition that pydantic can't check value by value."""
    try:
        source_schema = arrow_schema(definition.source.fields_schema)
    except SchemaError as error:
        name, _, message = str(error).partition(": ")
        broken = Checked(pa.schema([]), pa.schema([]))
        broken.wrong(f"source.fields.{name}", message)
        return broken
    checked = Checked(source_schema, source_schema)
    _check_times(definition, checked)
    _check_source(definition, checked)
    _check_spellings(definition, checked)
    if checked.errors:
        return checked
    _check_expressions(definition, checked)
    identity = id_type(definition, source_schema)
    checked.columns = checked.columns.append(pa.field(TIME, pa.int64(), False)).append(pa.field(ID, identity, False))
    if not checked.errors:  # a broken derived field would only be reported repeatedly
        _check_key(definition, checked)
        _check_measures(definition, checked)
    if not checked.errors:
        _check_results(definition, checked)
    return checked


def _check_times(definition: Definition, checked: Checked) -> None:
    tile = definition.tile
    if not SECOND <= tile <= DAY or DAY % tile:
        found = format_duration(tile)
        checked.wrong(
            "tile",
            f"{found} is not allowed; a tile is from 1s to 1d and divides a day, such as 1m, 15m, 1h or 1d",
        )
        return
    if definition.freshness < _LEAST_FRESHNESS:
        checked.wrong("freshness", f"{format_duration(definition.freshness)} is too short; at least 10ms")
    for name, window in definition.windows.items():
        for part, message in window_problems(window, tile):
            checked.wrong(f"windows.{name}.{part}", message)
    for name, result in definition.results.items():
        for part, message in result_problems(result, tile, definition.lateness):
            checked.wrong(f"results.{name}.{part}", message)
    for name, message in table_problems(definition.results):
        checked.wrong(f"results.{name}.to", message)


def _check_source(definition: Definition, checked: Checked) -> None:
    source, usable = definition.source, checked.source_schema
    everything = [entry["name"] for entry in source.fields_schema["fields"]]
    allowed = known_names(usable.names)
    for where, name in [
        ("source.event_time", source.event_time),
        *(("source.event_id", n) for n in source.event_id),
    ]:
        if name not in everything:
            checked.wrong(where, f"unknown field '{name}'; {suggestion(name, usable.names)}")
        elif name not in usable.names:
            checked.wrong(
                where,
                f"field '{name}' is not a scalar, so it can't be used; allowed: {allowed}",
            )
        elif where == "source.event_time" and usable.field(name).type != pa.timestamp("us", "UTC"):
            kind = type_name(usable.field(name).type)
            checked.wrong(
                where, f"field '{name}' is {kind}; allowed: logical type timestamp-millis or timestamp-micros"
            )
        elif where == "source.event_id" and pa.types.is_floating(usable.field(name).type):
            checked.wrong(
                where,
                f"field '{name}' is a float; two texts of a float can mean one value, so it can't be an id",
            )


def _check_spellings(definition: Definition, checked: Checked) -> None:
    source, usable = definition.source, checked.source_schema
    for name in source.values:
        if name not in usable.names:
            checked.wrong(f"source.values.{name}", f"unknown field '{name}'; {suggestion(name, usable.names)}")
    for of in usable:
        own, whole = source.values.get(of.name), source.spellings.get(of.name, {})
        for problem in spelling_problems(of.name, of.type, own, whole):
            where = f"values.{of.name}" if own is not None else "time_format"
            checked.wrong(f"source.{where}", problem)


def _check_expressions(definition: Definition, checked: Checked) -> None:
    if definition.where is not None:
        checked.where = _where(definition, checked)
    everything = [entry["name"] for entry in definition.source.fields_schema["fields"]]
    for name, text in definition.derive.items():
        if name in everything:
            checked.wrong(f"derive.{name}", "the source has a field of this name; choose another")
            continue
        try:
            expression = compile_expression(text, checked.columns, f"derive.{name}")
        except DefinitionError as error:
            checked.errors.append(error)
            return  # those below may use it
        checked.derive += ((name, expression),)
        checked.columns = checked.columns.append(pa.field(name, expression.type))


def _where(definition: Definition, checked: Checked) -> Expression | None:
    try:
        expression = compile_expression(str(definition.where), checked.source_schema, "where")
    except DefinitionError as error:
        for name in definition.derive:
            if f"unknown column '{name}'" in error.message:
                hint = f"'{name}' is a derived field; where comes first and sees only the source's fields"
                error = DefinitionError(hint, field="where")
        checked.errors.append(error)
        return None
    if expression.type != pa.bool_():
        checked.wrong("where", f"the expression is {type_name(expression.type)}; it must be boolean")
    return expression


def _check_key(definition: Definition, checked: Checked) -> None:
    columns = [name for name in checked.columns.names if name not in (TIME, ID)]
    for index, name in enumerate(definition.key):
        if name not in columns:
            checked.wrong(f"key[{index}]", f"unknown field '{name}'; {suggestion(name, columns)}")
        elif not is_key_type(checked.columns.field(name).type):
            kind = type_name(checked.columns.field(name).type)
            checked.wrong(f"key[{index}]", f"field '{name}' is {kind}; a key can hold {KEY_TYPES}")


def _check_measures(definition: Definition, checked: Checked) -> None:
    if not definition.measures:
        checked.wrong("measures", "there is none; write at least one, such as 'events: count'")
    for name, spec in definition.measures.items():
        try:
            checked.measures += ((name, build(name, spec, checked.columns)),)
        except DefinitionError as error:
            checked.errors.append(error)


def _check_results(definition: Definition, checked: Checked) -> None:
    known = computing_schema(checked.measures)
    for name, text in definition.derive_results.items():
        field = f"derive_results.{name}"
        if name in definition.measures or name in known.names:
            checked.wrong(field, "there is a measure of this name; choose another")
            continue
        try:
            expression = compile_expression(text, known, field, zero_division=True)
        except DefinitionError as error:
            checked.errors.append(error)
            return  # those below may use it
        checked.derive_results += ((name, expression),)
        known = known.append(pa.field(name, expression.type))
    _check_sent(definition, checked, known)


def _check_sent(definition: Definition, checked: Checked, known: pa.Schema) -> None:
    if EVENTS_NAME not in known.names:
        known = known.append(pa.field(EVENTS_NAME, pa.int64()))
    for name, result in definition.results.items():
        for part, message in mode_problems(result, checked.measures):
            checked.wrong(f"results.{name}.{part}", message)
        if result.where is None:
            continue
        where = f"results.{name}.where"
        try:
            expression = compile_expression(result.where, known, where, zero_division=True)
        except DefinitionError as error:
            checked.errors.append(error)
            continue
        if expression.type != pa.bool_():
            checked.wrong(where, f"the expression is {type_name(expression.type)}; it must be boolean")
        checked.result_wheres += ((name, expression),)
    for where, message in rule_problems(definition, results_schema(checked.measures, checked.derive_results)):
        checked.wrong(where, message)
