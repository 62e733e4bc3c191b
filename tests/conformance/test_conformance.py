"""Every scenario on every engine: the same answers, which are those of SQL over the raw messages.

`make conformance` runs all and writes the table of docs/runners.md; `make test` runs what isn't slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest
from on_engines.conformance import SCENARIOS, Scenario
from on_engines.engines import ENGINES, FNAPI, PRISM, VARIANTS, Engine
from processes.bench import Bench
from processes.trials import LAYER_THRESHOLDS

SHORT = {
    "fnapi": {"fixed tiles", "late data", "two definitions", "high cardinality", "dead letters"},
    "prism": {"idle lane", "lanes an hour apart"},
    "standalone": {"results"},
}
"""What `make test` plays."""
WITH_EVERY_THRESHOLD = (FNAPI, PRISM)
"""Of layers; the other engines take them by turns."""


def cases() -> Iterator[Any]:
    turns = cycle(LAYER_THRESHOLDS)
    for engine in (*ENGINES, *VARIANTS):
        for scenario in SCENARIOS:
            if engine.live_flags is None and scenario.bounded is None:
                continue
            if engine.only and scenario.name not in engine.only:
                continue
            marks = [pytest.mark.xdist_group(engine.group)]
            if scenario.name not in SHORT.get(engine.name, ()):
                marks.append(pytest.mark.slow)
            first, name = next(turns), f"{engine.name}-{scenario.id}"
            yield pytest.param(scenario, engine, first, id=name, marks=marks)
            if engine in WITH_EVERY_THRESHOLD:
                more = [*marks, pytest.mark.slow]
                for other in sorted({*LAYER_THRESHOLDS} - {first}):
                    yield pytest.param(scenario, engine, other, id=f"{name}-layers-{other}", marks=more)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("scenario", "engine", "threshold"), cases())
def test_scenario(
    scenario: Scenario, engine: Engine, threshold: str, stage: Any, request: pytest.FixtureRequest
) -> None:
    if engine.jars:
        request.getfixturevalue("flink_jars")
    cluster = request.getfixturevalue("flink") if engine.cluster else None
    play = scenario.live if engine.live_flags is not None else scenario.bounded
    assert play is not None
    play(Bench(stage, engine, cluster, layer_threshold=threshold))
