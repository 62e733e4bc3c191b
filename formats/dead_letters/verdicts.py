"""The dead rows of a batch, and the reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["DECODE", "VALIDATE", "Mask", "Parsed", "Verdicts", "joined", "short"]

DECODE: Final = "decode"
VALIDATE: Final = "validate"

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Verdicts:
    """Collects the reasons for which rows of one batch are dead; each row keeps its first reason."""

    size: int
    reasons: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Row -> stage and reason."""

    def mark(self, dead: Mask, stage: str, reason: str | Callable[[int], str]) -> None:
        """Mark the rows where `dead` is true as dead for this reason."""
        if not dead.any():
            return
        for row in np.flatnonzero(dead).tolist():
            if row not in self.reasons:
                self.reasons[row] = (stage, reason if isinstance(reason, str) else reason(row))

    def mark_row(self, row: int, stage: str, reason: str) -> None:
        """Mark one row as dead for this reason."""
        self.reasons.setdefault(row, (stage, reason))

    def convert(self, values: Iterable[Any], make: Callable[[Any], Any], name: str) -> list[Any]:
        """`make` of each value, None for None. A row where it raises ValueError is dead; `name` is the field's."""
        made: list[Any] = []
        for row, value in enumerate(values):
            result = None
            if value is not None:
                try:
                    result = make(value)
                except ValueError as error:
                    self.mark_row(row, DECODE, f"'{name}': {error}")
            made.append(result)
        return made

    def alive(self) -> Mask:
        """A mask of the rows without a reason."""
        mask = np.ones(self.size, np.bool_)
        if self.reasons:
            mask[list(self.reasons)] = False
        return mask


@dataclass(frozen=True, slots=True)
class Parsed:
    """The output of a decoder for one batch of records, before event ids and times are checked."""

    arrays: dict[str, pa.Array]
    """The needed fields in their Arrow types, one value for each decoded record."""
    rows: npt.NDArray[np.int64]
    """For each decoded record its index in the input."""
    verdicts: Verdicts
    """The decoded records that are already dead."""
    faults: dict[int, tuple[str, str]]
    """Stage and reason of each other record, by its index in the input."""


Rows = npt.NDArray[np.int64]


def joined(parts: Sequence[tuple[Rows, Parsed]], refused: Mapping[int, tuple[str, str]]) -> Parsed:
    """The parsed parts of a batch, each with its messages' rows in the batch, joined in the batch's order.

    `refused`: stage and reason of messages that are in no part, by row.
    """
    faults = dict(refused)
    reasons: dict[int, tuple[str, str]] = {}
    for places, parsed in parts:
        faults |= {int(places[row]): why for row, why in parsed.faults.items()}
        reasons |= {int(places[parsed.rows[row]]): why for row, why in parsed.verdicts.reasons.items()}
    rows = np.concatenate([places[parsed.rows] for places, parsed in parts])
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    names = parts[0][1].arrays
    arrays = {name: pa.concat_arrays([parsed.arrays[name] for _, parsed in parts]) for name in names}
    if (np.diff(order) < 0).any():
        arrays = {name: array.take(pa.array(order)) for name, array in arrays.items()}
    found = np.searchsorted(rows, list(reasons))
    verdicts = Verdicts(len(rows), dict(zip(found.tolist(), reasons.values(), strict=True)))
    return Parsed(arrays, rows, verdicts, faults)


def short(value: object, limit: int = 60) -> str:
    """A value within a reason: its repr on one line, cut to `limit` characters."""
    if isinstance(value, str | bytes):
        value = value[: limit + 1]
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
