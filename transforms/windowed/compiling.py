"""Checks measures, keys and filter of a user against the columns of the events, and compiles them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import pyarrow as pa

from tandem.schemas.columns import ID, RESERVED_PREFIX, TIME
from tandem.schemas.definition.suggestions import suggestion
from tandem.schemas.errors import DefinitionError
from tandem.schemas.expressions import Expression, compile_expression, type_name
from tandem.schemas.keys import KEY_TYPES, is_key_type
from tandem.schemas.measures import Measure, build
from tandem.schemas.results import computing_schema
from tandem.transforms.windowed.measuring import EventMeasures
from tandem.transforms.windowed.rows.field_types import Fields, arrow_fields

__all__ = ["RESULT_COLUMNS", "compile_measures"]

RESULT_COLUMNS: Final = ("window_start", "window_end", "timing", "pane", "events")
"""The columns of a result besides its keys and measures."""


def compile_measures(
    fields: Fields,
    measures: Mapping[str, object],
    keys: Sequence[str] = (),
    where: str | None = None,
    event_time: str | None = None,
    event_id: str | None = None,
    derive: Mapping[str, str] | None = None,
    derive_results: Mapping[str, str] | None = None,
) -> EventMeasures:
    """Measures in a definition's syntax, ready to run.

    `fields` are the events' columns, `where` a SQL expression over them; `event_time` is a timestamp, or a number of
    seconds since 1970. `derive` are columns computed from an event's, for keys and measures; `derive_results` are
    results computed from results. Raises DefinitionError naming the field of a mistake.

    >>> measures = {"sales": "count", "turnover": {"sum": "price"}}
    >>> shop = compile_measures({"shop": str, "price": float}, measures, keys=["shop"])
    >>> ", ".join(name for name, _ in shop.measures)
    'sales, turnover'
    """
    schema = arrow_fields(fields)
    _check_columns(schema, event_time, event_id)
    derived = _derive(schema, derive or {})
    columns = pa.schema([*schema, *(pa.field(name, expression.type) for name, expression in derived)])
    _check_keys(columns, keys)
    _check_names(measures, keys)
    id_type = _id_type(schema, event_id)
    known = [*columns, pa.field(TIME, pa.int64(), False), *([] if id_type is None else [pa.field(ID, id_type, False)])]
    built = tuple((name, _build(name, spec, pa.schema(known))) for name, spec in measures.items())
    condition = None if where is None else _where(where, schema)
    read = {*keys, *(condition.columns if condition else ()), event_time, event_id}
    read.update(column for _, expression in derived for column in expression.columns)
    read.update(column for _, measure in built for column in measure.inputs)
    arguments = (schema, dict(measures), tuple(keys), where, event_time, event_id, derive, derive_results)
    return EventMeasures(
        compiled_from=(compile_measures, arguments),
        fields=pa.schema([field for field in schema if field.name in read]),
        keys=tuple(columns.field(name) for name in keys),
        measures=built,
        where=condition,
        derive=derived,
        derive_results=_derive_results(built, derive_results or {}, {*RESULT_COLUMNS, *keys}),
        event_time=event_time,
        event_id=event_id,
        id_type=id_type,
    )


def _derive(schema: pa.Schema, texts: Mapping[str, str]) -> tuple[tuple[str, Expression], ...]:
    derived: list[tuple[str, Expression]] = []
    for name, text in texts.items():
        if name in schema.names:
            raise DefinitionError("the events have a column of this name; choose another", field=f"derive.{name}")
        expression = compile_expression(text, schema, f"derive.{name}")
        schema = schema.append(pa.field(name, expression.type))
        derived.append((name, expression))
    return tuple(derived)


def _derive_results(
    measures: Sequence[tuple[str, Measure]], texts: Mapping[str, str], taken: Collection[str]
) -> tuple[tuple[str, Expression], ...]:
    known, derived = computing_schema(measures), list[tuple[str, Expression]]()
    for name, text in texts.items():
        if name in taken or name in known.names or name in dict(measures):
            message = "a result, a key or a measure has this name; choose another"
            raise DefinitionError(message, field=f"derive_results.{name}")
        expression = compile_expression(text, known, f"derive_results.{name}", zero_division=True)
        known = known.append(pa.field(name, expression.type))
        derived.append((name, expression))
    return tuple(derived)


def _check_columns(schema: pa.Schema, event_time: str | None, event_id: str | None) -> None:
    for name in schema.names:
        if name.startswith(RESERVED_PREFIX):
            raise DefinitionError("names of columns may not start with two underscores", field=f"fields.{name}")
    for where, name in (("event_time", event_time), ("event_id", event_id)):
        if name is not None and name not in schema.names:
            raise DefinitionError(f"unknown column '{name}'; {suggestion(name, schema.names)}", field=where)
    if event_time is not None and not _tells_time(schema.field(event_time).type):
        found = type_name(schema.field(event_time).type)
        message = f"column '{event_time}' is {found}; a timestamp is wanted, or a number of seconds since 1970"
        raise DefinitionError(message, field="event_time")


def _check_keys(schema: pa.Schema, keys: Sequence[str]) -> None:
    for index, key in enumerate(keys):
        if key not in schema.names:
            message = f"unknown column '{key}'; {suggestion(key, schema.names)}"
            raise DefinitionError(message, field=f"keys[{index}]")
        kind = schema.field(key).type
        if not is_key_type(kind):
            message = f"column '{key}' is {type_name(kind)}; a key can hold {KEY_TYPES}"
            raise DefinitionError(message, field=f"keys[{index}]")


def _tells_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _check_names(measures: Mapping[str, object], keys: Sequence[str]) -> None:
    if not measures:
        raise DefinitionError("there is none; give at least one, such as {'events': 'count'}", field="measures")
    if len(set(keys)) < len(keys):
        raise DefinitionError("a column stands there twice", field="keys")
    taken = {**dict.fromkeys(RESULT_COLUMNS, "a column of every result"), **dict.fromkeys(keys, "a key")}
    for name in measures:
        if name in taken:
            raise DefinitionError(f"{taken[name]} has this name; choose another", field=f"measures.{name}")
    for name in keys:
        if name in RESULT_COLUMNS:
            raise DefinitionError(f"every result has a column {name}; rename the field before", field="keys")


def _id_type(schema: pa.Schema, event_id: str | None) -> pa.DataType | None:
    if event_id is None:
        return None
    kind = schema.field(event_id).type
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_string(kind):
        return pa.string()
    message = f"column '{event_id}' is {type_name(kind)}; an id is a varchar or a whole number"
    raise DefinitionError(message, field="event_id")


def _build(name: str, spec: object, known: pa.Schema) -> Measure:
    kinds = [spec] if isinstance(spec, str) else list(spec) if isinstance(spec, Mapping) else []
    for kind in ("first", "last"):
        if kind in kinds and ID not in known.names:
            message = f"{kind} orders events by time and id; name the column of ids as event_id"
            raise DefinitionError(message, field=f"measures.{name}")
    return build(name, spec, known)


def _where(text: str, schema: pa.Schema) -> Expression:
    condition = compile_expression(text, schema, "where")
    if condition.type != pa.bool_():
        found = type_name(condition.type)
        raise DefinitionError(f"the expression is {found}; it must be boolean", field="where")
    return condition
