"""The demo's commands are ones that `tandem` takes; its files hold every flight once."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from examples.flights.data import FlightFiles, read_flights
from examples.flights.installation import SUBSCRIPTION, TOPIC, Installation
from tandem.pipelines import backfill, publish
from tandem.pipelines.unbounded import config as live_config
from tandem.runners.options.reading import read_arguments


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def files(installation: Installation) -> FlightFiles:
    return installation.write_input()


def test_commands_are_parsed(installation: Installation) -> None:
    config, _ = live_config.parse(read_arguments("live", installation.live(2.5)[1:]))
    assert (config.subscription, config.generation_interval) == (SUBSCRIPTION, 2_500_000)
    publish_config, _ = publish.parse(
        read_arguments("publish", installation.publish(Path("december.jsonl"), 75_000.4)[1:])
    )
    assert (publish_config.topic.topic, publish_config.speed, publish_config.order_by) == (TOPIC, 75_000, "known_at")
    (backfill_config,), _ = backfill.parse(
        read_arguments("backfill", installation.backfill(Path("a.csv"), Path("b.avro"))[1:])
    )
    assert backfill_config.files == ("a.csv", "b.avro")
    assert backfill_config.definition.version == installation.compiled.version


def test_files_are_of_four_formats_and_december_is_in_order(files: FlightFiles) -> None:
    assert len(files.history) == 11
    assert {path.suffix for path in files.history} == {".parquet", ".avro", ".jsonl", ".csv"}
    known = pl.read_ndjson(files.december).get_column("known_at")
    assert known.len() == read_flights().filter(pl.col("date").str.starts_with("2013-12")).height
    assert known.is_sorted()


def test_files_are_written_once(installation: Installation, files: FlightFiles) -> None:
    before = [path.stat().st_mtime_ns for path in (*files.history, files.december)]
    again = installation.write_input()
    assert again == files
    assert [path.stat().st_mtime_ns for path in (*again.history, again.december)] == before


def test_keys_are_all_routes_the_busiest_first(installation: Installation) -> None:
    assert len(installation.keys) == 35
    assert installation.keys[0] == '["EWR","UA"]'
