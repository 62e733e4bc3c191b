"""Decodes JSON messages, and lines of JSON, to columns, in one strict, typed pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from tandem.formats.avro.conversions import numbers_to_arrow
from tandem.formats.avro.types import SourceField, SourceFields
from tandem.formats.dead_letters.verdicts import DECODE, Parsed, Rows, Verdicts, joined
from tandem.formats.json.columns import Values, can_read, read_values
from tandem.formats.json.fields import column_of, column_of_texts, default_of
from tandem.formats.json.records import json_record
from tandem.formats.json.template import Template, template_of
from tandem.formats.text.buffers import Texts
from tandem.formats.values.spelling import PLAIN

__all__ = ["MAX_DEPTH", "json_values", "parse_json"]

Decode = Callable[[bytes], Any]

MAX_DEPTH: Final = 128
"""Most levels of nesting of JSON, also in fields that are ignored."""
_STRETCH: Final = 1 << 14
"""Messages whose columns are built at a time: few enough for a column to stay in the processor's cache."""
_MOST_TEMPLATES: Final = 4
"""Most templates that are tried on a range of messages."""
_FEWEST: Final = 32
"""Messages below which objects are faster."""
_AT_ONCE: Final = 1 << 12
"""Messages whose objects exist at a time: few enough for them to stay in the processor's cache."""
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_SIGNS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def parse_json(fields: SourceFields, columns: tuple[str, ...], texts: Texts) -> Parsed:
    """The needed fields of the messages that are objects of the schema; other messages are faults.

    Every usable field is checked, also those that aren't needed. Unknown fields are ignored, and so are unusable ones.
    The last of repeated names counts.
    """
    json_record(fields.schema_key)  # refuses a schema whose defaults can't be
    needed = fields.needed(columns)
    parts: list[tuple[Rows, Parsed]] = []
    for start in range(0, len(texts), _STRETCH):
        rows = np.arange(start, min(start + _STRETCH, len(texts)))
        parts += _parts(fields, needed, texts, rows)
    if not parts:
        return _objects(fields, needed, [])
    return parts[0][1] if len(parts) == 1 else joined(parts, {})


