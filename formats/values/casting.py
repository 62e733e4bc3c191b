"""Casts columns of texts, each value as it would be alone, and marks those that fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tandem.formats.avro.types import SourceField
from tandem.formats.dead_letters.verdicts import DECODE, Verdicts, short

__all__ = ["INTEGER", "NOTHING", "cast_where", "each", "refuse", "try_integers"]

NOTHING: Final = pa.nulls(1, pa.string())[0]
INTEGER: Final = r"^-?[0-9]+$"


def refuse(bad: pa.Array, text: pa.Array, field: SourceField, verdicts: Verdicts, what: str = "") -> None:
    """Mark the rows where `bad` is true; `what` names the expected form, by default the field's type."""
    mask = pc.fill_null(bad, False).to_numpy(zero_copy_only=False)
    wanted = what or str(field.type.value)
    verdicts.mark(mask, DECODE, lambda row: f"'{field.name}': {short(text[row].as_py())} is not {wanted}")


def cast_where(text: pa.Array, target: pa.DataType) -> tuple[pa.Array, pa.Array]:
    """(the texts cast, whether each failed), each as it would be alone.

    Where a cast fails, the texts are bisected down to single values.
    """
    try:
        return text.cast(target), pa.repeat(False, len(text))
    except pa.ArrowInvalid:
        if len(text) == 1:
            return pa.nulls(1, target), pa.repeat(True, 1)
    middle = len(text) // 2
    halves = [cast_where(text.slice(0, middle), target), cast_where(text.slice(middle), target)]
    return pa.concat_arrays([half[0] for half in halves]), pa.concat_arrays([half[1] for half in halves])


def try_integers(text: pa.Array) -> pa.Array | None:
    """All texts as int64; None if one isn't an integer. Arrow would also read hexadecimal ones."""
    try:
        numbers = text.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    return None if pc.any(pc.match_substring(text, "x", ignore_case=True)).as_py() else numbers


def each(
    text: pa.Array,
    make: Callable[[str], Any],
    field: SourceField,
    verdicts: Verdicts,
    target: pa.DataType | None = None,
) -> pa.Array:
    """The column of `make` of each text, in the field's type or `target`; ValueError marks the row."""
    return pa.array(verdicts.convert(text.to_pylist(), make, field.name), target or field.arrow)
