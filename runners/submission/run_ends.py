"""Decides when a run is over, by the journal and the view store, whatever its runner reports."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from tandem.journal.clocks import SystemClock
from tandem.journal.index import JournalIndex
from tandem.journal.runs.launches import check_launch, launched_at, newest_launch
from tandem.journal.runs.manifests import RunManifest, list_runs
from tandem.journal.runs.sealing import last_segment, seal_run
from tandem.journal.storage.blobs import BlobStore
from tandem.journal.storage.layout import drain_path
from tandem.schemas.definition.loading import Definition
from tandem.schemas.errors import FencedError
from tandem.transforms.fold.stored_tiles import LiveRunRef
from tandem.views.live.conservation import live_received, live_residues
from tandem.views.lookups import live_run_id
from tandem.views.storage.opening import open_store
from tandem.views.store import ViewStore

__all__ = ["End", "FollowerEnd", "RunEnd"]

_SETTLED: Final = 3.0
"""Seconds that every event must have been in the views before a job is ended: writes that no count shows, late ids, are
done by then."""


class End(Protocol):
    """Decides when a run is over."""

    def over(self) -> bool:
        """Whether the run is over. Raises FencedError when another run has taken over, and the stores' errors."""
        ...

    def replaced_at(self) -> int | None:
        """The time at which the same run was launched anew (microseconds): later jobs of its name are others'."""
        ...

    def asked(self) -> bool:
        """Whether the run was asked to end, by a signal or by `tandem stop`."""
        ...

    def close(self) -> None:
        """Seal the run in place of its readers."""
        ...


@dataclass
class _ViewsEnd:
    """Common to both kinds of runs: every event of the journal is in the views."""

    blobs: BlobStore
    store: str
    definitions: Sequence[Definition]
    runs: Sequence[LiveRunRef]
    since: float | None = None
    """Monotonic time since when no event has been missing."""
    _opened: ViewStore | None = None
    _index: JournalIndex | None = None

    def replaced_at(self) -> int | None:
        """See End."""
        return None

    def asked(self) -> bool:
        """See End."""
        return bool(self.runs) and self.blobs.exists(drain_path(self.runs[0].run))

    def close(self) -> None:
        """See End. Does nothing: no lane is a follower's."""

    def settled(self, within: float = _SETTLED) -> bool:
        """Whether no event of the journal has been missing in the views for that many seconds."""
        if self._missing():
            self.since = None
            return False
        self.since = self.since or time.monotonic()
        return time.monotonic() - self.since >= within

    def _missing(self) -> bool:
        store = self._opened = self._opened or open_store(self.store)
        index = self._index = self._index or JournalIndex(self.blobs)
        index.refresh()
        for definition, run in zip(self.definitions, self.runs, strict=True):
            known = store.live.get(definition.version, run.run)
            kept = max(known.base_boundary, known.pruned_to)
            written: dict[int, int] = {}
            for ref in index.segments(kept):
                written[ref.generation] = written.get(ref.generation, 0) + ref.count
            with store.database.read() as connection:
                run_id = live_run_id(connection, known.version, known.run)
                received, residues = live_received(connection, run_id), live_residues(connection, run_id, kept)
            if any(residues.values()) or any(received.get(g, 0) != count for g, count in written.items()):
                return True
        return False


@dataclass
class RunEnd(_ViewsEnd):
    """A writer is over when it has closed all its lanes and every event is in the views."""

    manifest: RunManifest = field(kw_only=True)
    launch: int = field(kw_only=True)

    def over(self) -> bool:
        """See End."""
        check_launch(self.blobs, self.manifest.id, self.launch)
        ends = [last_segment(self.blobs, self.manifest.id, lane) for lane in range(self.manifest.lanes)]
        finals = {end.final for end in ends if end is not None}
        others = finals - {None, self.manifest.id}
        if others:
            raise FencedError(f"run {self.manifest.id}: run {min(filter(None, others))} has sealed its lanes")
        if len(finals) != 1 or None in finals or None in ends:
            self._check_replaced()
            return False
        return self.settled()

    def replaced_at(self) -> int | None:
        """See End."""
        newest = newest_launch(self.blobs, self.manifest.id)
        return launched_at(self.blobs, self.manifest.id, self.launch + 1) if newest > self.launch else None

    def asked(self) -> bool:
        """See End."""
        return self.blobs.exists(drain_path(self.manifest.id))

    def close(self) -> None:
        """See End. Lanes that were sealed by their own run look as if their readers had finished."""
        run = self.manifest
        now = SystemClock().wall()
        for _ in seal_run(self.blobs, run.id, run.lanes, run.subscription, run.first_generation, run, written=now):
            pass

    def _check_replaced(self) -> None:
        """A later run seals these lanes in a moment; a drained run may end before."""
        newest = max(list_runs(self.blobs).values(), key=lambda run: run.ordinal)
        if newest.ordinal > self.manifest.ordinal:
            raise FencedError(f"run {self.manifest.id}: run {newest.id} has replaced it")


@dataclass
class FollowerEnd(_ViewsEnd):
    """A follower is over when it was asked to end, or idle for `until_idle`, and every event is in the views."""

    until_idle: int | None = None
    """Microseconds without new events after which the follower ends."""
    _asked: float | None = None

    def over(self) -> bool:
        """See End."""
        if self.asked():
            self._asked = self._asked or time.monotonic()
            # It reads no more: the writer's later events aren't waited for.
            return self.settled() or time.monotonic() - self._asked > 10 * _SETTLED
        return self.until_idle is not None and self.settled(max(self.until_idle / 1e6, _SETTLED))
