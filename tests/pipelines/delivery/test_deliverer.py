"""Who delivers, what is sent again, what waits and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from oracles.result_laws import check_revisions
from without_runner.result_stories import Event, Story, definition_of

from tandem.pipelines.delivery import sources
from tandem.pipelines.delivery.outputs import LogWriter, writer_of
from tandem.pipelines.delivery.result_topics import pubsub_message
from tandem.pipelines.delivery.sources import has_sources
from tandem.schemas.definition.compiled import CompiledDefinition
from tandem.schemas.definition.models import Definition
from tandem.schemas.privacy.printable import UNSAFE
from tandem.views.outbox.leases import LEASE
from tandem.views.outbox.messages import DEAD, TAKEN, Message, Sent, revive, take_messages
from tandem.views.outbox.records import Record, put_records
from tandem.views.results.listing import backlog
from tandem.views.results.revisions.draining import Drainer
from tandem.views.store import ViewStore

EARLY = "{window: 1m, trigger: {early: 10s}, to: log}"


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    story = Story(tmp_path / "v.db", definition_of(EARLY))
    story.serve()
    yield story
    story.close()


def drainer_of(story: Story) -> Drainer:
    (source,) = story.deliverer._sources
    assert isinstance(source, Drainer)
    return source


def early(story: Story, *events: Event) -> None:
    story.live(*events)
    story.told()
    story.wait(10)


def test_early_messages_that_wait_are_replaced_and_keep_their_number(story: Story) -> None:
    story.output.fails = "away"
    early(story, Event(0.1))
    for seconds in (1, 2, 4, 8, 16, 0):  # then it is tried again after 32 s
        story.told()
        story.wait(seconds)
    assert [row.state for row in story.outbox()] == [TAKEN], "it may have been seen, once it was tried"
    for count in (2, 3):
        early(story, Event(0.2))
        story.told()
        rows = [(row.revision, row.state, f'"n":{count}' in row.payload) for row in story.outbox()]
        assert rows == [(1, TAKEN, False), (2, "waiting", True)]
    story.output.fails = ""
    story.wait(600)
    assert story.told() == [("EARLY", "ann", "08:00", 1), ("EARLY", "ann", "08:00", 3)]
    check_revisions(story.output.sent)


def test_an_output_that_fails_is_tried_later_each_time(story: Story) -> None:
    story.output.fails = "topic t: NOT_FOUND"
    early(story, Event(0.1))
    waits = []
    for _ in range(12):
        done = story.deliverer.run_once()
        assert done is not None
        assert done.failed == ("log: topic t: NOT_FOUND",)
        known = backlog_of(story)["outputs"]["log"]
        assert known["error"] == "topic t: NOT_FOUND"
        waits.append((known["next_at"] - story.now) // 1_000_000)
        again = story.deliverer.run_once()
        assert again is not None
        assert again.failed == ()
        story.wait(waits[-1])
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    story.output.fails = ""
    assert story.told() == [("EARLY", "ann", "08:00", 1)]
    assert backlog_of(story)["outputs"]["log"]["error"] == ""
    assert backlog_of(story)["outbox"] == 0


def test_health_says_that_results_are_not_sent(story: Story) -> None:
    from tandem.serving.installation.health import health_of

    def state() -> tuple[str, str]:
        story.store.live.set_watermark(story.version, "L", story.now)
        health = health_of(story.store, "visits", None, story.now, 3_600_000_000)
        return health.state, health.reason

    story.live(Event(0.1))
    assert state() == ("attention", "results are due and nobody delivers them: `tandem deliver` does")
    story.told()
    assert state()[0] == "healthy"
    story.output.fails = "away"
    story.wait(10)
    story.told()
    assert state() == ("attention", "results wait for log: away")
    story.output.fails = ""
    story.wait(2)
    story.told()
    assert state()[0] == "healthy"


def backlog_of(story: Story) -> dict[str, Any]:
    with story.store.database.read() as connection:
        found = backlog(connection, "visits")
    assert found is not None
    return found


def test_one_delivers_and_the_next_one_takes_over_what_was_taken(story: Story) -> None:
    other = story.new_deliverer("second")
    early(story, Event(0.1))
    story.deliverer.run_once()
    assert other.run_once() is None
    story.wait(LEASE / 1e6)
    assert other.run_once() is not None
    assert story.deliverer.run_once() is None
    other.close()
    assert story.deliverer.run_once() is not None


def test_a_zombie_takes_and_forgets_nothing(story: Story) -> None:
    """One that stopped while it was sending wakes up: what it sent is sent again by who has taken over."""
    early(story, Event(0.1))
    story.deliverer._sources[0].drain(story.now)
    story.deliverer._holds()
    lease = story.deliverer._lease
    assert lease is not None
    (message,) = take_messages(story.store.database, lease, "log", 10) or []
    story.wait(LEASE / 1e6)
    other = story.new_deliverer("second")
    story.output.fails = "away"
    other.run_once()
    assert take_messages(story.store.database, lease, "log", 10, Sent([message], {}), story.now) is None
    assert len(story.outbox()) == 1
    story.output.fails = ""
    story.wait(1)
    done = other.run_once()
    assert done is not None
    assert done.sent == 1


def test_what_is_refused_for_good_is_set_aside_and_can_be_sent_again(story: Story) -> None:
    class Refusing:
        refuses = True

        def send(self, messages: Sequence[Any]) -> Mapping[int, str]:
            return {messages[0].ordinal: "too large"} if self.refuses else {}

    refusing = Refusing()
    story.deliverer._writers = {"log": refusing}
    early(story, Event(0.1), Event(0.2, user="bob"))
    done = story.deliverer.run_once()
    assert done is not None
    assert (done.sent, done.refused) == (1, 1)
    assert [(row.state, row.error) for row in story.outbox()] == [(DEAD, "too large")]
    assert backlog_of(story)["dead"] == 1
    refusing.refuses = False
    assert revive(story.store.database, "visits") == 1
    done = story.deliverer.run_once()
    assert done is not None
    assert done.sent == 1


def test_several_drain_and_each_revision_is_written_once(story: Story) -> None:
    early(story, Event(0.1))
    drainers = [Drainer(story.store, story.compiled) for _ in range(3)]
    intact = [drainer._write for drainer in drainers]

    def late(name: str, seen: Any, now: int) -> int | None:
        """The others write between this one's reading and writing."""
        for drainer in drainers[1:]:
            drainer.drain(now)
        return intact[0](name, seen, now)

    drainers[0]._write = late  # type: ignore[method-assign]
    assert drainers[0].drain(story.now) == 0
    assert [row.revision for row in story.outbox()] == [1]


