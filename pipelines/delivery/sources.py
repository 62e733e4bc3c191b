"""What a deliverer calls before it sends: sources that put into the outbox what is due of a definition by then.

Results are one; another kind of record adds itself to SOURCES.
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
    """What is due of one definition. Only the holder of the lease calls it, though others may work off the same."""

    def drain(self, now: int) -> int:
        """Put what is due at `now` (wall clock, microseconds UTC) into the outbox; how many states that were.

        Nothing while nothing of the name is served. Raises StoreError.
        """


class SourceOfRecords(Protocol):
    """One kind of records."""

    def is_in(self, definition: Definition) -> bool:
        """Whether a definition asks for such records."""

    def open(self, store: ViewStore, compiled: CompiledDefinition) -> Due:
        """What is due of a definition that does."""


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
"""In the order in which they are called: a later one sees what an earlier one has put."""


def has_sources(definition: Definition) -> bool:
    """Whether a definition has anything to deliver."""
    return any(source.is_in(definition) for source in SOURCES)


def sources_of(store: ViewStore, compiled: CompiledDefinition) -> list[Due]:
    """What is to be called for a definition."""
    return [source.open(store, compiled) for source in SOURCES if source.is_in(compiled.definition)]
