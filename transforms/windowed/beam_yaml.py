"""The windowed transforms by name for Beam YAML: `beam_yaml.yaml` beside this module is the provider to include."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.transforms.error_handling import CollectingErrorHandler

from tandem.schemas.errors import DefinitionError
from tandem.transforms.windowed.transform import WindowedMeasures
from tandem.transforms.windowed.windows.spelled_windows import window_into

__all__ = ["windowed_measures"]


def windowed_measures(
    measures: Mapping[str, Any],
    keys: Sequence[str] = (),
    event_time: str | None = None,
    event_id: str | None = None,
    deduplicate: bool = False,
    where: str | None = None,
    derive: Mapping[str, str] | None = None,
    derive_results: Mapping[str, str] | None = None,
    fields: Mapping[str, str] | None = None,
    window: Any = None,
    early: str | None = None,
    late: str | None = None,
    lateness: str = "0s",
    mode: str = "accumulating",
    shards: int = 1,
    error_handling: Mapping[str, str] | None = None,
) -> beam.PTransform:
    """`WindowedMeasures` from texts alone; without `window` the input's windows apply.

    `error_handling: {output: NAME}` sends bad events to the output NAME, as for Beam's own transforms.
    """
    if window is None and (early, late, lateness, mode) != (None, None, "0s", "accumulating"):
        raise DefinitionError("early, late, lateness and mode are of a window; give one", field="window")
    measured = WindowedMeasures(
        measures=measures,
        keys=keys,
        fields=fields,
        event_time=event_time,
        event_id=event_id,
        where=where,
        derive=derive,
        derive_results=derive_results,
        deduplicate=deduplicate,
        windows=None if window is None else window_into(window, early, late, lateness, mode),
        shards=shards,
    )
    return measured if error_handling is None else _WithErrors(measured, error_handling["output"])


@dataclass
class _WithErrors(beam.PTransform):  # type: ignore[misc]
    """Results as the output `good`, bad events as another output: Beam YAML's form."""

    measured: WindowedMeasures
    output: str

    def expand(self, events: beam.PCollection[Any]) -> dict[str, beam.PCollection]:
        with CollectingErrorHandler() as handler:
            results = events | "Measures" >> self.measured.with_error_handler(handler)
        return {"good": results, self.output: handler.output()}
