"""The source of one statement's tables, restricted to its caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.serving.questions.selection.naming import compiled_named
from tandem.views.store import ViewStore

__all__ = ["SqlSource", "Visible", "all_visible"]

Visible = Callable[[str], bool]
"""Whether the caller may see a key (canonical)."""


@dataclass(frozen=True)
class SqlSource:
    """An installation, as far as the caller may see it."""

    store: ViewStore
    """A statement is answered at one instant of it."""
    journal: str
    """Folder or URL."""
    dead_letters: str
    """Folder or URL."""
    names: Sequence[str]
    """Of the definitions that the caller may see."""
    visible: Callable[[str], Visible | None]
    """By definition its visible keys; None for all."""

    def compiled(self, name: str) -> CompiledDefinition:
        """The definition of a name, in the served version. Raises UserError, DefinitionError."""
        return compiled_named(name, self.store)

    @property
    def unrestricted(self) -> list[str]:
        """The definitions without hidden keys."""
        return [name for name in self.names if self.visible(name) is None]


def all_visible(name: str) -> Visible | None:
    """Visibility without restrictions."""
    return None
