"""A store of the version before gets the tables that it lacks, and keeps what it has."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from result_stories import Event, Story, definition_of

from tandem.schemas.errors import StoreError
from tandem.views.store import ViewStore


def made_older(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if name.startswith("result_"):
                connection.execute(f"DROP TABLE {name}")
        connection.execute("UPDATE tandem_store SET schema_version = ?", (version,))
        connection.commit()


@pytest.mark.parametrize("create", [True, False])
def test_a_store_without_results_gets_their_tables(tmp_path: Path, create: bool) -> None:
    path = tmp_path / "v.db"
    without = Story(path, definition_of("{window: 1m, to: log}"))
    without.serve()
    without.live(Event(0.1))
    without.close()
    made_older(path, 6)
    ViewStore(str(path), create=create).close()
    story = Story(path, definition_of("{window: 1m, to: log}"))
    story.run, story.segments, story.events = "L", without.segments, without.events
    story.live(Event(0.2))
    story.watermark(1)
    assert story.told() == [("ON_TIME", "ann", "08:00", 2)]
    story.close()


def test_older_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    ViewStore(str(path)).close()
    made_older(path, 5)
    with pytest.raises(StoreError, match="has schema version 5, this program reads 7"):
        ViewStore(str(path))
