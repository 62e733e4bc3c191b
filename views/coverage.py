"""The checks of publishing that a candidate holds everything that it must."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from schemas.errors import PublishRefusedError
from views.chains import Chains
from views.conservation import batch_received, batch_residues, live_received, live_residues
from views.rows import Candidate, LaneExtent, PublicationKind
from views.tables import (
    batch_runs,
    live_runs,
    live_segments,
    live_totals,
)

__all__ = ["Coverage", "file_sets"]

Row = sa.Row[Any]


def file_sets(connection: sa.Connection, batch_run: int) -> list[dict[str, Any]]:
    """The sets of files that a batch run covers, as its row has them."""
    query = sa.select(batch_runs.c.file_sets).where(batch_runs.c.ordinal == batch_run)
    return list(connection.execute(query).scalar_one())


@dataclass(frozen=True, slots=True)
class Coverage:
    """The checks that nothing is missing. Each raises PublishRefusedError or returns.

    They are made in the transaction that moves the pointer.
    """

    connection: sa.Connection
    chains: Chains
    name: str

    def refuse(self, reason: str) -> PublishRefusedError:
        """The error of one refusal."""
        return PublishRefusedError(f"{self.name}: {reason}")

    def batch_is_whole(self, batch: Row) -> None:
        """COMPLETE, without a residue, and its generations have no gap up to the boundary."""
        if batch.status != "COMPLETE":
            raise self.refuse(f"batch run {batch.id!r} is {batch.status}, only a COMPLETE one can be published")
        chain = self.chains.of(self.connection, batch.ordinal)
        residues = batch_residues(self.connection, chain)
        for generation, residue in sorted(residues.items()):
            if residue:
                raise self.refuse(
                    f"batch run {batch.id!r} has a residue of {residue} events in generation {generation}"
                )
        wanted = {*range(1, batch.boundary + 1), *(entry["generation"] for entry in batch.file_sets)}
        gaps = sorted(wanted - set(residues))
        if gaps:
            raise self.refuse(
                f"generation {gaps[0]} is in no manifest of batch run {batch.id!r}, whose boundary is {batch.boundary}"
            )

    def nothing_given_up(self, served: Row | None, wanted: Candidate) -> None:
        """Whatever is served now is in the candidate too: by its batch run, or by its live run."""
        if served is None:
            return
        batch, live, boundary = wanted.batch_run, wanted.live_run, wanted.boundary
        if boundary < served.boundary:
            if wanted.kind is not PublicationKind.ROLLBACK:
                raise self.refuse(f"boundary {boundary} is below {served.boundary}, the one that is served")
            self._live_fills(served, boundary, live)
            if not wanted.accept_late:
                self._nothing_late(served, boundary, live)
        if served.batch_run is not None and served.definition == wanted.definition.id:
            self._same_files(served.batch_run, batch)
        if served.live_run is not None and (live is None or live.id != served.live_run):
            self._same_segments(served.live_run, boundary, live)

    def _live_fills(self, served: Row, boundary: int, live: Row | None) -> None:
        """Every generation after the older boundary is whole in the live run."""
        gap = f"generations {boundary + 1} to {served.boundary}"
        cure = f"build and publish a batch run up to {served.boundary} instead"
        if live is None:
            raise self.refuse(f"{gap} would be in no view, no live run is served: {cure}")
        if live.pruned_to > boundary:
            raise self.refuse(f"{gap} would be missing: live run {live.run!r} starts after {live.pruned_to}: {cure}")
        received = batch_received(self.connection, self.chains.of(self.connection, served.batch_run))
        self._received(live, {g: n for g, n in received.items() if boundary < g <= served.boundary})

    def _nothing_late(self, served: Row, boundary: int, live: Row | None) -> None:
        """No event lies between the boundaries that came too late for live: it would be in no view."""
        t = live_totals.c
        query = sa.select(sa.func.sum(t.late)).where(
            t.run == (live.id if live is not None else None),
            t.generation.between(boundary + 1, served.boundary),
        )
        late = self.connection.execute(query).scalar() or 0
        if late:
            raise self.refuse(
                f"{late} late events of generations {boundary + 1} to {served.boundary} are in batch alone: build and"
                f" publish a batch run up to {served.boundary} instead, or accept that they are pending again"
            )

    def _same_files(self, served_batch: int, batch: Row | None) -> None:
        after = batch.file_sets if batch is not None else []
        for entry in file_sets(self.connection, served_batch):
            if entry not in after:
                raise self.refuse(f"file set {entry['generation']} would no longer be covered")

    def _same_segments(self, served_live: int, boundary: int, live: Row | None) -> None:
        """No segment that the served live run holds after the boundary goes missing."""
        s = live_segments.c
        query = sa.select(s.lane, s.number, s.generation).where(s.run == served_live, s.generation > boundary)
        if live is not None:
            old = self.connection.execute(
                sa.select(live_runs.c.journal).where(live_runs.c.id == served_live)
            ).scalar_one()
            if old != live.journal:
                return  # another source: there is nothing to compare
            there = live_segments.alias()
            known = sa.select(there.c.number).where(
                there.c.run == live.id, there.c.lane == s.lane, there.c.number == s.number
            )
            query = query.where(~known.exists())
        first = self.connection.execute(query.order_by(s.generation, s.lane, s.number).limit(1)).first()
        if first is not None:
            who = f"live run {live.run!r} doesn't have" if live is not None else "without a live run there isn't"
            raise self.refuse(
                f"{who} segment {first.number} of lane {first.lane} (generation {first.generation}), which is served"
            )

    def live_stands_on_it(self, batch: Row | None, live: Row) -> None:
        """What the live run left to batch is in the batch run."""
        boundary = batch.boundary if batch is not None else 0
        if live.status == "DROPPED":
            raise self.refuse(f"live run {live.run!r} was dropped")
        if live.pruned_to > boundary:
            raise self.refuse(
                f"live run {live.run!r} holds generations after {live.pruned_to} only, batch ends at {boundary}"
            )
        if live.base_batch_run is not None:
            self._same_files(live.base_batch_run, batch)

    def live_has_everything(self, batch: Row | None, live: Row) -> None:
        """Every generation up to the boundary that the live run replayed has gone through it, without a
        residue.

        Only then has it seen every copy in them, and named the straddlers.
        """
        if batch is None:
            return
        received = batch_received(self.connection, self.chains.of(self.connection, batch.ordinal))
        self._received(live, {g: n for g, n in received.items() if live.pruned_to < g <= batch.boundary})

    def _received(self, live: Row, wanted: dict[int, int]) -> None:
        received, residues = (read(self.connection, live.id) for read in (live_received, live_residues))
        for generation, count in sorted(wanted.items()):
            found, residue = received.get(generation, 0), residues.get(generation, 0)
            if found != count:
                raise self.refuse(
                    f"live run {live.run!r} took in {found} of {count} records of generation {generation}"
                )
            if residue:
                raise self.refuse(f"live run {live.run!r} has a residue of {residue} events in generation {generation}")

    def live_has_caught_up(self, live: Row) -> None:
        """A run that took over has every segment that the served run had then, without a residue."""
        if live.caught_up:
            return
        residues = live_residues(self.connection, live.id)
        for item in live.takeover:
            extent = LaneExtent(**item)
            s = live_segments.c
            query = sa.select(s.number, s.generation).where(
                s.run == live.id, s.lane == extent.lane, s.number.between(extent.first, extent.last)
            )
            found = dict(self.connection.execute(query).tuples().all())
            missing = extent.last - extent.first + 1 - len(found)
            if missing > 0:
                first = next(n for n in range(extent.first, extent.last + 1) if n not in found)
                raise self.refuse(
                    f"live run {live.run!r} has not caught up: {missing} segments of lane {extent.lane}"
                    f" are missing, first {first} of {extent.last}"
                )
            for generation in sorted(set(found.values())):
                if residues.get(generation):
                    raise self.refuse(
                        f"live run {live.run!r} has not caught up: a residue of {residues[generation]} events"
                        f" in generation {generation}"
                    )
