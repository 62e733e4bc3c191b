"""A definition ready to run: its expressions and measures are built, and it prepares batches of events."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.schemas.columns import ID, KEY, TIME
from tandem.schemas.definition.checks import check_definition, id_type
from tandem.schemas.definition.models import Definition
from tandem.schemas.errors import SchemaError
from tandem.schemas.expressions import Expression, evaluate_rows
from tandem.schemas.keys import KEY_DICTIONARY, key_dictionary, parse_key
from tandem.schemas.measures.base import Measure
from tandem.schemas.time.sessions import TIME_MEASURES

__all__ = ["CompiledDefinition", "Prepared", "compile_definition", "key_text"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch of events after a definition has filtered it, derived its fields and built its keys.

    events.num_rows + filtered + len(failed) = rows of the batch, always.
    """

    events: pa.RecordBatch
    """The remaining events, with the definition's `input_schema`: columns.TIME, columns.ID, columns.KEY, then the
    inputs of the measures."""
    rows: npt.NDArray[np.int64]
    """For each event the index of its row in the batch."""
    filtered: int
    """The number of events that `where` filtered."""
    failed: dict[int, str]
    """For each row whose expressions failed, the reason."""


@dataclass(frozen=True, eq=False)
class CompiledDefinition:
    """A definition with its expressions and measures; immutable, and pickled as the definition alone.

    >>> from tandem.schemas.definition.loading import load
    >>> clicks = compile_definition(load("examples/clicks/clicks.yaml"))
    >>> clicks.version, [name for name, _ in clicks.measures]
    ('6963dda015071a84', ['clicks', 'amount', 'least', 'most', 'mean', 'users'])
    """

    definition: Definition
    measures: tuple[tuple[str, Measure], ...]
    """The measures by name, in the definition's order; with a session window, TIME_MEASURES after them."""
    source_columns: tuple[str, ...]
    """The source fields that where, derive, key, measures, event id and event time read, in the schema's order."""
    input_schema: pa.Schema
    """The schema of the events that `prepare` returns."""
    key_fields: tuple[pa.Field, ...]
    """The key columns with their types."""
    where: Expression | None
    derive: tuple[tuple[str, Expression], ...]
    derive_results: tuple[tuple[str, Expression], ...]
    """Derived results by name, computed from results when an answer is read, in the definition's order."""
    result_wheres: tuple[tuple[str, Expression], ...]
    """By name of one of `results`, the condition on which its windows and keys are sent; without one all are."""
    events_schema: pa.Schema
    """The schema of the events that `prepare` takes: `source_columns`, columns.TIME and columns.ID; more columns are
    ignored."""

    @property
    def version(self) -> str:
        """The definition's version."""
        return self.definition.version

    @functools.cached_property
    def aggregated_columns(self) -> tuple[str, ...]:
        """The columns of `input_schema` that aggregating reads: columns.KEY and the measures' inputs."""
        return tuple(dict.fromkeys([KEY, *(name for _, measure in self.measures for name in measure.inputs)]))

    def prepare(self, events: pa.RecordBatch) -> Prepared:
        """Filter events, derive fields and build keys. No value makes it fail: rows whose expressions fail are in
        `failed`.

        Raises SchemaError if `events` lacks a column of `events_schema` or has it in another type.
        """
        events = self._checked(events)
        rows, failed, filtered = np.arange(events.num_rows), dict[int, str](), 0
        if self.where is not None:
            values, failed = evaluate_rows(self.where, events)
            kept = np.flatnonzero(pc.fill_null(values, False).to_numpy(zero_copy_only=False))
            filtered = len(rows) - len(kept) - len(failed)
            events, rows = _take(events, kept), kept
        derive_failed: dict[int, str] = {}
        for name, expression in self.derive:
            values, bad = evaluate_rows(expression, events)
            events = events.append_column(pa.field(name, expression.type), values)
            derive_failed = {**bad, **derive_failed}  # of several reasons the first
        if derive_failed:
            good = np.setdiff1d(np.arange(len(rows)), np.fromiter(derive_failed, np.int64))
            failed |= {int(rows[row]): reason for row, reason in derive_failed.items()}
            events, rows = _take(events, good), rows[good]
        return Prepared(self._output(events), rows, filtered, failed)

    def _checked(self, events: pa.RecordBatch) -> pa.RecordBatch:
        for field in self.events_schema:
            index = events.schema.get_field_index(field.name)
            if index < 0:
                raise SchemaError(f"events lack column '{field.name}'; they have {', '.join(events.schema.names)}")
            if events.schema.field(index).type != field.type:
                found = events.schema.field(index).type
                raise SchemaError(f"column '{field.name}' of the events is {found}; it must be {field.type}")
        return events.select(self.events_schema.names)

    def _output(self, events: pa.RecordBatch) -> pa.RecordBatch:
        keys = key_dictionary([events.column(field.name) for field in self.key_fields], events.num_rows)
        columns = [keys if name == KEY else events.column(name) for name in self.input_schema.names]
        return pa.RecordBatch.from_arrays(columns, schema=self.input_schema)

    def __reduce__(self) -> tuple[Callable[[Definition], CompiledDefinition], tuple[Definition]]:
        return compile_definition, (self.definition,)


@functools.lru_cache(maxsize=64)
def compile_definition(definition: Definition) -> CompiledDefinition:
    """The definition ready to run. Raises DefinitionError for the first mistake."""
    checked = check_definition(definition)
    if checked.errors:
        raise checked.errors[0]
    read = {*definition.source.event_id, definition.source.event_time, *definition.key}
    read.update(*(expression.columns for _, expression in checked.derive))
    read.update(checked.where.columns if checked.where else ())
    measures = checked.measures + (TIME_MEASURES if definition.keeps_sessions else ())
    inputs = dict.fromkeys(name for _, measure in measures for name in measure.inputs)
    source_columns = tuple(name for name in checked.source_schema.names if name in read or name in inputs)
    fixed = [
        pa.field(TIME, pa.int64(), False),
        pa.field(ID, id_type(definition, checked.source_schema), False),
    ]
    others = [checked.columns.field(name) for name in inputs if name not in (TIME, ID)]
    return CompiledDefinition(
        definition=definition,
        measures=measures,
        source_columns=source_columns,
        input_schema=pa.schema([*fixed, pa.field(KEY, KEY_DICTIONARY, False), *others]),
        key_fields=tuple(checked.columns.field(name) for name in definition.key),
        where=checked.where,
        derive=checked.derive,
        derive_results=checked.derive_results,
        result_wheres=checked.result_wheres,
        events_schema=pa.schema([*(checked.source_schema.field(name) for name in source_columns), *fixed]),
    )


def key_text(compiled: CompiledDefinition, values: str | Sequence[str] | Mapping[str, str]) -> str:
    """The canonical key, as in columns.KEY, from a user's text or values.

    `values`: `JFK,UA`, `origin=JFK,carrier=UA`, JSON, a sequence of texts in the key's order, or a mapping by column.
    Raises UserError (see `tandem.schemas.keys.parse_key`).

    >>> from tandem.schemas.definition.loading import load
    >>> key_text(compile_definition(load("examples/clicks/clicks.yaml")), "page=home")
    '["home"]'
    """
    return parse_key(compiled.key_fields, values)


def _take(events: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
    return events if len(rows) == events.num_rows else events.take(pa.array(rows))
