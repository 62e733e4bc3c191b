"""Measures: mergeable aggregates whose states are Arrow columns.

`base` has the interface (`Measure`), `registry` the kinds (`MEASURES`, `build`), `specs` reads a measure's entry in a
definition. `moments` and `sketches` are families of measures, the others are one module each; `encoding` serializes
states.
"""

from __future__ import annotations

from tandem.schemas.measures.base import Groups, Measure
from tandem.schemas.measures.encoding.rows import ROW_VERSION, decode_rows, encode_rows
from tandem.schemas.measures.registry import MEASURES, MeasureKind, build, identity

__all__ = [
    "MEASURES",
    "ROW_VERSION",
    "Groups",
    "Measure",
    "MeasureKind",
    "build",
    "decode_rows",
    "encode_rows",
    "identity",
]
