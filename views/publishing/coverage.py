"""The checks of publishing that a candidate holds every event that it must."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tandem.schemas.errors import BatchOutdatedError, BehindError, MissingFilesError, PublishRefusedError
from tandem.views.batch.chains import Chains
from tandem.views.live.conservation import batch_received, batch_residues, live_received, live_residues
from tandem.views.rows import Candidate, LaneExtent, PublicationKind
from tandem.views.storage.tables import (
    batch_runs,
    live_attempts,
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
    """The checks that no event is missing. Each raises PublishRefusedError or returns.

    They run in the transaction that moves the pointer.
    """

    connection: sa.Connection
    chains: Chains
    name: str

    def refuse(self, reason: str) -> PublishRefusedError:
        """The error of one refusal."""
        return PublishRefusedError(f"{self.name}: {reason}")

    def behind(self, reason: str) -> BehindError:
        """The error of a refusal that a live run may cure by running on."""
        return BehindError(f"{self.name}: {reason}")

    def outdated(self, reason: str) -> BatchOutdatedError:
        """The error of a refusal that a new batch run cures."""
        return BatchOutdatedError(f"{self.name}: {reason}: another batch run was published meanwhile, build it anew")

    def batch_is_whole(self, batch: Row) -> None:
        """The batch run is COMPLETE, has no residue, and its generations have no gap up to the boundary."""
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
        """Everything that is served now is in the candidate too: in its batch run, or in its live run."""
        if served is None:
            return
        batch, live, boundary = wanted.batch_run, wanted.live_run, wanted.boundary
        refuse = self.outdated if self._beside(served, wanted) else self.refuse
        if boundary < served.boundary:
            if wanted.kind is not PublicationKind.ROLLBACK:
                raise refuse(f"boundary {boundary} is below {served.boundary}, the one that is served")
            self._live_fills(served, boundary, live)
            if not wanted.accept_late:
                self._nothing_late(served, boundary, live)
        if served.batch_run is not None and served.definition == wanted.definition.id:
            self._same_files(served.batch_run, batch, refuse)
        elif served.batch_run is not None and not wanted.accept_missing_files:
            self._same_contents(served.batch_run, batch)
        if served.live_run is not None and (live is None or live.id != served.live_run):
            self._same_segments(served.live_run, boundary, live)
            if live is not None and self._journal(served.live_run) == live.journal:
                self._as_far(served.live_run, max(boundary, served.boundary), live)

    def _beside(self, served: Row, wanted: Candidate) -> bool:
        """Whether another batch run of the version was published since the candidate's began: neither stands on the
        other.
        """
        mine, theirs = wanted.batch_run, served.batch_run
        if wanted.kind is not PublicationKind.PUBLISH or mine is None or theirs is None:
            return False
        chains = self.chains.of(self.connection, mine.ordinal), self.chains.of(self.connection, theirs)
        same = served.definition == wanted.definition.id
        return same and theirs not in chains[0] and mine.ordinal not in chains[1]

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
        """No event between the boundaries came too late for live: it would be in no view."""
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

    def _same_files(self, served_batch: int, batch: Row | None, refuse: Callable[[str], PublishRefusedError]) -> None:
        after = batch.file_sets if batch is not None else []
        given_up = [entry for entry in file_sets(self.connection, served_batch) if entry not in after]
        if given_up:
            kept = self.files(batch.ordinal) if batch is not None else {}
            missing = [path for digest, path in self.files(served_batch).items() if digest not in kept]
            of = f": {_some(missing)}" if missing else ""
            raise refuse(f"{len(missing) or len(given_up)} files that are served would no longer be covered{of}")

    def _same_contents(self, served_batch: int, batch: Row | None) -> None:
        """The batch run has read every file that the other version's has read, under any name.

        Versions are built separately, so their sets of files are numbered separately: each file's digest decides.
        """
        missing = self.files(served_batch)
        for digest in self.files(batch.ordinal) if batch is not None else ():
            missing.pop(digest, None)
        if missing:
            paths = list(missing.values())
            raise MissingFilesError(
                f"{self.name}: {len(paths)} files that the served version has read aren't in "
                f"{'this one, which has no batch run' if batch is None else f'batch run {batch.id!r}'}: "
                f"{_some(paths)}; build it with them, or say --accept-missing-files"
            )

    def files(self, batch: int) -> dict[str, str]:
        """Digest -> path of all files, not segments of the journal, that a batch run and its ancestors read."""
        found: dict[str, str] = {}
        for ordinals in self.chains.chunks(self.chains.of(self.connection, batch)):
            query = sa.select(batch_runs.c.manifest, batch_runs.c.file_sets)
            for manifest, sets in self.connection.execute(query.where(batch_runs.c.ordinal.in_(ordinals))):
                if manifest is not None and sets:
                    # The manifest gives the journal's segments no size: their generations vouch for their presence.
                    found |= {entry["digest"]: entry["path"] for entry in manifest["segments"] if entry["size"]}
        return found

    def _as_far(self, served_live: int, boundary: int, live: Row) -> None:
        """In each generation after both boundaries the live run has processed as many messages as the served one."""
        pairs = [
            (live_received(self.connection, run), live_residues(self.connection, run)) for run in (served_live, live.id)
        ]
        done, mine = ({g: n - residues.get(g, 0) for g, n in received.items()} for received, residues in pairs)
        for generation, count in sorted(done.items()):
            if generation > boundary and mine.get(generation, 0) < count:
                raise self.behind(
                    f"live run {live.run!r} has not caught up: it has dealt with {mine.get(generation, 0)} of the"
                    f" {count} messages of generation {generation} that are served"
                )

    def _same_segments(self, served_live: int, boundary: int, live: Row | None) -> None:
        """The live run has every segment that the served live run holds after the boundary."""
        s = live_segments.c
        query = sa.select(s.lane, s.number, s.generation).where(s.run == served_live, s.generation > boundary)
        if live is not None:
            if self._journal(served_live) != live.journal:
                return  # another source: segments can't be compared
            there = live_segments.alias()
            known = sa.select(there.c.number).where(
                there.c.run == live.id, there.c.lane == s.lane, there.c.number == s.number
            )
            query = query.where(~known.exists())
        first = self.connection.execute(query.order_by(s.generation, s.lane, s.number).limit(1)).first()
        if first is not None:
            who = f"live run {live.run!r} doesn't have" if live is not None else "without a live run there isn't"
            raise (self.behind if live is not None else self.refuse)(
                f"{who} segment {first.number} of lane {first.lane} (generation {first.generation}), which is served"
            )

    def live_is_one_attempt(self, live: Row) -> None:
        """Every tile of the live run that is to be replaced, after its runner went back to a checkpoint, has been."""
        a = live_attempts.c
        query = sa.select(sa.func.count()).where(a.run == live.id, a.behind.is_(True))
        behind = self.connection.execute(query).scalar_one()
        if behind:
            raise self.behind(
                f"live run {live.run!r} went back to a checkpoint, and {behind} tiles have not caught up with what was"
                " written before: try again in a moment, or, if it stays so, end the run and publish then"
            )

    def _journal(self, live: int) -> str:
        return str(self.connection.execute(sa.select(live_runs.c.journal).where(live_runs.c.id == live)).scalar_one())

    def live_stands_on_it(self, batch: Row | None, live: Row) -> None:
        """The events that the live run left to batch are in the batch run."""
        boundary = batch.boundary if batch is not None else 0
        if live.status == "DROPPED":
            raise self.refuse(f"live run {live.run!r} was dropped")
        if live.pruned_to > boundary:
            raise self.refuse(
                f"live run {live.run!r} holds generations after {live.pruned_to} only, batch ends at {boundary}"
            )
        if live.base_batch_run is not None:
            self._same_files(live.base_batch_run, batch, self.refuse)

    def live_has_everything(self, batch: Row | None, live: Row) -> None:
        """Every generation up to the boundary that the live run replayed has passed through it, without a residue.

        Only then has it seen every copy in them, and named the cross-boundary duplicates.
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
                raise self.behind(
                    f"live run {live.run!r} took in {found} of {count} records of generation {generation}"
                )
            if residue:
                raise self.behind(f"live run {live.run!r} has a residue of {residue} events in generation {generation}")

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
                raise self.behind(
                    f"live run {live.run!r} has not caught up: {missing} segments of lane {extent.lane}"
                    f" are missing, first {first} of {extent.last}"
                )
            for generation in sorted(set(found.values())):
                if residues.get(generation):
                    raise self.behind(
                        f"live run {live.run!r} has not caught up: a residue of {residues[generation]} events"
                        f" in generation {generation}"
                    )


def _some(paths: list[str]) -> str:
    """The first paths, and the number of the others."""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(sorted(paths)[:3]) + more
