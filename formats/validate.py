"""The last step of every decoder: checks event times and event ids, and drops rows without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.types import SourceField, SourceFields, source_fields
from tandem.formats.dead_letters.verdicts import VALIDATE, Mask, Parsed, Verdicts
from tandem.formats.event_ids import event_ids, id_type
from tandem.formats.source_spec import SourceSpec
from tandem.schemas.columns import ID, TIME
from tandem.schemas.messages import DeadLetter, Decoded
from tandem.schemas.time.limits import MAX_TIME, MIN_TIME, limits_of

__all__ = ["assemble", "events_schema"]

Int64s = npt.NDArray[np.int64]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def events_schema(source: SourceSpec, columns: tuple[str, ...]) -> pa.Schema:
    """The schema of events decoded with these columns: the columns, then TIME and ID."""
    fields = source_fields(source)
    return _schema(fields, fields.needed(columns)[: len(dict.fromkeys(columns))])


def _schema(fields: SourceFields, chosen: tuple[SourceField, ...]) -> pa.Schema:
    ids = [fields.usable[name] for name in fields.event_id]
    return pa.schema(
        [
            *(pa.field(field.name, field.arrow, field.nullable) for field in chosen),
            pa.field(TIME, pa.int64(), nullable=False),
            pa.field(ID, id_type(ids), nullable=False),
        ]
    )


def assemble(
    fields: SourceFields,
    columns: tuple[str, ...],
    parsed: Parsed,
    publish_times: Int64s,
    letter: Callable[[int, str, str], DeadLetter],
) -> Decoded:
    """Check ids and times, and build events and dead letters from parsed records, in the input's order.

    `publish_times` (microseconds, by the broker's clock) has one value for each record of the input, or just one for
    all. `letter` builds the dead letter of a record from its index in the input, stage and reason.
    """
    clocks = publish_times[parsed.rows] if len(publish_times) > 1 else publish_times
    events, alive = _judge(fields, columns, parsed.arrays, parsed.verdicts, clocks)
    dead = dict(parsed.faults)
    dead.update((int(parsed.rows[row]), why) for row, why in parsed.verdicts.reasons.items())
    letters = tuple(letter(row, *dead[row]) for row in sorted(dead))
    return Decoded(events, parsed.rows if alive.all() else parsed.rows[alive], letters)


def _judge(
    fields: SourceFields,
    columns: tuple[str, ...],
    arrays: dict[str, pa.Array],
    verdicts: Verdicts,
    publish_times: Int64s,
) -> tuple[pa.RecordBatch, Mask]:
    """(the batch of events, mask of the rows in it); adds failing rows to `verdicts`."""
    needed = fields.needed(columns)
    _mark_nulls(fields, needed, arrays, verdicts)
    _mark_empty_id(fields, arrays, verdicts)
    times = pc.fill_null(_as_int64(arrays[fields.event_time]), 0).to_numpy(zero_copy_only=False)
    _mark_times(fields, times, publish_times, verdicts)
    for field in needed:
        _mark_outside(field, arrays[field.name], verdicts)
    alive = verdicts.alive()
    chosen = needed[: len(dict.fromkeys(columns))]
    if not alive.all():
        keep = pa.array(alive)
        arrays = {name: array.filter(keep) for name, array in arrays.items()}
        times = times[alive]
    ids = event_ids([(fields.usable[name], arrays[name]) for name in fields.event_id])
    values = [*(arrays[field.name] for field in chosen), pa.array(times, pa.int64()), ids]
    return pa.RecordBatch.from_arrays(values, schema=_schema(fields, chosen)), alive


def _mark_nulls(
    fields: SourceFields, needed: tuple[SourceField, ...], arrays: Mapping[str, pa.Array], verdicts: Verdicts
) -> None:
    for field in needed:
        array = arrays[field.name]
        if not array.null_count:
            continue
        missing = array.is_null().to_numpy(zero_copy_only=False)
        if field.name in fields.event_id:
            verdicts.mark(missing, VALIDATE, f"event id: '{field.name}' is null")
        elif field.name == fields.event_time:
            verdicts.mark(missing, VALIDATE, f"event time: '{field.name}' is null")
        elif not field.nullable:
            verdicts.mark(missing, VALIDATE, f"'{field.name}' is null and may not be")


def _mark_empty_id(fields: SourceFields, arrays: Mapping[str, pa.Array], verdicts: Verdicts) -> None:
    """Mark rows with an empty id: producers that don't set an id send an empty text, and such events would all count as
    copies of one.
    """
    if len(fields.event_id) > 1:
        return
    array = arrays[fields.event_id[0]]
    if pa.types.is_string(array.type):
        empty = pc.fill_null(pc.equal(pc.binary_length(array), 0), False)
        verdicts.mark(empty.to_numpy(zero_copy_only=False), VALIDATE, f"event id: '{fields.event_id[0]}' is empty")


def _mark_times(fields: SourceFields, times: Int64s, publish_times: Int64s, verdicts: Verdicts) -> None:
    name = fields.event_time
    outside = (times < MIN_TIME) | (times > MAX_TIME)
    verdicts.mark(
        outside, VALIDATE, lambda row: f"event time: '{name}' is {times[row]} us, outside the years 1 to 9999"
    )
    if fields.max_ahead is None:
        return
    ahead = min(fields.max_ahead, MAX_TIME)
    # Both sides stay within the years 1 to 9999, so that the sum can't overflow.
    published = np.clip(publish_times, MIN_TIME, MAX_TIME)
    late = ~outside & (times > published + ahead)

    def reason(row: int) -> str:
        clock = int(published[row if len(published) > 1 else 0])
        return (
            f"event time: '{name}' is {_iso(int(times[row]))}, more than "
            f"{timedelta(microseconds=ahead)} ahead of "
            f"{_iso(clock)} when it was published"
        )

    verdicts.mark(late, VALIDATE, reason)


def _mark_outside(field: SourceField, array: pa.Array, verdicts: Verdicts) -> None:
    """Mark dates, timestamps and times of day out of range, by one rule for all formats."""
    limits = limits_of(array.type)
    if limits is None or not len(array):
        return
    numbers = array.cast(limits.storage)
    if limits.hold(numbers):
        return
    outside = limits.outside(numbers).to_numpy(zero_copy_only=False)
    verdicts.mark(
        outside, VALIDATE, lambda row: f"'{field.name}': {numbers[row].as_py()} {limits.unit} is {limits.what}"
    )


def _iso(micros: int) -> str:
    return (_EPOCH + timedelta(microseconds=micros)).isoformat().replace("+00:00", "Z")


def _as_int64(array: pa.Array) -> pa.Array:
    return array if array.type == pa.int64() else array.cast(pa.int64())
