"""Rules of compaction and rollups, broken on purpose in one place each. `patch` is undone by the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import tandem.views.answers.reading.rows
import tandem.views.layers.compaction.areas
import tandem.views.layers.compaction.compacting
import tandem.views.layers.compaction.joining
import tandem.views.layers.compaction.swapping
import tandem.views.layers.removing
import tandem.views.layers.rollups.covering
import tandem.views.layers.rollups.planning
from tandem.views.layers.columns import RUN
from tandem.views.layers.compaction.prefix import newest_prefixes
from tandem.views.layers.removing import forget_file

__all__ = ["COMPACTION_BREAKS"]

Patch = pytest.MonkeyPatch
areas = tandem.views.layers.compaction.areas
compacting = tandem.views.layers.compaction.compacting
covering = tandem.views.layers.rollups.covering
joining = tandem.views.layers.compaction.joining
planning = tandem.views.layers.rollups.planning
swapping = tandem.views.layers.compaction.swapping


def everything_is_joined(patch: Patch) -> None:
    """Runs that can be rolled back to are joined with later ones."""
    for module in (compacting, swapping):
        patch.setattr(
            module, "common_prefixes", lambda connection, definition, **_: newest_prefixes(connection, definition)
        )


def lists_are_not_compared(patch: Patch) -> None:
    """A swap doesn't ask whether the list of files is as it was."""
    patch.setattr(swapping, "revised", lambda *_: None)
    patch.setattr(swapping, "working", lambda *_: None)
    patch.setattr(swapping, "forget_file", lambda *_: True)


def given_up_compactions_go_on(patch: Patch) -> None:
    """A compaction that was taken for dead swaps all the same."""
    patch.setattr(swapping, "working", lambda *_: None)


def the_oldest_row_counts(patch: Patch) -> None:
    """Of each key and tile the row of the oldest run is kept."""
    intact = joining._newest

    def newest(rows: pa.RecordBatch, empty: Any) -> pa.RecordBatch:
        at = rows.schema.get_field_index(RUN)
        turned = rows.set_column(at, rows.schema.field(at), pa.array(-rows.column(RUN).to_numpy()))
        found = intact(turned, empty)
        return found.set_column(at, found.schema.field(at), pa.array(-found.column(RUN).to_numpy()))

    patch.setattr(joining, "_newest", newest)


def rows_forget_their_run(patch: Patch) -> None:
    """What is joined is all of the newest run."""
    intact = joining._newest

    def newest(rows: pa.RecordBatch, empty: Any) -> pa.RecordBatch:
        found = intact(rows, empty)
        at, runs = found.schema.get_field_index(RUN), found.column(RUN).to_numpy()
        return found.set_column(at, found.schema.field(at), pa.array(np.full(len(runs), runs.max(initial=0))))

    patch.setattr(joining, "_newest", newest)


def what_hides_other_files_goes(patch: Patch) -> None:
    """Rows that say that there is nothing go, although files that stay have what they hide."""
    intact = swapping._remove_rows
    patch.setattr(
        swapping,
        "_remove_rows",
        lambda connection, definition, area: intact(connection, definition, replace(area, covered=False)),
    )


def replaced_files_go_at_once(patch: Patch) -> None:
    """No grace time for who still reads."""
    intact = forget_file

    def forget(database: Any, connection: Any, file: Any, now: int) -> bool:
        return intact(database, connection, file, 0)

    patch.setattr(swapping, "forget_file", forget)


def later_runs_are_overlooked(patch: Patch) -> None:
    """Rollups are taken for whole although later runs wrote into their hours."""
    for module in (covering, planning):
        patch.setattr(module, "changed_hours", lambda *_: np.empty(0, np.int64))


def edges_are_overlooked(patch: Patch) -> None:
    """An hour that an edge of what is asked cuts is read as a whole."""
    patch.setattr(
        "tandem.views.answers.point.within_edges",
        lambda edges: lambda starts, grain: np.ones(len(starts), bool),
    )


def hours_beside_days_count_again(patch: Patch) -> None:
    """What a day holds is read from its hours, too."""
    patch.setattr(covering, "_not_yet", lambda starts, grain, rolled: starts)


COMPACTION_BREAKS: dict[str, Callable[[Patch], None]] = {
    made.__name__: made
    for made in (
        everything_is_joined,
        lists_are_not_compared,
        given_up_compactions_go_on,
        the_oldest_row_counts,
        rows_forget_their_run,
        what_hides_other_files_goes,
        replaced_files_go_at_once,
        later_runs_are_overlooked,
        edges_are_overlooked,
        hours_beside_days_count_again,
    )
}
