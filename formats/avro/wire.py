"""Builds the wire schema for the Avro decoder, and checks the decoder's output.

pyruhvro decodes whole batches into Arrow, but it is lax: it accepts text that isn't UTF-8, truncates longs to ints,
ignores bytes behind a message's end, and panics on bytes, fixed and some logical types. So it gets a *wire schema* of
the same encoding in which every type is one that it reads exactly (an int, an enum's index and a time are longs; bytes
are a string; a union's branches are records of their own), and the ranges, symbols and texts are checked here on whole
columns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter, methodcaller
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro

from tandem.formats.avro.types import Type

__all__ = ["END", "END_VALUES", "Checks", "WireError", "WireSchema", "cells", "checks_of", "decode_wire", "is_damage"]

END: Final = os.urandom(16)
"""Appended to every message and read back as its last two fields: leftover bytes would be read there instead. Random,
so that no message can contain it."""
END_VALUES: Final = np.frombuffer(END, np.int64)
_END_FIELDS: Final = [{"name": "end_low", "type": "double"}, {"name": "end_high", "type": "double"}]
_ROW_FIELD: Final = {"name": "end_row", "type": "double"}


class WireError(ValueError):
    """A message of the batch doesn't conform to the schema."""


_DAMAGE: Final = (ValueError, pa.ArrowException)


def is_damage(error: BaseException) -> bool:
    """Whether the data cause the decoder's failure: it raised an error of its own, or panicked (not an Exception)."""
    return isinstance(error, _DAMAGE) or type(error).__name__ == "PanicException"


@dataclass(frozen=True, slots=True)
class WireSchema:
    """The wire schemas for `record`: `message` decodes one, `block` a container's block, `messages` many.

    `block` reads a block as one message that holds an array of records, which has the same encoding; `messages` does
    too, with END and its number behind each record, which reveal a record that ends elsewhere than its message.
    """

    record: Type
    plain: str
    """The schema for encoding: `message` without the two fields of END."""
    message: str
    block: str
    messages: str
    unfolding: int
    """Most values that one byte can become: a null in an array of wide records becomes one for each of their fields."""
    has_fixed: bool
    """Whether there is a fixed, which has no length before it: messages have to be rewritten; see
    `tandem.formats.avro.walk`."""

    @staticmethod
    def of(record: Type) -> WireSchema:
        fields = _Names().record(record)
        return WireSchema(
            record,
            json.dumps({"type": "record", "name": "wire", "fields": fields}),
            json.dumps({"type": "record", "name": "wire", "fields": [*fields, *_END_FIELDS]}),
            _array_of(fields),
            _array_of([*fields, *_END_FIELDS, _ROW_FIELD]),
            max((cells(part) for part in record.walk() if part.kind in ("optional", "union")), default=1),
            any(part.kind == "fixed" for part in record.walk()),
        )


def _array_of(fields: list[dict[str, Any]]) -> str:
    rows = {"type": "array", "items": {"type": "record", "name": "row", "fields": fields}}
    return json.dumps({"type": "record", "name": "wire", "fields": [{"name": "rows", "type": rows}, *_END_FIELDS]})


def cells(kind: Type) -> int:
    """The number of values that a null in place of this type adds to columns."""
    return 1 + sum(cells(part) for part in kind.parts) if kind.kind in ("record", "optional", "union") else 1


def decode_wire(payloads: list[bytes], schema: str) -> pa.RecordBatch:
    """One row for each payload; each must already end with END. Raises errors for which `is_damage` is true."""
    batch = pyruhvro.deserialize_array(payloads, schema)
    if not payloads:
        return batch
    for column, expected in zip(batch.columns[-2:], END_VALUES, strict=True):
        if not bool((np.frombuffer(column.buffers()[1], np.int64)[: len(column)] == expected).all()):
            raise WireError("bytes left over behind the last field")
    return batch


@dataclass
class _Names:
    """Names for the wire schema's records and fields: the source's names could collide once types are expanded."""

    count: int = 0

    def record(self, kind: Type) -> list[dict[str, Any]]:
        parts = kind.parts or (Type("null"),)
        return [{"name": f"f{at}", "type": self.wire(part)} for at, part in enumerate(parts)]

    def wire(self, kind: Type) -> Any:
        match kind.kind:
            case "null" | "boolean" | "float" | "double" | "string":
                return kind.kind
            case "int" | "long" | "enum":
                return "long"
            case "bytes" | "fixed":
                return "string"
            case "array":
                return {"type": "array", "items": self.wire(kind.parts[0])}
            case "map":
                return {"type": "map", "values": self.wire(kind.parts[0])}
            case "optional":
                part = self.wire(kind.parts[0])
                return ["null", part] if kind.null_first else [part, "null"]
            case "union":
                return [self._boxed([part]) for part in kind.parts]
            case _:
                return self._boxed(kind.parts or (Type("null"),))

    def _boxed(self, parts: Any) -> dict[str, Any]:
        self.count += 1
        name = f"r{self.count}"
        return {"type": "record", "name": name, "fields": self.record(Type("record", parts=tuple(parts)))}


Check = Callable[[pa.Array], None]


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of one type's column and of all columns inside it."""

    own: Check | None = None
    inside: tuple[tuple[Callable[[pa.Array], pa.Array], Checks], ...] = field(default=())

    def run(self, column: pa.Array) -> None:
        """Raise WireError, or an Arrow error, for a value that the type doesn't allow."""
        if self.own is not None:
            self.own(column)
        for part_of, checks in self.inside:
            checks.run(part_of(column))


def checks_of(kind: Type) -> Checks | None:
    """The checks of a wire schema's column for `kind`; None if every value is valid."""
    if kind.kind == "string":
        return Checks(_check_text)
    if kind.kind == "int":
        return Checks(_range_check(-(2**31), 2**31 - 1, "an int"))
    if kind.kind == "enum":
        return Checks(_range_check(0, len(kind.names) - 1, "an index of the enum"))
    if kind.kind == "optional":
        return checks_of(kind.parts[0])
    inside = tuple(_inside(kind))
    return Checks(inside=inside) if inside else None


def _inside(kind: Type) -> Iterator[tuple[Callable[[pa.Array], pa.Array], Checks]]:
    if kind.kind == "map":
        yield attrgetter("keys"), Checks(_check_text)
    for at, part in enumerate(kind.parts):
        checks = checks_of(part)
        if checks is None:
            continue
        if kind.kind in ("array", "map"):
            yield attrgetter("values" if kind.kind == "array" else "items"), checks
        elif kind.kind == "union":
            yield methodcaller("field", at), Checks(inside=((methodcaller("field", 0), checks),))
        else:
            yield methodcaller("field", at), checks


def _check_text(column: pa.Array) -> None:
    column.validate(full=True)


def _range_check(low: int, high: int, what: str) -> Check:
    def check(column: pa.Array) -> None:
        found = pc.min_max(column).as_py()
        if found["min"] is not None and (found["min"] < low or found["max"] > high):
            raise WireError(f"a number that is not {what}")

    return check
