"""The ancestry of batch runs: the layers that a read of one run looks through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from tandem.views.storage.tables import batch_runs

__all__ = ["Chain", "Chains"]

Chain = frozenset[int]
"""Ordinals of a batch run and all its ancestors; a higher ordinal is a newer run."""

_CHUNK: Final = 400
_KEPT: Final = 64


class Chains:
    """A cache of ancestries: a run's parent is fixed at its start, so its ancestry never changes."""

    def __init__(self) -> None:
        self._known: dict[int, Chain] = {}

    def of(self, connection: sa.Connection, ordinal: int | None) -> Chain:
        """The ordinals of a run and its ancestors; empty for None."""
        if ordinal is None:
            return frozenset()
        chain = self._known.get(ordinal)
        if chain is None:
            chain = self._read(connection, ordinal)
            while len(self._known) >= _KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[ordinal] = chain
        return chain

    def chunks(self, chain: Chain) -> Iterator[list[int]]:
        """The ordinals in pieces that fit into one IN list, newest first."""
        ordered = sorted(chain, reverse=True)
        return (ordered[at : at + _CHUNK] for at in range(0, len(ordered), _CHUNK))

    def _read(self, connection: sa.Connection, ordinal: int) -> Chain:
        runs = batch_runs.c
        run = sa.select(runs.ordinal, runs.parent)
        above = run.where(runs.ordinal == ordinal).cte("ancestry", recursive=True)
        above = above.union_all(run.join(above, runs.ordinal == above.c.parent))
        return frozenset(connection.execute(sa.select(above.c.ordinal)).scalars())
