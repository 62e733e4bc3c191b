"""Results as rows of BigQuery's Storage Write API, over real gRPC against a stand-in that knows shapes alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from oracles.result_laws import check_revisions
from servers.bigquery_service import BigQueryService, bigquery_service
from typer.testing import CliRunner
from without_runner.result_stories import TEXT, Event, Story

from tandem.app import app
from tandem.pipelines.delivery.result_tables import EMULATOR
from tandem.pipelines.delivery.result_views import view_of
from tandem.schemas.definition.compiled import compile_definition
from tandem.schemas.definition.loading import loads
from tandem.storage.bigquery import EMULATOR as REST
from tandem.views.outbox.messages import DEAD

TABLE = "my-project.shop.visits"
MEASURES = "{n: count, amount: {sum: amount}, users: {top_k: user, k: 2}, q: {quantiles: amount, at: [0.5]}}"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQueryService]:
    with bigquery_service() as service:
        monkeypatch.setenv(EMULATOR, service.write)
        monkeypatch.setenv(REST, service.rest)
        yield service


@pytest.fixture
def story_of(tmp_path: Path, service: BigQueryService) -> Iterator[Callable[..., Story]]:
    stories = list[Story]()

    def make(mode: str = "accumulating", measures: str = MEASURES) -> Story:
        text = TEXT.format(
            result=f"{{window: 1m, mode: {mode}, to: {{bigquery: {TABLE}}}}}",
            tile="1m",
            lateness="0s",
            measures=measures,
        )
        (tmp_path / "visits.yaml").write_text(text)
        story = Story(tmp_path / f"{len(stories)}.db", compile_definition(loads(text)))
        story.deliverer._writers = {}
        story.serve()
        stories.append(story)
        return story

    yield make
    for story in stories:
        story.close()


def table(story: Story, *more: str) -> Any:
    """`tandem results table` for a story's definition."""
    file = Path(str(story.store.database.where).removeprefix("sqlite:///")).parent / "visits.yaml"
    return CliRunner().invoke(app, ["results", "table", str(file), "r", *more])


def test_revisions_are_rows_and_the_view_shows_the_newest(
    story_of: Callable[..., Story], service: BigQueryService
) -> None:
    story = story_of()
    assert table(story, "--create").exit_code == 0
    story.live(Event(0.1, amount=3), Event(0.2, user="bob"))
    story.watermark(1)
    story.deliverer.run_once()
    story.live(Event(0.3, amount=4))
    story.deliverer.run_once()
    rows = service.rows[TABLE]
    check_revisions([{**row, "start": str(row["start"]), "end": str(row["end"])} for row in rows])
    newest = {row["key"]["user"]: row for row in service.newest(TABLE).values()}
    assert {user: (row["revision"], row["timing"]) for user, row in newest.items()} == {
        "ann": (2, "LATE"),
        "bob": (1, "ON_TIME"),
    }
    assert newest["ann"]["results"] == {
        "n": 2,
        "amount": 7,
        "users": [{"value": "ann", "count": 2}],
        "q": {"_0_5": pytest.approx(3.5, abs=0.6)},
    }


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        pytest.param("accumulating", "ORDER BY revision DESC) = 1 AND NOT withdrawn", id="the newest revision"),
        pytest.param("retracting", "ORDER BY revision DESC) = 1 AND NOT withdrawn", id="with the one before"),
        pytest.param("discarding", "PARTITION BY id) = 1", id="each message once"),
    ],
)
def test_views_by_mode(mode: str, says: str) -> None:
    assert says in view_of(TABLE, mode)


def test_what_is_made_and_what_a_new_measure_adds(story_of: Callable[..., Story], service: BigQueryService) -> None:
    first = story_of(measures="{n: count}")
    printed = json.loads(table(first).stdout)
    assert service.tables == {}, "printing makes nothing"
    assert printed[0]["table"]["timePartitioning"] == {"type": "DAY", "field": "start"}
    assert table(first, "--create").stdout.splitlines() == [f"{TABLE}: created", f"{TABLE}_newest: created"]
    assert service.tables[TABLE]["schema"] == printed[0]["table"]["schema"]
    assert "is there already" in table(first, "--create").stdout
    grown = story_of()
    lines = table(grown, "--create").stdout.splitlines()
    assert lines == [
        f"{TABLE}: has results.amount, results.users, results.q now",
        f"{TABLE}_newest: is the view of now",
    ]
    grown.live(Event(0.1))
    grown.watermark(1)
    done = grown.deliverer.run_once()
    assert done is not None
    assert done.sent == 1


def test_a_column_of_another_type_is_refused(story_of: Callable[..., Story], service: BigQueryService) -> None:
    table(story_of(measures="{n: count}"), "--create")
    wrong = table(story_of(measures="{n: {mean: amount}}"), "--create")
    assert wrong.exit_code == 2
    assert "results.n is NULLABLE INTEGER there" in wrong.output


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        pytest.param({"tables": {}}, "NOT_FOUND", id="no table"),
        pytest.param({"unavailable": 1}, "UNAVAILABLE", id="unavailable"),
        pytest.param(
            {"tables": {TABLE: {"schema": {"fields": [{"name": "id", "type": "STRING"}]}}}},
            "mismatch",
            id="other columns",
        ),
    ],
)
def test_what_takes_nothing_now_is_named_and_waited_for(
    story_of: Callable[..., Story], service: BigQueryService, breaks: dict[str, Any], says: str
) -> None:
    story = story_of()
    table(story, "--create")
    whole = dict(service.tables)
    for name, value in breaks.items():
        setattr(service, name, value)
    story.live(Event(0.1))
    story.watermark(1)
    done = story.deliverer.run_once()
    assert done is not None
    assert TABLE in done.failed[0]
    assert says in done.failed[0]
    service.tables = whole
    story.wait(1)
    done = story.deliverer.run_once()
    assert done is not None
    assert (done.sent, len(service.rows[TABLE])) == (1, 1)


def test_a_row_that_is_refused_is_set_aside_and_the_others_are_sent(
    story_of: Callable[..., Story], service: BigQueryService
) -> None:
    story = story_of()
    table(story, "--create")
    service.refuses = "bob"
    story.live(Event(0.1), Event(0.2, user="bob"), Event(0.3, user="cem"))
    story.watermark(1)
    done = story.deliverer.run_once()
    assert done is not None
    assert (done.sent, done.refused) == (2, 1)
    assert [(row.state, json.loads(row.key)) for row in story.outbox()] == [(DEAD, ["bob"])]
    assert sorted(row["key"]["user"] for row in service.rows[TABLE]) == ["ann", "cem"]


def test_a_dataset_that_is_not_there_is_named(story_of: Callable[..., Story], service: BigQueryService) -> None:
    service.datasets.clear()
    wrong = table(story_of(), "--create")
    assert wrong.exit_code == 2
    assert "dataset my-project.shop" in wrong.output
    assert "bq mk --dataset" in wrong.output
