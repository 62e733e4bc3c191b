"""Sources: called by the deliverer before it sends, they put a definition's due records into the outbox.

Results are one kind; further kinds are added to SOURCES.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.definition.models import Definition
from tandem.views.decisions.draining import Decider
from tandem.views.results.revisions.draining import Drainer
from tandem.views.store import ViewStore

__all__ = ["SOURCES", "Due", "SourceOfRecords", "has_sources", "sources_of"]


class Due(Protocol):
    """The due records of one definition. Only the holder of the lease calls it, though other processes may write them,
    too.
    """

    def drain(self, now: int) -> int:
        """Put the records due at `now` (wall clock, microseconds UTC) into the outbox; returns the number of states.

        Does nothing before the first publication of the name. Raises StoreError.
        """


class SourceOfRecords(Protocol):
    """One kind of records."""

    def is_in(self, definition: Definition) -> bool:
        """Whether a definition declares such records."""

    def open(self, store: ViewStore, compiled: CompiledDefinition) -> Due:
        """The due records of a definition that declares such."""


@dataclass(frozen=True)
class _Results:
    def is_in(self, definition: Definition) -> bool:
        return bool(definition.results)

    def open(self, store: ViewStore, compiled: CompiledDefinition) -> Due:
        return Drainer(store, compiled)


@dataclass(frozen=True)
class _Rules:
    def is_in(self, definition: Definition) -> bool:
        return bool(definition.rules)

    def open(self, store: ViewStore, compiled: CompiledDefinition) -> Due:
        return Decider(store, compiled)


SOURCES: Final[list[SourceOfRecords]] = [_Results(), _Rules()]
"""In the order of calls: a later source sees the records of an earlier one."""


def has_sources(definition: Definition) -> bool:
    """Whether a definition has any records to deliver."""
    return any(source.is_in(definition) for source in SOURCES)


def sources_of(store: ViewStore, compiled: CompiledDefinition) -> list[Due]:
    """The sources of a definition."""
    return [source.open(store, compiled) for source in SOURCES if source.is_in(compiled.definition)]
