"""Rules of batch states in files, broken on purpose in one place each. `patch` is undone by the caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

import tandem.views.batch.runs
import tandem.views.layers.catalog
import tandem.views.layers.reading
import tandem.views.layers.registering
import tandem.views.layers.removing
import tandem.views.publishing.pruning
from tandem.storage.places import open_place
from tandem.views.layers.below import merged_with
from tandem.views.layers.catalog import beside_database, resolved
from tandem.views.layers.tables import batch_files, removed_files
from tandem.views.layers.writing import LayerData, layer_data
from tandem.views.storage.tables import batch_runs

__all__ = ["LAYER_BREAKS"]

Patch = pytest.MonkeyPatch
removing = tandem.views.layers.removing


class _Anything:
    """Equal to whatever it is held against."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> Any:
        return False

    __hash__ = None  # type: ignore[assignment]


def all_that_lies_there_is_ours(patch: Patch) -> None:
    """Sweeping lists the whole place instead of the store's own folder."""

    def lying(database: Any) -> Sequence[tuple[str, str]]:
        root = beside_database(database.url)
        return [("", one.key) for one in open_place(root).walk("") if one.key.count("/") == 2]

    patch.setattr(removing, "_lying", lying)


def _noting(patch: Patch, *, unknown: bool) -> None:
    """Besides orphans others are noted: files of runs that aren't known, or of those that are being built."""
    intact = removing._note_orphans

    def note(database: Any, connection: sa.Connection, lying: Any, now: int) -> Any:
        runs = batch_runs.c
        known: dict[str, str] = {row[0]: row[1] for row in connection.execute(sa.select(runs.id, runs.status))}
        named = set(connection.execute(sa.select(batch_files.c.path)).scalars())
        more = [
            (place, path, now)
            for place, path in lying
            if path not in named and known.get(path.split("/")[1], "unknown") == ("unknown" if unknown else "BUILDING")
        ]
        database.write_rows(connection, database.insert_new(removed_files), more)
        return intact(database, connection, lying, now)

    patch.setattr(removing, "_note_orphans", note)


def files_of_unknown_runs_are_orphans(patch: Patch) -> None:
    """What this store doesn't know is removed."""
    _noting(patch, unknown=True)


def files_of_a_run_that_is_built_are_orphans(patch: Patch) -> None:
    """What a writer hasn't named yet is removed."""
    _noting(patch, unknown=False)


def files_go_at_once(patch: Patch) -> None:
    """No grace time."""
    intact = removing.sweep
    patch.setattr(tandem.views.publishing.pruning, "sweep", lambda database, now, grace: intact(database, now, 0))


def files_go_before_the_database_forgets_them(patch: Patch) -> None:
    """Within the transaction that takes them out of the tables."""
    intact = removing.forget_files

    def forget(database: Any, connection: sa.Connection, run: int, now: int) -> int:
        f = batch_files.c
        for row in connection.execute(sa.select(f.place, f.path).where(f.batch_run == run)).all():
            open_place(resolved(connection, row.place)).remove(row.path)
        return intact(database, connection, run, now)

    patch.setattr(tandem.views.publishing.pruning, "forget_files", forget)


def orphans_are_not_looked_for(patch: Patch) -> None:
    """Only what the database has forgotten goes."""
    patch.setattr(removing, "_lying", lambda database: [])


def a_run_is_finished_without_a_look_at_its_files(patch: Patch) -> None:
    """Whether they are there isn't asked."""
    patch.setattr(tandem.views.batch.runs, "check_files", lambda connection, run: None)


def batches_are_not_checked(patch: Patch) -> None:
    """Any bytes of the right number will do."""
    patch.setattr(tandem.views.layers.reading, "zlib", SimpleNamespace(crc32=lambda data: _Anything()))


def rows_are_not_checked(patch: Patch) -> None:
    """A state is taken for what its row says, whatever its checksum is."""
    patch.setattr(tandem.views.layers.reading, "checks_of_words", lambda words, tiles: _NoneWrong(len(tiles)))


class _NoneWrong:
    """Checksums that no others differ from."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def __ne__(self, other: object) -> Any:
        return np.zeros(self._rows, bool)

    __hash__ = None  # type: ignore[assignment]


def names_have_no_digest(patch: Patch) -> None:
    """Two attempts that saw other states write to one path."""
    intact = layer_data

    def without(*arguments: Any, **more: Any) -> LayerData:
        return replace(intact(*arguments, **more), digest="0" * 32)

    patch.setattr(tandem.views.layers.registering, "layer_data", without)


def keys_are_sought_in_another_bucket(patch: Patch) -> None:
    """The file of a key is chosen by something else than what it was written by."""
    patch.setattr(tandem.views.layers.catalog, "bucket_of", lambda key: 256)


def ancestors_files_are_overlooked(patch: Patch) -> None:
    """A run over files doesn't merge what they hold of its tiles and keys."""
    intact = merged_with
    patch.setattr(
        tandem.views.layers.registering,
        "merged_with",
        lambda measures, block, stored, files, place: intact(measures, block, stored, (), place),
    )


LAYER_BREAKS: dict[str, Callable[[Patch], None]] = {
    made.__name__: made
    for made in (
        all_that_lies_there_is_ours,
        files_of_unknown_runs_are_orphans,
        files_of_a_run_that_is_built_are_orphans,
        files_go_at_once,
        files_go_before_the_database_forgets_them,
        orphans_are_not_looked_for,
        a_run_is_finished_without_a_look_at_its_files,
        batches_are_not_checked,
        rows_are_not_checked,
        names_have_no_digest,
        keys_are_sought_in_another_bucket,
        ancestors_files_are_overlooked,
    )
}
