"""`tandem windowed`: files and messages in, windowed results as JSON out; flags that go together or don't."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.transforms.window import TimestampedValue
from oracles.windowed_transcripts import RUNNER

from tandem.pipelines import windowed
from tandem.runners.options.reading import read_arguments
from tandem.schemas.errors import DefinitionError, LaunchError, UserError

ROOT = Path(__file__).parents[2]
CLICKS = str(ROOT / "examples/clicks/clicks.yaml")
CLICK = {"event_id": "a", "event_time": "2026-01-05T09:15:00Z", "user_id": 1, "page": "home", "country": "DE"}
EVENTS = [
    {**CLICK, "amount": 2.5},
    {**CLICK, "amount": 2.5},
    {**CLICK, "amount": 4.0, "event_id": "b", "event_time": "2026-01-05T09:59:59Z"},
    {**CLICK, "amount": 8.0, "event_id": "c", "event_time": "2026-01-05T10:00:00Z"},
    {**CLICK, "amount": 16.0, "event_id": "d", "page": "away"},
    {"event_id": "e"},
]
TOPIC = ["--output-topic", "projects/project/topics/results"]
SUBSCRIPTION = ["--subscription", "projects/project/subscriptions/clicks"]
HOUR = 1_767_603_600
"""2026-01-05T09:00:00Z"""


def written(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]


def told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    found = [(r["key"]["page"], r["window"]["start"][11:16], r["events"], r["results"]["amount"]) for r in rows]
    return sorted(found)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    file = tmp_path / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    return file


def flags(events: Path, *more: str) -> list[str]:
    return ["--definition", CLICKS, "--files", str(events), "--output", str(events.parent / "out"), *more]


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        pytest.param(
            ["--window", "1h"],
            [("away", "09:00", 1, 16.0), ("home", "09:00", 2, 6.5), ("home", "10:00", 1, 8.0)],
            id="fixed",
        ),
        pytest.param(
            ["--window", "hour", "--no-deduplicate", "--shards", "3"],
            [("away", "09:00", 1, 16.0), ("home", "09:00", 3, 9.0), ("home", "10:00", 1, 8.0)],
            id="a-declared-one-with-copies",
        ),
        pytest.param(
            ["--window", "{calendar: day, zone: Europe/Berlin}"],
            [("away", "23:00", 1, 16.0), ("home", "23:00", 3, 14.5)],
            id="calendar",
        ),
        pytest.param(
            ["--window", "{session: 10m}"],
            [("away", "09:15", 1, 16.0), ("home", "09:15", 1, 2.5), ("home", "09:59", 2, 12.0)],
            id="sessions",
        ),
    ],
)
def test_files(events: Path, more: list[str], wanted: list[Any]) -> None:
    windowed.run(read_arguments("windowed", flags(events, *more)))
    rows = written(events.parent / "out")
    assert told(rows) == wanted
    assert {(row["definition"], row["timing"], row["pane"]) for row in rows} == {("clicks", "ON_TIME", 0)}
    (letter,) = written(events.parent / "out/dead-letters")
    assert letter["reason"].startswith("decode: ")
    assert json.loads(letter["event"]) == {"event_id": "e"}


def test_a_run_again_writes_the_same_files(events: Path) -> None:
    windowed.run(read_arguments("windowed", flags(events, "--window", "1h")))
    before = {file.name: file.read_bytes() for file in (events.parent / "out").glob("*.jsonl")}
    windowed.run(read_arguments("windowed", flags(events, "--window", "1h")))
    assert {file.name: file.read_bytes() for file in (events.parent / "out").glob("*.jsonl")} == before


class Completeness(beam.PTransform):  # type: ignore[misc]
    """In place of Beam's own read: an event in time, one before the end of its window, one late, one far too late."""

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        story = Stream()
        for event, watermark in (
            (EVENTS[0], HOUR),
            (EVENTS[2], HOUR + 3600),
            (EVENTS[1], None),
            (EVENTS[4], HOUR + 7200),
        ):
            message = PubsubMessage(json.dumps(event).encode(), {}, message_id="1")
            story = story.add_elements([TimestampedValue(message, HOUR)])
            story = story if watermark is None else story.advance_watermark_to(watermark)
        return begin | story.advance_watermark_to_infinity()


def test_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Early, on time and late; the copy of an event counts in none."""
    monkeypatch.setattr(windowed, "_read_of", lambda subscription: Completeness())
    wanted = ["--definition", CLICKS, *SUBSCRIPTION, "--window", "1h", "--early", "0s", "--output", str(tmp_path)]
    config, _ = windowed.parse(read_arguments("windowed", wanted))
    options = PipelineOptions([f"--runner={RUNNER}", "--streaming"])
    windowed.build(config, options, []).run().wait_until_finish()
    panes = sorted((r["key"]["page"], r["pane"], r["timing"], r["results"]["amount"]) for r in written(tmp_path))
    assert panes == [
        ("away", 0, "LATE", 16.0),
        ("home", 0, "EARLY", 2.5),
        ("home", 1, "EARLY", 6.5),
        ("home", 2, "ON_TIME", 6.5),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--window", "1h"], "give either --files or --subscription", id="no-input"),
        pytest.param(["--window", "1h", "--files", "x"], "give either --output or --output-topic", id="no-output"),
        pytest.param(["--window", "1h", "--files", "x", *TOPIC], "needs --dead-letters", id="no-dead-letters"),
        pytest.param(["--window", "{", "--files", "x", "--output", "o"], "--window '{' is no window", id="window"),
        pytest.param(
            ["--window", "[" * 5_000, "--files", "x", "--output", "o"],
            "is no window; write 1m",
            id="window-of-brackets",
        ),
        pytest.param(["--window", "9" * 5_000, "--files", "x", "--output", "o"], "window", id="window-of-digits"),
        pytest.param(
            ["--window", "1h", "--subscription", "clicks", "--output", "o"],
            "--subscription: 'clicks' is not the name of a subscription",
            id="subscription",
        ),
        pytest.param(
            ["--window", "1h", "--files", "x", "--output", "o", "--shards", "0"], "--shards is 0", id="shards"
        ),
        pytest.param(["--window", "1h", "--files", "x", "--output", "o", "--laet", "1s"], "--laet", id="flag"),
    ],
)
def test_flags_that_dont_go_together(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError) as refused:
        windowed.parse(read_arguments("windowed", ["--definition", CLICKS, *arguments]))
    assert message in str(refused.value)


def test_a_window_that_is_none_is_refused_before_anything_runs() -> None:
    with pytest.raises(DefinitionError, match=r"window\.since"):
        windowed.parse(
            read_arguments(
                "windowed", ["--definition", CLICKS, "--files", "x", "--output", "o", "--window", "{since: day}"]
            )
        )


def test_runners_that_cant_read_messages_by_themselves() -> None:
    with pytest.raises(LaunchError, match="FlinkRunner can't read Pub/Sub by itself"):
        windowed.run(
            read_arguments(
                "windowed",
                ["--definition", CLICKS, *SUBSCRIPTION, "--window", "1h", "--output", "o", "--runner=FlinkRunner"],
            )
        )
