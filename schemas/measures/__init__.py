"""Measures: mergeable aggregates whose states travel as Arrow columns.

`base` says what a measure is (`Measure`), `registry` which there are (`MEASURES`, `build`), `specs` reads what a
definition says of one. `moments` and `sketches` are families of measures, the others are one module each; `encoding`
makes states bytes.
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
