"""Checks whether a definition's batch states are spread over more places than necessary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tandem.diagnosis.finding import Finding, State
from tandem.serving.questions.selection.naming import compiled_named
from tandem.views.layers.compaction.compacting import to_compact
from tandem.views.store import ViewStore

__all__ = ["compaction_findings"]

MANY_FILES: Final = 32
MANY_ROWS: Final = 20_000
MANY_RUNS: Final = 100
"""Numbers from which on queries are noticeably slower than necessary."""


def compaction_findings(store: ViewStore, name: str) -> Iterator[Finding]:
    """Findings about a served name."""
    served = store.publishing.served(name)
    if served is None:
        return
    found = to_compact(store.database, compiled_named(name, store))
    if found.kept >= MANY_RUNS:
        what = f"layers to compact: {found.kept:,} batch runs can be rolled back to, and can't be joined"
        yield Finding(name, State.WARNING, what, f"`tandem prune {name}`, then `tandem compact {name}`")
    elif found.files >= MANY_FILES or found.rows >= MANY_ROWS:
        what = f"layers to compact: {found.files:,} files and {found.rows:,} rows can be joined"
        yield Finding(name, State.WARNING, what, f"`tandem compact {name}`")
