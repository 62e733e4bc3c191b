"""Measures: mergeable aggregates whose states travel as Arrow columns."""

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
