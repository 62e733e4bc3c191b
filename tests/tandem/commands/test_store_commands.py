"""`tandem status`, `publications`, `roll-back` and `prune`."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from tandem.journal.clocks import ManualClock
from tandem.journal.runs.generations import next_generation
from tandem.journal.runs.manifests import start_run
from tandem.journal.storage.blobs import LocalBlobs
from tandem.views.layers.tables import removed_files
from tandem.views.storage.tables import store_version


@pytest.fixture
def twice(served: Any) -> Any:
    """A second batch run is published, up to generation 2."""
    orders = [served.Order(8.5, 8.0, generation=2)]
    served.batch("b-2", 2, orders, parent="b-1", built_for="000001-aa")
    served.store.publishing.publish("orders", served.version, "b-2", "000001-aa", note="nightly")
    return served


def words(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_status_shows_what_is_served_and_every_generation(twice: Any) -> None:
    shown = twice.run("status", "orders")
    assert shown.exit_code == 0, shown.stderr
    lines = words(shown.stdout)
    assert any(line.startswith("served publication 2 (publish, ") for line in lines)
    assert "batch run b-2 boundary 2" in lines
    assert "live run 000001-aa watermark 2026-01-05T10:00:00Z" in lines
    assert "batch residue 0" in lines
    assert "1 in batch 3 3 0 0 0 0 0" in lines
    assert "2 in batch 1 1 0 0 0 0 0" in lines
    assert "3 live 1 1 0 0 0 0 0" in lines
    assert "no journal here: --home or --journal names it" in lines


def test_status_shows_what_is_in_flight_and_dead_letters(twice: Any) -> None:
    twice.store.live.write_segments(twice.version, "000001-aa", [twice.Segment("000001-aa/0000", 4, 3, 9, 5, 2, 2)])
    lines = words(twice.run("status", "orders").stdout)
    assert "3 live 10 1 2 0 0 2 5" in lines
    assert "dead letters 2 open" in lines


def test_status_of_nothing_published(empty: Any) -> None:
    lines = words(empty.run("status", str(empty.file)).stdout)
    assert "served nothing is published yet" in lines


def journaled(home: Any, ago: int) -> LocalBlobs:
    """A journal whose generation 1 has been over for `ago` microseconds, with two lanes that never opened."""
    from time import time_ns

    blobs = LocalBlobs(home.home / "journal")
    clock = ManualClock(wall=time_ns() // 1000 - ago)
    start_run(blobs, clock, lanes=2, subscription="projects/p/subscriptions/s", nonce=lambda: "ab12")
    next_generation(blobs, clock, 1, "a test")
    return blobs


def test_status_names_the_lanes_that_hold_up_a_seal_and_for_how_long(served: Any) -> None:
    journaled(served, 200_000_000)
    lines = words(served.run("status", "orders").stdout)
    for lane in ("0000", "0001"):
        wanted = "generation 1 waits for 3m2"
        held = [line for line in lines if line.startswith(wanted) and f"lane 000001-ab12/{lane} (never opened" in line]
        assert len(held) == 1, lines
    assert any(line.startswith("journal: generation 2 is current, begun 3m2") for line in lines)
    assert any("not ended, last sign of life 3m2" in line for line in lines)


def test_status_as_json(served: Any) -> None:
    journaled(served, 200_000_000)
    data = json.loads(served.run("status", "orders", "--json").stdout)
    assert (data["served"]["publication"], data["served"]["boundary"]) == (1, 1)
    assert data["served"]["published_at"].endswith("Z")
    assert data["live_runs"][0]["watermark"] == "2026-01-05T10:00:00Z"
    assert data["live_runs"][0]["generations"]["3"]["counted"] == 1
    journal = data["journal"]
    assert (journal["current"], journal["sealed"]) == (2, 0)
    assert [run["ended"] for run in journal["runs"]] == [False]
    (held,) = journal["held_up"]
    assert held["generation"] == 1
    assert 199 < held["seconds"] < 300
    assert [(lane["run"], lane["lane"], lane["segments"]) for lane in held["lanes"]] == [
        ("000001-ab12", 0, 0),
        ("000001-ab12", 1, 0),
    ]


def test_status_changes_nothing_in_the_journal(served: Any) -> None:
    journaled(served, 0)
    before = sorted(path for path in served.home.rglob("*") if "journal" in path.parts)
    served.run("status", "orders")
    assert sorted(path for path in served.home.rglob("*") if "journal" in path.parts) == before


def test_publications_are_listed_newest_first(twice: Any) -> None:
    lines = words(twice.run("publications", "orders").stdout)
    rows = [line.split() for line in lines if "publish" in line and "b-" in line]
    assert [(row[0], row[1]) for row in rows[:1]] == [("served", "2")]
    assert rows[0][-1] == "nightly"
    assert (rows[1][0], rows[1][-2:]) == ("1", ["b-1", "000001-aa"])


def test_publications_as_json(twice: Any) -> None:
    data = json.loads(twice.run("publications", "orders", "--json").stdout)
    found = [(row["ordinal"], row["served"], row["kind"], row["batch_run"], row["note"]) for row in data]
    assert found == [(2, True, "publish", "b-2", "nightly"), (1, False, "publish", "b-1", "")]


def test_no_publications(empty: Any) -> None:
    shown = empty.run("publications", "orders")
    assert (shown.exit_code, shown.stdout) == (0, "orders: nothing was published yet\n")


def test_roll_back_serves_the_older_batch_run_and_loses_nothing(twice: Any) -> None:
    before = twice.run("query", "orders", "--key", "mill,EUR", "--window", "day", "--at", "2026-01-05", "--json")
    shown = twice.run("roll-back", "orders", "1", "--note", "wrong rate")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout == (
        "orders: publication 3 serves what publication 1 did: batch run b-1, boundary 1, live run 000001-aa\n"
    )
    after = twice.run("query", "orders", "--key", "mill,EUR", "--window", "day", "--at", "2026-01-05", "--json")
    assert json.loads(after.stdout)["results"] == json.loads(before.stdout)["results"]
    assert json.loads(after.stdout)["certificate"]["boundary"] == 1
    assert json.loads(twice.run("publications", "orders", "--json").stdout)[0]["note"] == "wrong rate"


def test_prune_removes_what_nothing_kept_needs(twice: Any) -> None:
    shown = twice.run("prune", "orders", "--keep", "1")
    assert shown.exit_code == 0, shown.stderr
    # generations 1 and 2: three keys and tiles of live rows
    assert shown.stdout.startswith("orders: removed 3 live rows, ")
    assert twice.run("prune", "orders", "--keep", "1").stdout == (
        "orders: removed 0 live rows, 0 batch rows, 0 live runs, 0 batch runs\n"
    )


def test_prune_removes_files_of_batch_states_after_a_day_and_names_what_it_does_not_know(twice: Any) -> None:
    with twice.store.database.write() as connection:
        store = str(connection.execute(sa.select(store_version.c.id)).scalar_one())
        connection.execute(removed_files.insert().values(place="", path=f"{store}/b-1/gone.arrow", removed_at=0))
    own = twice.home / "layers" / store
    for run, file in (("b-1", "gone.arrow"), ("of-another", "kept.arrow")):
        (own / run).mkdir(parents=True)
        (own / run / file).write_bytes(b"12345")
    assert twice.run("prune", "orders").stdout.splitlines()[1:] == [
        "orders: removed 1 unneeded files of batch states, 5 bytes",
        f"{own / 'of-another'} is of a batch run that this store doesn't know; it stays",
    ]
    assert [path.name for path in own.rglob("*.arrow")] == ["kept.arrow"]


def test_prune_removes_what_runs_on_flink_can_not_go_on_from(twice: Any) -> None:
    blobs = LocalBlobs(str(twice.home / "journal"))
    runs = [start_run(blobs, ManualClock(), lanes=1, subscription="s", take_over=True).id for _ in range(2)]
    for run in runs:
        state = twice.home / "flink" / run / ("a" * 32) / "chk-1" / "_metadata"
        state.parent.mkdir(parents=True)
        state.write_bytes(b"12345")
    assert twice.run("prune", "orders").stdout.splitlines()[1:] == [
        "Flink: removed 1 folders of checkpoints and savepoints that no run can go on from, 5 bytes"
    ]
    assert [path.name for path in (twice.home / "flink").iterdir()] == [runs[1]]


def test_a_roll_back_that_would_lose_events_is_refused(twice: Any) -> None:
    twice.run("prune", "orders", "--keep", "1")
    shown = twice.run("roll-back", "orders", "1")
    assert shown.exit_code == 1
    assert shown.stderr.startswith("error: orders: ")
    assert shown.stderr.count("\n") == 1
    assert json.loads(twice.run("publications", "orders", "--json").stdout)[0]["ordinal"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(
            ("roll-back", "orders", "9"),
            1,
            "orders: there is no publication 9 to roll back to",
            id="no-such-publication",
        ),
        pytest.param(
            ("roll-back", "orders", "0"),
            2,
            "Invalid value for 'PUBLICATION': Input should be greater than or equal to 1; "
            "see `tandem roll-back --help`",
            id="publication-0",
        ),
        pytest.param(
            ("roll-back", "orders"), 2, "Missing argument 'PUBLICATION'; see `tandem roll-back --help`", id="none-named"
        ),
        pytest.param(
            ("prune", "orders", "--keep", "0"),
            2,
            "Invalid value for '--keep': Input should be greater than or equal to 1; see `tandem prune --help`",
            id="keep-nothing",
        ),
        pytest.param(
            ("status", "sales"),
            2,
            "no definition named 'sales' in the view store: there are orders; a file's name has a dot or a slash",
            id="status-of-unknown",
        ),
        pytest.param(
            ("publications", "sales"),
            2,
            "no definition named 'sales' in the view store: there are orders; a file's name has a dot or a slash",
            id="publications-of-unknown",
        ),
        pytest.param(("status", "sales.yaml"), 2, "sales.yaml: no such file", id="status-of-missing-file"),
    ],
)
def test_mistakes_in_store_commands(served: Any, arguments: tuple[str, ...], code: int, message: str) -> None:
    shown = served.run(*arguments)
    assert (shown.exit_code, shown.stderr, shown.stdout) == (code, f"error: {message}\n", "")
