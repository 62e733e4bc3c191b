"""Detects answers that lack known input, as certificates do: PARTIAL."""

from __future__ import annotations

import sqlalchemy as sa

from tandem.views.answers.reading.rows import late_by_tile
from tandem.views.answers.reading.scope import Scope

__all__ = ["all_is_partial", "is_partial"]


def all_is_partial(scope: Scope) -> bool:
    """Whether input is missing that may belong to any window."""
    return bool(scope.dead_letters or scope.residue or scope.missing)


def is_partial(connection: sa.Connection, scope: Scope, window: tuple[int, int]) -> bool:
    """Whether known input is missing from the answers of a window."""
    return all_is_partial(scope) or bool(late_by_tile(connection, scope, *window))
