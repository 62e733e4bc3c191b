"""The checks of publishing that every event is counted by exactly one view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from tandem.schemas.errors import BatchOutdatedError, PublishRefusedError
from tandem.views.batch.chains import Chain, Chains
from tandem.views.batch.event_ids import counted_ids, left_out
from tandem.views.publishing.coverage import file_sets
from tandem.views.storage.tables import batch_ids, batch_runs, live_states, straddlers

__all__ = ["Copies"]

Row = sa.Row[Any]


@dataclass(frozen=True, slots=True)
class Copies:
    """Checks of copies of one event in several generations. Each raises PublishRefusedError or returns."""

    connection: sa.Connection
    chains: Chains
    name: str

    def refuse(self, reason: str) -> PublishRefusedError:
        """The error of one refusal."""
        return PublishRefusedError(f"{self.name}: {reason}")

    def outdated(self, reason: str) -> BatchOutdatedError:
        """The error of a refusal that a batch run built now would avoid."""
        return BatchOutdatedError(f"{self.name}: {reason}")

    def nothing_counted_twice(self, batch: Row | None, live: Row) -> None:
        """No event that live counts after the boundary is one that batch counted up to it."""
        if batch is None:
            return
        s = straddlers.c
        query = sa.select(s.tile, s.shard, s.hash, s.content).where(
            s.run == live.id,
            s.earlier_generation <= batch.boundary,
            s.counted_generation > batch.boundary,
        )
        for tile, events in self._by_tile(query).items():
            twice = events & self._counted(batch, tile)
            if twice:
                raise self.outdated(
                    f"{len(twice)} events of tile {tile} are counted by batch run {batch.id!r} and, in a"
                    f" generation after {batch.boundary}, by live run {live.run!r}: build the batch run anew"
                    " for this live run"
                )

    def nothing_counted_before(self, batch: Row | None, live: Row) -> None:
        """The batch run leaves out the events that the live run's base left out, in the base's generations.

        The live run doesn't know these events from its base, so it counts them when their later copies come.
        """
        if batch is None or live.base_batch_run is None:
            return
        base = self.connection.execute(sa.select(batch_runs).where(batch_runs.c.ordinal == live.base_batch_run)).one()
        for tile, events in self._left_out(self.chains.of(self.connection, base.ordinal)).items():
            unknown = events - self._counted(base, tile)
            twice = unknown & self._counted(batch, tile, live.base_boundary)
            if twice:
                raise self.refuse(
                    f"{len(twice)} events of tile {tile} are counted by batch run {batch.id!r} and by live"
                    f" run {live.run!r}, whose base {base.id!r} left them out: start a live run on this batch"
                    f" run, which takes over (tandem live --base {batch.id})"
                )

    def nothing_left_out(self, batch: Row | None, live: Row | None) -> None:
        """Events that batch left to a live run are counted by this one, or by a later layer of batch."""
        if batch is None:
            return
        # The live run counts the events that its own base left out: it doesn't know them.
        base = self.chains.of(self.connection, live.base_batch_run if live is not None else None)
        left = self._left_out(self.chains.of(self.connection, batch.ordinal) - base)
        for tile, events in left.items():
            lost = events - self._counted(batch, tile) - self._counted_later(live, tile, batch.boundary)
            if lost:
                who = f"live run {live.run!r}" if live is not None else "no run"
                raise self.outdated(
                    f"{len(lost)} events of tile {tile} were left out of batch run {batch.id!r} for another"
                    f" live run, and {who} doesn't count them"
                )

    def _left_out(self, runs: Chain) -> dict[int, set[tuple[int, int]]]:
        """By tile the events that these batch runs left to a live run."""
        found: dict[int, set[tuple[int, int]]] = {}
        for event in left_out(self.connection, self.chains, runs):
            found.setdefault(event.tile, set()).add(event.identity)
        return found

    def _by_tile(self, query: sa.Select[Any]) -> dict[int, set[tuple[int, int]]]:
        found: dict[int, set[tuple[int, int]]] = {}
        for tile, _, event, content in self.connection.execute(query):
            found.setdefault(tile, set()).add((event % (1 << 64), content % (1 << 64)))
        return found

    def _counted(self, batch: Row, tile: int, up_to: int | None = None) -> set[tuple[int, int]]:
        """The events that batch counted in a tile, in generations up to `up_to`."""
        ids = counted_ids(self.connection, self.chains, batch, tile)
        if up_to is not None:
            ids = ids[ids["generation"] <= up_to]
        return set(zip(ids["hash"].tolist(), ids["content"].tolist(), strict=True))

    def _counted_later(self, live: Row | None, tile: int, boundary: int) -> set[tuple[int, int]]:
        if live is None:
            return set()
        s = straddlers.c
        query = sa.select(s.tile, s.shard, s.hash, s.content).where(
            s.run == live.id, s.tile == tile, s.counted_generation > boundary
        )
        return self._by_tile(query).get(tile, set())

    def no_overlapping_files(self, batch: Row | None, live: Row, definition: Row) -> None:
        """New files lie in tiles that the live run has closed, or has no events in; a copy is always in the tile of its
        original.

        The live run knows the ids of the batch run that it stands on, not those of files that were read later.
        """
        if batch is None:
            return
        known = file_sets(self.connection, live.base_batch_run) if live.base_batch_run is not None else []
        fresh = [entry["generation"] for entry in batch.file_sets if entry not in known]
        if not fresh:
            return
        i, s = batch_ids.c, live_states.c
        tiles: set[int] = set()
        for ordinals in self.chains.chunks(self.chains.of(self.connection, batch.ordinal)):
            query = sa.select(i.tile).where(i.batch_run.in_(ordinals), i.generation.in_(fresh)).distinct()
            tiles.update(self.connection.execute(query).scalars())
        closed = -np.inf if live.watermark is None else live.watermark - definition.lateness - definition.tile
        open_tiles = sorted(tile for tile in tiles if tile > closed)
        held = sa.select(s.tile).where(s.run == live.id, s.generation > batch.boundary).distinct()
        shared = sorted(tiles & set(self.connection.execute(held).scalars()))
        if open_tiles or shared:
            tile = (open_tiles or shared)[0]
            raise self.refuse(
                f"files of batch run {batch.id!r} hold events of tile {tile}, which live run {live.run!r}"
                " counts too without knowing their ids: start a live run on this batch run, which takes over"
                f" (tandem live --base {batch.id})"
            )
