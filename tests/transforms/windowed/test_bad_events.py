"""Events that can't be measured: kept apart where an error handler takes them, else the end of the pipeline."""

from __future__ import annotations

import secrets
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.error_handling import ErrorHandler
from apache_beam.transforms.window import FixedWindows
from samples.collected import Collect, seen

from tandem.runners.submission.launching import FN_API_RUNNER
from tandem.schemas.errors import DefinitionError, UserError
from tandem.transforms.windowed import BadEvent, WindowedMeasures

FIELDS = {"page": str, "at": float, "amount": float}
GOOD = [{"page": "home", "at": 1.0, "amount": 2.0}, {"page": "home", "at": 2.0, "amount": -1.0}]
BAD = [{"page": "home", "at": 1.0, "amount": "much"}, {"page": None, "at": 1.0, "amount": 1.0}]
NOT_READ = pa.record_batch({"page": ["home"], "at": [3.0]})


def measures(**settings: Any) -> WindowedMeasures:
    return WindowedMeasures({"n": "count"}, ["page"], FIELDS, "at", where="amount > 0", **settings)


def run(events: list[Any], error_handler: bool) -> tuple[list[Any], list[BadEvent], Any]:
    good, bad = secrets.token_hex(4), secrets.token_hex(4)
    pipeline = beam.Pipeline(options=PipelineOptions([f"--runner={FN_API_RUNNER}"]))
    windowed = pipeline | beam.Create(events) | beam.WindowInto(FixedWindows(60))
    if error_handler:
        with ErrorHandler(beam.ParDo(Collect(bad))) as handler:
            results = windowed | measures().with_error_handler(handler)
    else:
        results = windowed | measures()
    _ = results | "Results" >> beam.ParDo(Collect(good))
    ran = pipeline.run()
    ran.wait_until_finish()
    return seen(good), seen(bad), ran


@pytest.mark.parametrize("elements", [pytest.param([*BAD, *GOOD, NOT_READ], id="dicts-and-a-batch")])
def test_they_are_kept_apart_and_counted(elements: list[Any]) -> None:
    good, bad, ran = run(elements, error_handler=True)
    assert [(row.page, row.n) for row in good] == [("home", 1)]
    assert sorted(one.msg[:20] for one in bad) == sorted(
        ["amount: Could not convert"[:20], "page is missing", "there is no column a"]
    )
    assert '{"page": null, "at": 1.0, "amount": 1.0}' in {one.element for one in bad}
    counters = ran.metrics().query(MetricsFilter().with_namespace("tandem.windowed"))["counters"]
    assert {counter.key.metric.name: counter.committed for counter in counters} == {
        "measured": 1,
        "filtered": 1,
        "dead": 3,
    }


@pytest.mark.parametrize("bad", [*BAD, NOT_READ])
def test_without_a_handler_they_end_the_pipeline(bad: Any) -> None:
    with pytest.raises(UserError, match=r"an event can't be measured: .*an error handler keeps it apart"):
        run([*GOOD, bad], error_handler=False)


def test_events_without_known_columns_are_refused() -> None:
    pipeline = beam.Pipeline()
    with pytest.raises(DefinitionError, match="fields: the events' columns aren't known"):
        _ = pipeline | beam.Create(GOOD) | WindowedMeasures({"n": "count"})


def test_deduplicating_needs_an_id() -> None:
    pipeline = beam.Pipeline()
    with pytest.raises(DefinitionError, match="deduplicate: name the column of ids as event_id"):
        _ = pipeline | beam.Create(GOOD) | measures(deduplicate=True)