def _parts(
    fields: SourceFields, needed: tuple[SourceField, ...], texts: Texts, rows: Rows
) -> Iterator[tuple[Rows, Parsed]]:
    """A range of messages in parts, each with its rows: the most frequent templates as columns, the others one by
    one.
    """
    for _ in range(_MOST_TEMPLATES):
        if len(rows) < _FEWEST:
            break
        template = _template(fields, texts.pick(rows[[0, len(rows) // 2, -1]]))
        if template is None:
            break
        stretch = texts.pick(rows)
        values = read_values(template, fields.usable, tuple(field.name for field in needed), stretch)
        if len(values.rows):
            yield rows[values.rows], _typed(needed, values)
        rows = np.delete(rows, values.rows)
    if len(rows):
        yield rows, _objects(fields, needed, texts.pick(rows).to_list())


def _template(fields: SourceFields, samples: Texts) -> Template | None:
    """The template of the first sample that has one which can be read into these fields."""
    for row in range(len(samples)):
        template = _by_field(template_of(samples[row]), fields)
        if template is not None and can_read(template, fields.usable):
            return template
    return None


def _by_field(template: Template | None, fields: SourceFields) -> Template | None:
    """The template with the fields' names in place of the source's; None where a field is nested in an object."""
    if template is None or not fields.paths:
        return template
    if any(len(field.path) > 1 for field in fields.usable.values()):
        return None
    names = {field.path[0]: field.name for field in fields.usable.values()}
    if len(names) < len(fields.usable):
        return None
    # A name that no field has is ignored.
    members = tuple(replace(member, name=names.get(member.name, f"\0{member.name}")) for member in template.members)
    return replace(template, members=members)


def _typed(needed: tuple[SourceField, ...], values: Values) -> Parsed:
    size = len(values.rows)
    verdicts = Verdicts(size)
    arrays = {}
    for field in needed:
        column = values.columns.get(field.name)
        if column is None:
            arrays[field.name] = column_of([default_of(field)] * size, field, verdicts)
        elif pa.types.is_string(column.type) and (field.spelling != PLAIN or not pa.types.is_string(field.arrow)):
            arrays[field.name] = column_of_texts(column, field, verdicts)
        elif pa.types.is_int64(column.type):
            arrays[field.name] = numbers_to_arrow(column, field.type.value, field, verdicts)
        else:
            arrays[field.name] = column.cast(field.arrow)
    return Parsed(arrays, np.arange(size), verdicts, {})


def _objects(fields: SourceFields, needed: tuple[SourceField, ...], payloads: list[bytes]) -> Parsed:
    """Messages decoded one by one, with an object for each."""
    values, faults = json_values(fields.schema_key, [field.name for field in needed], payloads)
    rows = np.delete(np.arange(len(payloads)), list(faults)) if faults else np.arange(len(payloads))
    verdicts = Verdicts(len(rows))
    arrays = {field.name: column_of(column, field, verdicts) for field, column in zip(needed, values, strict=True)}
    return Parsed(arrays, rows, verdicts, faults)


def json_values(
    schema_key: str, names: Sequence[str], payloads: list[bytes]
) -> tuple[list[list[Any]], dict[int, tuple[str, str]]]:
    """(values by name of messages that are objects of the schema, stage and reason of the others by row).

    Values are in the form that `tandem.formats.json.fields.column_of` takes.
    """
    record = json_record(schema_key)
    getters = [record.getters[name] for name in names]
    faults: dict[int, tuple[str, str]] = {}
    values: list[list[Any]] = [[] for _ in names]
    for start in range(0, len(payloads), _AT_ONCE):
        records = _decode_all(record.decode, payloads[start : start + _AT_ONCE], start, faults)
        for column, get in zip(values, getters, strict=True):
            column += map(get, records)
    return values, faults


def _decode_all(decode: Decode, payloads: list[bytes], start: int, faults: dict[int, tuple[str, str]]) -> list[Any]:
    """The records of the valid payloads; `start` is the first payload's row."""
    deep: set[int] = set()
    if max(map(len, payloads)) > 2 * MAX_DEPTH:
        deep = {row for row, payload in enumerate(payloads) if _too_deep(payload)}
    texts_ok = _all_text(payloads)
    if texts_ok and not deep:
        try:
            return list(map(decode, payloads))
        except _DAMAGE:
            pass
    records = []
    for row, payload in enumerate(payloads):
        if row in deep:
            faults[start + row] = (DECODE, f"JSON nested more than {MAX_DEPTH} levels deep")
            continue
        try:
            if not texts_ok:
                payload.decode()
            records.append(decode(payload))
        except _DAMAGE as error:
            faults[start + row] = (DECODE, _reason(error))
    return records


_DAMAGE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""Errors of invalid payloads; ValueError for text that isn't UTF-8, and for numbers of thousands of digits."""


def _too_deep(payload: bytes) -> bool:
    """Whether the nesting is deeper than MAX_DEPTH; msgspec's own bound depends on its caller's stack."""
    if len(payload) <= 2 * MAX_DEPTH or payload.count(b"[") + payload.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _BRACKETS.finditer(payload):
        sign = _SIGNS.get(payload[token.start()], 0)
        depth += sign
        if depth > MAX_DEPTH:
            return True
    return False


def _all_text(payloads: Iterable[bytes]) -> bool:
    """Whether all payloads are UTF-8: msgspec doesn't check what it skips."""
    try:
        b"\n".join(payloads).decode()
    except UnicodeDecodeError:
        return False
    return True


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "JSON nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"text that is not UTF-8 at byte {error.start}"
    if isinstance(error, msgspec.ValidationError):
        return f"not a record of this schema: {error}"
    return f"not JSON: {error}"
