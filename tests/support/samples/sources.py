"""How definitions of more than one test begin, to be formatted: the record, and which fields are id and time."""

from __future__ import annotations

from typing import Final

__all__ = ["OF_SHOPS", "VISITED", "VISITS"]

OF_SHOPS: Final = """
name: {name}
source:
  schema:
    type: record
    name: Sale
    fields:
      - {{name: id, type: string}}
      - {{name: at, type: {{type: long, logicalType: timestamp-micros}}}}
      - {{name: shop, type: ["null", string], default: null}}
      - {{name: amount, type: double}}
      - {{name: units, type: ["null", long], default: null}}
      - {{name: kind, type: string}}
  format: {format}
  event_id: id
  event_time: at
  out_of_orderness: 5s
  max_ahead: null
"""
"""Sales and orders; `where`, the key and all that follows is a test's own."""

VISITED: Final = """
name: visits
source:
  schema:
    type: record
    name: Visit
    fields:
      - {{name: id, type: string}}
      - {{name: at, type: {{type: long, logicalType: timestamp-micros}}}}
      - {{name: user, type: string}}
      - {{name: amount, type: long}}
  format: json
  event_id: id
  event_time: at
"""
"""Visits; more of the source may follow."""

VISITS: Final = (
    VISITED
    + """\
key: [user]
tile: {tile}
lateness: {lateness}
"""
)
"""Visits by user; measures and what else a definition has follow."""
