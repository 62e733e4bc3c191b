"""Stories of events and watermarks, told to windowed measures on the DirectRunner, and what its panes say."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.windowed_value import PaneInfoTiming
from samples.collected import Collect, seen

from tandem.transforms.windowed import WindowedMeasures

FIELDS = {"page": str, "at": float, "amount": float, "id": str}
MEASURES: dict[str, object] = {"n": "count", "total": {"sum": "amount"}}

RUNNER = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"
PRISM = "tandem.runners.local.tied_prism.TiedPrismRunner"

Pane = tuple[str, int, int, str, int, float | None]
"""timing, start and end of the window in seconds, page, number, total"""


@dataclass(frozen=True)
class Click:
    """An event at `at` seconds."""

    at: float
    amount: float = 1.0
    page: str = "home"
    id: str = ""

    @property
    def row(self) -> dict[str, Any]:
        return {"page": self.page, "at": self.at, "amount": self.amount, "id": self.id or secrets.token_hex(4)}


@dataclass(frozen=True)
class Watermark:
    """It advances to `at` seconds."""

    at: float


Step = Click | Watermark | Sequence[Click]
"""Several clicks come in one bundle."""


def as_dict(clicks: Sequence[Click]) -> list[Any]:
    return [click.row for click in clicks]


def as_batch(clicks: Sequence[Click]) -> list[Any]:
    """All of a bundle in one record batch."""
    return [pa.RecordBatch.from_pylist([click.row for click in clicks])]


def stream(story: Sequence[Step], form: Any) -> Stream:
    told = Stream()
    for step in story:
        if isinstance(step, Watermark):
            told = told.advance_watermark_to(step.at)
            continue
        clicks = [step] if isinstance(step, Click) else list(step)
        at = min(click.at for click in clicks)
        elements = form(clicks)
        times = [at] * len(elements) if len(elements) != len(clicks) else [click.at for click in clicks]
        told = told.add_elements([TimestampedValue(one, when) for one, when in zip(elements, times, strict=True)])
    return told.advance_watermark_to_infinity()


def told(
    story: Sequence[Step], form: Any, branches: Mapping[str, beam.PTransform], runner: str = RUNNER
) -> dict[str, list[Pane]]:
    """What branches of a pipeline make of the story's clicks, pane by pane."""
    run = secrets.token_hex(8)
    with beam.Pipeline(options=PipelineOptions([f"--runner={runner}", "--streaming"])) as pipeline:
        elements = pipeline | stream(story, form)
        for name, branch in branches.items():
            _ = elements | name >> branch | f"Collect {name}" >> beam.ParDo(Collect(f"{run} {name}"))
    return {name: seen(f"{run} {name}") for name in branches}


@dataclass
class Measured(beam.PTransform):  # type: ignore[misc]
    """Windowed measures under a strategy, read as panes."""

    windows: beam.WindowInto
    settings: Mapping[str, Any] = field(default_factory=dict)
    before: beam.PTransform | None = None

    def expand(self, elements: beam.PCollection) -> beam.PCollection:
        if self.before is not None:
            elements |= self.before
        measures = WindowedMeasures(MEASURES, ["page"], FIELDS, **self.settings)
        return elements | self.windows | measures | beam.Map(_of_row)


@dataclass
class Grouped(beam.PTransform):  # type: ignore[misc]
    """The same panes by Beam's own GroupByKey, counted and added up."""

    windows: beam.WindowInto

    def expand(self, elements: beam.PCollection) -> beam.PCollection:
        pairs = elements | self.windows | beam.Map(lambda row: (row["page"], row["amount"]))
        return pairs | beam.GroupByKey() | beam.Map(_of_group)


def _of_group(pair: Any, window: Any = beam.DoFn.WindowParam, pane: Any = beam.DoFn.PaneInfoParam) -> Pane:
    page, amounts = pair[0], list(pair[1])
    timing = PaneInfoTiming.to_string(pane.timing)
    return timing, int(window.start), int(window.end), page, len(amounts), sum(amounts) if amounts else None


def _of_row(row: Any) -> Pane:
    return row.timing, int(row.window_start), int(row.window_end), row.page, row.n, row.total
