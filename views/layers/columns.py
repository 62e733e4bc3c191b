"""The columns of a layer's file: those that Tandem merges, and those that other programs read without Tandem.

One row a key and tile, in the order of the key's bytes, then the tile. Key columns and results have the definition's
names and types; a result with the name of a key column becomes `result_NAME`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.columns import EVENTS, KEY, RESERVED_PREFIX
from tandem.schemas.measures.base import Measure
from tandem.schemas.results import result_type
from tandem.views.rows import Compiled

__all__ = [
    "CHECK",
    "LAYER_VERSION",
    "RUN",
    "STATES",
    "TILE_END",
    "TILE_START",
    "ResultColumn",
    "key_columns",
    "layer_schema",
    "result_columns",
]

LAYER_VERSION: Final = "1"
TILE_START: Final = "__tile_start"
TILE_END: Final = "__tile_end"
STATES: Final = "__states"
"""binary, the states of all measures (`schemas.measures.encoding.rows`)."""
RUN: Final = "__run"
"""int64, the ordinal of the batch run that wrote the row, in files that hold rows of several."""
CHECK: Final = "__check"
"""uint32, the checksum of the row's key, tile, events and states."""

_INSTANT: Final = pa.timestamp("us", "UTC")


def layer_schema(compiled: Compiled, *, of_several: bool = False) -> pa.Schema:
    """The schema of a definition's files; `of_several`: for rows of several batch runs."""
    fields = [
        pa.field(KEY, pa.string(), nullable=False),
        *(pa.field(field.name, field.type) for field in compiled.key_fields),
        pa.field(TILE_START, _INSTANT, nullable=False),
        pa.field(TILE_END, _INSTANT, nullable=False),
        pa.field(EVENTS, pa.int64(), nullable=False),
        *(pa.field(column.name, column.kind) for column in result_columns(compiled)),
        pa.field(STATES, pa.binary(), nullable=False),
        pa.field(CHECK, pa.uint32(), nullable=False),
        *([pa.field(RUN, pa.int64(), nullable=False)] if of_several else []),
    ]
    about = {
        "tandem.layer": LAYER_VERSION,
        "tandem.definition": compiled.definition.name,
        "tandem.version": compiled.version,
    }
    return pa.schema(fields, about)


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """The column of a measure's results in a file."""

    name: str
    of: str
    """The measure's own name."""
    measure: Measure
    kind: pa.DataType


def result_columns(compiled: Compiled) -> list[ResultColumn]:
    """A column for each measure with a result of a type known beforehand."""
    keys, found = {field.name for field in compiled.key_fields}, list[ResultColumn]()
    for name, measure in compiled.measures:
        kind = None if name.startswith(RESERVED_PREFIX) else result_type(measure)
        if kind is not None:
            found.append(ResultColumn(f"result_{name}" if name in keys else name, name, measure, kind))
    return found


def key_columns(fields: Sequence[pa.Field], keys: pa.Array) -> list[pa.Array]:
    """The values of the key columns, from canonical keys: each distinct key is parsed once."""
    if not fields:
        return []
    encoded = keys.dictionary_encode()
    alone = _alone(encoded.dictionary, fields[0].type) if len(fields) == 1 else None
    if alone is not None:
        return [alone.take(encoded.indices)]
    values: list[list[Any]] = json.loads("[" + ",".join(encoded.dictionary.to_pylist()) + "]")
    return [_typed([row[at] for row in values], field.type).take(encoded.indices) for at, field in enumerate(fields)]


def _alone(texts: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """The values of one-column keys, without parsing JSON where the text between the brackets is the value."""
    quoted = pa.types.is_string(kind)
    if not (quoted or pa.types.is_integer(kind)) or (quoted and pc.any(pc.match_substring(texts, "\\")).as_py()):
        return None
    skipped = 2 if quoted else 1
    values = pc.utf8_slice_codeunits(texts, skipped, -skipped)
    nulls = pc.equal(texts, "[null]")
    return pc.if_else(nulls, pa.scalar(None, pa.string()), values).cast(kind)


def _typed(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        texts = pa.array([None if value is None else value.removesuffix("Z") for value in values], pa.string())
        plain = texts.cast(pa.timestamp("us")) if pa.types.is_timestamp(kind) else texts
        return plain.cast(pa.timestamp("us", kind.tz)).cast(kind) if pa.types.is_timestamp(kind) else plain.cast(kind)
    return pa.array(values, kind)