def test_a_change_between_reading_and_writing_stays_due(story: Story) -> None:
    drainer = drainer_of(story)
    early(story, Event(0.1))
    intact = drainer._write

    def late(name: str, seen: Any, now: int) -> int | None:
        story.live(Event(0.2))
        drainer._write = intact  # type: ignore[method-assign]
        return intact(name, seen, now)

    drainer._write = late  # type: ignore[method-assign]
    story.deliverer.run_once()
    assert story.left() > 0
    story.told()
    story.wait(10)
    assert story.told() == [("EARLY", "ann", "08:00", 2)]
    assert story.left() == 0


def test_another_publication_between_reading_and_writing_loses(story: Story) -> None:
    drainer = drainer_of(story)
    early(story, Event(0.1))
    intact = drainer._write

    def late(name: str, seen: Any, now: int) -> int | None:
        story.batch(1, complete_to=1)
        return intact(name, seen, now)

    drainer._write = late  # type: ignore[method-assign]
    assert drainer.drain(story.now) == 0
    drainer._write = intact  # type: ignore[method-assign]
    assert story.told() == [("FINAL", "ann", "08:00", 1)]


# outputs


def test_the_log_steers_no_terminal(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    story.deliverer._writers = {"log": LogWriter()}
    name = "\x9b31m\u202e\u2028\U000e0041"
    early(story, Event(0.1, user=name))
    story.deliverer.run_once()
    (line,) = capsys.readouterr().out.split("\n")[:-1]
    assert UNSAFE.search(line) is None, repr(line)
    assert name in json.loads(line)["key"].values()


def test_the_log(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    story.deliverer._writers = {"log": LogWriter()}
    early(story, Event(0.1), Event(0.2, user="bob"))
    story.deliverer.run_once()
    story.watermark(1)
    story.deliverer.run_once()
    lines = capsys.readouterr().out.splitlines()
    assert [('"EARLY"' in line, '"ON_TIME"' in line) for line in lines] == [(True, False)] * 2 + [(False, True)] * 2


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("log", "LogWriter"),
        ("{files: a}", "FileWriter"),
        ("{files: 's3://b/c', format: avro}", "FileWriter"),
        ("{files: 'gs://b/c', format: parquet}", "FileWriter"),
        ("{pubsub: projects/p/topics/t}", "TopicResults"),
        ("{pubsub: projects/p/topics/t, format: avro}", "TopicResults"),
    ],
)
def test_each_output_has_its_writer(output: str, kind: str) -> None:
    compiled = definition_of(f"{{window: 1m, to: {output}}}")
    (declared,) = compiled.definition.results["r"].to
    assert type(writer_of(declared.label, compiled)).__name__ == kind


# other kinds of records


def test_records_of_another_kind_are_delivered_in_the_order_in_which_they_were_put(story: Story) -> None:
    def put(*states: str) -> None:
        records = [
            Record("log", "alert too_slow", 60, 120, '["ann"]', at, f"id-{state}", f'{{"state":"{state}"}}')
            for at, state in enumerate(states, 1)
        ]
        with story.store.database.write() as connection:
            put_records(story.store.database, connection, "visits", records, story.now)

    put("TENTATIVE", "CONFIRMED")
    story.output.fails = "away"
    story.deliver()
    story.output.fails = ""
    story.wait(1)
    assert [message["state"] for message in story.deliver()] == ["TENTATIVE", "CONFIRMED"]
    assert backlog_of(story)["outbox"] == 0
    put("WITHDRAWN")
    (row,) = story.outbox()
    place = (row.ordinal, row.name, row.output, row.result, row.start, row.end, row.key, row.revision)
    message = Message(*place, row.pass_number, row.id, row.payload)
    published = pubsub_message(message, b"{}")["attributes"]
    assert (published["alert"], published["state"], published["id"]) == ("too_slow", "WITHDRAWN", "id-WITHDRAWN")


def test_another_source_is_called_before_records_are_sent(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Alarms:
        store: ViewStore

        def drain(self, now: int) -> int:
            record = Record("log", "alert any", 0, 0, "[]", 1, "a", '{"state":"TENTATIVE"}')
            with self.store.database.write() as connection:
                put_records(self.store.database, connection, "visits", [record], now)
            return 1

    class Rules:
        def is_in(self, definition: Definition) -> bool:
            return definition.name == "visits"

        def open(self, store: ViewStore, compiled: CompiledDefinition) -> Alarms:
            return Alarms(store)

    monkeypatch.setattr(sources, "SOURCES", [*sources.SOURCES, Rules()])
    assert has_sources(story.compiled.definition.model_copy(update={"results": {}}))
    story.deliverer = story.new_deliverer("first")
    done = story.deliverer.run_once()
    assert done is not None
    assert (done.revisions, done.sent) == (1, 1)
    assert story.output.sent == [{"state": "TENTATIVE"}]
