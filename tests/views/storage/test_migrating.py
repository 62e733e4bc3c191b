"""A store that an earlier version made answers as before once it was brought over; what can't be is left as it was."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result
from without_runner.alert_cases import busy, parts_of
from without_runner.alert_seeds import check_parts
from without_runner.alert_stories import AlertStory, rules_definition, rules_text
from without_runner.result_stories import Event

from tandem.app import app
from tandem.schemas.errors import StoreError
from tandem.views.answers.all_steps import all_answers
from tandem.views.storage.migrating import migrate
from tandem.views.storage.tables import SCHEMA_VERSION
from tandem.views.store import ViewStore

STORES: Final = Path(__file__).parent / "stores"
LATER: Final = (
    *("bucket_loads", "compactions", "decision_grouped", "decision_groups", "decision_progress"),
    *("decision_verdict_parts", "layer_lists", "rollup_files"),
)
"""Tables that came, or took another form, since version 9."""
RULES: Final = (
    "{busy: {window: 1m, expr: n >= 2, for: 1m, keep_firing_for: 1m, to: log}, "
    "gone: {window: 1m, expr: n >= 100, no_data: alert, for: 2m, forget: 9m, to: log}}"
)


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """What version 9 wrote: two backfills and a live run of clicks, as its own dump."""
    path = tmp_path / "views.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((STORES / "version_9.sql").read_text(encoding="utf-8"))
    return path


def tandem(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT schema_version FROM tandem_store").fetchone()[0])


def test_it_answers_as_the_older_program_did(older: Path) -> None:
    store = ("--store", f"sqlite:///{older}")
    refused = tandem("export", "clicks", *store)
    assert refused.exit_code != 0
    assert "has schema version 9" in refused.stderr
    assert "`tandem store migrate`" in refused.stderr
    assert "`tandem rebuild DEFINITION...`" in refused.stderr
    done = tandem("store", "migrate", *store)
    assert done.exit_code == 0, done.output
    assert f"schema version 9 is {SCHEMA_VERSION} now, with tables {', '.join(LATER)}" in done.output
    answers = tandem("export", "clicks", *store)
    assert answers.exit_code == 0, answers.output
    assert answers.stdout.splitlines() == (STORES / "version_9.jsonl").read_text(encoding="utf-8").splitlines()
    asked = ("query", "clicks", "--key", "home", "--from", "2026-01-04", "--to", "2026-01-07", "--json")
    expected = json.loads((STORES / "version_9.home.json").read_text(encoding="utf-8"))
    said = json.loads(tandem(*asked, *store).stdout)
    assert said["results"] == expected["results"]
    for name in ("completeness", "events", "batch_events", "batch_run", "live_run", "publication", "boundary"):
        assert said["certificate"].get(name) == expected["certificate"].get(name), name
    assert "already" in tandem("store", "migrate", *store).output


def test_what_came_later_works(older: Path) -> None:
    store = ("--store", f"sqlite:///{older}")
    assert tandem("store", "migrate", *store).exit_code == 0
    compacted = tandem("compact", "clicks", *store)
    assert compacted.exit_code == 0, compacted.output
    answers = tandem("export", "clicks", *store)
    assert answers.stdout.splitlines() == (STORES / "version_9.jsonl").read_text(encoding="utf-8").splitlines()


def as_version_10_did(story: AlertStory) -> None:
    """What the store `version_10.sql` went through, by version 10's own program."""
    story.serve()
    for minute in range(6):
        busy(story, minute, "ann", 1)
        if minute in (0, 1, 2, 5):
            busy(story, minute, "bob", 1)
        story.watermark(minute + 1)
        story.deliver()
    story.batch(1, 3)
    story.deliver()
    busy(story, 6, "ann", 2)
    story.live(Event(6.5, user="cid", generation=2))
    story.watermark(7)
    story.deliver()


@pytest.mark.parametrize("windows", [2, 1_024])
def test_alerts_go_on(tmp_path: Path, windows: int) -> None:
    """Their verdicts are cut into parts by the next pass: nothing is told anew, and late data of before are judged."""
    known = AlertStory(tmp_path / "known.db", rules_definition(RULES), rules_text(RULES))
    as_version_10_did(known)
    path = tmp_path / "views.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((STORES / "version_10.sql").read_text(encoding="utf-8"))
    assert migrate(f"sqlite:///{path}").made == ("decision_progress", "decision_verdict_parts")
    story = AlertStory(path, known.compiled, rules_text(RULES))
    for name in ("run", "events", "late", "counted", "batches", "segments"):
        setattr(story, name, getattr(known, name))
    told = [tuple(row)[:13] for row in known.episodes()]
    assert [tuple(row)[:13] for row in story.episodes()] == told
    with parts_of(windows):
        assert story.deliver() == []
        assert [tuple(row)[:13] for row in story.episodes()] == told
        check_parts(story)
        story.too_late(Event(3.1, user="bob", generation=2), Event(3.2, user="bob", generation=2))
        story.live(Event(11.5, user="cid", generation=2))
        story.watermark(12)
        story.deliver()
        story.batch(2, 12)
        story.deliver()
        check_parts(story)
        assert story.settled() == story.backtested()
        assert len(story.settled()) > len(told)


def _of_version_8(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tandem_store SET schema_version = 8")


def _without_a_column(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE publications DROP COLUMN note")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(_of_version_8, "has schema version 8", id="a version that isn't brought over"),
        pytest.param(_without_a_column, "publications is none that can be brought over (columns note)", id="torn"),
    ],
)
def test_what_cant_be_brought_over_is_left_as_it_was(older: Path, spoil: Callable[[Path], None], says: str) -> None:
    spoil(older)
    before = tables(older), version(older)
    done = tandem("store", "migrate", "--store", f"sqlite:///{older}")
    assert done.exit_code != 0
    assert says in done.stderr
    assert "`tandem rebuild DEFINITION...`" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert (tables(older), version(older)) == before


def test_killed_in_between_nothing_was_done(older: Path) -> None:
    before = tables(older)
    command = [sys.executable, "-m", "tandem", "store", "migrate", "--store", f"sqlite:///{older}"]
    killed = subprocess.run(command, env={**os.environ, "TANDEM_FAILPOINT": "before-commit"}, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tables(older), version(older)) == (before, 9)
    assert migrate(f"sqlite:///{older}").made == LATER


def test_on_postgresql(postgres: Any, url: str) -> None:
    b = postgres
    b.store.live.start("v1", "L1", journal="j")
    for generation, key in enumerate(["b", "a", "é"], 1):
        b.live("L1", generation, key, generation)
    b.store.publishing.serve_live("orders", "v1", "L1")
    b.batch("B1", 1, [(1, "b", 1)])
    b.store.publishing.publish("orders", "v1", "B1", "L1")
    answers = [(row.key, row.start, row.results) for row in all_answers(b.store, b.compiled)]
    with b.store.database.write() as connection:
        for name in LATER:
            connection.execute(sa.text(f"DROP TABLE {name}"))
        connection.execute(sa.text("UPDATE tandem_store SET schema_version = 9"))
    with pytest.raises(StoreError, match="`tandem store migrate`"):
        ViewStore(url)
    done = migrate(url)
    assert (done.before, done.after, done.made, done.of_server) == (9, SCHEMA_VERSION, LATER, True)
    with closing(ViewStore(url)) as store:
        assert [(row.key, row.start, row.results) for row in all_answers(store, b.compiled)] == answers
