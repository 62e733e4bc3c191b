"""Revisions of results as JSON data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tandem.schemas.certificate import time_text

if TYPE_CHECKING:
    from tandem.views.results.listing import RevisionRow

__all__ = ["revision_data"]


def revision_data(columns: Sequence[str], row: RevisionRow) -> dict[str, Any]:
    """The last revision of a window and key; `columns`: of the definition's key."""
    return {
        "result": row.result,
        "start": time_text(row.start),
        "end": time_text(row.end),
        "key": dict(zip(columns, json.loads(row.key), strict=True)),
        "revision": row.revision,
        "timing": row.timing,
        "events": row.events,
        "withdrawn": row.results is None,
        "results": row.results,
        "id": row.id,
    }
