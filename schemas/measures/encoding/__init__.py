"""Serialization of measures' states: canonical bytes, ragged columns, and exact totals."""
