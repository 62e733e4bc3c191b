"""The schema versions of a store that this program reads, and those that it can migrate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tandem.schemas.errors import StoreError
from tandem.views.storage.tables import SCHEMA_VERSION

__all__ = ["MIGRATED", "THIS", "refused"]

THIS: Final = frozenset({SCHEMA_VERSION})
MIGRATED: Final = frozenset({9, 10, SCHEMA_VERSION})
"""Versions that `tandem store migrate` brings to this one: tables were added since, and verdicts cut into parts."""


def refused(where: object, found: Sequence[int]) -> StoreError:
    """The error of a store of other versions, with the remedy."""
    shown = ", ".join(map(str, found)) or "none"
    over = "`tandem store migrate` brings it over, " if found and set(found) <= MIGRATED else ""
    return StoreError(
        f"view store {where}: has schema version {shown}, this program reads {SCHEMA_VERSION}: "
        f"{over}`tandem rebuild DEFINITION...` makes it anew from journal and files"
    )
