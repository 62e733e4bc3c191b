"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tandem.serving.security.row_filters import Rows

__all__ = ["LOCAL", "Principal", "Role"]


class Role(StrEnum):
    """What somebody may do; an operator may all that a viewer may."""

    VIEWER = "viewer"
    """Ask."""
    OPERATOR = "operator"
    """Change what is served, and give dead letters up."""


@dataclass(frozen=True)
class Principal:
    """Somebody who asks."""

    id: str
    """Of the API key, or the subject of a token; never a secret."""
    role: Role = Role.VIEWER
    definitions: frozenset[str] | None = None
    """That may be asked; None for all."""
    rows: Rows = field(default_factory=Rows)

    @property
    def unrestricted(self) -> bool:
        """Nothing is hidden from them: what is about the installation as a whole may be shown."""
        return self.definitions is None and not self.rows.prefixes

    def may_ask(self, name: str) -> bool:
        """Whether a definition is there for them."""
        return self.definitions is None or name in self.definitions

    def scope_of(self, name: str) -> str:
        """Equal for principals that get the same answers of a definition."""
        return repr(self.rows.prefixes[name]) if self.rows.restricts(name) else ""


LOCAL: Final = Principal("local")
"""The caller on the machine itself where no authentication is set up: a viewer."""
