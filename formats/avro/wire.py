"""The schema that the Avro decoder is given, and what is checked behind it.

pyruhvro decodes whole batches into Arrow, but it is lax: it takes text that isn't UTF-8, cuts longs to ints,
ignores what follows a message's end, and panics on bytes, fixed and some logical types. So it is given a
*wire schema* of the same encoding in which every type is one that it reads exactly (an int, an enum's index
and a time are longs; bytes are a string; a union's branches are records of their own), and the ranges,
symbols and texts are checked here on whole columns.
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
"""Put behind every message and read back as its last two fields: bytes left over would stand there instead.
Random, so that no message can carry it.
"""
END_VALUES: Final = np.frombuffer(END, np.int64)
_END_FIELDS: Final = [{"name": "end_low", "type": "double"}, {"name": "end_high", "type": "double"}]
_ROW_FIELD: Final = {"name": "end_row", "type": "double"}


class WireError(ValueError):
    """Some message of the batch doesn't fit the schema."""


_DAMAGE: Final = (ValueError, pa.ArrowException)


def is_damage(error: BaseException) -> bool:
    """Whether the decoder's failure is the data's fault: an error of its own, or a panic, which is no Exception."""
    return isinstance(error, _DAMAGE) or type(error).__name__ == "PanicException"


@dataclass(frozen=True, slots=True)
class WireSchema:
    """How records of `record` are decoded: with `message` one, with `block` a container's block, with `messages` many.

    `block` reads a block as one message that holds an array of records, which has just the block's encoding; so does
    `messages`, where END and its number follow each record: one that ends elsewhere than its message shows.
    """

    record: Type
    plain: str
    """For writing: `message` without the two fields for END."""
    message: str
    block: str
    messages: str
    unfolding: int
    """How many values one byte can make at most: a null in an array of wide records makes one for each of
    their fields.
    """
    has_fixed: bool
    """A fixed has no length before it, so messages have to be rewritten; see tandem.formats.avro.walk."""

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
    """How many values a null in place of this type puts into columns."""
    return 1 + sum(cells(part) for part in kind.parts) if kind.kind in ("record", "optional", "union") else 1


def decode_wire(payloads: list[bytes], schema: str) -> pa.RecordBatch:
    """One row for each payload; each must already end with END. Raises what `is_damage` knows."""
    batch = pyruhvro.deserialize_array(payloads, schema)
    if not payloads:
        return batch
    for column, expected in zip(batch.columns[-2:], END_VALUES, strict=True):
        if not bool((np.frombuffer(column.buffers()[1], np.int64)[: len(column)] == expected).all()):
            raise WireError("bytes left over behind the last field")
    return batch


@dataclass
class _Names:
    """Names for the wire schema's records and fields: those of the source could collide once types are
    expanded.
    """

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
        """Raises WireError, or an Arrow error, for a value that the type doesn't allow."""
        if self.own is not None:
            self.own(column)
        for part_of, checks in self.inside:
            checks.run(part_of(column))


def checks_of(kind: Type) -> Checks | None:
    """What to check on a column of the wire schema that stands for `kind`; None if nothing can be wrong."""
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
