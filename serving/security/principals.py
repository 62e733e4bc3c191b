"""Callers and their permissions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tandem.serving.security.row_filters import Rows

__all__ = ["LOCAL", "Principal", "Role"]


class Role(StrEnum):
    """The permissions of a caller; an operator has a viewer's, too."""

    VIEWER = "viewer"
    """May read answers and states."""
    OPERATOR = "operator"
    """May change publications, and drop dead letters."""


@dataclass(frozen=True)
class Principal:
    """An authenticated caller."""

    id: str
    """Id of the API key, or the subject of a token; never a secret."""
    role: Role = Role.VIEWER
    definitions: frozenset[str] | None = None
    """Definitions that it may read; None for all."""
    rows: Rows = field(default_factory=Rows)

    @property
    def unrestricted(self) -> bool:
        """Whether nothing is hidden from it, so that it may see data about the whole installation."""
        return self.definitions is None and not self.rows.prefixes

    def may_ask(self, name: str) -> bool:
        """Whether the caller may read a definition."""
        return self.definitions is None or name in self.definitions

    def scope_of(self, name: str) -> str:
        """Equal for principals that get the same answers of a definition."""
        return repr(self.rows.prefixes[name]) if self.rows.restricts(name) else ""


LOCAL: Final = Principal("local")
"""The caller of a server without authentication, on its own machine: a viewer."""
